"""Batch anomalies: columns in which a new batch is so unlike all others that a fault is likely.

That is likelier than a season, as the bounds here are beyond what earlier batches show.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from statistics import median

import numpy as np

from evergreen.features.split import LABEL
from evergreen.finding import percent
from evergreen.params import Drift
from evergreen.quality.label_rates import find_label_rates
from evergreen.statistics.columns import Array, Column, Numbers
from evergreen.statistics.design_effect import design_effect, scale_effect
from evergreen.statistics.psi import FEWEST_BATCHES, FEWEST_ROWS, surely_far
from evergreen.statistics.sketch import Sketch
from evergreen.statistics.value_sets import FEWEST_VALUES, find_new_values

# Of the rows that earlier batches usually have, below which a batch is not called far from them
SHORT = 0.5
# Of the rows that batches usually have, below which an earlier one says nothing of what is usual
SMALL = 0.1
LUCK = 0.001  # chance below which no column of a batch is constant by luck
MIDDLE = np.array([0.05, 0.95])  # quantiles between which a batch's values are, but for its tails
BEYOND = 2.0  # times the width of all values seen, by which a value is beyond them
SEEN = (0.001, 0.999)  # quantiles between which values were seen: a stray one was not
# Of the rows, and how many, from which on values beyond are no stray ones
BEYOND_SHARE, BEYOND_ROWS = 0.005, 20


def are_large(rows: Sequence[int]) -> list[bool]:
    """Return which batches have enough rows to say what is usual.

    That is 100, and a tenth of the median batch.
    """
    enough = max(FEWEST_ROWS, SMALL * median(rows)) if rows else 0
    return [count >= enough for count in rows]


def find_anomalies(batch: Sketch, earlier: Sequence[Sketch], params: Drift) -> dict[str, str]:
    """Return column -> a sentence why not to train on a new batch; empty where nothing is odd.

    A column that no longer varies, though it did in every earlier batch and so many rows do not
    agree by chance; one whose shift from the earlier batches is surely larger (by the lower bound
    of its interval) than is usual among them and `params.hold` beyond; one that holds few values,
    and now others (`value_sets.py`); one with values far beyond all that were seen; labels that are
    given otherwise than ever (`label_rates.py`). A column that moves on from batch to batch, as a
    running number or a day does, is none of these. Empty as well where `hold` is None, where the
    batch has fewer than 100 rows, or where fewer than 3 came earlier that have as many and are not
    small beside the others, or these have fewer rows together than the new one: then nobody knows
    what is usual.
    """
    earlier = [
        sketch
        for sketch, is_large in zip(
            earlier, are_large([sketch.rows for sketch in earlier]), strict=True
        )
        if is_large
    ]
    known = (
        len(earlier) >= FEWEST_BATCHES
        and sum(sketch.rows for sketch in earlier) >= batch.rows >= FEWEST_ROWS
    )
    if params.hold is None or not known:
        return {}
    unknown = {name for name in batch.columns if not _is_known(name, earlier)}
    found = _find_constant(batch, earlier, unknown)
    names = [name for name in batch.columns if name not in found and name not in unknown]
    # A few days are no month
    short = batch.rows < SHORT * median(sketch.rows for sketch in earlier)
    far = () if short else surely_far(batch, earlier, params.hold, params.confidence, names)
    found |= {shift.column: shift.says for shift in far}
    found |= find_new_values(batch, earlier, params.confidence, without={*found, *unknown})
    found |= _find_beyond(batch, earlier, {*found, *unknown})
    if LABEL not in found and (what := find_label_rates(batch, earlier, params.confidence)):
        found[LABEL] = what
    return found


def _is_known(name: str, earlier: Sequence[Sketch]) -> bool:
    """Return whether earlier batches say what is usual of a column.

    At least 3 hold values of it, which vary and do not move on from batch to batch. A number moves
    on where most values of a batch were time and again above those of the batch before (or below).
    Of one that never varied (a month, a version) nobody knows what is usual, nor has a model learnt
    from it.
    """
    columns = [sketch.columns[name] for sketch in earlier if name in sketch.columns]
    columns = [column for column in columns if column.values]
    numbers = [column for column in columns if isinstance(column, Numbers)]
    spans = [
        number.points[np.searchsorted(number.upto, MIDDLE * number.values)] for number in numbers
    ]
    ahead = sum(
        int(after[0] > before[1]) - int(after[1] < before[0]) for before, after in pairwise(spans)
    )
    moves = bool(spans) and 2 * abs(ahead) >= len(spans) - 1
    varies = len({value for column in columns for value in _some_values(column)}) > 1
    return len(columns) >= FEWEST_BATCHES and varies and not moves


def _some_values(column: Column) -> list[float] | list[str]:
    """Return the least and the largest number, or the levels that have rows."""
    if isinstance(column, Numbers):
        return [float(column.points[0]), float(column.points[-1])]
    return [level for level, rows in column.counts.items() if rows]


def is_same_anomaly(
    batch: Sketch, first: Sketch, past: Sequence[Sketch], params: Drift, names: Collection[str]
) -> bool:
    """Return whether a batch shows the same anomaly as the `first` one, in columns `names`.

    In these both are odd beside `past`. The same: the batch is no farther from the first than
    batches usually are and `hold` beyond, and odd beside it in no way that the newest two of the
    past are not as well.
    """
    assert params.hold is not None
    if surely_far(batch, [first], params.hold, params.confidence, names, past):
        return False
    usual = _differ(past[-1], past[-2], params, names) if len(past) > 1 else set()
    return _differ(batch, first, params, names) <= usual


def _differ(batch: Sketch, first: Sketch, params: Drift, names: Collection[str]) -> set[str]:
    """Return the columns of `names` in which a batch is odd beside a single one."""
    only, twice = [name for name in batch.columns if name not in names], [first, first]
    off = find_new_values(batch, twice, params.confidence, without=only)
    return {
        *off,
        *_find_beyond(batch, twice, only),
        *(name for name in _find_constant(batch, twice) if name in names),
    }


def _find_constant(
    batch: Sketch, earlier: Sequence[Sketch], without: Collection[str] = ()
) -> dict[str, str]:
    return {
        name: f"{name} {why}, and varied in each of {len(earlier)} earlier batches"
        for name, column in batch.columns.items()
        if name not in without
        and (why := _describe_constant(column))
        and all(
            name in sketch.columns and not _describe_constant(sketch.columns[name])
            for sketch in earlier
        )
        and _chance(column, [sketch.columns[name] for sketch in earlier], days=batch.knows_days)
        < LUCK / len(batch.columns)
    }


def _find_beyond(
    batch: Sketch, earlier: Sequence[Sketch], without: Collection[str]
) -> dict[str, str]:
    return {
        name: f"{name} {why}"
        for name, column in batch.columns.items()
        if name not in without
        and (
            why := _describe_beyond(
                column, [sketch.columns[name] for sketch in earlier if name in sketch.columns]
            )
        )
    }


def _describe_constant(column: Column) -> str:
    """Return in words that a column does not vary; empty where it does."""
    if not column.values:
        return "" if column.facts.infinite else "is missing in every row"
    values = (
        column.points
        if isinstance(column, Numbers)
        else [name for name, rows in column.counts.items() if rows]
    )
    return (
        ""
        if len(values) > 1 or column.facts.infinite
        else f"is {values[0]!s} in every row that has it"
    )


def _chance(column: Column, earlier: Sequence[Column], *, days: bool) -> float:
    """Return the chance that all rows of `column` have its one value (or are missing) by luck.

    How: where a share p of the rows had that value, n independent rows all have it with the chance
    p^n. Rows are worth as many independent ones as the design effect of days says, or where no
    `days` are known that of batches: a week without rain is no fault.
    """
    missing = not column.values
    rows = np.array(
        [
            past.values + (past.facts.infinite + past.facts.missing if missing else 0)
            for past in earlier
        ],
        float,
    )
    drawn = np.array(
        [past.facts.missing if missing else _drawn(column, past) for past in earlier], float
    )
    effects = [
        past.facts.missing_design_effect if missing else past.facts.design_effect
        for past in earlier
    ]
    now = column.facts.missing if missing else column.values
    effect = float(np.average(effects, weights=rows))
    if not days:
        between = design_effect(np.column_stack([drawn, rows - drawn]), FEWEST_BATCHES)
        effect = max(effect, scale_effect(between, float(rows.mean()), now))
    return float((drawn.sum() / rows.sum()) ** (now / effect))


def _drawn(column: Column, before: Column) -> float:
    """Return how many rows had the one value of `column`; of levels without rows, the most."""
    if isinstance(column, Numbers) and isinstance(before, Numbers):
        edges = np.array([np.nextafter(column.points[0], -np.inf), column.points[0]])
        return float(np.diff(before.count_upto(edges))[0])
    return float(max(before.counts.get(name, 0) for name in column.counts))  # type: ignore[union-attr]


def _describe_beyond(column: Column, earlier: Sequence[Column]) -> str:
    """Return in words how many rows are far beyond the values seen; empty where few are.

    How: values are beyond where they are twice the width of all values seen away from these. A
    share that was usual does not count, nor does one that other values lead up to: prices that have
    grown ten times passed all values on their way.
    """
    before = [past for past in earlier if isinstance(past, Numbers) and past.values]
    if not isinstance(column, Numbers) or not column.values or not before:
        return ""
    points = np.concatenate([number.points for number in before])
    rows = np.concatenate([np.diff(number.upto, prepend=0) for number in before])
    low, high = np.quantile(points, SEEN, weights=rows, method="inverted_cdf")
    with np.errstate(over="ignore"):
        edges = np.array([low - BEYOND * (high - low), high + BEYOND * (high - low)])
    # Dry days do not say what rain is
    few = len(np.unique(points[(points >= low) & (points <= high)])) < FEWEST_VALUES
    if few or not np.isfinite(edges).all():
        return ""
    outside = np.array([np.nextafter(edges[0], -np.inf), edges[1]])
    share, *usual = (
        1 - float(np.diff(side.count_upto(outside))[0]) / side.values for side in (column, *before)
    )
    if share * column.values < BEYOND_ROWS or share < BEYOND_SHARE or share <= max(usual):
        return ""
    if not any(
        _leaps(sign * column.points, sign * edge, high - low)
        for sign, edge in zip((-1, 1), edges, strict=True)
    ):
        return ""
    return (
        f"has values far beyond the {low:.4g} to {high:.4g} of {len(before)} earlier batches in "
        f"{percent(share)} of the rows that have it ({column.points[0]:.4g} to "
        f"{column.points[-1]:.4g})"
    )


def _leaps(points: Array, edge: float, width: float) -> bool:
    """Return whether points are above the edge, and none for a width below the least of these."""
    above, upto = points[points > edge], points[points <= edge]
    return bool(len(above)) and (not len(upto) or above.min() - upto.max() >= width)
