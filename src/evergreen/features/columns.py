"""Columns: rows of which a few columns are in memory at a time, as all might not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from evergreen.features.split import Part
    from evergreen.project import Project

AT_ONCE = 2**21  # values that are read together


@dataclass(frozen=True)
class Columns:
    """Rows as a features file has them. `names`: of all columns; `read`: returns some of them."""

    names: tuple[str, ...]
    height: int
    read: Callable[[Sequence[str]], pl.DataFrame] = field(repr=False)

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Columns:
        """Return those of rows that are in memory."""
        return cls(tuple(frame.columns), frame.height, frame.select)

    @classmethod
    def of_part(cls, project: Project, part: Part) -> Columns:
        """Return those of a part of the split."""
        from evergreen.features.split import LABEL, read_part

        first = project.features / f"{part.batches[0]}.parquet"
        height = read_part(project, part, [LABEL]).height
        return cls(
            tuple(pl.read_parquet_schema(first)),
            height,
            lambda names: read_part(project, part, names),
        )

    def some(self, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the columns `names` in order, as many at a time as hold two million values."""
        each = max(1, AT_ONCE // max(1, self.height))
        for start in range(0, len(names), each):
            yield self.read(names[start : start + each])
