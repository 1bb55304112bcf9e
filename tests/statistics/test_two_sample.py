"""Contrasts: planted differences come out at their size, and chance is what chance does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.statistics.profile import Sample, Sums, profile
from evergreen.statistics.two_sample import (
    contrast,
    contrast_categories,
    contrast_counts,
    contrast_numbers,
    size,
    standardise,
)

INF, NAN = float("inf"), float("nan")


def sample(**columns: Any) -> Sample:
    """The sums and counts of some columns."""
    frame = pl.DataFrame({name: list(values) for name, values in columns.items()})
    return profile(frame, pl.Series([""] * frame.height, dtype=pl.String), {}).kept


def draw(rows: int, mean: float, seed: int) -> Any:
    return np.random.default_rng(seed).normal(mean, 2.0, rows).tolist()


# --- numbers


@pytest.mark.parametrize("effect", [0.0, 0.3, -1.2])
def test_a_planted_shift_comes_out_at_its_size(effect: float) -> None:
    first, second = sample(x=draw(20_000, 5 + 2 * effect, 1)), sample(x=draw(5_000, 5, 2))
    (found,) = contrast_numbers(first, second)
    assert found.effect == pytest.approx(effect, abs=0.04)
    assert found.means == pytest.approx((5 + 2 * effect, 5), abs=0.1)
    assert (abs(found.effect) > 4 * found.chance) == (effect != 0)


@pytest.mark.slow
@given(
    st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=20),
    st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=20),
)
def test_effect_is_cohens_d(first: list[float], second: list[float]) -> None:
    squares = (len(first) - 1) * np.var(first, ddof=1) + (len(second) - 1) * np.var(second, ddof=1)
    pooled = squares / (len(first) + len(second) - 2)
    (found,) = contrast_numbers(sample(x=first), sample(x=second))
    if pooled > 1e-4:
        assert found.effect == pytest.approx(
            (np.mean(first) - np.mean(second)) / math.sqrt(pooled), rel=1e-4, abs=1e-6
        )


@pytest.mark.parametrize(
    ("first", "second", "effect"),
    [
        ([1.0, 1.0], [1.0, 1.0], 0.0),
        ([0.1] * 7, [0.1] * 1000, 0.0),
        ([2.0, 2.0], [1.0, 1.0], INF),
        ([0.0, 0.0], [1.0, 1.0], -INF),
        ([1.0], [1.0, 2.0], NAN),
        ([None, NAN], [1.0, 2.0], NAN),
    ],
    ids=["same constant", "constant that rounds", "above", "below", "one value", "none known"],
)
def test_numbers_without_spread(first: list[float], second: list[float], effect: float) -> None:
    sides = [sample(x=pl.Series(values, dtype=pl.Float32)) for values in (first, second)]
    assert standardise(sides[0].numbers["x"], sides[1].numbers["x"]) == pytest.approx(
        effect, nan_ok=True
    )


def test_missing_values_are_shares_of_all_rows() -> None:
    (found,) = contrast_numbers(sample(x=[1.0, None, NAN, 3.0]), sample(x=[1.0, 2.0]))
    assert found.missing == (0.5, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "others", "nested"), [(50, 400, False), (300, 300, False), (100, 400, True)]
)
def test_chance_is_what_random_samples_show(rows: int, others: int, nested: bool) -> None:
    """Numbers and categories; `nested`: the first sample is drawn from the second."""
    draws = np.random.default_rng(3)
    levels = np.array(["a", "b", "c", "d", "e"])
    shares = [0.4, 0.3, 0.15, 0.1, 0.05]
    effects, distances, said = [], [], []
    for _ in range(400):
        x, place = draws.normal(size=others), draws.choice(levels, others, p=shares)
        some = slice(0, rows)
        first = (
            (x[some], place[some])
            if nested
            else (draws.normal(size=rows), draws.choice(levels, rows, p=shares))
        )
        both = [sample(x=a.tolist(), place=b.tolist()) for a, b in (first, (x, place))]
        (number,), (category,) = (
            compare(*both, nested=nested) for compare in (contrast_numbers, contrast_categories)
        )
        effects.append(abs(number.effect))
        distances.append(category.effect)
        said.append((number.chance, category.chance))
    expected = np.mean(said, axis=0)
    assert np.mean(effects) == pytest.approx(expected[0], rel=0.1)
    assert np.mean(distances) == pytest.approx(expected[1], rel=0.1)


# --- categories


@pytest.mark.parametrize(
    ("first", "second", "effect", "level"),
    [
        ({"a": 60, "b": 40}, {"a": 40, "b": 60}, 0.2, "b"),
        ({"a": 5, "b": 5}, {"a": 500, "b": 500}, 0.0, "b"),
        ({"a": 3}, {"b": 3}, 1.0, "b"),
        ({"a": 50, "b": 30, "c": 20}, {"a": 50, "b": 10, "c": 40}, 0.2, "c"),
        ({"a": 60, "b": 10, "c": 30}, {"a": 30, "b": 20, "c": 50}, 0.3, "a"),
    ],
    ids=["swapped", "alike", "apart", "one level untouched", "largest named"],
)
def test_total_variation(
    first: dict[str, int], second: dict[str, int], effect: float, level: str
) -> None:
    found = contrast_counts("x", first, second)
    assert found.effect == pytest.approx(effect)
    assert found.level == level
    assert found.shares == pytest.approx(
        (first.get(level, 0) / sum(first.values()), second.get(level, 0) / sum(second.values()))
    )


@pytest.mark.slow
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50), min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50), min_size=1),
)
def test_total_variation_is_a_distance(first: dict[str, int], second: dict[str, int]) -> None:
    found = contrast_counts("x", first, second).effect
    assert -1e-12 <= found <= 1 + 1e-12
    assert found == pytest.approx(contrast_counts("x", second, first).effect)
    assert contrast_counts("x", first, first).effect == 0


def test_missing_counts_as_a_level() -> None:
    (found,) = contrast_categories(
        sample(place=["a", None, None, "b"]), sample(place=["a", "a", "b", "b"])
    )
    assert found.effect == pytest.approx(0.5)
    assert (found.level, found.shares) == ("(missing)", (0.5, 0.0))


def test_a_side_without_rows_is_not_judged() -> None:
    assert math.isnan(contrast_counts("x", {}, {"a": 3}).effect)


# --- all of them


def test_all_comparisons_are_told_and_the_largest_beyond_chance_is_named() -> None:
    first = sample(
        x=draw(400, 6, 1), y=draw(400, 5, 2), place=["a", "b"] * 200, kind=["p"] * 300 + ["q"] * 100
    )
    second = sample(
        x=draw(400, 5, 3), y=draw(400, 5, 4), place=["a", "b"] * 200, kind=["p", "q"] * 200
    )
    numbers, categories = contrast("sampling", "one beside other", {"one": first, "other": second})
    assert [row[0] for row in numbers.rows] == ["x", "y"]
    assert [row[0] for row in categories.rows] == ["kind", "place"]
    assert numbers.value == pytest.approx(0.5, abs=0.15)
    assert categories.value == pytest.approx(0.25)
    assert "Of 2 numbers, x differs most: its mean is " in numbers.says
    assert (
        "Of 2 categories, kind differs most: 25.0% of one would need another value"
        in categories.says
    )
    assert "'q': 25.0% of one, 50.0% of other" in categories.says
    for finding in (numbers, categories):
        assert all(len(row) == len(finding.columns) for row in finding.rows)
        assert finding.drawn in finding.columns


def test_what_chance_alone_may_do_is_not_named_first() -> None:
    """With 100 levels and few rows, random samples differ more than a planted shift of two."""
    many = np.random.default_rng(0).integers(0, 100, (2, 60)).astype(str)
    found = contrast_categories(
        sample(many=many[0], two=["a", "b"] * 30), sample(many=many[1], two=["a"] * 46 + ["b"] * 14)
    )
    assert [contrast.feature for contrast in found] == ["two", "many"]
    assert found[1].effect > found[0].effect


def test_a_feature_of_one_side_only_is_not_compared() -> None:
    (found,) = contrast(
        "survivorship",
        "gone",
        {"one": sample(x=[1.0, 2.0]), "other": sample(x=[1.0, 2.0], y=[1.0, 2.0])},
    )
    assert [row[0] for row in found.rows] == ["x"]
    assert (
        contrast("survivorship", "gone", {"one": sample(x=[1.0]), "other": sample(y=[1.0])}) == []
    )


def test_what_cannot_be_compared_is_said() -> None:
    sides = {name: Sample(1, {"x": Sums(1, 0, 1.0, 1.0)}, {}) for name in ("one", "other")}
    (found,) = contrast("sampling", "about", sides)
    assert found.value is None
    assert found.says == "No number has two values both in one and in other."


@pytest.mark.parametrize(
    ("effect", "word"),
    [(0.1, "negligible"), (-0.3, "small"), (0.5, "medium"), (-0.8, "large"), (INF, "large")],
)
def test_words_for_sizes(effect: float, word: str) -> None:
    assert size(effect) == word
