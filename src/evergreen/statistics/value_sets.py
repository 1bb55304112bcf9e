"""Value sets: columns that hold few values, the same ones batch after batch, and then others.

Wind in knots instead of miles an hour moves a column by less than a season does; but anemometers
measure whole knots, so in miles an hour there were 33 speeds, and none of them is left. The same
holds for rain in hundredths of an inch, prices that end in 99, and any other unit, rounding or
code.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from evergreen.finding import percent
from evergreen.statistics.columns import Array, Numbers
from evergreen.statistics.sketch import Sketch

# Standard deviations: a value no further from one that was seen was seen too, to any model
NEAR = 0.001
MIDDLE = (0.05, 0.95)  # quantiles that say how wide a column is: tails and a 99999 do not
WIDTH = 3.29  # standard deviations between these, of a normal distribution
# Between the smallest and the largest value seen, below which a batch says nothing
FEWEST_ROWS = 20
FEWEST_VALUES = 6  # besides the commonest, below which an earlier batch does not say what is usual


def find_new_values(
    batch: Sketch, earlier: Sequence[Sketch], confidence: float, without: Collection[str] = ()
) -> dict[str, str]:
    """Return column -> a sentence that most of its values are new; `without`: columns to leave out.

    Of the rows of a number, those with its commonest value left aside, it is the share whose value
    no earlier batch has. A column is off its grid where this share is surely more than halfway from
    what is usual, the largest of an earlier batch beside the others, to all; and so is that of the
    rows between the smallest and the largest value seen, as a record is new and yet on the grid.
    The interval is that of Clopper and Pearson (The use of confidence or fiducial limits, 1934) for
    as many draws as there are values (six at least, then), as rows of one hour share theirs.
    Earlier batches count whose sketch holds every value of the column; empty for fewer than two of
    them.
    """
    found: dict[str, str] = {}
    for name, column in batch.columns.items():
        before = [sketch.columns[name] for sketch in earlier if name in sketch.columns]
        whole = [known for known in before if isinstance(known, Numbers) and _is_whole(known)]
        if (
            name in without
            or len(whole) < 2
            or not isinstance(column, Numbers)
            or not column.values
        ):
            continue
        if what := _describe_new(column, whole, confidence):
            found[name] = f"{name} {what}"
    return found


def _is_whole(column: Numbers) -> bool:
    """Return whether the sketch holds every value of the column, and there are some."""
    return bool(column.values) and (column.upto - column.below).sum() == column.values


def _describe_new(column: Numbers, before: Sequence[Numbers], confidence: float) -> str:
    """Return in words how many rows have new values; empty where few have, or no more than usual.

    How: the share of rows with a value that no earlier batch has is compared with the largest such
    share of an earlier batch beside the others. It must surely be more than halfway from there to
    1: with 10% usual, more than 55%.
    """
    points = np.concatenate([earlier.points for earlier in before])
    rows = np.concatenate([earlier.upto - earlier.below for earlier in before])
    values, which = np.unique(points, return_inverse=True)
    counts = np.bincount(which, rows)
    common = float(values[counts.argmax()])
    near = NEAR * _width(values, np.where(values == common, 0, counts))
    share, low, inside = _share_new(column, values, near, common, confidence)
    if min(low, inside) <= 0.5:  # halfway at least: what is usual need not be known
        return ""
    rich = [
        at
        for at, earlier in enumerate(before)
        if (np.abs(earlier.points - common) > near).sum() >= FEWEST_VALUES
    ]
    usual = max(
        _share_new(
            before[at],
            np.concatenate([*_points(before[:at]), *_points(before[at + 1 :])]),
            near,
            common,
        )[0]
        for at in rich or range(len(before))
    )
    halfway = (1 + usual) / 2
    if not (low > halfway and inside > halfway):
        return ""
    return (
        f"has values that no earlier batch has in {percent(share)} of its rows (those of "
        f"{common:.6g}, its commonest value, aside), {percent(usual)} at most is usual: "
        "has its unit changed?"
    )


def _width(values: Array, rows: Array) -> float:
    """Return a standard deviation that tails do not move; 0 where there are no rows."""
    upto = np.cumsum(rows)
    if not upto[-1]:
        return 0.0
    low, high = values[np.searchsorted(upto, np.array(MIDDLE) * upto[-1])]
    return float(high / WIDTH - low / WIDTH)


def _share_new(
    column: Numbers, seen: Array, near: float, common: float, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Return the share of rows with a new value, its lower bound, and that within the range seen.

    0 where there are no such rows, or in the range fewer than 20.
    """
    from scipy.stats import beta

    seen = np.unique(seen)
    right = np.searchsorted(seen, column.points).clip(max=len(seen) - 1)
    gap = np.minimum(
        np.abs(seen[right] - column.points), np.abs(column.points - seen[np.maximum(right - 1, 0)])
    )
    other = np.abs(column.points - common) > near
    rows = np.where(other, column.upto - column.below, 0)
    new = np.where(gap > near, rows, 0)
    inside = (column.points >= seen[0]) & (column.points <= seen[-1])
    if not rows.sum():
        return 0.0, 0.0, 0.0
    share, values = float(new.sum() / rows.sum()), int(other.sum())
    # Draws: not more than there are new values
    found = min(share * values, float(np.count_nonzero(new)))
    low = float(beta.ppf((1 - confidence) / 2, found, values - found + 1)) if found else 0.0
    enough = rows[inside].sum() >= FEWEST_ROWS
    return share, low, float(new[inside].sum() / rows[inside].sum()) if enough else 0.0


def _points(columns: Sequence[Numbers]) -> list[Array]:
    return [column.points for column in columns]
