"""The params.yaml of an old project: today's, with the old changes; what is dropped is told."""

from __future__ import annotations

import pytest
import yaml
from conftest import refusal

from evergreen.migrate.params import merge_params

OLD = """# Numbers.
task: binary   # or another
source:        # where from
  kind: python
  module: churn.flights
train:
  learner: xgboost
  rounds: 100
retrain:
  max_staleness: 0.003
  min_loss: 0.01
drift:
  accepted: []
  columns: {}
"""
NEW = """# What a person sets first.
task: binary   # or another

source:        # where from
  kind: python
  module: churn.flights

train:
  learner: xgboost   # or yours

drift:
  accepted: []       # batches
"""


def merged(mine: str) -> tuple[dict[str, dict[str, object]], list[str], str]:
    text, notes = merge_params(mine, OLD, NEW, package="churn")
    return yaml.safe_load(text), notes, text


def test_where_nothing_was_changed_it_is_the_new_one() -> None:
    assert merge_params(OLD, OLD, NEW, package="churn") == (NEW, [])


CHANGED = [
    ("accepted: []", "accepted: [2024-01]", ("drift", "accepted"), ["2024-01"]),
    ("columns: {}", "columns: {price: 0.1}", ("drift", "columns"), {"price": 0.1}),
    ("min_loss: 0.01", "min_loss: null", ("retrain", "min_loss"), None),
    ("rounds: 100", "rounds: 100\n  max_bin: 64", ("train", "max_bin"), 64),
    ("drift:", "split:\n  min_share: 0.2\ndrift:", ("split", "min_share"), 0.2),
    ("rounds: 100", "rounds: 500", ("train", "rounds"), 500),
    ("drift:", "gate:\n  slice_margin: null\ndrift:", ("gate", "slice_margin"), None),
]


@pytest.mark.parametrize(
    ("old", "new", "place", "value"), CHANGED, ids=[new for _, new, *_ in CHANGED]
)
def test_a_changed_value_stays_with_the_comments_of_today(
    old: str, new: str, place: tuple[str, str], value: object
) -> None:
    found, notes, text = merged(OLD.replace(old, new))
    assert found[place[0]][place[1]] == value
    assert notes == []
    lines = text.splitlines()
    assert [line for line in NEW.splitlines() if old not in line and line not in lines] == []
    assert len([value for value in found.values() if isinstance(value, dict)]) in (3, 4)


def test_the_task_and_a_source_of_another_kind_stay() -> None:
    mine = OLD.replace("binary", "regression").replace(
        "  kind: python\n  module: churn.flights\n", "  kind: files\n  path: inbox\n"
    )
    found, notes, _ = merged(mine)
    assert found["task"] == "regression"
    assert list(found["source"].items()) == [("kind", "files"), ("path", "inbox")]
    assert notes == []


DROPPED = [
    ("max_staleness: 0.003", "max_staleness: 0.1",
     "retrain.max_staleness (0.1) is dropped: retrain.min_loss says"),
    ("rounds: 100", "rounds: 100\n  own: 1", "train.own (1) is dropped: no key is called so"),
    ("drift:", "mine:\n  x: 1\ndrift:", "mine.x (1) is dropped"),
    ("learner: xgboost", "learner: forest", "train.learner is churn.model.forest now"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), DROPPED, ids=[new for _, new, _ in DROPPED])
def test_what_cannot_stay_is_said(old: str, new: str, said: str) -> None:
    found, notes, _ = merged(OLD.replace(old, new))
    assert len(notes) == 1
    assert said in notes[0]
    assert "max_staleness" not in str(found)


@pytest.mark.parametrize("text", ["a: [", "- a\n"])
def test_what_is_no_params_is_refused(text: str) -> None:
    refusal(lambda: merged(text), "nothing is changed: params.yaml")
