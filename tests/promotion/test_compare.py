"""Compare: the lead is scikit-learn's, its interval covers the truth, and what cannot be compared
is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from promotion.sides import HOW, draw_labels, draw_side, width
from scipy.stats import norm

from evergreen.errors import InputError
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.promotion.compare import (
    Comparison,
    Rows,
    Side,
    check_unseen,
    compare,
    difference,
)
from evergreen.promotion.noise import Resampling

pytestmark = pytest.mark.usefixtures("same_resamples")
PAIRS = [(task, name) for task in TASKS for name in LIBRARY.of(task)]
Array = Any


def draw_case(
    task: str, rows: int = 300, seed: int = 0, averaged: bool = False
) -> tuple[Array, Side, Side]:
    """Labels, a champion, and a challenger that is better."""
    draw = np.random.default_rng(seed)
    y = draw_labels(task, rows, draw)
    return y, draw_side(task, y, 1.0, draw), draw_side(task, y, 1.6, draw, averaged=averaged)


def run(
    task: str, champion: Side | None, challenger: Side, y: Array, **slices: Array
) -> Comparison:
    baselines = {
        "constant": np.full_like(challenger.prediction, 1 / 3),
        "linear": challenger.prediction,
    }
    return compare(
        Rows(task, y, slices), champion, challenger, baselines, LIBRARY.pick(None, task), HOW
    )


# --- rows that a model knows

KEYS = np.arange(2000, dtype=np.uint64)


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (
            {"challenger": KEYS[:3]},
            r"^3 of 2,000 rows of the comparison were in the training data of the challenger, ",
        ),
        (
            {"champion": KEYS[1999:]},
            r"^1 of 2,000 rows of the comparison were in the training data of the champion, ",
        ),
        (
            {"challenger": KEYS + np.uint64(5000), "champion": KEYS},
            r"^2,000 of 2,000 .* of the champion, ",
        ),
        ({"challenger": np.repeat(KEYS[7:8], 9)}, r"^1 of 2,000 .* of the challenger, "),
    ],
)
def test_rows_that_a_model_has_learnt_from_are_counted_and_the_model_is_named(seen, message):
    with pytest.raises(InputError, match=message):
        check_unseen(KEYS, **seen)


def test_the_error_about_learnt_rows_says_what_to_do():
    with pytest.raises(InputError, match=r"evergreen ingest --next"):
        check_unseen(KEYS, challenger=KEYS)


def test_rows_that_nobody_knows_pass():
    check_unseen(KEYS, challenger=KEYS + np.uint64(2000), champion=KEYS[:0])
    check_unseen(KEYS[:0], challenger=KEYS)
    check_unseen(KEYS)


def test_neighbours_among_large_hashes_are_told_apart():
    far = np.array([2**63 + 2**20], np.uint64)
    check_unseen(far, challenger=far + np.uint64(1))  # as floats they would be equal
    with pytest.raises(InputError):
        check_unseen(far, challenger=far)


# --- values


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_comparison_holds_every_metric_of_the_sweep_and_the_packaged_models(task):
    y, champion, challenger = draw_case(task)
    ash = np.arange(len(y)) < 100
    found = run(task, champion, challenger, y, ash=ash)
    metric = LIBRARY.pick(None, task)
    each = {
        name: [LIBRARY.measure(task, y, seed) for seed in side.seeds]
        for name, side in (("old", champion), ("new", challenger))
    }
    assert (found.task, found.metric, found.rows) == (task, metric, 300)
    assert list(found.whole) == list(LIBRARY.of(task))
    for name, lead in found.whole.items():
        old, new = (
            float(np.mean([values[name] for values in each[side]])) for side in ("old", "new")
        )
        assert (lead.champion, lead.challenger) == pytest.approx((old, new), rel=1e-6)
        assert lead.value == pytest.approx(
            old - new if LIBRARY[name].lower_is_better else new - old, rel=1e-5
        )
        assert lead.value > 0
        assert lead.low < lead.value < lead.high
    assert found.models
    packaged = [
        LIBRARY.measure(task, y, side.prediction)[metric] for side in (champion, challenger)
    ]
    assert (found.models.champion, found.models.challenger) == pytest.approx(packaged, rel=1e-6)
    part = found.slices["ash"]
    assert part
    shown = np.mean([LIBRARY.measure(task, y[ash], seed[ash])[metric] for seed in challenger.seeds])
    assert part.challenger == pytest.approx(shown, rel=1e-6)
    assert found.by_seed["champion"] == pytest.approx([values[metric] for values in each["old"]])
    assert found.by_seed["challenger"] == pytest.approx([values[metric] for values in each["new"]])


@pytest.mark.parametrize("task", TASKS)
def test_without_a_champion_there_are_baselines_only(task):
    y, _, challenger = draw_case(task)
    found = run(task, None, challenger, y, ash=np.arange(len(y)) < 100)
    assert (found.whole, found.models, found.slices) == ({}, None, {"ash": None})
    assert list(found.by_seed) == ["challenger"]
    assert list(found.baselines) == ["constant", "linear"]
    assert found.baselines["constant"].low > 0


@pytest.mark.parametrize("task", TASKS)
def test_a_baseline_is_compared_with_the_sweep(task):
    y, _, challenger = draw_case(task)
    found = run(task, None, challenger, y)
    metric = LIBRARY.pick(None, task)
    assert found.baselines["linear"].champion == pytest.approx(
        LIBRARY.measure(task, y, challenger.prediction)[metric], rel=1e-6
    )
    assert found.baselines["linear"].challenger == pytest.approx(
        np.mean(found.by_seed["challenger"]), rel=1e-6
    )


@pytest.mark.parametrize(("task", "metric"), PAIRS)
def test_whoever_is_called_champion_the_lead_is_the_same(task, metric):
    y, champion, challenger = draw_case(task)
    rows, pair = Rows(task, y), (Side(champion.prediction), Side(challenger.prediction))
    lead, other = difference(rows, metric, *pair, HOW), difference(rows, metric, *pair[::-1], HOW)
    assert lead
    assert other
    assert (lead.champion, lead.challenger) == (other.challenger, other.champion)
    assert (lead.value, lead.low, lead.high) == pytest.approx(
        (-other.value, -other.high, -other.low)
    )
    assert lead.probability + other.probability == pytest.approx(1)
    assert lead.value > 0


@pytest.mark.parametrize(("task", "metric"), PAIRS)
def test_equal_models_lead_by_nothing(task, metric):
    y, champion, _ = draw_case(task)
    alone = Side(champion.prediction)
    found = difference(Rows(task, y), metric, alone, alone, HOW)
    assert found
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert (found.probability, found.chance_better) == (0.5, 0.5)


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_comparison(task):
    y, champion, challenger = draw_case(task)
    assert run(task, champion, challenger, y) == run(task, champion, challenger, y)
    metric = LIBRARY.pick(None, task)
    other = difference(Rows(task, y), metric, champion, challenger, Resampling(200, 0.95, 1))
    assert other != run(task, champion, challenger, y).whole[metric]


@pytest.mark.parametrize("task", TASKS)
def test_an_ensemble_is_judged_as_the_ensemble_it_is(task):
    y, champion, challenger = draw_case(task, averaged=True)
    metric = LIBRARY.pick(None, task)
    found = run(task, champion, challenger, y)
    whole = LIBRARY.measure(task, y, challenger.prediction)[metric]
    assert found.whole[metric].challenger == pytest.approx(whole, rel=1e-6)
    singles = [LIBRARY.measure(task, y, seed)[metric] for seed in challenger.seeds]
    assert found.by_seed["challenger"] == pytest.approx(singles)
    # An ensemble is not its members' mean, so the above says something
    assert abs(whole - np.mean(singles)) > 0.01


# --- rows that say nothing


@pytest.mark.parametrize(
    ("task", "rows", "positives", "defined"),
    [
        ("binary", 30, 5, True),
        ("binary", 30, 25, True),
        ("binary", 30, 4, False),
        ("binary", 30, 26, False),
        ("binary", 29, 14, False),
        ("binary", 500, 0, False),
        ("multiclass", 30, 10, True),
        ("multiclass", 29, 10, False),
        ("regression", 30, 10, True),
        ("regression", 29, 10, False),
    ],
)
def test_rows_that_are_too_few_say_nothing_as_a_whole_or_as_a_slice(task, rows, positives, defined):
    y, champion, challenger = draw_case(task, rows=rows + 300)
    part = np.arange(len(y)) < rows
    y[part] = np.arange(rows) < positives
    assert (run(task, champion, challenger, y, part=part).slices["part"] is not None) == defined
    few = [
        Side(side.prediction[part], tuple(seed[part] for seed in side.seeds))
        for side in (champion, challenger)
    ]
    if defined:
        assert run(task, *few, y[part]).rows == rows
        return
    found = run(task, *few, y[part])
    assert (found.rows, found.whole, found.models, found.slices, found.baselines) == (
        rows,
        {},
        None,
        {},
        {},
    )
    assert {name: len(values) for name, values in found.by_seed.items()} == {
        "champion": len(champion.seeds), "challenger": len(challenger.seeds)
    }  # fmt: skip
    assert np.isnan([value for values in found.by_seed.values() for value in values]).all()


def test_a_metric_that_is_not_defined_is_not_a_number_and_not_above_zero():
    y, champion, challenger = draw_case("regression", rows=50)
    found = difference(Rows("regression", np.full_like(y, 5)), "r2", champion, challenger, HOW)
    assert found
    assert np.isnan(
        [found.value, found.low, found.high, found.probability, found.chance_better]
    ).all()


@pytest.mark.parametrize("label", [min, max])
@pytest.mark.parametrize(("task", "metric"), PAIRS)
def test_a_prediction_that_is_not_a_number_makes_no_lead(task, metric, label):
    """NaN sorts above every number, and is the largest of a row: nobody may win by it."""
    y, champion, challenger = draw_case(task)
    spoilt = challenger.prediction.copy()
    spoilt[y == label(y)] = np.nan
    found = difference(Rows(task, y), metric, Side(champion.prediction), Side(spoilt), HOW)
    assert found
    assert np.isnan([found.challenger, found.value, found.low, found.high, found.probability]).all()


# --- slices


@pytest.mark.parametrize("task", TASKS)
def test_one_slice_has_the_interval_of_its_rows(task):
    y, champion, challenger = draw_case(task)
    found = run(task, champion, challenger, y, all=np.ones(len(y), bool))
    assert found.slices["all"] == found.whole[LIBRARY.pick(None, task)]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_more_slices_the_wider_each(task):
    """Bonferroni: 60 slices at 95% need 99.92% each, 3.34 standard errors in place of 1.96.

    Without seeds, so that the noise is normal. Of 2,000 draws one lies beyond such an edge: it is
    known to some 10%.
    """
    y, champion, challenger = draw_case(task)
    sides, how = (Side(champion.prediction), Side(challenger.prediction)), Resampling(2000, 0.95, 0)
    widths = []
    for count in (1, 60):
        masks = {f"place={at}": np.ones(len(y), bool) for at in range(count)}
        found = compare(Rows(task, y, masks), *sides, {}, LIBRARY.pick(None, task), how)
        assert len(found.slices) == count
        assert len({width(value) for value in found.slices.values()}) == 1
        widths.append(width(found.slices["place=0"]))
        # All rows are looked at once
        assert width(found.whole[found.metric]) == pytest.approx(widths[0])
    assert widths[1] / widths[0] == pytest.approx(
        norm.ppf(1 - 0.025 / 60) / norm.ppf(0.975), rel=0.2
    )


def test_a_slice_that_says_nothing_leaves_the_others_as_they_are():
    y, champion, challenger = draw_case("binary")
    masks = {
        "none": np.zeros(len(y), bool),
        "few": np.arange(len(y)) < 29,
        "part": np.arange(len(y)) < 200,
    }
    found = run("binary", champion, challenger, y, **masks).slices
    assert found["none"] is None
    assert found["few"] is None
    assert found["part"]
    assert found["part"].low > -1


# --- does the interval hold the truth?


@pytest.mark.parametrize(("days", "judged"), [(4, False), (5, True)])
def test_a_slice_of_few_days_is_too_small_to_judge(days, judged):
    """Of four days all are worse by chance in one of sixteen slices, however wide the interval is
    meant to be.
    """
    y, champion, challenger = draw_case("binary")
    blocks = np.arange(len(y)) % 30
    rows = Rows("binary", y, {"some": blocks < days}, blocks)
    found = compare(rows, champion, challenger, {}, "roc_auc", HOW)
    assert (found.slices["some"] is not None) == judged
    assert found.whole["roc_auc"]
