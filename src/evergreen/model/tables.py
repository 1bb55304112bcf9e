"""The three parts of the split as arrays: what every learner and every metric starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.params import Task

if TYPE_CHECKING:
    from evergreen.data.encoder import Encoder
    from evergreen.data.keys import Hashes
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


@dataclass(frozen=True)
class Tables:
    """The three parts of the split, encoded, and what their columns and classes are called."""

    task: Task
    features: tuple[str, ...]
    categories: tuple[str, ...]
    classes: tuple[str, ...]
    train: Table
    validation: Table
    holdout: Table
    encoder: Encoder | None = None  # what encoded them; packaged with the model


def load_tables(project: Project) -> Tables:
    """Read `data/features/` and encode it."""
    from evergreen.data.encoder import Encoder
    from evergreen.data.keys import hash_rows
    from evergreen.data.split import LABEL, ROLES, Split, read_part

    encoder = Encoder.read(project.features / "encoder.json")
    split = Split.read(project.features / "split.json")
    parts = {}
    for role in ROLES:
        rows = read_part(project, getattr(split, role))
        parts[role] = Table(encoder.transform(rows), encoder.transform_label(rows[LABEL]), hash_rows(rows))
    task: Task = encoder.task  # type: ignore[assignment]  # checked when it was fitted
    return Tables(task, encoder.features, tuple(encoder.levels), encoder.classes, **parts, encoder=encoder)
