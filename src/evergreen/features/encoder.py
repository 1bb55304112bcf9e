"""Encoder: from features as read to the float32 columns that XGBoost sees.

A category becomes its place in a dictionary fitted on training rows (0 missing, 1 other, then the
levels in order); a number stays what it is, not scaled, missing or infinite as NaN. The dictionary
is JSON: nothing to unpickle, and ONNX gets equal inputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen import formats
from evergreen.errors import InputError
from evergreen.files import write_json

if TYPE_CHECKING:
    import polars as pl

# Of the model that is judged, and of the live one
ENCODER, LIVE_ENCODER = "encoder.json", "live-encoder.json"
MISSING, OTHER, FIRST = 0, 1, 2  # codes of a category
FEWEST = 4  # rows that are encoded value by value, and of which boosters are asked together
FEW = 100  # rows that a dictionary of Python's encodes faster than Polars


@dataclass(frozen=True)
class Encoder:
    """The dictionary of each category and the classes of the label, of training rows only."""

    task: str
    features: tuple[str, ...]
    # Category -> its levels; a feature that is not here is a number
    levels: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...]  # labels in order of their code; empty for regression
    fitted_on: tuple[str, ...]  # batches

    def transform(self, frame: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the features of `frame` as float32, shape (rows, features).

        What is not finite is missing. Raises InputError where a feature is missing or text stands
        where a number must.
        """
        missing = [name for name in self.features if name not in frame.columns]
        if missing:
            raise InputError(
                f"the rows lack the feature(s) {', '.join(missing)}, which the model needs"
            )
        if frame.height <= FEWEST and (few := self._transform_few(frame)) is not None:
            return few
        x = np.empty((frame.height, len(self.features)), np.float32)
        for place, name in enumerate(self.features):
            x[:, place] = self._transform_column(name, frame[name])
            x[np.isinf(x[:, place]), place] = np.nan
        return x

    def _transform_few(self, frame: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """Return the same, value by value; None where a column is not of a plain type."""
        import polars as pl

        columns = []
        for name in self.features:
            column, codes = frame[name], self.codes.get(name)
            kind = column.dtype
            if codes is None and (kind.is_float() or kind in (pl.Boolean, pl.Int32, pl.UInt32)):
                columns.append([np.nan if v is None else v for v in column])
            elif codes is not None and kind == pl.String:
                columns.append([codes.get(text, OTHER) for text in column])
            else:
                return None
        with np.errstate(over="ignore"):
            x = np.array(columns, np.float32).T.copy()
        x[np.isinf(x)] = np.nan
        return x

    def _transform_column(
        self, name: str, column: pl.Series
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return one feature, shape (rows,). Raises InputError where text stands for a number."""
        import polars as pl

        if name in self.levels:
            return self._encode(name, column.cast(pl.String))
        if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
            return column.cast(pl.Float32).to_numpy()  # null becomes NaN
        raise InputError(f"feature {name!r} must be a number, found {column.dtype}")

    @cached_property
    def codes(self) -> dict[str, dict[str | None, int]]:
        """Category -> level -> code; that of None is of no value."""
        return {
            name: {None: MISSING} | {level: code for code, level in enumerate(levels, FIRST)}
            for name, levels in self.levels.items()
        }

    def _encode(self, name: str, texts: pl.Series) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the code of each text, shape (rows,)."""
        import polars as pl

        codes = self.codes[name]
        if len(texts) <= FEW:
            return np.array([codes.get(text, OTHER) for text in texts.to_list()], np.float32)
        return texts.replace_strict(codes, default=OTHER, return_dtype=pl.Float32).to_numpy()

    def transform_label(self, label: pl.Series) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the label as float32, shape (rows,): a number, or the code of a class.

        Raises InputError for a class that no training row had.
        """
        import polars as pl

        if self.task == "regression":
            return label.cast(pl.Float32).to_numpy()
        codes = {name: code for code, name in enumerate(self.classes)}
        coded = as_class(label).replace_strict(codes, default=None, return_dtype=pl.Float32)
        if coded.null_count():
            unknown = as_class(label).filter(coded.is_null())[0]
            raise InputError(
                f"label {unknown!r} is in no training row; those hold {', '.join(self.classes)}"
            )
        return coded.to_numpy()

    def write(self, path: Path) -> None:
        """Write the dictionary as JSON."""
        write_json(path, formats.stamp(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Encoder:
        """Read the dictionary back."""
        content = formats.unstamp(json.loads(path.read_text(encoding="utf-8")), path)
        levels = {name: tuple(values) for name, values in content["levels"].items()}
        features, classes, batches = (
            tuple(content[key]) for key in ("features", "classes", "fitted_on")
        )
        return cls(content["task"], features, levels, classes, batches)


def as_class(label: pl.Series) -> pl.Series:
    """Return the names of classes.

    Text as it is, true and false as words, whole numbers without a point.
    """
    import polars as pl

    if not label.dtype.is_float():
        return label.cast(pl.String)
    whole = label == label.round()
    named = (
        pl.when(whole)
        .then(label.cast(pl.Int64, strict=False).cast(pl.String))
        .otherwise(label.cast(pl.String))
    )
    return pl.select(named).to_series().alias(label.name)


def fit_encoder(
    task: str,
    features: Sequence[str],
    level_rows: Mapping[str, Mapping[str, int]],
    label_rows: Mapping[str, int],
    min_rows: int,
    batches: Sequence[str],
) -> Encoder:
    """Return the encoder for training rows, given how many of them have each level and each class.

    Raises InputError where the labels leave nothing to learn.
    """
    classes = _in_order(label_rows)
    if task != "regression" and len(classes) < 2:
        raise InputError(
            f"all {sum(label_rows.values()):,} training labels are "
            f"{''.join(classes) or 'missing'} ({batches[0]} to {batches[-1]}): there is nothing to "
            "learn; check label in dataset.py, or train on more batches"
        )
    if task == "binary" and len(classes) > 2:
        shown = ", ".join(classes[:5])
        raise InputError(
            f"task is binary but the label has {len(classes)} classes ({shown}, ...): "
            "use task: multiclass"
        )
    return Encoder(
        task,
        tuple(features),
        levels_kept(level_rows, min_rows),
        () if task == "regression" else tuple(classes),
        tuple(batches),
    )


def levels_kept(
    level_rows: Mapping[str, Mapping[str, int]], min_rows: int
) -> dict[str, tuple[str, ...]]:
    """Return the levels of each category that enough rows have, in order; the rest is "other"."""
    return {
        name: tuple(sorted(level for level, rows in counts.items() if rows >= min_rows))
        for name, counts in level_rows.items()
    }


def _in_order(label_rows: Mapping[str, int]) -> list[str]:
    if all(re.fullmatch(r"-?[0-9]+", name) for name in label_rows):
        return sorted(label_rows, key=int)
    return sorted(label_rows)
