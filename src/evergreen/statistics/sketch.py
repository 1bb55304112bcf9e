"""Sketch: one batch in some thousand numbers, so that whoever watches batches never reads history again.

A number is kept as its cumulative counts, exact at about a thousand of its values (at every one,
where it has no more of them), a category as the rows of each level, and some rows are kept as they
are. Sketches of many batches pool into one. Rows of one day are often alike (one weather, one
strike): how much so is measured here, as nothing else sees rows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import polars as pl

from evergreen import formats
from evergreen.errors import InputError
from evergreen.files import write_whole

Array = np.ndarray[Any, np.dtype[Any]]
Count = int | float  # a float once batches were pooled
SKETCH = ".npz"  # what follows a batch's name
POINTS = 1024  # values of a number that are kept
CELLS = 10  # into which a column is cut to see how alike the rows of a day are
SAMPLE = 4000  # rows kept as they are
FEWEST_DAYS = 10  # below, a variance between days is luck
# Rows that say how alike the rows of a day are; more tell little, as days are what is few
LOOKED_AT = 30_000


@dataclass(frozen=True)
class Rest:
    """What a column holds beside its values: rows that are missing (null or NaN), and infinite ones.

    `alike`: the design effect of the column's values, at least 1: how many times the variance of a
    share exceeds that of as many independent rows. `alike_missing`: that of being missing.
    """

    missing: Count = 0
    infinite: Count = 0
    alike: float = 1.0
    alike_missing: float = 1.0


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: `points`, ascending, and how many rows are below and at most each, shape (points,) all."""

    points: Array = field(repr=False)
    below: Array = field(repr=False)
    upto: Array = field(repr=False)
    rest: Rest

    @property
    def values(self) -> Count:
        """How many rows hold a finite number."""
        return self.upto[-1].item() if len(self.upto) else 0  # type: ignore[no-any-return]

    def count_upto(self, at: Array) -> Array:
        """Return how many rows are at most `at`: exact at the points, linear between them."""
        if not len(self.points):
            return np.zeros(len(at))
        after = np.searchsorted(self.points, at, side="right")
        left, right = np.maximum(after - 1, 0), np.minimum(after, len(self.points) - 1)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            share = (at / 2 - self.points[left] / 2) / (
                self.points[right] / 2 - self.points[left] / 2
            )
        between = self.upto[left] + np.nan_to_num(share).clip(0, 1) * (
            self.below[right] - self.upto[left]
        )
        return np.where(
            after == 0, 0.0, np.where(after == len(self.points), self.upto[-1], between)
        )

    def cuts(self, cells: int) -> Array:
        """Return where to cut into `cells` of equal rows: upper edges, but of the last.

        A value that would fill a cell has an edge before it too, and is left out of the rows that
        are made equal: else all rain would be one cell beside the dry hours. So cells may be fewer
        where values repeat; outer ones may be empty.
        """
        if not len(self.points):
            return self.points
        ties = self.upto - self.below
        filling = ties >= self.values / cells
        others = self.upto - np.cumsum(np.where(filling, ties, 0))
        parts = max(1, cells - int(filling.sum()))
        at = np.searchsorted(others, np.arange(1, parts) / parts * others[-1]) if others[-1] else []
        before = np.nextafter(self.points[filling], -np.inf)
        return np.unique(
            np.concatenate([self.points[np.asarray(at, np.intp)], before, self.points[filling]])
        )


@dataclass(frozen=True)
class Levels:
    """A category: rows by level, in order of their names."""

    counts: dict[str, Count]
    rest: Rest

    @property
    def values(self) -> Count:
        """How many rows have a level."""
        return sum(self.counts.values())


Column = Numbers | Levels


@dataclass(frozen=True)
class Witnesses:
    """Rows that say how alike those of a day are: which ones, their days, and how many rows each stands for."""

    rows: Array = field(repr=False)
    day: Array = field(repr=False)
    each: float

    def alike(self, cell: Array, known: Array | None = None) -> float:
        """Return the design effect of all rows, from the `cell` of each witness, or of those that are `known`.

        It is 1 + (m - 1) r for m rows a day with correlation r within it (Kish, Survey sampling,
        1965, section 5.4), so what exceeds 1 grows with the rows.
        """
        day = self.day if known is None else self.day[known]
        return 1.0 + (design_effect(cell if known is None else cell[known], day) - 1.0) * self.each


@dataclass(frozen=True)
class Sketch:
    """A batch: how many rows, its columns, and some of its rows; numbers of these are float32, NaN where missing.

    `blocks`, shape (rows of the sample,): equal for rows that belong together.
    """

    rows: int
    columns: dict[str, Column]
    sample: pl.DataFrame = field(repr=False)
    blocks: Array = field(repr=False)

    @property
    def knows_days(self) -> bool:
        """Whether rows are known to belong together: each is a block by itself where there were too few days."""
        return len(np.unique(self.blocks)) < len(self.blocks)

    def write(self, path: Path) -> None:
        """Write one file, whole or not at all; equal sketches give equal bytes. NumPy's .npz without objects."""
        numbers = {name: one for name, one in self.columns.items() if isinstance(one, Numbers)}
        head = {
            "rows": self.rows,
            "columns": {
                name: asdict(one.rest) | ({"counts": one.counts} if isinstance(one, Levels) else {})
                for name, one in self.columns.items()
            },
        }
        arrays: dict[str, Array] = {"head": _as_array(formats.stamp(head))}
        for at, one in enumerate(numbers.values()):
            # Small and regular: they pack well
            gaps = one.below - np.concatenate([[0], one.upto[:-1]])
            arrays |= {
                f"points{at}": one.points,
                f"gaps{at}": gaps,
                f"ties{at}": one.upto - one.below,
            }
        arrays["blocks"] = self.blocks
        arrays["sample"] = (
            self.sample.select(*numbers).to_numpy(order="fortran").astype(np.float32, copy=False)
        )
        for at, name in enumerate(name for name in self.columns if name not in numbers):
            arrays[f"levels{at}"] = self.sample[name].cast(pl.Enum(self._names(name))).to_physical().fill_null(
                len(self._names(name))
            ).to_numpy()  # fmt: skip

        def save(part: Path) -> None:
            with part.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]

        write_whole(path, save)

    @classmethod
    def read(cls, path: Path) -> Sketch:
        """Read a sketch back. Raises InputError where the file is none."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                head = formats.unstamp(json.loads(arrays["head"].tobytes()), path)
                return cls._of(head, dict(arrays))
        except (ValueError, KeyError, TypeError, EOFError, OSError, BadZipFile) as error:
            raise InputError(
                f"{path} is no sketch of a batch ({error}): remove it and prepare again"
            ) from error

    @classmethod
    def _of(cls, head: dict[str, Any], arrays: dict[str, Array]) -> Sketch:
        columns: dict[str, Column] = {}
        sample: dict[str, pl.Series] = {}
        numbers = levels = 0
        for name, one in head["columns"].items():
            if (counts := one.pop("counts", None)) is not None:
                columns[name] = Levels(counts, Rest(**one))
                known = pl.Series(name, [*counts, None], pl.String)
                sample[name] = known.gather(arrays[f"levels{levels}"].astype(np.uint32))
                levels += 1
            else:
                gaps, ties = arrays[f"gaps{numbers}"], arrays[f"ties{numbers}"]
                upto = np.cumsum(gaps + ties)
                columns[name] = Numbers(arrays[f"points{numbers}"], upto - ties, upto, Rest(**one))
                sample[name] = pl.Series(name, arrays["sample"][:, numbers])
                numbers += 1
        return cls(head["rows"], columns, pl.DataFrame(sample), arrays["blocks"])

    def _names(self, name: str) -> list[str]:
        column = self.columns[name]
        assert isinstance(column, Levels)
        return list(column.counts)


def _as_array(head: dict[str, Any]) -> Array:
    return np.frombuffer(json.dumps(head).encode(), np.uint8)


def sketch(columns: pl.DataFrame, days: pl.Series | None, seed: int = 0) -> Sketch:
    """Return the sketch of `columns`, shape (rows, columns): text is a category, all else a number.

    `days`, shape (rows,): which rows belong together (a date, or a time of which the date is
    taken); None, or fewer than 10 of them: rows count as independent. `seed`: of which rows are
    kept. Raises InputError where `days` has another length.
    """
    if days is not None and len(days) != columns.height:
        raise InputError(f"{len(days):,} days for {columns.height:,} rows: give one for each row")
    rows, draw = columns.height, np.random.default_rng(seed)
    some = np.sort(draw.choice(rows, SAMPLE, replace=False)) if rows > SAMPLE else np.arange(rows)
    witnesses, blocks = (None, some) if days is None else _call(days, some, draw)
    found: dict[str, Column] = {
        column.name: (_levels if column.dtype == pl.String() else _numbers)(column, witnesses)
        for column in columns
    }
    numbers = [name for name, one in found.items() if isinstance(one, Numbers)]
    sample = columns[some].with_columns(pl.col(numbers).cast(pl.Float32).fill_null(float("nan")))
    return Sketch(rows, found, sample, blocks.astype(np.int64))


def _call(
    days: pl.Series, some: Array, draw: np.random.Generator
) -> tuple[Witnesses | None, Array]:
    """Choose witnesses, one of so many neighbours so that each day has its share; and number the days of rows `some`.

    No witnesses for fewer than 10 days, where each row is a block by itself.
    """
    each = max(1.0, len(days) / LOOKED_AT)
    rows = (np.arange(min(len(days), LOOKED_AT)) * each).astype(np.intp)
    if each > 1.0:
        rows = np.minimum(rows + draw.integers(0, int(each), len(rows)), len(days) - 1)
    day = _number(days.gather(np.concatenate([rows, some])))
    if day.max(initial=-1) + 1 < FEWEST_DAYS:  # they are numbered without gaps
        return None, some
    return Witnesses(rows, day[: len(rows)], each), day[len(rows) :]


def pool(sketches: Sequence[Sketch]) -> Sketch:
    """Return one sketch of the rows of all: of the columns that all have, each batch weighing as its rows.

    Counts between the points of a batch are read off a line, so those of the pool are off by less
    than 1/1024 of that batch's rows. Raises InputError where there is no sketch, or a column is a
    number in one and a category in another.
    """
    if not sketches:
        raise InputError("no batch to pool: give one sketch at least")
    if len(sketches) == 1:
        return sketches[0]
    columns: dict[str, Column] = {
        name: _pool_column(parts) for name, parts in _shared(sketches).items()
    }
    rows = sum(one.rows for one in sketches)
    kept = [
        _spread_over(len(one.blocks), round(SAMPLE * one.rows / max(rows, SAMPLE)))
        for one in sketches
    ]
    sample = pl.concat(
        [one.sample.select(*columns)[some] for one, some in zip(sketches, kept, strict=True)]
    )
    # No two batches share a block
    starts = np.cumsum([0, *(one.blocks.max(initial=-1) + 1 for one in sketches)])
    blocks = [
        one.blocks[some] + start for one, some, start in zip(sketches, kept, starts, strict=False)
    ]
    return Sketch(rows, columns, sample, np.concatenate(blocks))


def pool_others(
    sketches: Sequence[Sketch], names: Collection[str] | None = None
) -> list[dict[str, Column]]:
    """Return for each sketch the columns (or `names` of them) of the pool of all others, of which there must be one."""
    found: list[dict[str, Column]] = [{} for _ in sketches]
    for name, parts in _shared(sketches).items():
        if names is not None and name not in names:
            continue
        if not isinstance(parts[0], Numbers):
            for at, columns in enumerate(found):
                columns[name] = _pool_column([*parts[:at], *parts[at + 1 :]])
            continue
        points = _grid(parts)  # type: ignore[arg-type]
        below, upto = _counts_at(points, parts)  # type: ignore[arg-type]
        for at, columns in enumerate(found):
            rest = _pool_rest([*parts[:at], *parts[at + 1 :]])
            before, within = ((one.sum(axis=0) - one[at]).clip(0) for one in (below, upto))
            columns[name] = Numbers(points, before, within, rest)
    return found


def _shared(sketches: Sequence[Sketch]) -> dict[str, list[Column]]:
    found = {}
    for name in (
        name for name in sketches[0].columns if all(name in one.columns for one in sketches)
    ):
        found[name] = [one.columns[name] for one in sketches]
        if len({type(one) for one in found[name]}) > 1:
            raise InputError(
                f"column {name!r} is a number in one batch and a category in another: prepare them alike"
            )
    return found


def _numbers(column: pl.Series, witnesses: Witnesses | None) -> Numbers:
    values = (
        column.to_physical().to_numpy()
        if column.dtype.is_float()
        else column.cast(pl.Float64).to_numpy()
    )
    values = values if values.dtype == np.float32 else values.astype(np.float64, copy=False)
    ordered = np.sort(values)  # NaN comes last
    first, last, known = (int(np.searchsorted(ordered, edge, side)) for edge, side in _EDGES)
    finite = ordered[first:last]
    points = np.unique(finite[_places(finite)]) if len(finite) else finite
    below, upto = (
        np.searchsorted(finite, points, side).astype(np.int64) for side in ("left", "right")
    )  # type: ignore[call-overload]
    found = Numbers(
        points.astype(np.float64) + 0.0, below, upto, Rest(len(values) - known, known - len(finite))
    )
    if witnesses is None or not found.values:
        return found
    some = values[witnesses.rows]
    cells = np.zeros(len(some), np.uint8)
    for cut in _as(values.dtype, found.cuts(CELLS)):
        cells += some > cut
    finite_ones = None if found.values == len(values) else np.isfinite(some)
    return replace(found, rest=_alike(found.rest, cells, witnesses, finite_ones))


def _places(ordered: Array) -> Array:
    """Return where to read the points: the last of each value, or evenly spread where there are too many of them."""
    spread = np.linspace(0, len(ordered) - 1, POINTS).astype(np.intp)
    probe = ordered[:: max(1, len(ordered) // (4 * POINTS))]
    if np.count_nonzero(probe[1:] != probe[:-1]) >= POINTS:
        return spread
    changes = np.flatnonzero(ordered[1:] != ordered[:-1])
    return np.append(changes, len(ordered) - 1) if len(changes) < POINTS else spread


def _as(dtype: Any, cuts: Array) -> Array:
    """Return the largest numbers of `dtype` that are no larger than `cuts`: what is above one is above the other."""
    near = cuts.astype(dtype)
    return np.asarray(np.where(near > cuts, np.nextafter(near, dtype.type(-np.inf)), near))


_EDGES: tuple[tuple[float, Any], ...] = ((-np.inf, "right"), (np.inf, "left"), (np.nan, "left"))


def _levels(column: pl.Series, witnesses: Witnesses | None) -> Levels:
    counted = dict(column.value_counts(name="rows").iter_rows())
    rest = Rest(missing=counted.pop(None, 0))
    counts: dict[str, Count] = dict(sorted(counted.items()))
    if witnesses is None or not counts:
        return Levels(counts, rest)
    some = column if witnesses.each == 1.0 else column.gather(witnesses.rows)
    places = some.cast(pl.Enum(list(counts))).to_physical()
    codes = (places.fill_null(0) if places.null_count() else places).to_numpy()
    # Its place by number of rows
    order = np.argsort(np.argsort([-rows for rows in counts.values()], kind="stable"))
    cells = np.minimum(order, CELLS - 1).astype(np.uint8)[codes]
    return Levels(
        counts,
        _alike(rest, cells, witnesses, some.is_not_null().to_numpy() if rest.missing else None),
    )


def _alike(rest: Rest, cells: Array, witnesses: Witnesses, known: Array | None) -> Rest:
    missing = rest.alike_missing if known is None else witnesses.alike(known.astype(np.uint8))
    return replace(rest, alike=witnesses.alike(cells, known), alike_missing=missing)


def design_effect(cell: Array, day: Array) -> float:
    """Return how many times rows that are alike within a day multiply the variance of the shares of cells; at least 1.

    `cell`, `day`: small whole numbers, shape (rows,). The mean of the cells' design effects,
    weighted by 1 - share: the first-order correction of Rao and Scott, The analysis of categorical
    data from complex sample surveys, 1981; the variance of a share is that of a ratio of sums over
    days (Cochran, Sampling techniques, 1977, section 6.3). 1 for fewer than 10 days. Days are taken
    as independent of one another.
    """
    size = int(cell.max(initial=0)) + 1
    table = np.bincount(
        day.astype(np.intp, copy=False) * size + cell,
        minlength=(int(day.max(initial=0)) + 1) * size,
    )
    return effect_of(table.reshape(-1, size), FEWEST_DAYS)


def effect_of(table: Array, fewest: int) -> float:
    """Return the design effect from `table`, rows by group (day, batch) and cell; 1 for fewer than `fewest` groups."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    groups, cells = table.shape
    if groups < fewest or cells < 2:
        return 1.0
    total = table.sum()
    share = table.sum(axis=0) / total
    apart = np.square(table - table.sum(axis=1, keepdims=True) * share).sum(axis=0)
    return max(1.0, float((apart / share).sum() / total / (cells - 1) * groups / (groups - 1)))


def _number(days: pl.Series) -> Array:
    """Return the days as 0, 1, 2 ...; rows without one share one."""
    if isinstance(days.dtype, pl.Datetime):
        days = days.dt.date()
    ranks = days.rank("dense").fill_null(0)
    return (ranks - (ranks.min() or 0)).cast(pl.Int64).to_numpy()  # type: ignore[operator]


def _pool_column(parts: Sequence[Column]) -> Column:
    categories = [one for one in parts if isinstance(one, Levels)]
    if categories:
        counts: dict[str, Count] = dict.fromkeys(
            sorted({name for one in categories for name in one.counts}), 0
        )
        for one in categories:
            for name, rows in one.counts.items():
                counts[name] += rows
        return Levels(counts, _pool_rest(parts))
    points = _grid(parts)  # type: ignore[arg-type]
    below, upto = _counts_at(points, parts)  # type: ignore[arg-type]
    return Numbers(points, below.sum(axis=0), upto.sum(axis=0), _pool_rest(parts))


def _grid(parts: Sequence[Numbers]) -> Array:
    """Return the points of a pool: all of its parts', or those that have about equal rows between them."""
    points = np.concatenate([one.points for one in parts])
    rows = np.concatenate([np.diff(one.upto, prepend=0) for one in parts])
    order = np.argsort(points, kind="stable")
    points, rows = points[order], np.cumsum(rows[order])
    if len(unique := np.unique(points)) <= POINTS:
        return unique
    at = np.searchsorted(rows, np.linspace(0, 1, POINTS) * rows[-1]).clip(0, len(rows) - 1)
    return np.unique(np.concatenate([points[:1], points[at], points[-1:]]))


def _counts_at(points: Array, parts: Sequence[Numbers]) -> tuple[Array, Array]:
    """Return how many rows of each part are below and at most each point, shape (parts, points)."""
    before = np.nextafter(points, -np.inf)
    below, upto = ([one.count_upto(at) for one in parts] for at in (before, points))
    return np.array(below), np.array(upto)


def _pool_rest(parts: Sequence[Column]) -> Rest:
    """Add up; a design effect is the mean over rows: variances of the parts' shares add as those of their counts do."""
    values = [one.values for one in parts]
    rows = [one.values + one.rest.missing + one.rest.infinite for one in parts]
    return Rest(
        sum(one.rest.missing for one in parts),
        sum(one.rest.infinite for one in parts),
        _mean([one.rest.alike for one in parts], values),
        _mean([one.rest.alike_missing for one in parts], rows),
    )


def _mean(effects: Sequence[float], rows: Sequence[Count]) -> float:
    weights = rows if sum(rows) else list(repeat(1, len(effects)))
    return float(np.average(effects, weights=weights))


def _spread_over(length: int, count: int) -> Array:
    """Return `count` places of `length`, or all, evenly spread."""
    kept = min(length, count)
    return np.arange(kept) * length // max(1, kept)
