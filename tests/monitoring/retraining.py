"""A champion, and the months after it as monitoring saw them, for the tests of retraining."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from evergreen.decision import Decision
from evergreen.evaluation.intervals import Estimate
from evergreen.metrics.table import LIBRARY
from evergreen.monitoring.retrain import decide_retraining
from evergreen.monitoring.windows import ChampionState, Window
from evergreen.params import Retrain

NAN = float("nan")


START = datetime(2013, 6, 1)  # noqa: DTZ001


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def around(value: float, wide: float = 0.005) -> Estimate:
    return Estimate(value, value - wide, value + wide)


GOOD, BAD = around(0.7), around(0.65)


LOST, MOVED = {"real": BAD}, {"drifted": ("distance",)}


UNSURE = Estimate(0.65, 0.5, 0.8)


GUESSED = {"labelled": 0, "real": None, "estimated": BAD}


def window(at: int, **changes: Any) -> Window:
    """The batch of month `at` after the champion's newest row: labelled, and as expected."""
    known: dict[str, Any] = {
        "batch": f"2013-{6 + at:02}",
        "end": day(30 * at),
        "rows": 900,
        "labelled": 900,
    }
    return Window(**known | {"real": GOOD} | changes)


def unlabelled(at: int, **changes: Any) -> Window:
    return window(at, **{"labelled": 0, "real": None} | changes)


def champion(**changes: Any) -> ChampionState:
    known: dict[str, Any] = {
        "version": "3",
        "learnt_until": START,
        "expected": GOOD,
        "metric": "roc_auc",
    }
    return ChampionState(
        **known | {"retrainings": (START,), "new_rows": 5000, "learnt_rows": 50_000} | changes
    )


def each(count: int = 3, **changes: Any) -> list[Window]:
    return [window(at + 1, **changes) for at in range(count)]


def decided(seen: list[Window], what: ChampionState | None = None, **params: Any) -> Decision:
    return decide_retraining(seen, what or champion(), Retrain(**params), metrics=LIBRARY)


def broken(decision: Decision) -> set[str]:
    return {rule["name"] for rule in decision.rules if not rule["met"]}


def says(decision: Decision, name: str) -> str:
    return next(rule["says"] for rule in decision.rules if rule["name"] == name)


def exact(value: float, wide: float = 0.0) -> Estimate:
    return Estimate(value, value - wide, value + wide)


CASES: list[tuple[str, list[Window], set[str], str]] = [
    ("retrain", [window(1), window(2, **LOST), window(3, **LOST)], {"no loss"}, "(concept drift)"),
    (
        "retrain",
        [window(1, **LOST), window(2), window(3, **LOST)],
        {"no loss"},
        "2 of the newest 3 batch",
    ),
    (
        "retrain",
        [window(1, **LOST), window(2, **LOST), unlabelled(3)],
        {"no loss"},
        "with labels; 2 are needed",
    ),
    (
        "watch",
        [window(1), window(2), window(3, **LOST)],
        {"no sign"},
        "one more batch with loss is enough",
    ),
    (
        "nothing",
        [window(1, **LOST), *(window(at) for at in (2, 3, 4))],
        set(),
        "no reason to replace",
    ),
    (
        "watch",
        [window(1), window(2, **MOVED), window(3, **MOVED)],
        {"no drift"},
        "drifted, but no loss was seen",
    ),
    (
        "watch",
        [window(1), window(2), window(3, **MOVED)],
        {"no sign"},
        "one more batch with drift of inputs",
    ),
    (
        "watch",
        [window(1), *(window(at, together=True) for at in (2, 3))],
        {"no drift"},
        "no loss was seen",
    ),
    (
        "watch",
        [window(1), *(window(at, prediction_drifted=True) for at in (2, 3))],
        {"no drift"},
        "no loss was seen",
    ),
    (
        "retrain",
        [window(1), *(window(at, label_drifted=True) for at in (2, 3))],
        {"no label drift"},
        "label drifted",
    ),
    (
        "watch",
        [window(1), window(2), window(3, label_drifted=True)],
        {"no sign"},
        "one more batch with label drift",
    ),
    (
        "retrain",
        [window(at, **GUESSED, **MOVED) for at in (1, 2)],
        {"no expected loss", "no drift"},
        "by estimate",
    ),
    (
        "watch",
        [window(at, **GUESSED) for at in (1, 2)],
        {"no sign"},
        "expected though inputs did not drift",
    ),
    (
        "watch",
        [unlabelled(at, estimated=GOOD, **MOVED) for at in (1, 2)],
        {"no drift"},
        "but no loss is expected",
    ),
    (
        "watch",
        [unlabelled(at, **MOVED) for at in (1, 2)],
        {"no drift"},
        "neither labels nor an estimate",
    ),
    (
        "watch",
        [unlabelled(at, estimated=UNSURE, **MOVED) for at in (1, 2)],
        {"no drift"},
        "no loss is",
    ),
    # Labels decide
    (
        "watch",
        [window(at, estimated=BAD, **MOVED) for at in (1, 2)],
        {"no drift"},
        "no loss was seen",
    ),
    (
        "retrain",
        [window(1, **LOST, **MOVED), window(2, **GUESSED, **MOVED)],
        {"no expected loss", "no drift", "no sign"},
        "by estimate",
    ),
    (
        "nothing",
        [window(1), window(2), window(3, unfit=("2% bad rows",))],
        {"fit"},
        "not fit to train on: 2% b",
    ),
    ("nothing", [window(at, **LOST, unfit=("stale",)) for at in (1, 2, 3)], {"fit"}, "not fit"),
    ("nothing", [], {"new batch"}, "no batch is newer than what the champion, version 3"),
    ("nothing", [window(0, **LOST), window(-1, **LOST)], {"new batch"}, "2 batch(es) end no later"),
    ("nothing", [window(0, **LOST), window(-1, **LOST), window(1)], set(), "no reason to replace"),
]
