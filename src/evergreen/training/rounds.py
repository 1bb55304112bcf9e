"""Rounds: how often to boost, found by early stopping on cuts that walk forward in time.

Three seeds each learn from the batches before another of the newest, and stop where they predict
that one best. What they keep grows with the rows, since more data bears more rounds. The median of
the three counts: what one batch says is luck (`python -m benchmarks.rounds`). Of two cuts the one
that bears more rounds counts, as too few cost more than too many.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from statistics import median_high
from typing import TYPE_CHECKING

import numpy as np

from evergreen.training.tables import Tables, load_stopping

if TYPE_CHECKING:
    from evergreen.features.split import Split
    from evergreen.ingest.manifest import Manifest
    from evergreen.project import Project

ROUND_SEEDS = 3  # that early stopping asks how many rounds to boost
# Of the rows that the newest cut learns from, and is stopped by, as many has each other one: what a
# few rows say of many is a guess
FEWEST = 0.25


@dataclass(frozen=True)
class Cut:
    """Rows that stop a training early, in words, and how to read them with those before them."""

    stopped_by: str
    load: Callable[[], Tables] = field(repr=False)


@dataclass(frozen=True)
class Stop:
    """How many rounds the seeds of a cut kept, which learnt from so many rows."""

    stopped_by: str
    rows: int
    kept: tuple[int, ...]


@dataclass(frozen=True)
class Rounds:
    """What early stopping found: a stop for each cut, the newest first."""

    stops: tuple[Stop, ...]
    at_most: int

    def on(self, rows: int) -> int:
        """Return how often to boost on so many rows."""
        return max(1, min(self.at_most, round(median_high(self.each(rows)))))

    def each(self, rows: int) -> list[float]:
        """Return what each cut says of so many rows."""
        return [float(np.median(s.kept)) * max(1.0, rows / s.rows) for s in self.stops]

    def tell(self) -> str:
        """Return what each cut found, in words."""
        return "; ".join(
            f"{', '.join(f'{kept:,}' for kept in stop.kept)} on {stop.rows:,} rows, stopped by "
            f"{stop.stopped_by}"
            for stop in self.stops
        )


# Trains seeds on the rows of a cut; returns how many rounds each kept
Fit = Callable[[Cut, Tables, Sequence[int]], Iterable[int]]


def find_rounds(cuts: Sequence[Cut], seeds: Sequence[int], at_most: int, fit: Fit) -> Rounds:
    """Deal out the first of the seeds to the cuts, newest first, and find where each stops."""
    seeds = seeds[:ROUND_SEEDS]
    cuts = cuts[: len(seeds)]
    stops = (_stop(cut, seeds[at :: len(cuts)], fit) for at, cut in enumerate(cuts))
    return Rounds(tuple(stops), at_most)


def _stop(cut: Cut, seeds: Sequence[int], fit: Fit) -> Stop:
    tables = cut.load()  # of one cut at a time
    return Stop(cut.stopped_by, tables.rows_learnt(), tuple(fit(cut, tables, seeds)))


def find_cuts(project: Project, held: Collection[str], *, on_disk: bool = False) -> list[Cut]:
    """Return the cuts of what is prepared, newest first: at most one for each seed.

    A window of batches (`split.train_batches`) moves back as a whole: shorter history is another
    problem, which may lack a season. `held`: the batches that are held back.

    It is one alone where there are fewer than four batches, where a hash of the key splits the rows
    (other shares of them would be as this one), and where cross-validation has cuts of its own.
    """
    from evergreen.features.split import Split, walk_back
    from evergreen.ingest.manifest import Manifest

    split = Split.of(project)
    if split.judged:
        return [Cut("the rows before each fold", partial(load_stopping, project))]
    done = Manifest(project.features)
    before = _left_behind(done, split, held)
    newest, *earlier = islice(walk_back(done, split, before), ROUND_SEEDS)
    most = _count(project, newest) if earlier else []
    known = [newest, *(then for then in earlier if _tells(_count(project, then), most))]
    return [
        Cut(_name(then), partial(load_stopping, project, then, on_disk=on_disk)) for then in known
    ]


def _left_behind(done: Manifest, split: Split, held: Collection[str]) -> list[str]:
    """Return the batches older than those of the split, less those that are held back."""
    batches = list(done.in_order())
    older = batches[: batches.index(split.train.batches[0])]
    return [name for name in older if name not in held]


def _name(split: Split) -> str:
    return split.validation.batches[-1] if split.newest_apart else "some of the rows"


def _count(project: Project, split: Split) -> list[tuple[int, set[str]]]:
    """Return how many rows learn, and how many stop, and the classes of each."""
    import polars as pl

    from evergreen.features.encoder import ENCODER, Encoder, as_class
    from evergreen.features.split import LABEL, read_part

    labelled = bool(Encoder.read(project.features / ENCODER).classes)
    labels = pl.col(LABEL).unique().implode() if labelled else pl.lit([], pl.List(pl.String))
    asked, found = [pl.len().alias("rows"), labels.alias("labels")], []
    for part in (split.train, split.validation):
        told = read_part(project, part, asked)
        found.append((int(told["rows"][0]), set(as_class(told["labels"][0]))))
    return found


def _tells(some: list[tuple[int, set[str]]], newest: list[tuple[int, set[str]]]) -> bool:
    """Return True if a cut has enough of the newest one's rows, and the same classes.

    Without a class there is nothing to learn, or nothing that stops; one that is gone has no code.
    """
    classes = newest[0][1] | newest[1][1]
    return all(
        rows >= max(1, FEWEST * most) and known <= labels <= classes
        for (rows, labels), (most, known) in zip(some, newest, strict=True)
    )
