"""The project's own package and its flows: found, checked, and each project's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import own_package, refusal

from evergreen import __version__, code
from evergreen.errors import explain
from evergreen.project import Project

# --- its own package


def test_two_projects_of_one_process_have_each_its_own(
    installed: Callable[..., Project], tmp_path: Path
) -> None:
    first, second = (
        installed(own_package(tmp_path / name, name, column))
        for name, column in (("prices_of_ours", "price"), ("rents_of_ours", "rent"))
    )
    assert [list(project.dataset.columns) for project in (first, second, first)] == [
        ["price", "sold"],
        ["rent", "sold"],
        ["price", "sold"],
    ]
    assert first.dataset is first.dataset
    assert [project.expectations("a")[1] for project in (first, second)] == [
        "prices_of_ours",
        "rents_of_ours",
    ]
    for project in (first, second):
        files = [
            path.relative_to(project.root / "src" / project.package).as_posix()
            for path in project.code_of("dataset")
        ]
        assert files == ["__init__.py", "dataset.py", "words.py"]


def test_a_workspace_is_of_the_same_package(
    installed: Callable[..., Project], tmp_path: Path
) -> None:
    project = installed(own_package(tmp_path, "prices_of_replay"))
    assert project.workspace.dataset is project.dataset


def test_what_is_edited_meanwhile_counts_from_the_next_process_on(
    installed: Callable[..., Project], tmp_path: Path
) -> None:
    project = installed(own_package(tmp_path, "prices_edited"))
    files = project.code_of("dataset")
    (tmp_path / "src" / "prices_edited" / "words.py").write_text("NAME = 'rent'\n")
    assert list(project.dataset.columns) == ["price", "sold"]
    assert project.code_of("dataset") == files
    assert code.changed() == [tmp_path / "src" / "prices_edited" / "words.py"]


def edit(name: str, text: str) -> Callable[[Path], object]:
    """Return what writes a file of the project."""
    return lambda root: (root / name).write_text(text)


PACKAGE = "src/prices_wrong"
WRONG: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "no file": (
        lambda root: (root / "pyproject.toml").unlink(),
        ("pyproject.toml is missing", "[tool.evergreen]"),
    ),
    "no TOML": (edit("pyproject.toml", "[tool"), ("pyproject.toml cannot be read",)),
    "no table": (edit("pyproject.toml", "[tool.other]\n"), ("lacks the table [tool.evergreen]",)),
    "no package": (
        edit("pyproject.toml", "[tool.evergreen]\nrequires = '>=0'\n"),
        ("lacks package",),
    ),
    "no range": (
        edit("pyproject.toml", "[tool.evergreen]\npackage = 'x'\n"),
        ("lacks requires", ">="),
    ),
    "odd package": (
        edit("pyproject.toml", "[tool.evergreen]\npackage = 'my-prices'\nrequires = '>=0'\n"),
        ("package = 'my-prices' is not the name of a package", "src/"),
    ),
    "odd range": (
        edit("pyproject.toml", "[tool.evergreen]\npackage = 'x'\nrequires = 'new'\n"),
        ("'new' is not a range of versions",),
    ),
    "another version": (
        edit("pyproject.toml", "[tool.evergreen]\npackage = 'x'\nrequires = '>=99,<100'\n"),
        ("works with evergreen >=99,<100", f"{__version__} is installed"),
    ),
    "not installed": (
        edit("pyproject.toml", "[tool.evergreen]\npackage = 'prices_nowhere'\nrequires = '>=0'\n"),
        ("no module prices_nowhere.dataset", "make setup"),
    ),
    "no module": (
        lambda root: (root / PACKAGE / "dataset.py").unlink(),
        ("no module prices_wrong.dataset", "pyproject.toml"),
    ),
    "no attribute": (
        edit(f"{PACKAGE}/dataset.py", "COLUMNS = {}\n"),
        ("does not define dataset", "Dataset(...)"),
    ),
    "another type": (
        edit(f"{PACKAGE}/dataset.py", "dataset = {}\n"),
        ("dataset is a dict", "Dataset(...)"),
    ),
    "nothing declared": (
        edit(
            f"{PACKAGE}/dataset.py",
            "import polars as pl\nfrom evergreen import Dataset\n"
            "dataset = Dataset(columns={}, label=pl.lit(None), features={})\n",
        ),
        ("declares no columns", "evergreen adopt FILE --target COLUMN"),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_project_is_one_error(
    case: str, installed: Callable[..., Project], tmp_path: Path
) -> None:
    project = installed(own_package(tmp_path, "prices_wrong"))
    spoil, said = WRONG[case]
    spoil(tmp_path)
    told = refusal(lambda: project.dataset, *said)
    assert "\n" not in told


def test_what_a_package_lacks_itself_is_told_by_its_own_name(
    installed: Callable[..., Project], tmp_path: Path
) -> None:
    project = installed(own_package(tmp_path, "prices_lacking"))
    (tmp_path / "src" / "prices_lacking" / "__init__.py").write_text(
        "import nothing_of_that_name\n"
    )
    with pytest.raises(ModuleNotFoundError) as caught:
        _ = project.dataset
    missing = "No module named 'nothing_of_that_name'"
    assert str(explain(caught.value)) == (
        f"__init__.py, line 1: ModuleNotFoundError: {missing}: correct it"
    )


# --- its flows


def flows_at(folder: Path, says: str) -> None:
    (folder / "flows").mkdir(parents=True)
    (folder / "flows" / "training.py").write_text(f"def training():\n    return {says!r}\n")


def test_each_project_has_flows_of_its_own(
    installed: Callable[..., Project], tmp_path: Path
) -> None:
    first, second = (
        installed(own_package(tmp_path / name, name))
        for name in ("prices_that_flow", "rents_that_flow")
    )
    for project in (first, second):
        flows_at(project.root, project.package)
    assert [project.flow("training")() for project in (first, second, first)] == [
        "prices_that_flow", "rents_that_flow", "prices_that_flow",
    ]  # fmt: skip
    (first.root / "flows" / "training.py").write_text("edited, and no Python")
    assert first.flow("training")() == "prices_that_flow"
    assert first.root / "flows" / "training.py" in code.changed()


def test_a_flow_that_is_not_there_is_told(
    installed: Callable[..., Project], tmp_path: Path
) -> None:
    project = installed(own_package(tmp_path, "prices_that_stand"))
    refusal(lambda: project.flow("training"), "flows/training.py is missing", "restore it")
    flows_at(tmp_path, "")
    assert project.flow("scoring").name == "scoring"  # the library's
    (tmp_path / "flows" / "monitoring.py").write_text("watching = 1\n")
    refusal(lambda: project.flow("monitoring"), "flows/monitoring.py does not define monitoring")
    (tmp_path / "flows" / "scoring.py").write_text("scoring = nothing\n")
    with pytest.raises(NameError) as caught:
        project.flow("scoring")
    assert (
        str(explain(caught.value))
        == "scoring.py, line 1: NameError: name 'nothing' is not defined: correct it"
    )


def test_the_reference_is_a_project() -> None:
    project = Project.find(Path(__file__))
    assert project.package == "late_flights"
    assert "distance" in project.dataset.columns
