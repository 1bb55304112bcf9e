"""Value sets: other units, roundings and codes are named; records, trends and luck are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from evergreen.statistics.sketch import Sketch, sketch
from evergreen.statistics.value_sets import find_new_values

Draw = np.random.Generator
Array = np.ndarray[Any, np.dtype[Any]]


def of(values: Array) -> Sketch:
    return sketch(pl.DataFrame({"x": values}), None)


def wind(draw: Draw) -> Array:
    return np.round(draw.gamma(4, 2.5, 3000)) * 1.15078


def rain(draw: Draw) -> Array:
    return np.where(draw.random(3000) < 0.95, 0.0, np.round(draw.gamma(0.5, 0.2, 3000), 2))


def prices(draw: Draw) -> Array:
    return draw.choice(np.arange(1, 60), 3000, p=_falling(59)) - 0.01


def ages(draw: Draw) -> Array:
    return np.floor(draw.normal(40, 12, 60))


def scores(draw: Draw) -> Array:
    return np.where(draw.random(900) < 0.01, 100.0, draw.integers(1, 20, 900) / 20)


def answers(draw: Draw) -> Array:
    return draw.integers(1, 6, 200).astype(float)


GRIDS: dict[str, Callable[[Draw], Array]] = {
    draw.__name__: draw for draw in (wind, rain, prices, ages, scores, answers)
}
FAULTS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "knots": ("wind", lambda x: x / 1.15078),
    "metres a second": ("wind", lambda x: x * 0.44704),
    "millimetres": ("rain", lambda x: x * 25.4),
    "prices before tax": ("prices", lambda x: np.round(x / 1.19, 2)),
    "euros": ("prices", lambda x: np.round(x * 0.92, 2)),
    "ages to the day": ("ages", lambda x: x + np.linspace(0.1, 0.9, len(x))),
    "scores in per cent": ("scores", lambda x: x * 100),
}
HARMLESS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "rounded by less than a model sees": ("prices", np.ceil),
    "as numbers of half the bits": ("wind", lambda x: x.astype(np.float32).astype(float)),
    "five values say too little": ("answers", lambda x: x - 0.5),
}


def _falling(count: int) -> Array:
    share = 1 / np.arange(1, count + 1)
    return np.asarray(share / share.sum())


@pytest.mark.parametrize("fault", FAULTS)
def test_another_unit_is_named(fault: str) -> None:
    grid, change = FAULTS[fault]
    draw = np.random.default_rng(0)
    before = [of(GRIDS[grid](draw)) for _ in range(4)]
    found = find_new_values(of(change(GRIDS[grid](draw))), before, 0.95)
    assert found["x"].startswith("x has values that no earlier batch has in ")
    assert found["x"].endswith("% at most is usual: has its unit changed?")


@pytest.mark.parametrize("change", HARMLESS)
def test_what_no_model_sees_or_nobody_can_tell_is_not(change: str) -> None:
    grid, changed = HARMLESS[change]
    draw = np.random.default_rng(0)
    before = [of(GRIDS[grid](draw)) for _ in range(4)]
    assert find_new_values(of(changed(GRIDS[grid](draw))), before, 0.95) == {}


@pytest.mark.slow
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("batches", [3, 12])
def test_luck_is_not(grid: str, batches: int) -> None:
    draw = np.random.default_rng(1)
    made = [of(GRIDS[grid](draw)) for _ in range(50)]
    for at in range(batches, 50):
        assert find_new_values(made[at], made[at - batches : at], 0.95) == {}


LOOSE: dict[str, Callable[[Draw, int], Array]] = {
    "without a grid": lambda draw, at: draw.standard_normal(800),
    "some values come again": lambda draw, at: np.where(
        draw.random(40) < 0.5, draw.integers(0, 5, 40), draw.random(40) * 5
    ),
    "a counter": lambda draw, at: np.arange(500.0) + 500 * at,
    "a trend": lambda draw, at: np.round(draw.normal(10 * at, 5, 800)),
    "a jump beyond all that was": lambda draw, at: (
        np.round(draw.normal(50, 5, 800)) + 200 * (at == 6)
    ),
    "a year": lambda draw, at: np.full(800, 2000.0 + at),
    "five rows": lambda draw, at: draw.random(5),
    "one row": lambda draw, at: draw.random(1),
    "never any": lambda draw, at: np.full(800, np.nan),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LOOSE)
def test_what_never_had_a_grid_or_goes_on_is_not(kind: str) -> None:
    draw = np.random.default_rng(2)
    for _ in range(20):
        *before, batch = [of(LOOSE[kind](draw, at)) for at in range(7)]
        assert find_new_values(batch, before, 0.95) == {}


def test_a_cold_spell_on_the_same_grid_is_not() -> None:
    """Nearly all of it is a record, and what is not is known."""
    draw = np.random.default_rng(3)
    before = [of(np.round(draw.normal(15, 5, 800))) for _ in range(6)]
    assert find_new_values(of(np.round(draw.normal(-10, 5, 800))), before, 0.95) == {}


@pytest.mark.parametrize(
    ("shown", "without"),
    [(1, ()), (6, ("x",))],
)
def test_nobody_is_asked_in_vain(shown: int, without: tuple[str, ...]) -> None:
    draw = np.random.default_rng(4)
    before = [of(wind(draw)) for _ in range(shown)]
    assert find_new_values(of(wind(draw) / 1.15078), before, 0.95, without) == {}


def test_a_column_that_others_lack_or_that_was_a_category_is_left_alone() -> None:
    draw = np.random.default_rng(5)
    others = [
        sketch(pl.DataFrame({"y": wind(draw)}), None),
        sketch(pl.DataFrame({"x": ["a", "b"] * 50}), None),
    ]
    assert find_new_values(of(wind(draw)), others * 2, 0.95) == {}


@pytest.mark.parametrize(
    "odd",
    [
        lambda draw: np.full(3000, np.nan),
        lambda draw: np.array([3.456]),
        lambda draw: wind(draw) + draw.random(3000),  # holds more values than a sketch
        lambda draw: np.append(wind(draw), 99999.0),
        lambda draw: np.append(np.zeros(2000), np.full(30, 7.77)),
    ],
    ids=[
        "without values",
        "one row",
        "off the grid itself",
        "with a 99999",
        "calm but for one hour",
    ],
)
def test_one_odd_earlier_batch_does_not_blind(odd: Callable[[Draw], Array]) -> None:
    draw = np.random.default_rng(6)
    before = [*(of(wind(draw)) for _ in range(6)), of(odd(draw))]
    assert "x" in find_new_values(of(wind(draw) / 1.15078), before, 0.95)


def test_more_values_than_a_sketch_holds_are_off_a_grid() -> None:
    draw = np.random.default_rng(7)
    before = [of(wind(draw)) for _ in range(4)]
    found = find_new_values(of(wind(draw) + draw.random(3000)), before, 0.95)
    assert "in 9" in found["x"]


def test_a_few_dear_things_do_not_make_cents_alike() -> None:
    draw = np.random.default_rng(8)
    before = [of(np.ceil(draw.lognormal(3, 2, 900)) - 0.01) for _ in range(4)]
    assert "x" in find_new_values(
        of(np.round((np.ceil(draw.lognormal(3, 2, 900)) - 0.01) / 1.19, 2)), before, 0.95
    )


def test_one_new_value_is_luck_however_many_rows_have_it() -> None:
    """A storm of one hour in a dry month; a discount that has not been given before."""
    draw = np.random.default_rng(9)
    discounts = [
        np.where(draw.random(3000) < 0.94, 0.0, draw.integers(1, 25, 3000) / 20) for _ in range(9)
    ]
    new = np.where((discounts[-1] > 0) & (draw.random(3000) < 0.9), 0.17, discounts[-1])
    assert find_new_values(of(new), [of(rows) for rows in discounts[:-1]], 0.95) == {}


@pytest.mark.parametrize("unit", [1e200, 1e307, 1e-320])
def test_very_large_and_very_small_numbers_are_numbers(unit: float) -> None:
    draw = np.random.default_rng(10)
    before = [of(draw.integers(1, 17, 500) * unit) for _ in range(4)]
    assert find_new_values(of(draw.integers(1, 17, 500) * unit), before, 0.95) == {}
