"""`evergreen export`: whole files or none, and one sentence where there is nothing to export."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import error_of, invoke, output_of
from export.models import model_of
from scoring.packages import names, rows_of

from evergreen.cli import export
from evergreen.export import onnx_file
from evergreen.export.onnx_file import OnnxModel
from evergreen.project import Project


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let version 3 be the champion of whatever project, and real rows be there."""
    model = model_of("binary", "log_loss")
    monkeypatch.setattr(
        export, "_open", lambda project, params, number: (number or "3", "run", model)
    )
    monkeypatch.setattr(onnx_file, "real_rows", lambda project, model: rows_of())


@pytest.mark.slow
def test_without_a_champion_nothing_is_written(two_batches: Project) -> None:
    said = error_of(invoke(two_batches.root, "export", "--out", "model.onnx"))
    assert said.startswith("there is no champion: ")
    assert not (two_batches.root / "model.onnx").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("known")
def test_a_graph_is_written_where_git_does_not_look(two_batches: Project) -> None:
    said = output_of(two_batches.root, "export")
    path = two_batches.root / "exports" / "evergreen-3.onnx"
    assert str(path) in said
    assert "at most " in said
    facts = OnnxModel(path.read_bytes()).facts
    assert (facts["version"], facts["run"], facts["model"]) == ("3", "run", "evergreen")
    assert "/exports/" in (two_batches.root / ".gitignore").read_text().splitlines()


@pytest.mark.usefixtures("known")
def test_another_version_goes_where_it_is_asked_for(two_batches: Project, tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.onnx"
    assert "7" in output_of(two_batches.root, "export", "--version", "7", "--out", str(path))
    assert OnnxModel(path.read_bytes()).facts["version"] == "7"


@pytest.mark.usefixtures("known")
def test_a_wrong_graph_leaves_nothing(
    two_batches: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "NEAR", 0.0)
    said = error_of(invoke(two_batches.root, "export", "--out", str(tmp_path / "model.onnx")))
    assert "was not written" in said
    assert names(tmp_path) == []


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("form", ["json", "ubj"])
def test_own_files_are_a_folder_made_anew(form: str, two_batches: Project, tmp_path: Path) -> None:
    out = tmp_path / "model"
    for _ in range(2):
        output_of(two_batches.root, "export", "--format", form, "--out", str(out))
        assert names(out) == ["encoder.json", f"seed-0.{form}", f"seed-1.{form}"]
        (out / "of before").touch()
    assert names(tmp_path) == ["model"]


@pytest.mark.usefixtures("known")
def test_another_folder_is_not_replaced(two_batches: Project, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    words = ("export", "--format", "json", "--out", str(tmp_path))
    assert "no export" in error_of(invoke(two_batches.root, *words))
    assert names(tmp_path) == ["mine.txt"]


@pytest.mark.slow
@pytest.mark.usefixtures("known")
def test_a_graph_replaces_an_earlier_one_and_nothing_else(
    two_batches: Project, tmp_path: Path
) -> None:
    out = tmp_path / "model.onnx"
    for _ in range(2):
        output_of(two_batches.root, "export", "--out", str(out))
    before = two_batches.params.read_bytes()
    for place in (two_batches.params, tmp_path):
        said = error_of(invoke(two_batches.root, "export", "--out", str(place)))
        assert "is there, and no export" in said
    assert two_batches.params.read_bytes() == before
    for form in ("onnx", "json"):
        words = ("export", "--format", form, "--out", "/proc/no/where")
        assert "cannot be written" in error_of(invoke(two_batches.root, *words))
