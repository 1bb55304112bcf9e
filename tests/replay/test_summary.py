"""Summary: what is in a mean and what is not, and the best that was possible."""

from __future__ import annotations

import numpy as np
import pytest

from evergreen.errors import InputError
from evergreen.metrics.table import LIBRARY
from evergreen.replay.outcome import HELD, NOTHING, PROMOTED, REFUSED, STOPPED, WATCH, Aged, Step
from evergreen.replay.summary import best_in_hindsight, summarize

NAN = float("nan")


def step(batch: str, value: float, rows: int = 100, action: str = NOTHING) -> Step:
    return Step(batch, rows, value, value, value, "first", action, "why")


def draws(*values: float) -> list[np.ndarray]:
    """Of each value, all equal to it."""
    return [np.full(50, value) for value in values]


def test_a_mean_is_weighted_by_rows_with_the_interval_of_its_draws() -> None:
    steps = [step("a", 0.5, 100), step("b", 0.8, 200)]
    found = summarize("never", steps, draws(0.5, 0.8), 3.0, (), "roc_auc", 0.95)
    assert (found.policy, found.steps, found.seconds) == ("never", tuple(steps), 3.0)
    assert (found.mean.low, found.mean.value, found.mean.high) == pytest.approx((0.7,) * 3)
    np.testing.assert_allclose(found.draws, 0.7)


def test_a_batch_held_back_to_the_end_and_one_without_a_value_are_in_no_mean() -> None:
    steps = [step("a", 0.5), step("held", 0.9), step("c", NAN), step("d", 0.7)]
    found = summarize("never", steps, draws(0.5, 0.9, NAN, 0.7), 0, ("held",), "roc_auc", 0.95)
    assert found.mean.value == pytest.approx(0.6)
    assert len(found.steps) == 4


def test_retrainings_are_counted_whatever_became_of_them() -> None:
    actions = (PROMOTED, REFUSED, STOPPED, WATCH, HELD, NOTHING, PROMOTED)
    steps = [step(str(at), 0.5, action=action) for at, action in enumerate(actions)]
    found = summarize("every", steps, draws(*[0.5] * 7), 0, (), "roc_auc", 0.95)
    assert (found.retrainings, found.promotions) == (4, 2)


def test_no_value_at_all_is_an_error() -> None:
    with pytest.raises(InputError, match="could measure roc_auc: add batches"):
        summarize("never", [step("a", NAN)], draws(NAN), 0, (), "roc_auc", 0.95)


@pytest.mark.parametrize(("metric", "best"), [("roc_auc", "second"), ("rmse", "first")])
def test_the_best_in_hindsight_is_by_what_the_metric_calls_better(metric: str, best: str) -> None:
    ages = [
        Aged(name, batch, 1, 100, value, np.full(50, value))
        for batch in ("a", "b")
        for name, value in (("first", 0.6), ("second", 0.7), ("third", NAN))
    ]
    steps, drawn = best_in_hindsight([step("a", 0.6), step("b", 0.6)], ages, LIBRARY[metric], 0.95)
    assert [(found.batch, found.champion, found.action) for found in steps] == [
        ("a", best, NOTHING),
        ("b", best, NOTHING),
    ]
    assert [float(each.mean()) for each in drawn] == pytest.approx([found.value for found in steps])
