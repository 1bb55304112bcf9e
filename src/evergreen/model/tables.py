"""The three parts of the split as arrays: what every learner and every metric starts from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.params import Task

if TYPE_CHECKING:
    from evergreen.data.encoder import Encoder
    from evergreen.data.keys import Hashes
    from evergreen.data.split import Part, Split
    from evergreen.project import Project

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Table:
    """Encoded rows: `x` float32, shape (rows, features); `y` float32, (rows,); `keys` hashes of row keys, (rows,)."""

    x: Array = field(repr=False)
    y: Array = field(repr=False)
    keys: Hashes | None = field(repr=False, default=None)

    def __len__(self) -> int:
        return len(self.y)

    def with_rows(self, other: Table) -> Table:
        """Return its rows and then those of another."""
        assert self.keys is not None
        assert other.keys is not None
        x, y = np.concatenate([self.x, other.x]), np.concatenate([self.y, other.y])
        return Table(x, y, np.concatenate([self.keys, other.keys]))

    def none(self) -> Table:
        """Return a table of the same columns without a row."""
        return Table(self.x[:0], self.y[:0], None if self.keys is None else self.keys[:0])


@dataclass(frozen=True)
class Tables:
    """The three parts of the split, encoded, and what their columns and classes are called.

    Without validation rows nothing stops a training early.
    """

    task: Task
    features: tuple[str, ...]
    categories: tuple[str, ...]
    classes: tuple[str, ...]
    train: Table
    validation: Table
    holdout: Table
    encoder: Encoder | None = None  # what encoded them; packaged with the model

    def digest(self) -> str:
        """Return what stands for the rows that a model learns from and is stopped by: equal rows, equal digests."""
        found = hashlib.sha256(repr((self.task, self.features, self.classes)).encode())
        for part in (self.train, self.validation):
            for array in (part.x, part.y):
                found.update(repr(array.shape).encode())
                found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


def load_tables(project: Project) -> Tables:
    """Read `data/features/` and encode it."""
    from evergreen.data.encoder import ENCODER
    from evergreen.data.split import ROLES

    encoder, split = _encoder(project, ENCODER), _split(project)
    return _tables(encoder, {role: _encode(project, getattr(split, role), encoder) for role in ROLES})


def load_before_holdout(project: Project) -> Tables:
    """Read what a model learns from before the holdout judges it: all earlier rows, none of which stops it early."""
    from evergreen.data.encoder import ENCODER

    return _learnt(project, _encoder(project, ENCODER), _split(project).before_holdout())


def load_around(project: Project) -> Tables:
    """Read what shows the holdout's influence: training rows with the holdout's, and those between as the holdout."""
    from evergreen.data.encoder import ENCODER
    from evergreen.data.split import ROLES

    encoder, split = _encoder(project, ENCODER), _split(project)
    train, between, newest = (_encode(project, getattr(split, role), encoder) for role in ROLES)
    both = train.with_rows(newest)
    return _tables(encoder, {"train": both, "validation": both.none(), "holdout": between})


def load_all(project: Project) -> Tables:
    """Read what the live model learns from: every row, the holdout's included where a column says when."""
    from evergreen.data.encoder import LIVE_ENCODER

    return _learnt(project, _encoder(project, LIVE_ENCODER), _split(project).all_rows())


def _learnt(project: Project, encoder: Encoder, part: Part) -> Tables:
    train, holdout = _encode(project, part, encoder), _encode(project, _split(project).holdout, encoder)
    return _tables(encoder, {"train": train, "validation": train.none(), "holdout": holdout})


def _split(project: Project) -> Split:
    from evergreen.data.split import Split

    return Split.read(project.features / "split.json")


def _encoder(project: Project, name: str) -> Encoder:
    from evergreen.data.encoder import Encoder

    return Encoder.read(project.features / name)


def _encode(project: Project, part: Part, encoder: Encoder) -> Table:
    from evergreen.data.keys import hash_rows
    from evergreen.data.split import LABEL, read_part

    rows = read_part(project, part)
    return Table(encoder.transform(rows), encoder.transform_label(rows[LABEL]), hash_rows(rows))


def _tables(encoder: Encoder, parts: dict[str, Table]) -> Tables:
    task: Task = encoder.task  # type: ignore[assignment]  # checked when it was fitted
    return Tables(task, encoder.features, tuple(encoder.levels), encoder.classes, **parts, encoder=encoder)
