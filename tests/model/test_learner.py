"""Learner: found by its name, and by nothing else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from evergreen import model
from evergreen.errors import InputError
from evergreen.model import train
from evergreen.model.learner import PARTS, XGBOOST, find_learner


def test_xgboost_is_there() -> None:
    assert find_learner(XGBOOST) is train


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("lost", "there is no learner 'lost': src/.*/model/lost.py is missing"),
        ("package", r"package.py is no learner: it does not define SUFFIX, LIBRARIES, LOSSES, .*train"),
        ("../train", "cannot be the name of a learner"),
        ("os.path", "cannot be the name of a learner"),
        ("", "cannot be the name of a learner"),
    ],
)
def test_what_is_no_learner_is_refused(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        find_learner(name)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules are found beside the learners of the project."""
    monkeypatch.setattr(model, "__path__", [*model.__path__, str(tmp_path)])
    for name in ("mine", "needy"):
        monkeypatch.delitem(sys.modules, f"{model.__name__}.{name}", raising=False)
    return tmp_path


def test_a_module_beside_it_is_a_learner(place: Path) -> None:
    (place / "mine.py").write_text("".join(f"{part} = ()\n" for part in PARTS))
    assert find_learner("mine").SUFFIX == ()


def test_a_library_that_a_learner_needs_is_named(place: Path) -> None:
    (place / "needy.py").write_text("import a_library_that_is_not_there\n")
    with pytest.raises(InputError, match=re.escape("'needy' needs the library 'a_library_that_is_not_there'")):
        find_learner("needy")
