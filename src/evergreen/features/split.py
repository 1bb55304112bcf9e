"""Split: which rows train, which stop training early, and which judge.

By time, where `time` in dataset.py says when (`moments.py`): the newest batch judges. Else by a
hash of the key: a row has its part for ever, whatever comes later, so no champion has learnt from
what another is judged by. Where rows are few, cross-validation judges (`split.cross_validate_below`
in params.yaml), and all of them train what goes live.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from evergreen import formats
from evergreen.dataset import RESERVED, RESERVED_STARTS, Dataset
from evergreen.errors import InputError
from evergreen.features.keys import KEY, hash_rows
from evergreen.ingest.manifest import Manifest
from evergreen.project import Project

ROLES = ("train", "validation", "holdout")
SHARES = {
    "train": (0.0, 0.70),
    "validation": (0.70, 0.85),
    "holdout": (0.85, 1.0),
}  # of rows, where batches do not split them
TIME, LABEL = RESERVED  # columns of a features file beside the features
_, SLICE, GROUP = RESERVED_STARTS  # what the names of others begin with, beside KEY
CONTENT = KEY + "content"  # stands for the key of rows without one: a hash of what they hold
FEWEST_MOMENTS = 40  # of which cross-validation forward in time cuts off the newer half, in five
# And with it the moment, where rows come in the order of time: the same may happen again
AT = KEY + "at"


@dataclass(frozen=True)
class Part:
    """The rows of one role: of `batches`, with an event time from `start` to before `end`.

    With `shares`: those whose key hashes to a share of at least the first and below the second;
    `end` is then when the newest of the batches arrived.
    """

    batches: tuple[str, ...]
    start: str | None
    end: str | None
    shares: tuple[float, float] | None = None


@dataclass(frozen=True)
class Split:
    """Which rows train, which stop training early, and which judge (`holdout`).

    `judged`: where rows are few, those that cross-validation judges; by time the newer half, by key
    all.
    """

    train: Part
    validation: Part
    holdout: Part
    judged: Part | None = None

    @classmethod
    def of(cls, project: Project) -> Split:
        """Return the split that the last preparation made."""
        return cls.read(project.features / "split.json")

    @classmethod
    def read(cls, path: Path) -> Split:
        """Read a split back from JSON."""
        content = formats.unstamp(json.loads(path.read_text(encoding="utf-8")), path)
        for part in filter(None, content.values()):
            part["batches"] = tuple(part["batches"])
            part["shares"] = tuple(part["shares"]) if part.get("shares") else None
        judged = content.get("judged")
        train, validation, holdout = (Part(**content[role]) for role in ROLES)
        return cls(train, validation, holdout, Part(**judged) if judged else None)

    @property
    def judging(self) -> Part:
        """The rows that a way of training is judged by."""
        return self.judged or self.holdout

    def before_holdout(self) -> Part:
        """Return the rows before the holdout: what a model learns from before it is judged."""
        batches = tuple(dict.fromkeys([*self.train.batches, *self.validation.batches]))
        if self.train.shares and self.validation.shares:
            return Part(
                batches, None, self.train.end, (self.train.shares[0], self.validation.shares[1])
            )
        return Part(batches, None, self.validation.end)

    def all_rows(self) -> Part:
        """Return the rows that the live model learns from.

        All of them, but for a holdout that stays out for ever (by key).
        """
        stays_out = self.holdout.shares and not self.judged
        return self.before_holdout() if stays_out else Part(tuple(self.batches()), None, None)

    def batches(self) -> list[str]:
        """Return the batches that its parts are made of, each once."""
        return list(
            dict.fromkeys([*self.train.batches, *self.validation.batches, *self.holdout.batches])
        )

    @property
    def newest_judges(self) -> bool:
        """Whether the holdout is the newest batch as a whole."""
        return not self.judged and self.newest_apart

    @property
    def newest_apart(self) -> bool:
        """Whether no row of the newest batch is among the training or validation rows."""
        return not set(self.holdout.batches) & set(self.train.batches)

    def judging_rows(self) -> str:
        """Return what judges in words, the name of its newest batch last."""
        newest = self.judging.batches[-1]
        if self.judged:
            some = "all rows" if self.judged.shares else "the newer half of the rows"
            return f"cross-validation of {some} up to {newest}"
        if self.newest_judges:
            return newest
        start, end = self.holdout.shares or SHARES["holdout"]
        some = f"{end - start:.0%} of the rows" if self.holdout.shares else "the newest rows"
        return f"{some} {'of' if len(self.holdout.batches) == 1 else 'up to'} {newest}"


def split_rows(
    dataset: Dataset,
    done: Manifest,
    batches: list[str],
    train_batches: int | None,
    cross_validate_below: int | None = None,
) -> Split:
    """Return the split of the rows in `batches`, which are in order; at most so many of them train.

    `cross_validate_below`: with fewer rows cross-validation judges. Raises InputError where there
    are too few batches or moments to split by.
    """
    if not batches:
        raise InputError("no batch is validated yet: `evergreen ingest` and `validate` first")
    split = (split_by_time if dataset.time else _split_by_key)(done, batches, train_batches)
    if (
        not cross_validate_below
        or sum(done.entries[name]["rows"] for name in split.batches()) >= cross_validate_below
    ):
        return split
    return replace(split, judged=_find_judged(done, split))


def _split_by_key(done: Manifest, batches: list[str], train_batches: int | None) -> Split:
    chosen = tuple(batches if train_batches is None else batches[-train_batches:])
    end = done.entries[chosen[-1]]["end"]
    train, validation, holdout = (Part(chosen, None, end, SHARES[role]) for role in ROLES)
    return Split(train, validation, holdout)


def _find_judged(done: Manifest, split: Split) -> Part | None:
    """Return the rows that cross-validation judges; None where there are too few moments."""
    batches = tuple(split.batches())
    if split.holdout.shares:
        return Part(batches, None, split.holdout.end, (0.0, 1.0))
    times = pl.concat(
        [pl.read_parquet(done.file(name), columns=[TIME])[TIME] for name in batches]
    ).sort()
    middle = times[len(times) // 2]
    moments = min((times < middle).sum(), times.filter(times >= middle).n_unique())
    return Part(batches, str(middle), None) if moments >= FEWEST_MOMENTS // 2 else None


def split_by_time(done: Manifest, batches: list[str], train_batches: int | None) -> Split:
    """Return the split: the newest batch judges, that before it stops early, the others train.

    With fewer than three batches the rows are cut by time instead, 70 : 15 : 15. A row later than
    the start of the next part never trains, whatever batch it came in; where batches overlap in
    time, the next part starts where the fewest rows are lost to both.
    """
    if len(batches) >= 3:
        *earlier, middle, newest = batches
        train = tuple(earlier if train_batches is None else earlier[-train_batches:])
        first = _cut(done, train, middle, "")
        cuts = [first, _cut(done, (middle,), newest, first)]
        groups: tuple[tuple[str, ...], ...] = (train, (middle,), (newest,))
    else:
        times = pl.concat([pl.read_parquet(done.file(name), columns=[TIME]) for name in batches])[
            TIME
        ].sort()
        if times.n_unique() < 3:
            raise InputError(
                f"{len(times)} rows at {times.n_unique()} event times cannot be split by time: "
                "add batches"
            )
        cuts = [str(cut) for cut in cut_times(times)]
        if not str(times[0]) < cuts[0] < cuts[1]:
            raise InputError(
                f"{len(times)} rows cannot be split by time, they are too few or too many share "
                "one moment: add batches"
            )
        groups = (tuple(batches),) * 3
    return Split(
        Part(groups[0], None, cuts[0]),
        Part(groups[1], cuts[0], cuts[1]),
        Part(groups[2], cuts[1], None),
    )


def walk_back(done: Manifest, split: Split, before: Sequence[str]) -> Iterator[Split]:
    """Yield the split, then what it was when one batch less was there, and so on.

    `before`: the batches that it has left behind, in order; where there are any, as many train as
    now. Only as long as whole batches stop and judge; where they overlap so far that nothing is
    left, it is none.
    """
    yield split
    if not split.newest_judges:
        return
    batches = [*before, *split.batches()]
    window = len(split.train.batches) if before else None
    for count in range(len(batches) - 1, 2, -1):
        try:
            earlier = split_by_time(done, batches[:count], window)
        except InputError:
            continue
        yield earlier


def cut_times(times: pl.Series) -> tuple[Any, Any]:
    """Return the moments at which rows are cut into three parts; `times`: of each row, sorted."""
    first, second = (
        times[math.ceil(SHARES[role][1] * (len(times) - 1))] for role in ("train", "validation")
    )
    return first, second


def read_part(
    project: Project, part: Part, columns: Iterable[str | pl.Expr] | None = None
) -> pl.DataFrame:
    """Return the rows of one part of the split, in order of batch and time."""
    files = [project.features / f"{name}.parquet" for name in part.batches]
    if part.shares:
        return pl.concat([_read_share(file, part.shares, columns) for file in files])
    rows = pl.concat([pl.scan_parquet(file) for file in files], how="vertical")
    for edge, keep in ((part.start, pl.col(TIME).ge), (part.end, pl.col(TIME).lt)):
        if edge is not None:
            rows = rows.filter(keep(pl.lit(datetime.fromisoformat(edge))))
    return (rows if columns is None else rows.select(*columns)).collect()


def _read_share(
    file: Path, shares: tuple[float, float], columns: Iterable[str | pl.Expr] | None
) -> pl.DataFrame:
    rows = pl.scan_parquet(file)
    keys = rows.select(pl.selectors.starts_with(KEY)).collect()
    return (
        (rows if columns is None else rows.select(*columns)).collect().filter(within(keys, shares))
    )


def within(rows: pl.DataFrame, shares: tuple[float, float]) -> pl.Series:
    """Return which rows of a features file have a key whose hash is within `shares` of [0, 1)."""
    share = pl.Series((hash_rows(rows) >> 32) / 2**32)
    return (share >= shares[0]) & (share < shares[1])


def _cut(done: Manifest, before: tuple[str, ...], after: str, beyond: str) -> str:
    first = str(done.entries[after]["start"])
    if first > beyond and all(done.entries[name]["end"] < first for name in before):
        return first
    earlier = pl.concat(
        [pl.read_parquet(done.file(name), columns=[TIME])[TIME] for name in before]
    ).sort()
    later = pl.read_parquet(done.file(after), columns=[TIME])[TIME].sort()
    candidates = later.unique(maintain_order=True)
    if beyond:
        candidates = candidates.filter(candidates > datetime.fromisoformat(beyond))
    if candidates.is_empty():
        raise InputError(
            f"no row of batch {after!r} is later than the start of batch {before[-1]!r}: "
            "they cannot be split by time"
        )
    lost = (
        len(earlier)
        - earlier.search_sorted(candidates, side="left")
        + later.search_sorted(candidates, side="left").cast(pl.Int64)
    )
    return str(candidates[int(lost.arg_min() or 0)])
