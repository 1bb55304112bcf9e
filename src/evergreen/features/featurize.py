"""Featurize: the features of rows, each computed from its own row alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
import polars as pl

from evergreen.dataset import ORDER, Dataset
from evergreen.errors import InputError
from evergreen.features.columns import Columns
from evergreen.features.definition import Definition, LostError, check_columns
from evergreen.features.encoder import as_class
from evergreen.features.keys import KEY, hash_keys, key_columns
from evergreen.features.split import (
    AT,
    CONTENT,
    GROUP,
    LABEL,
    SLICE,
    TIME,
)
from evergreen.ingest.manifest import Manifest
from evergreen.ingest.moments import PLACE, moment
from evergreen.project import Project
from evergreen.statistics.profile import Profile, join, profile

# Of a model: what the columns begin with by which it tells rows, where the key is another by now
OWN = "own_"
ALONE = 20  # rows that are computed each by itself


def featurize(
    dataset: Dataset, rows: pl.DataFrame, task: str, arrived: datetime | None = None
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return key, time, label and features of `rows`, and the number of rows left out by reason.

    Row by row: no row's features depend on another row. Sorted by event time; `arrived` stands for
    it where no column of dataset.py says when (the present, where not given). Rows without a key
    are known by what they hold.
    """
    features, left_out = compute_features(dataset, rows, task, arrived)
    return features, {reason: frame.height for reason, frame in left_out.items()}


def featurize_unlabelled(
    dataset: Dataset, rows: pl.DataFrame, definition: Definition | None = None
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return what `featurize` does, less the label, for rows whose labels are not known yet.

    `definition`: whose features, in place of dataset.py's. A row that would be left out for a
    reason known only later (known_later) stays in: it is not known yet.
    """
    features, left_out = compute_features(dataset, rows, None, None, definition)
    return features, {reason: frame.height for reason, frame in left_out.items()}


def features_of(
    project: Project, dataset: Dataset, rows: pl.DataFrame, definition: Definition, task: str
) -> pl.DataFrame:
    """Return `rows` of features files with the features, label and key of a model's `definition`.

    They are computed from the validated rows, where dataset.py says otherwise by now; rows that
    have none of its labels are left out. Raises LostError where the model needs what no longer
    exists.
    """
    if rows.is_empty() or definition.is_present(dataset, task):
        return rows
    done, validated, parts = Manifest(project.features), Manifest(project.validated), []
    first, last = str(rows[TIME].min()), str(rows[TIME].max())
    near = [
        name
        for name in done.in_order()
        if done.entries[name]["start"] <= last and done.entries[name]["end"] >= first
    ]
    for name in near:
        validated.check(name)
        arrived = (
            datetime.fromisoformat(validated.entries[name]["start"])
            if not dataset.has_time_column
            else None
        )
        batch = pl.read_parquet(validated.file(name))
        parts.append(compute_features(dataset, batch, definition.task, arrived, definition)[0])
    found = pl.concat(parts)
    wanted, there = (hash_keys(frame, [*key_columns(frame), TIME]) for frame in (rows, found))
    kept = np.isin(there, wanted)
    found, there = found.filter(kept), there[kept]
    if len(there) == len(wanted):  # in the order of `rows`
        place = np.argsort(np.argsort(wanted, kind="stable"), kind="stable")
        found = found[np.argsort(there, kind="stable")][place]
    own = [name for name in found.columns if name.startswith(OWN)]
    if own:
        found = found.drop(key_columns(found)).rename(
            {name: name.removeprefix(OWN) for name in own}
        )
    return found


def _own_keys(
    dataset: Dataset, rows: pl.DataFrame, definition: Definition, task: str
) -> list[pl.Series]:
    """Return what names each row by the `definition`, where dataset.py names it otherwise by now.

    Raises LostError where a column that is needed for that is gone.
    """
    if definition.names_rows_as(Definition.of(dataset, task)):
        return []
    names = definition.key or definition.columns
    if gone := [name for name in names if name not in rows.columns]:
        raise LostError(
            f"rows were identified by {', '.join(names)}, and {gone[0]!r} no longer exists: "
            "the rows that the model was trained on are not known"
        )
    if definition.key:
        return [rows[name].alias(OWN + KEY + name) for name in names]
    return [pl.Series(OWN + CONTENT, hash_keys(rows, names))]


def compute_features(
    dataset: Dataset,
    rows: pl.DataFrame,
    task: str | None,
    arrived: datetime | None = None,
    definition: Definition | None = None,
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Return the features of `rows`, and the rows left out by reason.

    A `task` of None stands for rows without labels. `definition`: whose features and label, in
    place of dataset.py's.
    """
    rows = rows.with_row_index(PLACE) if dataset.time == ORDER else rows
    features = definition.expressions(dataset) if definition else dataset.features
    label = definition.label_expression(dataset) if definition else dataset.label
    if definition:
        check_columns({**features, **({"the label": label} if task else {})}, rows.columns)
    try:
        kept, left_out = (
            _leave_out(dataset, rows, label) if task else _leave_out_in_time(dataset, rows)
        )
        columns = [pl.col(name).alias(KEY + name) for name in dataset.key]
        columns.append(
            moment(dataset, arrived or datetime.now(UTC).replace(tzinfo=None)).alias(TIME)
        )
        if task:
            _check_label(kept.select(label).to_series(), task)
            columns.append((label.cast(pl.Float64) if task == "regression" else label).alias(LABEL))
        columns += _columns(dataset, features)
        found = kept.select(columns)
        _check_row_by_row(found, kept, columns)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"dataset.py: label, left_out or features cannot be computed: {error}"
        ) from error
    if not dataset.key:
        found.insert_column(0, pl.Series(CONTENT, hash_keys(kept, dataset.known_in_time)))
        if dataset.time == ORDER:
            found.insert_column(1, found[TIME].alias(AT))
    if definition and task:
        found = found.with_columns(_own_keys(dataset, kept, definition, task))
    if task and task != "regression":
        found = found.with_columns(as_class(found[LABEL]))
    return _as_float32(found, features).sort(TIME, maintain_order=True), left_out


def summarize(
    dataset: Dataset, features: pl.DataFrame, left_out: Mapping[str, pl.DataFrame]
) -> Profile:
    """Return the profile of a batch: of its `features`, and of the rows it left out by reason."""
    groups = [name for name in features.columns if name.startswith((SLICE, GROUP))]
    values = features.select(*groups, *dataset.features)
    return profile(
        values,
        features[LABEL],
        {why: _features_of_left_out(dataset, rows) for why, rows in left_out.items()},
        groups,
    )


def summarize_columns(dataset: Dataset, rows: Columns) -> Profile:
    """Return the profile of rows of features files, a few columns at a time."""
    groups = [name for name in rows.names if name.startswith((SLICE, GROUP))]
    known = rows.read([*groups, LABEL])
    return join(
        profile(pl.DataFrame([*known.select(groups), *some]), known[LABEL], {}, groups)
        for some in rows.some(list(dataset.features))
    )


def _leave_out(
    dataset: Dataset, rows: pl.DataFrame, label: pl.Expr
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Return the rows that can be learnt from, and the others by reason."""
    kept, left_out = _leave_out_for(rows, dataset.left_out)
    unlabelled = kept.select(label).to_series().is_null()
    if unlabelled.any():
        left_out["no label"] = kept.filter(unlabelled)
        kept = kept.filter(~unlabelled)
    return kept, left_out


def _leave_out_in_time(
    dataset: Dataset, rows: pl.DataFrame
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Return the rows that can be scored, and those that are left out for what is known in time."""
    return _leave_out_for(rows, in_time(dataset))


def in_time(dataset: Dataset) -> dict[str, pl.Expr]:
    """Return why rows are left out, and which, less what is known only later."""
    later = set(dataset.known_later)
    return {
        why: condition
        for why, condition in dataset.left_out.items()
        if not later & set(condition.meta.root_names())
    }


def _leave_out_for(
    rows: pl.DataFrame, reasons: Mapping[str, pl.Expr]
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    left_out, kept = {}, rows
    for reason, condition in reasons.items():
        unusable = kept.select(condition.fill_null(value=True)).to_series()
        left_out[reason] = kept.filter(unusable)
        kept = kept.filter(~unusable)
    return kept, left_out


def _columns(dataset: Dataset, features: Mapping[str, pl.Expr]) -> list[pl.Expr]:
    return [
        *(
            expression.cast(pl.String).alias(SLICE + name)
            for name, expression in dataset.slices.items()
        ),
        *(
            expression.cast(pl.String).alias(GROUP + name)
            for name, expression in dataset.groups.items()
        ),
        *(expression.alias(name) for name, expression in features.items()),
    ]


def _features_of_left_out(dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the features of rows left out, less those that cannot be computed.

    That may be why the rows are left out.
    """
    try:
        return _as_float32(rows.select(_columns(dataset, dataset.features)), dataset.features)
    except pl.exceptions.PolarsError:
        found = rows.drop(rows.columns)  # keeps the number of rows
        for column in _columns(dataset, dataset.features):
            with suppress(pl.exceptions.PolarsError):
                name = column.meta.output_name()
                found = found.with_columns(
                    _as_float32(rows.with_columns(column).select(name), dataset.features)[name]
                )
        return found


def _as_float32(features: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    numbers = [name for name in names if features.schema.get(name, pl.String()) != pl.String()]
    return features.with_columns(pl.col(numbers).cast(pl.Float32))


def _check_row_by_row(features: pl.DataFrame, rows: pl.DataFrame, columns: list[pl.Expr]) -> None:
    """Raise InputError where a feature of some row differs when the row is computed by itself."""
    some = range(0, rows.height, max(1, rows.height // ALONE))
    if not some:
        return
    alone = pl.concat([rows[at].select(columns) for at in some])
    for name in features.columns:
        if not features[name].gather(list(some)).equals(alone[name]):
            what = "label" if name == LABEL else f"feature {name!r}"
            raise InputError(
                f"dataset.py: {what} depends on other rows of the batch: a row scored alone would "
                "get another value, and holdout rows would leak into training; use the row's own "
                "columns only"
            )


def _check_label(label: pl.Series, task: str) -> None:
    if not label.dtype.is_float():
        return
    if not label.is_finite().all():
        raise InputError(
            "some labels are infinite or not a number; leave them out in dataset.py (left_out)"
        )
    if task != "regression" and (fractions := label.filter(label != label.round())).len():
        raise InputError(
            f"label {fractions[0]} is a fraction, not a class; use task: regression, or turn it "
            "into classes in dataset.py"
        )
