"""Cuts: where ways of training are tried, all of them before what the gate judges by.

The rows of the gate's holdout are never read. What is left is cut again and again as a project's
own rows are: by time a batch judges, that before it stops early, all earlier ones train, and so on
for each of the last batches. Where batches or rows are few, the newer half of the rows is cut into
stretches; where no column says when, rows are in a fold by the hash of their key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import polars as pl

from evergreen.errors import InputError
from evergreen.features.encoder import ENCODER, Encoder, levels_kept
from evergreen.features.keys import hash_rows
from evergreen.features.split import ROLES, TIME, Split, read_part, split_by_time
from evergreen.files import sha256_of
from evergreen.ingest.manifest import Manifest
from evergreen.params import Params
from evergreen.project import Project
from evergreen.promotion.candidate import days_of
from evergreen.promotion.compare import is_defined
from evergreen.training.cross_validation import fold_by_key, fold_by_time
from evergreen.training.tables import Tables, encode_rows, tables_of

Array = np.ndarray[Any, np.dtype[Any]]
Frames = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]  # that train, stop early, judge
FEWEST = 2  # cuts: with one, nothing could be tried on rows that did not choose it
MOST = 4  # as many of the newest, unless more are asked for


@dataclass(frozen=True)
class Cut:
    """Rows that train, that stop early and that judge (`tables.holdout`), called as the last.

    `days`: the day of each judging row, shape (rows,), which vary together; None: rows do so alone.
    """

    name: str
    tables: Tables = field(repr=False)
    days: Array | None = field(repr=False, default=None)

    @cached_property
    def digest(self) -> str:
        """The fingerprint of its rows."""
        judging = replace(self.tables, train=self.tables.holdout)
        return sha256_of(self.name, self.tables.digest(), judging.digest())


def find_cuts(project: Project, params: Params, most: int = MOST) -> tuple[Cut, ...]:
    """Return the cuts of what is prepared, oldest first, at most so many of the newest.

    Raises InputError where nothing is prepared, or where fewer than two can be made.
    """
    if not (project.features / "split.json").exists():
        raise InputError("nothing is prepared yet: `evergreen run` first")
    split, known = Split.of(project), Encoder.read(project.features / ENCODER)
    found: list[Cut] = []
    for newest_first in (_by_batch, _by_fold):
        every = (
            Cut(name, _encode(known, frames, params), days_of(frames[-1]))
            for name, frames in newest_first(project, split)
        )
        found = [*islice((cut for cut in every if _can_judge(cut.tables)), most)]
        if len(found) >= FEWEST:
            return tuple(reversed(found))
    raise InputError(
        f"the rows before {split.holdout.batches[-1]}, which only the gate may look at, are too "
        f"few to try anything on ({len(found)} of {FEWEST} cuts in time): add batches"
    )


def _by_batch(project: Project, split: Split) -> Iterator[tuple[str, Frames]]:
    """Yield the rows of each cut that a batch judges, as a project's own split then was."""
    if split.holdout.shares or split.judged:
        return
    before, done = split.before_holdout(), Manifest(project.features)
    for count in range(len(before.batches), 2, -1):
        earlier = list(before.batches[:count])
        with suppress(InputError):  # batches that overlap so far that nothing is left to judge
            then = split_by_time(done, earlier, None)
            judging = replace(then.holdout, end=before.end)
            parts = (then.train, then.validation, judging)
            yield earlier[-1], tuple(read_part(project, part) for part in parts)  # type: ignore[misc]


def _by_fold(project: Project, split: Split) -> Iterator[tuple[str, Frames]]:
    """Yield the rows of each fold of a cross-validation of the rows before the holdout."""
    rows = read_part(project, split.before_holdout())
    if split.holdout.shares:
        # The upper half of a hash has split the rows already, so that its lower half makes folds
        folds = fold_by_key(hash_rows(rows) << np.uint64(32), stopping=True)
        names = [f"fold {number}" for number in range(1, len(folds) + 1)]
        judged = rows
    else:
        times = rows[TIME].sort()
        judged = rows.filter(pl.col(TIME) >= times[len(times) // 2])
        folds = fold_by_time(rows[TIME].to_numpy(), judged[TIME].to_numpy(), stopping=True)
        names = [f"from {judged[fold.holdout][TIME].min()!s}" for fold in folds]
    for name, fold in reversed([*zip(names, folds, strict=True)]):
        yield name, (rows[fold.train], rows[fold.validation], judged[fold.holdout])


def _encode(known: Encoder, frames: Frames, params: Params) -> Tables:
    """Return the rows of a cut, encoded by what its training rows hold."""
    encoder = replace(known, levels=_levels(known, frames[0], params.prepare.min_level_rows))
    parts = (encode_rows(encoder, rows) for rows in frames)
    return tables_of(encoder, dict(zip(ROLES, parts, strict=True)))


def _levels(known: Encoder, rows: pl.DataFrame, fewest: int) -> dict[str, tuple[str, ...]]:
    counts = {name: rows[name].cast(pl.String).drop_nulls().value_counts() for name in known.levels}
    return levels_kept({name: dict(found.iter_rows()) for name, found in counts.items()}, fewest)


def _can_judge(tables: Tables) -> bool:
    """Return True if its rows can train, stop and judge a model."""
    enough = len(tables.train) and len(tables.validation)
    return bool(enough) and is_defined(tables.task, tables.holdout.y)
