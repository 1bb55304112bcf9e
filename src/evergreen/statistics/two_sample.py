"""Two samples: how two sets of rows differ, feature by feature, beside what chance would show.

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
    """Return how numbers and how categories of two samples differ.

    `sides`: name of the sample -> the sample, two of them. `nested`: the rows of the first are
    among those of the second, which leaves less to chance.
    """
    (name, first), (other, second) = sides.items()
    numbers = contrast_numbers(first, second, nested=nested)
    categories = contrast_categories(first, second, nested=nested)
    found = [_describe_numbers(topic, about, (name, other), numbers)] if numbers else []
    return found + (
        [_describe_categories(topic, about, (name, other), categories)] if categories else []
    )


def contrast_numbers(
    first: Sample, second: Sample, *, nested: bool = False
) -> tuple[NumberContrast, ...]:
    """Return how the numbers that both sides have differ, most beyond chance first.

    Chance: between two samples of the same rows the difference of means is normal around 0, of
    which the mean size is sqrt(2 / pi) standard errors.
    """
    found = [
        NumberContrast(
            name,
            standardise(sums, other),
            math.sqrt(2 / math.pi) * _error(sums.values, other.values, nested),
            (sums.mean, other.mean),
            (_share(sums.missing, first.rows), _share(other.missing, second.rows)),
        )
        for name, sums in first.numbers.items()
        if (other := second.numbers.get(name))
    ]
    return tuple(sorted(found, key=_within_chance))


def contrast_categories(
    first: Sample, second: Sample, *, nested: bool = False
) -> tuple[CategoryContrast, ...]:
    """Return how the categories that both sides have differ, most beyond chance first."""
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
    """Return how two counts of the same levels differ.

    `chance`: half the sum of the levels' mean absolute differences, shares taken as normal around
    the pooled one. Where 30 of 100 rows are "a" on one side and 50 of 100 on the other, a fifth of
    the rows would have to change level; chance alone would show 6%.

    >>> found = contrast_counts("place", {"a": 30, "b": 70}, {"a": 50, "b": 50})
    >>> round(found.effect, 2), round(found.chance, 2), found.level
    (0.2, 0.06, 'b')
    """
    rows, others = sum(first.values()), sum(second.values())
    levels = dict.fromkeys(chain(first, second))
    shares = {
        level: (_share(first.get(level, 0), rows), _share(second.get(level, 0), others))
        for level in levels
    }
    pooled = [_share(first.get(level, 0) + second.get(level, 0), rows + others) for level in levels]
    spread = sum(math.sqrt(share * (1 - share)) for share in pooled) / 2
    gaps = {level: round(abs(share - other), 12) for level, (share, other) in shares.items()}
    # Of two classes, the second
    level = max(reversed(gaps), key=gaps.__getitem__, default=MISSING)
    return CategoryContrast(
        name,
        sum(abs(share - other) for share, other in shares.values()) / 2
        if rows and others
        else math.nan,
        math.sqrt(2 / math.pi) * spread * _error(rows, others, nested),
        level,
        shares.get(level, (math.nan, math.nan)),
    )


def standardise(first: Sums, second: Sums) -> float:
    """Return Cohen's d: the difference of means in pooled standard deviations.

    Infinite where the means differ and neither side varies; NaN where a side has fewer than two
    values. Source: Cohen, Statistical power analysis, 1988, section 2.5.

    The values 1, 2, 3 and 2, 3, 4: a difference of 1, and a standard deviation of 1.

    >>> round(standardise(Sums(3, 0, sum=6, squares=14), Sums(3, 0, sum=9, squares=29)), 6)
    -1.0
    """
    if min(first.values, second.values) < 2:
        return math.nan
    squares = (first.values - 1) * first.variance + (second.values - 1) * second.variance
    deviation = math.sqrt(squares / (first.values + second.values - 2))
    difference = first.mean - second.mean
    if deviation:
        return difference / deviation
    if math.isclose(first.mean, second.mean, rel_tol=1e-9):
        return 0.0
    return math.copysign(math.inf, difference)


def size(effect: float) -> str:
    """Return the word for a standardised difference."""
    return next((word for edge, word in SIZES.items() if abs(effect) < edge), "large")


def _describe_numbers(
    topic: str, about: str, sides: tuple[str, str], found: tuple[NumberContrast, ...]
) -> Finding:
    (name, other), most = sides, found[0]
    is_known = not math.isnan(most.effect)
    what, subject = _subject("numbers", most.feature, len(found))
    return Finding(
        topic,
        f"{about} · {what}",
        most.effect if is_known else None,
        f"{subject}: its mean is {most.means[0]:.4g} in {name} and {most.means[1]:.4g} in {other}, "
        f"{_deviations(most.effect)} standard deviations apart ({size(most.effect)}); "
        f"chance alone would give {_deviations(most.chance)}."
        if is_known
        else f"No number has two values both in {name} and in {other}.",
        kind="effect",
        columns={
            "feature": "text",
            f"mean, {name}": "number",
            f"mean, {other}": "number",
            "difference": "effect",
            "by chance": "effect",
            f"missing, {name}": "share",
            f"missing, {other}": "share",
        },
        rows=tuple(
            (row.feature, *row.means, row.effect, row.chance, *row.missing) for row in found
        ),
        drawn="difference",
    )


def _describe_categories(
    topic: str, about: str, sides: tuple[str, str], found: tuple[CategoryContrast, ...]
) -> Finding:
    (name, other), most = sides, found[0]
    what, subject = _subject("categories", most.feature, len(found))
    return Finding(
        topic,
        f"{about} · {what}",
        most.effect,
        f"{subject}: {percent(most.effect)} of {name} would need another value to be spread like "
        f"{other}; chance alone would give {percent(most.chance)}. Most of it is {most.level!r}: "
        f"{percent(most.shares[0])} of {name}, {percent(most.shares[1])} of {other}.",
        columns={
            "feature": "text",
            "difference": "share",
            "by chance": "share",
            "most in": "text",
            f"its share, {name}": "share",
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


def _error(rows: int, others: int, nested: bool) -> float:
    """Return the standard error of a difference of means, in standard deviations of a row."""
    if not rows or not others:
        return math.nan
    return math.sqrt(max(0.0, 1 / rows - 1 / others) if nested else 1 / rows + 1 / others)


def _with_missing(sample: Sample, name: str) -> Counts:
    levels = sample.levels[name]
    missing = sample.rows - sum(levels.values())
    return levels | {MISSING: levels.get(MISSING, 0) + missing} if missing else levels


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _within_chance(found: NumberContrast | CategoryContrast) -> float:
    return math.inf if math.isnan(found.effect) else found.chance - abs(found.effect)
