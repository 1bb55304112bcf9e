"""Comparison: a better way of training is told from one that is as good."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import refusal
from tuning.tried import prepare_batches

from evergreen.training.learner import Trained
from evergreen.tuning.comparison import Comparison, compare_trials
from evergreen.tuning.cuts import find_cuts
from evergreen.tuning.trial import Fit, Trial, run_trial


@pytest.fixture
def cuts_and_params(site: Any) -> tuple[Any, Any]:
    params = prepare_batches(site, rows=600)
    return find_cuts(site.project, params), params


def said(cut: Any, seed: int, noise: float, common: float = 0.0) -> Any:
    """Predictions that know the label but for some noise, of the seed and of the rows."""
    y = cut.tables.holdout.y
    own = np.random.default_rng([seed, len(y)]).normal(size=len(y))
    shared = np.random.default_rng(9).normal(size=len(y))
    return (1 / (1 + np.exp(-(2 * y - 1 + noise * own + common * shared)))).astype(np.float32)


def trial_of(
    cuts: Any, params: Any, seeds: Any, noise: float, first: int = 0, common: float = 1.0
) -> Trial:
    fits = [
        Fit(cut.name, Trained(seed, b"", 1, None, {}), {}, said(cut, first + seed, noise, common))
        for seed in seeds
        for cut in cuts
    ]
    return Trial(params.train, tuple(fits))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mean", "median"])
def test_what_is_better_is_told_from_what_is_as_good(cuts_and_params: Any, model: str) -> None:
    cuts, params = cuts_and_params
    params = params.override(sweep={"model": model})
    now, seeds = trial_of(cuts, params, range(6), 0.3), range(6)
    clearer, alike = (trial_of(cuts, params, seeds, 0.3, 50, common) for common in (0.7, 1.0))
    found = compare_trials(cuts, now, clearer, params)
    assert found.is_better
    assert 0 < found.low < found.value < found.high
    assert found.value == pytest.approx(found.second - found.first)
    assert set(found.by_cut) == {cut.name for cut in cuts}
    assert np.mean([*found.by_cut.values()]) == pytest.approx(found.value)
    back = compare_trials(cuts, clearer, now, params)
    assert back.is_worse
    assert back.value == pytest.approx(-found.value)
    same = compare_trials(cuts, now, alike, params)
    assert not same.is_better
    assert not same.is_worse
    assert same.low < 0 < same.high


@pytest.mark.slow
def test_an_error_counts_the_other_way_round(cuts_and_params: Any) -> None:
    cuts, params = cuts_and_params
    now, clearer = (trial_of(cuts, params, range(6), 0.3, 0, common) for common in (1.0, 0.7))
    found = compare_trials(cuts, now, clearer, params, metric="log_loss")
    assert found.second < found.first
    assert found.is_better
    assert found.smallest == pytest.approx(params.gate.min_gain * found.first)


@pytest.mark.slow
def test_more_confidence_is_a_wider_interval(cuts_and_params: Any) -> None:
    cuts, params = cuts_and_params
    now, other = (trial_of(cuts, params, range(3), 1.0, first) for first in (0, 50))
    narrow, wide = (
        compare_trials(cuts, now, other, params, confidence=confidence)
        for confidence in (0.8, 0.99)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.slow
def test_more_cuts_narrow_the_interval_and_more_seeds_only_their_part(cuts_and_params: Any) -> None:
    cuts, params = cuts_and_params

    def width(cuts: Any, seeds: int) -> float:
        pair = (trial_of(cuts, params, range(seeds), 1.0, first) for first in (0, 50))
        found = compare_trials(cuts, *pair, params.override(sweep={"model": "median"}))
        return found.high - found.low

    assert width(cuts, 8) < 0.75 * width(cuts[:1], 8)
    assert width(cuts, 40) < width(cuts, 8)


@pytest.mark.slow
def test_of_equal_trials_nothing_is_said(cuts_and_params: Any) -> None:
    cuts, params = cuts_and_params
    now = run_trial(cuts, params, (0, 1))
    found = compare_trials(cuts, now, now, params)
    assert (found.value, found.is_better, found.is_worse) == (0, False, False)
    assert found.says("A", "B").startswith("no difference beyond the noise")


@pytest.mark.parametrize(
    ("value", "low", "high", "sentence"),
    [
        (0.004, 0.001, 0.007, "B is better than A by 0.0040 (0.0010 to 0.0070) in roc_auc"),
        (-0.004, -0.007, -0.001, "A is better than B by 0.0040 (0.0010 to 0.0070) in roc_auc"),
        (0.001, -0.002, 0.004, ("no difference beyond the noise: B is ahead of A by 0.0010 "
         "(-0.0020 to 0.0040) in roc_auc")),
        (-0.001, -0.004, 0.002, ("no difference beyond the noise: A is ahead of B by 0.0010 "
         "(-0.0020 to 0.0040) in roc_auc")),
        (0.0004, 0.0001, 0.0007, ("no difference that matters: B is better than A by 0.0004 "
         "(0.0001 to 0.0007) in roc_auc, less than matters (0.0010)")),
    ],
)  # fmt: skip
def test_it_is_said_in_words(value: float, low: float, high: float, sentence: str) -> None:
    found = Comparison("roc_auc", 0.7, 0.7 + value, value, low, high, 0.5, 0.001, {})
    assert found.says("A", "B") == sentence


@pytest.mark.slow
def test_only_what_was_tried_alike_is_compared(cuts_and_params: Any) -> None:
    cuts, params = cuts_and_params
    now, other = (trial_of(cuts, params, seeds, 1.0) for seeds in ((0, 1), (0, 2)))
    refusal(lambda: compare_trials(cuts, now, other, params), "same seeds", "[0, 1] and [0, 2]")
