"""Learner: found by its name, and by nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import own_package

from evergreen.errors import InputError
from evergreen.project import Project
from evergreen.training import xgboost
from evergreen.training.learner import PARTS, XGBOOST, find_learner


def test_xgboost_is_there() -> None:
    assert find_learner(XGBOOST) is xgboost


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "lost",
            "there is no learner 'lost': there are xgboost, linear, and modules of your own",
        ),
        (
            "late_flights.lost",
            "no learner 'late_flights.lost': src/late_flights/lost.py is missing: restore it",
        ),
        (
            "late_flights.dataset",
            "dataset.py is no learner: it does not define SUFFIX, LIBRARIES, LOSSES, ",
        ),
        ("../train", "there is no learner '../train'"),
        ("os.path", "'os' is no package of a project's own"),
        ("evergreen.training.xgboost", "'evergreen' is no package of a project's own"),
        ("sklearn.ensemble", "'sklearn' is no package of a project's own"),
        ("nobodys.model", "'nobodys' is no package of a project's own"),
        ("", "there is no learner ''"),
    ],
)
def test_what_is_no_learner_is_refused(name: str, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        find_learner(name)


@pytest.fixture
def place(installed: Callable[..., Project], tmp_path: Path) -> Path:
    """The package of a project."""
    return installed(own_package(tmp_path, "learners_of_ours")).root / "src" / "learners_of_ours"


def test_a_module_of_a_projects_package_is_a_learner(place: Path) -> None:
    (place / "mine.py").write_text("".join(f"{part} = ()\n" for part in PARTS))
    assert find_learner("learners_of_ours.mine").SUFFIX == ()


def test_a_library_that_a_learner_needs_is_named(place: Path) -> None:
    (place / "needy.py").write_text("import a_library_that_is_not_there\n")
    with pytest.raises(
        InputError,
        match=r"'learners_of_ours\.needy' needs the library 'a_library_that_is_not_there'",
    ):
        find_learner("learners_of_ours.needy")
