"""Learner: found by its name, and by nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import own_package, refusal

from evergreen.errors import InputError
from evergreen.params import Params, Train
from evergreen.project import Project
from evergreen.training import xgboost
from evergreen.training.learner import PARTS, XGBOOST, check_takes, find_learner, watched_by


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


TAKEN = [  # learner, task, values of train, and what is said where it does not take them
    ("xgboost", "regression", {"loss": "gamma", "schedule": "step"}, None),
    ("xgboost", "binary", {"loss": "focal"}, None),
    ("linear", "regression", {"loss": "squared"}, None),
    ("linear", "binary", {}, None),
    (
        "linear",
        "regression",
        {"loss": "gamma"},
        "train.loss is gamma, which the learner linear does not take for regression: it takes",
    ),
    (
        "linear",
        "binary",
        {"schedule": "cosine"},
        "train.schedule is cosine, and the learner linear follows none",
    ),
    (
        "xgboost",
        "binary",
        {"schedule": "cosine", "schedule_rounds": 300, "rounds": 200},
        "train.schedule_rounds is 300, more than train.rounds (200)",
    ),
]


@pytest.mark.parametrize(("learner", "task", "train", "says"), TAKEN, ids=str)
def test_what_a_learner_takes(learner: str, task: str, train: dict, says: str | None) -> None:
    params = Params(task=task, train=train | {"learner": learner})
    if says:
        refusal(lambda: check_takes(params), says)
    else:
        check_takes(params)


def test_a_learner_that_says_nothing_takes_the_usual_loss(place: Path) -> None:
    (place / "plain.py").write_text("".join(f"{part} = {{}}\n" for part in PARTS))
    name = "learners_of_ours.plain"
    check_takes(Params(train={"learner": name}))
    refusal(
        lambda: check_takes(Params(train={"learner": name, "loss": "focal"})),
        "does not take for binary: it takes log_loss",
    )
    (place / "able.py").write_text(
        "".join(f"{part} = {{'binary': 'cost'}}\n" for part in PARTS)
        + "TAKES = {'binary': ('log_loss', 'focal')}\nSCHEDULED = True\n"
    )
    able = Train(learner="learners_of_ours.able", loss="focal", schedule="cosine")
    check_takes(Params(train=able))
    assert watched_by(able.learner, "binary", able) == "cost"


def test_what_is_watched_follows_the_loss() -> None:
    assert watched_by("xgboost", "binary", Train()) == "logloss"
    assert watched_by("xgboost", "binary", Train(loss="focal")) == "focal"
    assert watched_by("linear", "binary", Train()) == "log loss"


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
