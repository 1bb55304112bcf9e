"""PSI: the effect is that of the rows, alarms are as rare as they should be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from evergreen.statistics.pooling import pool
from evergreen.statistics.psi import Shift, margin_of, measure, usual
from evergreen.statistics.sketch import Sketch, sketch

ROWS = 10_000
EDGES = stats.norm.ppf(np.arange(1, 10) / 10)


def of(values: Any, days: Any = None) -> Sketch:
    return sketch(pl.DataFrame({"x": values}), None if days is None else pl.Series(days))


def shift_of(
    batch: Any, reference: Any, margin: float = 0.02, kind: str | None = None, days: Any = None
) -> Shift:
    found = measure(of(batch, days), of(reference, days), {"x": margin}, 0.95)
    return next(shift for shift in found if kind is None or shift.kind == kind)


def normal(seed: int, rows: int = ROWS, shift: float = 0.0, scale: float = 1.0) -> Any:
    return np.random.default_rng(seed).normal(shift, scale, rows)


@pytest.mark.parametrize(
    ("shift", "scale"), [(0.0, 1.0), (0.1, 1.0), (0.3, 1.0), (0.0, 1.3), (2.0, 0.5)]
)
@pytest.mark.parametrize("rows", [1000, 40_000])
def test_a_number_against_scipy_on_the_rows(shift: float, scale: float, rows: int) -> None:
    batch, reference = normal(1, rows, shift, scale), normal(2, ROWS)
    found = shift_of(batch, reference)
    edges = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")
    table = np.array(
        [np.bincount(np.searchsorted(edges, side), minlength=10) for side in (batch, reference)]
    )
    square = stats.chi2_contingency(table).statistic
    p, q = (table + 0.5) / (table.sum(axis=1, keepdims=True) + 5)
    psi, weight = ((p - q) * np.log(p / q)).sum(), rows * ROWS / (rows + ROWS)
    scaled = psi / (square / weight)
    assert found.effect == pytest.approx(max(0, square - 9) / weight * scaled, rel=0.05, abs=2e-3)
    assert found.p == pytest.approx(
        stats.ncx2.sf(square, 9, 0.02 * weight / scaled), rel=0.3, abs=5e-3
    )
    assert found.low <= found.effect <= found.high
    for bound, share in ((found.low, 0.975), (found.high, 0.025)):
        if bound and square < 3000:
            # Beyond, a percent of it, which counts between points are off by, is much
            assert stats.ncx2.cdf(square, 9, bound / scaled * weight) == pytest.approx(
                share, abs=0.03
            )
    assert found.ks == pytest.approx(stats.ks_2samp(batch, reference).statistic, abs=2e-3)
    far = stats.wasserstein_distance(batch, reference) / reference.std()
    assert found.distance == pytest.approx(far, abs=5e-3, rel=0.01)


def test_a_category_against_scipy_on_the_rows() -> None:
    draw = np.random.default_rng(0)
    batch, reference = (
        draw.choice(list("abcd"), ROWS, p=p) for p in ((0.4, 0.3, 0.2, 0.1), (0.35, 0.3, 0.2, 0.15))
    )
    found = shift_of(batch, reference, 0.01)
    table = np.array([[(side == level).sum() for level in "abcd"] for side in (batch, reference)])
    square = stats.chi2_contingency(table).statistic
    p, q = (table + 0.5) / (ROWS + 2)
    psi = ((p - q) * np.log(p / q)).sum()
    scaled = psi / (square / (ROWS / 2))
    assert found.effect == pytest.approx((square - 3) / (ROWS / 2) * scaled)
    assert found.p == pytest.approx(stats.ncx2.sf(square, 3, 0.01 * ROWS / 2 / scaled))
    assert found.ks == found.distance == pytest.approx(np.abs(table[0] - table[1]).sum() / 2 / ROWS)
    assert found.kind == "category"


DRAW = np.random.default_rng(0)
RAIN = np.where(DRAW.random(ROWS) < 0.9, 0.0, DRAW.gamma(0.5, size=ROWS))
MORE_RAIN = np.where(DRAW.random(ROWS) < 0.8, 0.0, DRAW.gamma(0.5, size=ROWS))
WEEK, ONES = DRAW.integers(1, 8, ROWS), np.ones(ROWS)
LEVELS = np.array(["a", "b", "c"])[DRAW.integers(0, 3, ROWS)]
MANY = np.array([f"{number}" for number in (4000 * DRAW.random(2 * ROWS) ** 2).astype(int)])


def some(values: Any, share: float, other: Any) -> Any:
    return np.where(np.random.default_rng(1).random(len(values)) < share, other, values)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "batch", "reference", "kind", "drifts"),
    [
        ("zero-inflated, the same", RAIN[::2], RAIN[1::2], "number", False),
        ("zero-inflated, more rain", MORE_RAIN, RAIN, "number", True),
        ("zero-inflated, stronger rain", RAIN * 3, RAIN, "number", True),
        ("few values, the same", WEEK[::2], WEEK[1::2], "number", False),
        ("few values, one is gone", WEEK[WEEK < 7], WEEK, "number", True),
        ("constant, the same", ONES, ONES, "number", False),
        ("constant, larger now", ONES * 2, ONES, "number", True),
        ("constant, smaller now", -ONES, ONES, "number", True),
        ("constant, varies now", RAIN, ONES, "number", True),
        ("became constant", ONES, RAIN, "number", True),
        ("beyond what was ever seen", some(RAIN, 0.05, -1.0), RAIN, "number", True),
        ("infinite now", some(RAIN, 0.05, np.inf), RAIN, "number", True),
        ("huge numbers", RAIN / RAIN.max() * 1.7e308, -RAIN / RAIN.max() * 1.7e308, "number", True),
        ("levels, the same", LEVELS[::2], LEVELS[1::2], "category", False),
        ("a new level in 2 %", some(LEVELS, 0.02, "new"), LEVELS, "category", True),
        ("a new level in three rows", np.append(LEVELS, ["new"] * 3), LEVELS, "category", False),
        ("a level is gone", LEVELS[LEVELS != "a"], LEVELS, "category", True),
        ("one level only, the same", np.full(9, "a"), np.full(9, "a"), "category", False),
        ("many rare levels, the same", MANY[::2], MANY[1::2], "category", False),
        ("one rare level grows", some(MANY[::2], 0.05, "3999"), MANY[1::2], "category", True),
        ("never missing, 5 % now", some(normal(0), 0.05, np.nan), normal(1), "missing", True),
        ("never missing, 0.1 % now", some(normal(0), 0.001, np.nan), normal(1), "missing", False),
        (
            "missing as often as before",
            some(normal(0), 0.3, np.nan),
            some(normal(1), 0.3, np.nan),
            "missing",
            False,
        ),
        ("always missing now", np.full(ROWS, np.nan), normal(1), "missing", True),
        (
            "always missing, then as now",
            np.full(ROWS, np.nan),
            np.full(ROWS, np.nan),
            "missing",
            False,
        ),
        ("all missing: values say nothing", np.full(ROWS, np.nan), normal(1), "number", False),
        ("a few rows, the same", normal(1, 12), normal(2, 12), "number", False),
    ],
)
def test_what_counts_as_a_shift(
    name: str, batch: Any, reference: Any, kind: str, drifts: bool
) -> None:
    found = shift_of(batch, reference, 0.02, kind)
    assert (found.p < 0.05) is drifts, f"{name}: {found}"
    assert (found.low > found.margin) is drifts or found.p > 1e-3
    assert found.low <= found.effect <= found.high
    assert not math.isnan(found.ks + found.distance)
    assert found.says.startswith("x ")
    if "rare" not in name:  # the same rows twice are no two samples
        flat = shift_of(reference, reference, 0.02, kind if kind != "missing" else None)
        assert (flat.effect, flat.low, flat.ks, flat.distance) == (0, 0, 0, 0)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.String])
@pytest.mark.parametrize(("rows", "others"), [(0, 0), (0, 100), (100, 0)])
def test_empty_sides_say_so(dtype: Any, rows: int, others: int) -> None:
    sides = [of(pl.Series([1] * count).cast(pl.Int64).cast(dtype)) for count in (rows, others)]
    (found,) = measure(sides[0], sides[1], {}, 0.95)
    assert (found.p, found.effect, found.high) == (1.0, 0.0, math.inf)
    assert "no values" in found.says


def test_only_columns_that_both_have_and_that_are_asked_for() -> None:
    batch = sketch(
        pl.DataFrame({"a": [1.0, None], "b": ["x", "y"], "c": [1.0, 2.0], "d": [1, 2]}), None
    )
    reference = sketch(pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": ["1", "2"]}), None)
    found = measure(batch, reference, {"a": 0.1, "b": 0.2, "a (missing)": 0.3}, 0.95)
    assert [(shift.key, shift.kind, shift.margin) for shift in found] == [
        ("a", "number", 0.1),
        ("a (missing)", "missing", 0.3),
        ("b", "category", 0.2),
    ]
    assert [shift.column for shift in measure(batch, reference, {}, 0.95, ["b"])] == ["b"]


def at_margin(margin: float) -> float:
    """The shift of a normal variable whose PSI on ten equal cells is `margin`."""
    from scipy.optimize import brentq

    def psi(shift: float) -> float:
        p = np.diff(stats.norm.cdf(EDGES - shift), prepend=0, append=1)
        return float(((p - 0.1) * np.log(p / 0.1)).sum()) - margin

    return float(brentq(psi, 0, 3))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("margin", "rows", "others"), [(0.02, 2000, 2000), (0.02, 2000, 20_000), (0.5, 2000, 4000)]
)
def test_one_in_twenty_alarms_at_the_margin(margin: float, rows: int, others: int) -> None:
    """What is just allowed alarms in about 5% of the batches; well below never, above always."""
    at, rejected = at_margin(margin), {0.5: 0, 1.0: 0, 2.0: 0}
    covered, draws = 0, 120
    for seed in range(draws):
        reference = of(normal(10_000 + seed, others))
        for times in rejected if seed < 15 else (1.0,):
            (found,) = measure(of(normal(seed, rows, at * times)), reference, {"x": margin}, 0.95)
            rejected[times] += found.p <= 0.05
            covered += times == 1.0 and found.low <= margin <= found.high
    assert rejected[0.5] == 0
    assert 1 <= rejected[1.0] <= 0.11 * draws
    assert rejected[2.0] == 15
    assert covered / draws >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("told", "most", "least"), [(True, 0.08, 0.0), (False, 1.0, 0.5)])
def test_rows_alike_in_a_day_are_no_shift(told: bool, most: float, least: float) -> None:
    """Each day has its own weather: without days nearly every batch alarms, with them few do."""
    alarms, draws = 0, 40
    days = np.repeat(np.arange(30), 100)
    for seed in range(draws):
        draw = np.random.default_rng(seed)
        sides = [
            of(
                np.repeat(draw.normal(size=30), 100) + draw.normal(scale=0.3, size=3000),
                days if told else None,
            )
            for _ in range(2)
        ]
        (found,) = measure(*sides, {"x": 0.02}, 0.95)
        alarms += found.p <= 0.05
    assert least <= alarms / draws <= most


@pytest.mark.parametrize(
    ("usual", "smallest", "margin"),
    [(0.0, 0.02, 0.02), (0.02, 0.02, 0.08), (1.0, 0.25, 2.25), (0.09, 0.0, 0.09)],
)
def test_margins_add_as_shifts_do(usual: float, smallest: float, margin: float) -> None:
    assert margin_of(usual, smallest) == pytest.approx(margin)


def test_what_is_usual_is_the_farthest_batch() -> None:
    batches = [of(normal(seed, ROWS, shift)) for seed, shift in enumerate((0.0, 0.0, 0.5, 0.0))]
    far = usual(batches)["x"]
    expected = measure(batches[2], pool([batches[0], batches[1], batches[3]]), {}, 0.95)[0].effect
    assert far == pytest.approx(expected, rel=0.01)
    assert far == pytest.approx(0.25, rel=0.2)
    assert usual([of(normal(seed)) for seed in range(4)])["x"] < 0.002, (
        "debiased: what chance gives is not in it"
    )
    assert usual(batches[:1]) == usual([]) == {}
    missing = usual(
        [of(some(normal(seed), share, np.nan)) for seed, share in enumerate((0.1, 0.1, 0.3))]
    )
    assert missing["x (missing)"] > 0.1 > missing["x"]
