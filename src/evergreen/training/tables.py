"""The three parts of the split as arrays: what every learner and every metric starts from.

Where rows are few, a way of training is judged by cross-validation: all rows train, and each fold
of those that judge has a model that has not learnt from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.metric import Task
from evergreen.training.blocks import encode_parts

if TYPE_CHECKING:
    import polars as pl

    from evergreen.features.encoder import Encoder
    from evergreen.features.keys import Hashes
    from evergreen.features.split import Part, Split
    from evergreen.project import Project

Array = np.ndarray[Any, np.dtype[np.float32]]
Places = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class Table:
    """Encoded rows.

    `x`: float32, shape (rows, features); `y`: float32, (rows,); `keys`: hashes of the rows' keys,
    (rows,). Rows that do not fit into memory lie in files: `x` and `keys` are then read-only, an
    `np.memmap` each.
    """

    x: Array = field(repr=False)
    y: Array = field(repr=False)
    keys: Hashes | None = field(repr=False, default=None)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, places: Places) -> Table:
        """Return some of the rows."""
        return Table(
            self.x[places], self.y[places], None if self.keys is None else self.keys[places]
        )

    @property
    def on_disk(self) -> bool:
        """Whether its rows lie in a file."""
        return isinstance(self.x, np.memmap)

    def none(self) -> Table:
        """Return a table of the same columns without a row."""
        return self.take(np.empty(0, np.intp))


@dataclass(frozen=True)
class Fold:
    """The rows of one model of a cross-validation, each as places, shape (rows,).

    `train`, `validation`: those of the training rows that it learns from and is stopped by;
    `holdout`: those that judge it.
    """

    train: Places = field(repr=False)
    validation: Places = field(repr=False)
    holdout: Places = field(repr=False)


@dataclass(frozen=True)
class Tables:
    """The three parts of the split, encoded, and what their columns and classes are called.

    Without validation rows nothing stops a training early. `folds`: of a cross-validation; else
    there are none.
    """

    task: Task
    features: tuple[str, ...]
    categories: tuple[str, ...]
    classes: tuple[str, ...]
    train: Table
    validation: Table
    holdout: Table
    encoder: Encoder | None = None  # what encoded them; packaged with the model
    folds: tuple[Fold, ...] = ()

    def parts(self) -> list[Tables]:
        """Return the tables of each model: one for each fold; without folds, itself."""
        return [
            replace(
                self,
                train=self.train.take(fold.train),
                validation=self.train.take(fold.validation),
                holdout=self.holdout.take(fold.holdout),
                folds=(),
            )
            for fold in self.folds
        ] or [self]

    def judging(self) -> Tables:
        """Return them less the rows that a trained model no longer needs; with folds, as they are.

        So these are not in memory while others are read.
        """
        if self.folds:
            return self
        return replace(self, train=self.train.none(), validation=self.validation.none())

    def without_rows(self) -> Tables:
        """Return what a trained and judged model needs of them; with folds, all as they are."""
        return self if self.folds else replace(self.judging(), holdout=self.holdout.none())

    def gather(self, predicted: Sequence[Array]) -> Array:
        """Return the predictions for all holdout rows, given those of each part."""
        if not self.folds:
            return predicted[0]
        found = np.empty((len(self.holdout), *predicted[0].shape[1:]), predicted[0].dtype)
        for fold, values in zip(self.folds, predicted, strict=True):
            found[fold.holdout] = values
        return found

    def rows_learnt(self) -> int:
        """Return how many rows a model learns from, the mean over folds."""
        return (
            round(float(np.mean([len(fold.train) for fold in self.folds])))
            if self.folds
            else len(self.train)
        )

    def digest(self) -> str:
        """Return the fingerprint of the rows that a model learns from and is stopped by."""
        found = hashlib.sha256(repr((self.task, self.features, self.classes)).encode())
        folds = (places for fold in self.folds for places in (fold.train, fold.validation))
        for arrays in ((self.train.x, self.train.y), (self.validation.x, self.validation.y), folds):
            for array in arrays:
                found.update(repr(array.shape).encode())
                found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


def load_tables(project: Project, *, on_disk: bool = False) -> Tables:
    """Read `data/features/` and encode it.

    `on_disk`, here and below: training rows lie in a file, not in memory.
    """
    from evergreen.features.encoder import ENCODER

    encoder, split = _encoder(project, ENCODER), _split(project)
    return _load(project, encoder, [split.train], [split.validation], [split.holdout], on_disk)


def load_stopping(project: Project, split: Split | None = None, *, on_disk: bool = False) -> Tables:
    """Read what early stopping needs: the rows of `load_judged`, less those that stop training.

    `split`: an earlier one; None: that of the project. No row judges but those of folds.
    """
    from evergreen.features.encoder import ENCODER

    now = _split(project)
    if now.judged:
        return _load_folds(project, stopping=True)
    then = split or now
    encoder = _encoder(project, ENCODER)
    return _load(project, encoder, [then.train], [then.validation], [], on_disk)


def load_judged(project: Project, *, on_disk: bool = False) -> Tables:
    """Read what a way of training is judged by.

    All earlier rows and the holdout, or the folds of a cross-validation.
    """
    if _split(project).judged:
        return _load_folds(project, stopping=False)
    return load_before_holdout(project, on_disk=on_disk)


def load_before_holdout(project: Project, *, on_disk: bool = False) -> Tables:
    """Read the rows before the holdout, none of which stops a training early, and the holdout."""
    from evergreen.features.encoder import ENCODER

    encoder, split = _encoder(project, ENCODER), _split(project)
    return _load(project, encoder, [split.before_holdout()], [], [split.holdout], on_disk)


def load_around(project: Project, *, on_disk: bool = False) -> Tables:
    """Read what shows the influence of the holdout.

    Training rows are joined by those of the holdout, and the rows between them judge.
    """
    from evergreen.features.encoder import ENCODER

    encoder, split = _encoder(project, ENCODER), _split(project)
    both = [split.train, split.holdout]
    return _load(project, encoder, both, [], [split.validation], on_disk)


def load_all(project: Project, *, on_disk: bool = False) -> Tables:
    """Read what the live model learns from.

    That is every row, those of the holdout included where a column says when they happened.
    """
    from evergreen.features.encoder import LIVE_ENCODER

    encoder, split = _encoder(project, LIVE_ENCODER), _split(project)
    return _load(project, encoder, [split.all_rows()], [], [split.judging], on_disk)


def _load_folds(project: Project, *, stopping: bool) -> Tables:
    from evergreen.features.encoder import LIVE_ENCODER
    from evergreen.features.split import TIME, read_part
    from evergreen.training.cross_validation import fold_by_key, fold_by_time

    split, encoder = _split(project), _encoder(project, LIVE_ENCODER)
    assert split.judged
    found = _load(project, encoder, [split.all_rows()], [], [split.judged], on_disk=False)
    if split.judged.shares:
        assert found.train.keys is not None
        folds = fold_by_key(found.train.keys, stopping=stopping)
    else:
        train, judged = (
            read_part(project, part, [TIME])[TIME] for part in (split.all_rows(), split.judged)
        )
        folds = fold_by_time(train.to_numpy(), judged.to_numpy(), stopping=stopping)
    return replace(found, folds=folds)


def _load(
    project: Project,
    encoder: Encoder,
    train: list[Part],
    validation: list[Part],
    holdout: list[Part],
    on_disk: bool,
) -> Tables:
    read = partial(encode_parts, project, encoder=encoder, on_disk=on_disk)
    parts = {"train": read(train), "validation": read(validation)}
    return tables_of(encoder, parts | {"holdout": encode_parts(project, holdout, encoder)})


def _split(project: Project) -> Split:
    from evergreen.features.split import Split

    return Split.of(project)


def _encoder(project: Project, name: str) -> Encoder:
    from evergreen.features.encoder import Encoder

    return Encoder.read(project.features / name)


def encode_rows(encoder: Encoder, rows: pl.DataFrame) -> Table:
    """Return prepared rows as a model takes them."""
    from evergreen.features.keys import hash_rows
    from evergreen.features.split import LABEL

    return Table(encoder.transform(rows), encoder.transform_label(rows[LABEL]), hash_rows(rows))


def tables_of(encoder: Encoder, parts: dict[str, Table]) -> Tables:
    """Return the tables of `parts`, by role, encoded by `encoder`."""
    task: Task = encoder.task  # type: ignore[assignment]  # checked when it was fitted
    return Tables(
        task,
        encoder.features,
        tuple(encoder.levels),
        encoder.classes,
        parts["train"],
        parts["validation"],
        parts["holdout"],
        encoder,
    )
