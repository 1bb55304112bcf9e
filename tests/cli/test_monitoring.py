"""`evergreen monitor`: what it prints of what was found."""

from __future__ import annotations

from types import SimpleNamespace

from evergreen.cli.monitoring import finding_rows
from evergreen.decision import Decision


def test_a_decision_with_its_reasons() -> None:
    decision = Decision("retrain", ("log_loss rose", "in 2 batches"), {})
    found = SimpleNamespace(
        version="3", batches=("2013-08", "2013-09"), decision=decision, rollback=None,
        asked=("2013-09",),
    )  # fmt: skip
    assert finding_rows(found) == [
        ["champion", "version 3"],
        ["new batches", "2013-08, 2013-09"],
        ["retrain?", "retrain"],
        ["", "log_loss rose"],
        ["", "in 2 batches"],
        ["requested", "a retraining, after 2013-09: `evergreen run`, or `evergreen up` starts it"],
    ]


def test_without_a_champion_nothing_is_looked_at() -> None:
    found = SimpleNamespace(
        version=None, missing="none yet", batches=(), decision=None, rollback=None, asked=()
    )
    assert finding_rows(found) == [["champion", "none yet"], ["new batches", "none"]]
