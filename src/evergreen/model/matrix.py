"""The training data as XGBoost holds it: encoded once, binned once, shared by all seeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.params import Task

if TYPE_CHECKING:
    import xgboost as xgb

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


@dataclass(frozen=True)
class Matrix:
    """Binned training and validation rows; the bins come from the training rows."""

    task: Task
    classes: int
    train: xgb.QuantileDMatrix = field(repr=False)
    validation: xgb.QuantileDMatrix = field(repr=False)


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


def build_matrix(tables: Tables, max_bin: int, threads: int = 0) -> Matrix:
    """Bin the rows once for all seeds; `threads` 0 means all cores."""
    import xgboost as xgb

    names = list(tables.features)
    options: dict[str, Any] = {"max_bin": max_bin, "feature_names": names, "nthread": threads or None}
    train = xgb.QuantileDMatrix(tables.train.x, tables.train.y, **options)
    validation = xgb.QuantileDMatrix(tables.validation.x, tables.validation.y, ref=train, **options)
    return Matrix(tables.task, len(tables.classes), train, validation)
