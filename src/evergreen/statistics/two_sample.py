"""Contrast: how two sets of rows differ, feature by feature, beside what chance alone would show.

Both come as sums and counts (`profile.py`), so no row is read. Two random samples of the same rows
differ too, the more so the smaller they are and the more levels a category has: each difference
stands beside that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain

from evergreen.finding import Finding, percent
from evergreen.statistics.profile import Counts, Sample, Sums

MISSING = "(missing)"  # as a level of a category
LABEL = "label"  # compared like a feature, but no feature
# Below so many deviations (Cohen 1988); large from there on
SIZES = {0.2: "negligible", 0.5: "small", 0.8: "medium"}


@dataclass(frozen=True)
class NumberContrast:
    """One number in two sets of rows.

    `effect`: first mean less second, in pooled standard deviations (Cohen's d); NaN where a side
    has no two values.
    `chance`: the mean size of it between two random samples of these sizes.
    `means`, `missing`: of either side; `missing` as shares of its rows.
    """

    feature: str
    effect: float
    chance: float
    means: tuple[float, float]
    missing: tuple[float, float]


@dataclass(frozen=True)
class CategoryContrast:
    """One category in two sets of rows; missing counts as a level.

    `effect`: total variation distance, the share of rows that would have to change level for the
    sides to be alike; NaN where a side has no row. `chance`: the mean of it between two random
    samples of these sizes.
    `level`: that whose share differs most, `shares`: what it has on either side.
    """

    feature: str
    effect: float
    chance: float
    level: str
    shares: tuple[float, float]


def contrast(
    topic: str, about: str, sides: dict[str, Sample], *, nested: bool = False
) -> list[Finding]:
    """Return how numbers and how categories of two samples differ; `sides`: the samples by what they are called.

    `nested`: the rows of the first are among those of the second, which leaves less to chance.
    """
    (one, first), (other, second) = sides.items()
    numbers = contrast_numbers(first, second, nested=nested)
    categories = contrast_categories(first, second, nested=nested)
    found = [_tell_numbers(topic, about, (one, other), numbers)] if numbers else []
    return found + (
        [_tell_categories(topic, about, (one, other), categories)] if categories else []
    )


def contrast_numbers(
    first: Sample, second: Sample, *, nested: bool = False
) -> tuple[NumberContrast, ...]:
    """Compare the numbers that both sides have, the largest difference beyond chance first."""
    found = [
        NumberContrast(
            name,
            standardise(one, other),
            math.sqrt(2 / math.pi) * _error(one.values, other.values, nested),
            (one.mean, other.mean),
            (_share(one.missing, first.rows), _share(other.missing, second.rows)),
        )
        for name, one in first.numbers.items()
        if (other := second.numbers.get(name))
    ]
    return tuple(sorted(found, key=_within_chance))


def contrast_categories(
    first: Sample, second: Sample, *, nested: bool = False
) -> tuple[CategoryContrast, ...]:
    """Compare the categories that both sides have, the largest difference beyond chance first."""
    found = [
        contrast_counts(
            name, _with_missing(first, name), _with_missing(second, name), nested=nested
        )
        for name in first.levels
        if name in second.levels
    ]
    return tuple(sorted(found, key=_within_chance))


def contrast_counts(
    name: str, first: Counts, second: Counts, *, nested: bool = False
) -> CategoryContrast:
    """Compare two counts of the same levels.

    `chance`: half the sum of the levels' mean absolute differences, shares taken as normal around
    the pooled one.
    """
    rows, others = sum(first.values()), sum(second.values())
    levels = dict.fromkeys(chain(first, second))
    shares = {
        level: (_share(first.get(level, 0), rows), _share(second.get(level, 0), others))
        for level in levels
    }
    pooled = [_share(first.get(level, 0) + second.get(level, 0), rows + others) for level in levels]
    spread = sum(math.sqrt(share * (1 - share)) for share in pooled) / 2
    gaps = {level: round(abs(one - other), 12) for level, (one, other) in shares.items()}
    # Of two classes, the second
    level = max(reversed(gaps), key=lambda one: gaps[one], default=MISSING)
    return CategoryContrast(
        name,
        sum(abs(one - other) for one, other in shares.values()) / 2
        if rows and others
        else math.nan,
        math.sqrt(2 / math.pi) * spread * _error(rows, others, nested),
        level,
        shares.get(level, (math.nan, math.nan)),
    )


def standardise(one: Sums, other: Sums) -> float:
    """Return Cohen's d with the pooled standard deviation (Cohen, Statistical power analysis, 1988, section 2.5).

    Infinite where the means differ and neither side varies; NaN where a side has fewer than two
    values.
    """
    if min(one.values, other.values) < 2:
        return math.nan
    squares = (one.values - 1) * one.variance + (other.values - 1) * other.variance
    deviation = math.sqrt(squares / (one.values + other.values - 2))
    difference = one.mean - other.mean
    if deviation:
        return difference / deviation
    return (
        0.0
        if math.isclose(one.mean, other.mean, rel_tol=1e-9)
        else math.copysign(math.inf, difference)
    )


def size(effect: float) -> str:
    """Return the word for a standardised difference."""
    return next((word for edge, word in SIZES.items() if abs(effect) < edge), "large")


def _tell_numbers(
    topic: str, about: str, sides: tuple[str, str], found: tuple[NumberContrast, ...]
) -> Finding:
    (one, other), most, told = sides, found[0], not math.isnan(found[0].effect)
    what, subject = _subject("numbers", most.feature, len(found))
    return Finding(
        topic,
        f"{about} · {what}",
        most.effect if told else None,
        f"{subject}: its mean is {most.means[0]:.4g} in {one} and {most.means[1]:.4g} in {other}, "
        f"{_deviations(most.effect)} standard deviations apart ({size(most.effect)}); chance alone would give "
        f"{_deviations(most.chance)}."
        if told
        else f"No number has two values both in {one} and in {other}.",
        kind="effect",
        columns={
            "feature": "text",
            f"mean, {one}": "number",
            f"mean, {other}": "number",
            "difference": "effect",
            "by chance": "effect",
            f"missing, {one}": "share",
            f"missing, {other}": "share",
        },
        rows=tuple(
            (row.feature, *row.means, row.effect, row.chance, *row.missing) for row in found
        ),
        drawn="difference",
    )


def _tell_categories(
    topic: str, about: str, sides: tuple[str, str], found: tuple[CategoryContrast, ...]
) -> Finding:
    (one, other), most = sides, found[0]
    what, subject = _subject("categories", most.feature, len(found))
    return Finding(
        topic,
        f"{about} · {what}",
        most.effect,
        f"{subject}: {percent(most.effect)} of {one} would need another value to be spread like {other}; chance alone "
        f"would give {percent(most.chance)}. Most of it is {most.level!r}: {percent(most.shares[0])} of {one}, "
        f"{percent(most.shares[1])} of {other}.",
        columns={
            "feature": "text",
            "difference": "share",
            "by chance": "share",
            "most in": "text",
            f"its share, {one}": "share",
            f"its share, {other}": "share",
        },
        rows=tuple((row.feature, row.effect, row.chance, row.level, *row.shares) for row in found),
        drawn="difference",
    )


def _subject(kind: str, feature: str, count: int) -> tuple[str, str]:
    if feature == LABEL:
        return LABEL, "The label differs"
    return kind, f"Of {count} {kind}, {feature} differs most" if count > 1 else f"{feature} differs"


def _deviations(effect: float) -> str:
    return "below 0.01" if 0 < abs(effect) < 0.01 else f"{abs(effect):.2f}"


def _error(one: int, other: int, nested: bool) -> float:
    if not one or not other:
        return math.nan
    return math.sqrt(max(0.0, 1 / one - 1 / other) if nested else 1 / one + 1 / other)


def _with_missing(sample: Sample, name: str) -> Counts:
    levels = sample.levels[name]
    missing = sample.rows - sum(levels.values())
    return levels | {MISSING: levels.get(MISSING, 0) + missing} if missing else levels


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _within_chance(one: NumberContrast | CategoryContrast) -> float:
    return math.inf if math.isnan(one.effect) else one.chance - abs(one.effect)
