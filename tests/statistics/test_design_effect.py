"""Design effect: how alike the rows of a day are is measured as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2

from evergreen.errors import InputError
from evergreen.statistics.design_effect import LOOKED_AT, day_design_effect
from evergreen.statistics.sketch import sketch

ROWS = 20_000


def of(values: Any, days: Any = None, name: str = "x") -> Any:
    frame = pl.DataFrame({name: values})
    return sketch(frame, None if days is None else pl.Series(days)).columns[name]


DRAW = np.random.default_rng(0)


@pytest.mark.slow
def test_design_effect_against_the_variance_over_many_draws() -> None:
    """Days have their own mean; the effect is the ratio of the shares' variances, as simulated."""
    draw, cut, shares, effects = np.random.default_rng(1), np.array([-1.0, 0.0, 1.0]), [], []
    day = np.repeat(np.arange(60), 50)
    for _ in range(800):
        values = np.repeat(draw.normal(scale=0.5, size=60), 50) + draw.normal(
            scale=0.75**0.5, size=3000
        )
        cells = np.searchsorted(cut, values).astype(np.uint8)
        shares.append(np.bincount(cells, minlength=4) / 3000)
        effects.append(day_design_effect(cells, day))
    mean = np.mean(shares, axis=0)
    true = (np.var(shares, axis=0) / mean).sum() * 3000 / 3
    assert np.mean(effects) == pytest.approx(true, rel=0.15)
    assert true > 4


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (DRAW.normal(size=ROWS), 1.0, 1.4),
        (np.repeat(DRAW.normal(size=40), ROWS // 40), ROWS / 40 * 0.9, ROWS / 40 * 1.2),
        (
            np.repeat(DRAW.permutation(["a", "b"] * 20), ROWS // 40),
            ROWS / 40 * 0.9,
            ROWS / 40 * 1.2,
        ),
        (DRAW.choice(["a", "b", "c"], ROWS), 1.0, 1.4),
        (np.full(ROWS, 1.0), 1.0, 1.0),
        (np.where(np.arange(ROWS) < 9 * ROWS / 10, 1.0, np.nan), 1.0, 1.0),
    ],
)
def test_rows_that_are_alike_in_a_day_are_noticed(values: Any, low: float, high: float) -> None:
    days = np.repeat(np.arange(40), ROWS // 40)
    assert low <= of(values, days).facts.design_effect <= high
    assert of(values).facts.design_effect == 1.0
    assert of(values, days // 5).facts.design_effect == 1.0, "eight days are too few to say"
    if np.isnan(values[-1]) if values.dtype.kind == "f" else False:
        assert of(values, days).facts.missing_design_effect > 100


@pytest.mark.parametrize("kind", ["number", "category", "missing"])
def test_of_many_rows_some_say_how_alike_a_day_is(kind: str) -> None:
    """A fifth of the rows says what all would, within the luck of 30 days (a quarter)."""
    draw, rows = np.random.default_rng(2), 5 * LOOKED_AT
    days = np.sort(draw.integers(0, 30, rows))
    own = draw.normal(size=30)[days]
    for weight in (0.0, 0.3):
        values = weight * own + draw.normal(size=rows)
        cells = values > 0.5
        exact = day_design_effect(cells.astype(np.uint8), days)
        column: Any = {
            "number": cells.astype(float),
            "category": np.where(cells, "a", "b"),
            "missing": np.where(cells, np.nan, values),
        }[kind]
        facts = of(column, days).facts
        found = facts.missing_design_effect if kind == "missing" else facts.design_effect
        # A variance between 30 days that there is none of
        luck = 1 + 5 * (chi2.ppf(0.999, 29) / 29 - 1)
        assert 1.0 <= found <= luck if not weight else found == pytest.approx(exact, rel=0.15)
        assert not weight or exact > 50


def test_times_count_as_days_and_a_row_may_have_none() -> None:
    times = pl.Series(
        pl.datetime_range(pl.datetime(2013, 1, 1), pl.datetime(2013, 1, 30, 23), "1h", eager=True)
    )
    values = times.dt.day().cast(pl.Float64).to_list()
    effect = of(values, times).facts.design_effect
    assert effect == of(values, times.dt.date()).facts.design_effect
    assert effect > 20
    assert of(values, pl.Series([None, *times[1:]], dtype=times.dtype)).facts.design_effect > 20
    with pytest.raises(InputError, match="3 days for 720 rows"):
        of(values, times[:3])
