"""Sketch: one batch in some thousand numbers, kept so that nobody reads history again.

A number is kept as its cumulative counts, exact at about a thousand of its values (at every one,
where it has no more of them), a category as the rows of each level, and some rows are kept as they
are. Sketches of many batches pool into one (`pooling.py`). Rows of one day are often alike (one
weather, one strike): how much so is measured here (`design_effect.py`), as nothing else sees rows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import polars as pl

from evergreen import formats
from evergreen.errors import InputError
from evergreen.files import write_whole
from evergreen.statistics.columns import (
    CELLS,
    POINTS,
    Array,
    Column,
    ColumnFacts,
    Count,
    Levels,
    Numbers,
)
from evergreen.statistics.design_effect import DaySample, sample_days

SKETCH = ".npz"  # what follows a batch's name
SAMPLE = 4000  # rows kept as they are
# What a column's facts are called in the file
STORED = {
    "missing": "missing",
    "infinite": "infinite",
    "design_effect": "alike",
    "missing_design_effect": "alike_missing",
}
# Sides of a sorted array on which infinite numbers and NaN begin
EDGES: tuple[tuple[float, Any], ...] = ((-np.inf, "right"), (np.inf, "left"), (np.nan, "left"))


@dataclass(frozen=True)
class Sketch:
    """A batch: how many rows, its columns, and some of its rows.

    `sample`: these rows; numbers of them are float32, NaN where missing. `blocks`, shape (rows of
    the sample,): equal for rows that belong together.
    """

    rows: int
    columns: dict[str, Column]
    sample: pl.DataFrame = field(repr=False)
    blocks: Array = field(repr=False)

    @property
    def knows_days(self) -> bool:
        """Whether it is known which rows belong together; with too few days it is not."""
        return len(np.unique(self.blocks)) < len(self.blocks)

    def write(self, path: Path) -> None:
        """Write one .npz file without objects, whole or not at all; equal sketches, equal bytes."""
        arrays = self._as_arrays()

        def save(part: Path) -> None:
            with part.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]

        write_whole(path, save)

    def _as_arrays(self) -> dict[str, Array]:
        numbers = {
            name: column for name, column in self.columns.items() if isinstance(column, Numbers)
        }
        head = {
            "rows": self.rows,
            "columns": {name: _as_plain(column) for name, column in self.columns.items()},
        }
        arrays: dict[str, Array] = {"head": _as_array(formats.stamp(head))}
        for at, column in enumerate(numbers.values()):
            # Small and regular: they pack well
            gaps = column.below - np.concatenate([[0], column.upto[:-1]])
            arrays |= {
                f"points{at}": column.points,
                f"gaps{at}": gaps,
                f"ties{at}": column.upto - column.below,
            }
        arrays["blocks"] = self.blocks
        arrays["sample"] = (
            self.sample.select(*numbers).to_numpy(order="fortran").astype(np.float32, copy=False)
        )
        for at, name in enumerate(name for name in self.columns if name not in numbers):
            levels = self._levels_of(name)
            places = self.sample[name].cast(pl.Enum(levels)).to_physical()
            arrays[f"levels{at}"] = places.fill_null(len(levels)).to_numpy()
        return arrays

    @classmethod
    def read(cls, path: Path) -> Sketch:
        """Read a sketch back. Raises InputError where the file is none."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                head = formats.unstamp(json.loads(arrays["head"].tobytes()), path)
                return cls._of(head, dict(arrays))
        except (ValueError, KeyError, TypeError, EOFError, OSError, BadZipFile) as error:
            raise InputError(
                f"{path} is no sketch of a batch ({error}): remove it, then run `evergreen run`"
            ) from error

    @classmethod
    def _of(cls, head: dict[str, Any], arrays: dict[str, Array]) -> Sketch:
        columns: dict[str, Column] = {}
        sample: dict[str, pl.Series] = {}
        numbers = levels = 0
        for name, content in head["columns"].items():
            facts = ColumnFacts(**{key: content[stored] for key, stored in STORED.items()})
            if (counts := content.get("counts")) is not None:
                columns[name] = Levels(counts, facts)
                known = pl.Series(name, [*counts, None], pl.String)
                sample[name] = known.gather(arrays[f"levels{levels}"].astype(np.uint32))
                levels += 1
            else:
                gaps, ties = arrays[f"gaps{numbers}"], arrays[f"ties{numbers}"]
                upto = np.cumsum(gaps + ties)
                columns[name] = Numbers(arrays[f"points{numbers}"], upto - ties, upto, facts)
                sample[name] = pl.Series(name, arrays["sample"][:, numbers])
                numbers += 1
        return cls(head["rows"], columns, pl.DataFrame(sample), arrays["blocks"])

    def _levels_of(self, name: str) -> list[str]:
        column = self.columns[name]
        assert isinstance(column, Levels)
        return list(column.counts)


def _as_array(head: dict[str, Any]) -> Array:
    return np.frombuffer(json.dumps(head).encode(), np.uint8)


def sketch(columns: pl.DataFrame, days: pl.Series | None, seed: int = 0) -> Sketch:
    """Return the sketch of `columns`, shape (rows, columns): text is a category, else a number.

    `days`, shape (rows,): which rows belong together (a date, or a time of which the date is
    taken); None, or fewer than 10 of them: rows count as independent. `seed`: of which rows are
    kept. Raises InputError where `days` has another length.
    """
    if days is not None and len(days) != columns.height:
        raise InputError(f"{len(days):,} days for {columns.height:,} rows: give one for each row")
    rows, draw = columns.height, np.random.default_rng(seed)
    some = np.sort(draw.choice(rows, SAMPLE, replace=False)) if rows > SAMPLE else np.arange(rows)
    day_sample, blocks = (None, some) if days is None else sample_days(days, some, draw)
    found: dict[str, Column] = {
        series.name: (_levels if series.dtype == pl.String() else _numbers)(series, day_sample)
        for series in columns
    }
    numbers = [name for name, column in found.items() if isinstance(column, Numbers)]
    sample = columns[some].with_columns(pl.col(numbers).cast(pl.Float32).fill_null(float("nan")))
    return Sketch(rows, found, sample, blocks.astype(np.int64))


def _as_plain(column: Column) -> dict[str, Any]:
    """Return what is kept of a column as JSON."""
    facts = {stored: getattr(column.facts, key) for key, stored in STORED.items()}
    return facts | ({"counts": column.counts} if isinstance(column, Levels) else {})


def _numbers(column: pl.Series, day_sample: DaySample | None) -> Numbers:
    values = (
        column.to_physical().to_numpy()
        if column.dtype.is_float()
        else column.cast(pl.Float64).to_numpy()
    )
    values = values if values.dtype == np.float32 else values.astype(np.float64, copy=False)
    ordered = np.sort(values)  # NaN comes last
    first, last, known = (int(np.searchsorted(ordered, edge, side)) for edge, side in EDGES)
    finite = ordered[first:last]
    points = np.unique(finite[_places(finite)]) if len(finite) else finite
    below, upto = (
        np.searchsorted(finite, points, side).astype(np.int64) for side in ("left", "right")
    )  # type: ignore[call-overload]
    facts = ColumnFacts(len(values) - known, known - len(finite))
    found = Numbers(points.astype(np.float64) + 0.0, below, upto, facts)
    if day_sample is None or not found.values:
        return found
    some = values[day_sample.rows]
    cells = np.zeros(len(some), np.uint8)
    for cut in _round_down(values.dtype, found.cuts(CELLS)):
        cells += some > cut
    is_finite = None if found.values == len(values) else np.isfinite(some)
    return replace(found, facts=_with_effects(found.facts, cells, day_sample, is_finite))


def _places(ordered: Array) -> Array:
    """Return where to read the points: the last of each value, or evenly spread if too many."""
    spread = np.linspace(0, len(ordered) - 1, POINTS).astype(np.intp)
    probe = ordered[:: max(1, len(ordered) // (4 * POINTS))]
    if np.count_nonzero(probe[1:] != probe[:-1]) >= POINTS:
        return spread
    changes = np.flatnonzero(ordered[1:] != ordered[:-1])
    return np.append(changes, len(ordered) - 1) if len(changes) < POINTS else spread


def _round_down(dtype: Any, cuts: Array) -> Array:
    """Return the largest numbers of `dtype` that are no larger than `cuts`."""
    near = cuts.astype(dtype)
    return np.asarray(np.where(near > cuts, np.nextafter(near, dtype.type(-np.inf)), near))


def _levels(column: pl.Series, day_sample: DaySample | None) -> Levels:
    counted = dict(column.value_counts(name="rows").iter_rows())
    facts = ColumnFacts(missing=counted.pop(None, 0))
    counts: dict[str, Count] = dict(sorted(counted.items()))
    if day_sample is None or not counts:
        return Levels(counts, facts)
    some = column if day_sample.each == 1.0 else column.gather(day_sample.rows)
    places = some.cast(pl.Enum(list(counts))).to_physical()
    codes = (places.fill_null(0) if places.null_count() else places).to_numpy()
    # The place of each level by number of rows: rare levels share the last cell
    order = np.argsort(np.argsort([-rows for rows in counts.values()], kind="stable"))
    cells = np.minimum(order, CELLS - 1).astype(np.uint8)[codes]
    known = some.is_not_null().to_numpy() if facts.missing else None
    return Levels(counts, _with_effects(facts, cells, day_sample, known))


def _with_effects(
    facts: ColumnFacts, cells: Array, day_sample: DaySample, known: Array | None
) -> ColumnFacts:
    missing = (
        facts.missing_design_effect
        if known is None
        else day_sample.design_effect(known.astype(np.uint8))
    )
    return replace(
        facts,
        design_effect=day_sample.design_effect(cells, known),
        missing_design_effect=missing,
    )
