"""Profile: one batch in sums and counts, of the rows kept and of those left out.

Sums and counts add up: the profile of many batches is the sum of theirs, so whatever looks at all
of history reads a small file per batch and no rows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evergreen import formats

Counts = dict[str, int]
LEVEL = "\x1f"  # a column beside those of the data; no name in a file holds a control character


@dataclass(frozen=True)
class Sums:
    """One column of numbers, in counts and sums."""

    values: int  # finite ones
    missing: int  # null or NaN
    sum: float  # of the finite ones
    squares: float

    @property
    def mean(self) -> float:
        """Mean of the finite values; NaN where there is none."""
        return self.sum / self.values if self.values else float("nan")

    @property
    def variance(self) -> float:
        """Unbiased variance of the finite values; NaN for fewer than two.

        Zero where it is lost in rounding: where it is below 1e-12 of the mean square.
        """
        if self.values < 2:
            return float("nan")
        square = self.squares / self.values
        spread = square - self.mean**2
        return spread * self.values / (self.values - 1) if spread > 1e-12 * square else 0.0


@dataclass(frozen=True)
class Sample:
    """Some rows, summed up.

    `numbers`: by feature. `levels`: category -> level -> rows; rows without a level are missing.
    """

    rows: int
    numbers: dict[str, Sums]
    levels: dict[str, Counts]


@dataclass(frozen=True)
class Profile:
    """A batch: the rows kept, those left out by reason, and labels and missing values of the kept.

    `classes`: rows by class. `label`: a label that is a number. `missing`: by group, by level of
    it, by feature: rows that lack the feature; what is never missing is not there.
    """

    kept: Sample
    left_out: dict[str, Sample]
    classes: Counts
    label: Sums | None
    missing: dict[str, dict[str, Counts]]

    @classmethod
    def read(cls, files: Iterable[Path]) -> Profile:
        """Return the sum of the profiles in `files` (JSON), of which there must be one at least."""
        return cls.of(
            *(formats.unstamp(json.loads(file.read_text(encoding="utf-8")), file) for file in files)
        )

    @classmethod
    def of(cls, *contents: dict[str, Any]) -> Profile:
        """Return the sum of profiles given as plain values, as `dataclasses.asdict` makes them."""
        whole: dict[str, Any] = {}
        for content in contents:
            _add(whole, content)
        left_out = {reason: _sample(rows) for reason, rows in whole["left_out"].items()}
        label = Sums(**whole["label"]) if "label" in whole else None
        return cls(_sample(whole["kept"]), left_out, whole["classes"], label, whole["missing"])


def profile(
    features: pl.DataFrame,
    label: pl.Series,
    left_out: Mapping[str, pl.DataFrame],
    groups: Collection[str] = (),
) -> Profile:
    """Return the profile of a batch.

    `features`: of the rows kept, shape (rows, features); `label`: theirs. `left_out`: rows by
    reason. Text columns are categories, all others numbers. `groups` names the columns of
    `features` by whose levels missing values are counted.
    """
    labels = _summarize(label.alias("label").to_frame())
    return Profile(
        kept=_summarize(features),
        left_out={reason: _summarize(rows) for reason, rows in left_out.items()},
        classes=labels.levels.get("label", {}),
        label=labels.numbers.get("label"),
        missing=_missing(features, groups),
    )


def join(parts: Iterable[Profile]) -> Profile:
    """Return the profile of rows of which none is left out, given those of some features each."""
    first, *others = parts
    numbers, levels = dict(first.kept.numbers), dict(first.kept.levels)
    missing = {
        group: {level: dict(lacking) for level, lacking in counts.items()}
        for group, counts in first.missing.items()
    }
    for part in others:
        numbers |= part.kept.numbers
        levels |= part.kept.levels
        for group, counts in part.missing.items():
            for level, lacking in counts.items():
                missing[group].setdefault(level, {}).update(lacking)
    kept = Sample(first.kept.rows, numbers, levels)
    return replace(first, kept=kept, missing=missing)


def _summarize(rows: pl.DataFrame) -> Sample:
    categories = [name for name, dtype in rows.schema.items() if dtype == pl.String()]
    counted = rows.select(map(_counts, categories)).row(0, named=True) if categories else {}
    return Sample(
        rows.height,
        {column.name: _sums(column) for column in rows if column.name not in categories},
        {name: {level[LEVEL]: level["rows"] for level in counted[name]} for name in categories},
    )


def _sums(column: pl.Series) -> Sums:
    values = column.cast(pl.Float64).to_numpy()  # null becomes NaN
    finite = values[np.isfinite(values)]
    return Sums(
        len(finite),
        int(np.isnan(values).sum()),
        float(finite.sum()),
        float(np.square(finite).sum()),
    )


def _counts(name: str) -> pl.Expr:
    counted = pl.col(name).drop_nulls().alias(LEVEL).value_counts(name="rows")
    return counted.sort_by(counted.struct.field(LEVEL)).implode().alias(name)


def _missing(features: pl.DataFrame, groups: Collection[str]) -> dict[str, dict[str, Counts]]:
    marked = (_lacking(column) for column in features if column.name not in groups)
    absent = pl.DataFrame([marks for marks in marked if marks.any()])
    found: dict[str, dict[str, Counts]] = {name: {} for name in groups}
    for name in groups if absent.width else ():
        counted = (
            absent.group_by(features[name].alias(LEVEL))
            .agg(pl.all().sum())
            .drop_nulls(LEVEL)
            .sort(LEVEL)
        )
        for level, *rows in counted.iter_rows():
            found[name][level] = {
                feature: count for feature, count in zip(absent.columns, rows, strict=True) if count
            }
    return found


def _lacking(column: pl.Series) -> pl.Series:
    """Return which rows lack a value, as marks: a bit for each row."""
    return column.is_null() | column.is_nan() if column.dtype.is_float() else column.is_null()


def _sample(content: dict[str, Any]) -> Sample:
    numbers = {name: Sums(**sums) for name, sums in content["numbers"].items()}
    return Sample(content["rows"], numbers, content["levels"])


def _add(whole: dict[str, Any], part: dict[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, dict):
            _add(whole.setdefault(name, {}), value)
        elif value is not None:
            whole[name] = whole.get(name, 0) + value
