"""`evergreen compare`: a table and a picture of losses, schedules or rates; nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from commands import error_of, invoke, output_of
from tuning.tried import TRAIN, prepare_batches

from evergreen.project import Project

SMALL = ("--cuts", "2")


@pytest.fixture
def prepared(site: Any) -> Project:
    """A project that is prepared, and has never trained."""
    import yaml

    train = TRAIN | {"rounds": 20, "max_depth": 2}
    prepare_batches(site, rows=120, train=train)
    (site.project.root / "dvc.yaml").touch()
    content = {"train": train, "evaluate": {"resamples": 100}}
    (site.project.root / "params.yaml").write_text(yaml.safe_dump(content))
    return site.project


@pytest.mark.slow
def test_losses(prepared: Project) -> None:
    said = output_of(prepared.root, "compare", "losses", "--seeds", "2", *SMALL)
    lines = said.splitlines()
    assert lines[0].split() == [
        "loss",
        "stops",
        "by",
        "roc_auc",
        "rounds",
        "beside",
        "what",
        "is",
        "set",
    ]
    assert [line.split()[0] for line in lines[1:4]] == ["log_loss", "weighted_log_loss", "focal"]
    assert "what is set" in lines[1]
    assert all(" in roc_auc" in line and " by " in line for line in lines[2:4])
    assert "2 seeds on 2 cuts in time (b4, b5; 240 rows judge)" in said
    assert "the newest batch, which the gate judges by, was not looked at" in said
    assert (prepared.reports / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in prepared.reports.iterdir()} == {"losses.png"}
    assert not (prepared.stores / "mlflow.db").exists()


@pytest.mark.slow
def test_schedules(prepared: Project) -> None:
    text = (prepared.root / "params.yaml").read_text()
    short = text.replace("train:\n", "train:\n  schedule: step\n  schedule_rounds: 10\n")
    (prepared.root / "params.yaml").write_text(short)
    said = output_of(prepared.root, "compare", "schedules", "--rate", "0.9", "--seeds", "2", *SMALL)
    named = [line.split()[0] for line in said.splitlines()[1:6]]
    assert named == ["step", "constant", "time", "exponential", "cosine"]
    assert "4 comparisons with step" in said
    assert (prepared.reports / "schedules.png").exists()
    assert (prepared.root / "params.yaml").read_text() == short


@pytest.mark.slow
def test_rates(prepared: Project) -> None:
    said = output_of(prepared.root, "compare", "rates", *SMALL)
    lines = said.splitlines()
    assert lines[0].startswith("learning rate  logloss, half way  after 30 rounds")
    assert lines[1].startswith("0.01 ")
    assert [line.split()[-1] for line in lines if line.endswith(("start", "rises"))] == [
        "start",
        "rises",
    ]
    assert "start a step below, at " in said
    assert (prepared.reports / "learning_rate.png").exists()
    assert "`evergreen compare rates --write` writes it" in said
    before = (prepared.root / "params.yaml").read_text()
    assert "learning_rate: 0.3\n" in before
    start = next(line.split()[0] for line in lines if line.endswith(" start"))
    written = output_of(prepared.root, "compare", "rates", "--write", *SMALL)
    assert written.startswith("\n".join(lines[:3]))
    changed = before.replace("learning_rate: 0.3\n", f"learning_rate: {start}\n")
    assert (prepared.root / "params.yaml").read_text() == changed


@pytest.mark.slow
@pytest.mark.parametrize("what", ["losses", "schedules", "rates"])
def test_before_anything_is_prepared_it_says_what_to_do(what: str, two_batches: Project) -> None:
    assert "`evergreen run` first" in error_of(invoke(two_batches.root, "compare", what))


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("losses --seeds 1", "--seeds"),
        ("schedules --rate 2", "--rate"),
        ("rates --cuts 1", "--cuts"),
    ],
)
def test_wrong_wishes(words: str, part: str, two_batches: Project) -> None:
    done = invoke(two_batches.root, "compare", *words.split())
    assert done.exit_code == 2
    assert part in done.stderr
