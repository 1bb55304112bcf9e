"""Prepare: turn each validated batch into features, split the rows, fit the encoders on what is learnt from.

What is done to a row depends on that row alone, so only new batches cost work. What is fitted (the
encoders) comes from the profile kept per batch, so it never reads history again. An encoder is
fitted on what its model learns from: that of the judged model on rows before the holdout, that of
the live one on all (`train.refit` in params.yaml).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from evergreen import formats, recipes
from evergreen.dataset import ORDER, Dataset
from evergreen.errors import InputError
from evergreen.features.definition import Definition, LostError, check_columns
from evergreen.features.encoder import ENCODER, LIVE_ENCODER, as_class, fit_encoder
from evergreen.features.keys import KEY, hash_keys, key_columns
from evergreen.features.split import (
    AT,
    CONTENT,
    GROUP,
    LABEL,
    SHARES,
    SLICE,
    TIME,
    Part,
    Split,
    split_rows,
    within,
)
from evergreen.files import sha256_of, sha256_of_modules, write_json, write_whole
from evergreen.ingest.manifest import Manifest, when
from evergreen.ingest.moments import PLACE, moment
from evergreen.params import Drift, Params
from evergreen.project import Project
from evergreen.statistics.profile import Profile, profile
from evergreen.statistics.sketch import SKETCH, sketch

# Of a model: what the columns begin with by which it tells rows, where the key is another by now
OWN = "own_"
FindHeld = Callable[
    [Manifest, Sequence[str], Drift], dict[str, dict[str, str]]
]  # batch -> column -> why
ALONE = 20  # rows that are computed each by itself


@dataclass(frozen=True)
class Prepared:
    """What a preparation did: batches turned into features now, the split, rows left out, batches held back."""

    new: tuple[str, ...]
    split: Split
    rows: int
    left_out: dict[str, int]
    held: dict[str, dict[str, str]]  # batches held back: column -> why


def prepare(
    project: Project, dataset: Dataset, params: Params, find_held: FindHeld, *, check: bool = False
) -> Prepared:
    """Write `data/features/`: three files per batch, `split.json`, `encoder.json`; with `check`, altered files anew.

    A batch that `find_held` names is in no part of the split.
    Raises InputError where the labels or the number of rows leave nothing to learn.
    """
    validated, done = Manifest(project.validated), Manifest(project.features)
    if check:
        done.forget_altered()
    fingerprints = _fingerprints(project, params)
    new = done.outdated(fingerprints)
    done.drop([name for name in done.entries if name not in fingerprints])
    for name in new:
        validated.check(name)
        try:
            arrived = (
                None
                if dataset.has_time_column
                else datetime.fromisoformat(validated.entries[name]["start"])
            )
            rows = pl.read_parquet(validated.file(name))
            features, left_out = _featurize(dataset, rows, params.task, arrived)
        except InputError as error:
            raise InputError(f"batch {name!r}: {error}") from error
        if features.is_empty():
            raise InputError(
                f"batch {name!r}: no row has a label; check label and left_out in dataset.py"
            )
        write_whole(done.file(name), lambda part, frame=features: frame.write_parquet(part))  # type: ignore[misc]
        summaries = _summaries(dataset, features, left_out)
        write_json(done.file(name, ".json"), formats.stamp(summaries))
        sketch(features.select(*dataset.features, LABEL), features[TIME]).write(
            done.file(name, SKETCH)
        )
        files = (done.file(name), done.file(name, ".json"), done.file(name, SKETCH))
        done.record(
            name, *files, stamp=fingerprints[name], rows=features.height, **when(features[TIME])
        )
    batches = [name for name in done.in_order() if name in fingerprints]
    held = find_held(done, batches, params.drift)
    few = params.split.cross_validate_below if params.train.refit == "all" else None
    split = split_rows(
        dataset,
        done,
        [name for name in batches if name not in held],
        params.split.train_batches,
        few,
    )
    _fit(dataset, done, split, params)
    write_json(project.features / "split.json", formats.stamp(asdict(split)))
    used = Profile.read(done.file(name, ".json") for name in split.batches())
    counts = {reason: one.rows for reason, one in used.left_out.items()}
    return Prepared(tuple(new), split, used.kept.rows, counts, held)


def stale(project: Project, params: Params) -> list[str]:
    """Return the batches that have no features yet, or others': also where DVC knows no file that changed."""
    return Manifest(project.features).outdated(_fingerprints(project, params))


def _fingerprints(project: Project, params: Params) -> dict[str, str]:
    validated = Manifest(project.validated)
    recipe = sha256_of(recipes.PREPARE, sha256_of_modules(project.code_of("dataset")), params.task)
    return {name: sha256_of(validated.version(name), recipe) for name in validated.in_order()}


def featurize(
    dataset: Dataset, rows: pl.DataFrame, task: str, arrived: datetime | None = None
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return key, time, label and features of `rows`, and how many rows were left out for which reason.

    Row by row: no row's features depend on another row. Sorted by event time; `arrived` stands for
    it where no column of dataset.py says when (the present, where not given). Rows without a key
    are known by what they hold.
    """
    features, left_out = _featurize(dataset, rows, task, arrived)
    return features, {reason: one.height for reason, one in left_out.items()}


def featurize_unlabelled(
    dataset: Dataset, rows: pl.DataFrame, definition: Definition | None = None
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return what `featurize` does, less the label, for rows whose labels are not known yet.

    `definition`: whose features, in place of dataset.py's. A row that would be left out for a
    reason known only later (known_later) stays in: nobody can tell yet.
    """
    features, left_out = _featurize(dataset, rows, None, None, definition)
    return features, {reason: one.height for reason, one in left_out.items()}


def features_of(
    project: Project, dataset: Dataset, rows: pl.DataFrame, definition: Definition, task: str
) -> pl.DataFrame:
    """Return `rows` of features files of `task` with the features, label and key of `definition`, a model's.

    They are computed from the validated rows, where dataset.py says otherwise by now; rows that
    have none of its labels are left out. Raises LostError where the model needs what is not there
    any more.
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
        parts.append(_featurize(dataset, batch, definition.task, arrived, definition)[0])
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
            f"rows were told from one another by {', '.join(names)}, and {gone[0]!r} is not there any more: which of them "
            "the model has learnt from cannot be told"
        )
    if definition.key:
        return [rows[name].alias(OWN + KEY + name) for name in names]
    return [pl.Series(OWN + CONTENT, hash_keys(rows, names))]


def _featurize(
    dataset: Dataset,
    rows: pl.DataFrame,
    task: str | None,
    arrived: datetime | None = None,
    definition: Definition | None = None,
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Return the features of `rows` and the rows left out; a `task` of None stands for rows without labels.

    `definition`: whose features and label, in place of dataset.py's.
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
    """Return the profile of a batch: of its `features`, and of the rows it left out (as validated), by reason."""
    groups = [name for name in features.columns if name.startswith((SLICE, GROUP))]
    values = features.select(*groups, *dataset.features)
    return profile(
        values,
        features[LABEL],
        {why: _describe(dataset, rows) for why, rows in left_out.items()},
        groups,
    )


def _fit(dataset: Dataset, done: Manifest, split: Split, params: Params) -> None:
    """Fit the encoder of the model that is judged, and that of the live one, on the rows that each learns from."""
    refit = params.train.refit == "all"
    _fit_one(dataset, done, split.before_holdout() if refit else split.train, params, ENCODER)
    if refit:
        _fit_one(dataset, done, split.all_rows(), params, LIVE_ENCODER)
    else:
        (done.folder / LIVE_ENCODER).unlink(missing_ok=True)


def _fit_one(dataset: Dataset, done: Manifest, part: Part, params: Params, name: str) -> None:
    known = Profile.of(*(_summary(dataset, done, batch, part) for batch in part.batches))
    levels = {
        feature: counts
        for feature, counts in known.kept.levels.items()
        if feature in dataset.features
    }
    fitted = fit_encoder(
        params.task,
        list(dataset.features),
        levels,
        known.classes,
        params.prepare.min_level_rows,
        part.batches,
    )
    fitted.write(done.folder / name)


def _summaries(
    dataset: Dataset, features: pl.DataFrame, left_out: Mapping[str, pl.DataFrame]
) -> dict[str, Any]:
    """Return the profile of a batch as plain values; where rows are split by key, with that of the rows learnt from."""
    whole = asdict(summarize(dataset, features, left_out))
    if dataset.time:
        return whole
    shares = {
        "train": SHARES["train"],
        "before_holdout": (SHARES["train"][0], SHARES["validation"][1]),
    }
    return whole | {
        name: asdict(summarize(dataset, features.filter(within(features, one)), {}))
        for name, one in shares.items()
    }


def _summary(dataset: Dataset, done: Manifest, name: str, part: Part) -> dict[str, Any]:
    if part.shares or part.end is None or done.entries[name]["end"] < part.end:
        path = done.file(name, ".json")
        content = formats.unstamp(json.loads(path.read_text(encoding="utf-8")), path)
        return (
            content["train" if part.shares == SHARES["train"] else "before_holdout"]
            if part.shares
            else content
        )
    rows = pl.read_parquet(done.file(name)).filter(pl.col(TIME) < datetime.fromisoformat(part.end))
    return asdict(summarize(dataset, rows, {}))


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
    later = set(dataset.known_later)
    reasons = {
        why: one for why, one in dataset.left_out.items() if not later & set(one.meta.root_names())
    }
    return _leave_out_for(rows, reasons)


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
        *(one.cast(pl.String).alias(SLICE + name) for name, one in dataset.slices.items()),
        *(one.cast(pl.String).alias(GROUP + name) for name, one in dataset.groups.items()),
        *(expression.alias(name) for name, expression in features.items()),
    ]


def _describe(dataset: Dataset, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the features of rows left out, less those that cannot be computed, as may be why they are left out."""
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
    """Compute some rows each by itself: what then differs is no property of a row."""
    some = range(0, rows.height, max(1, rows.height // ALONE))
    if not some:
        return
    alone = pl.concat([rows[at].select(columns) for at in some])
    for name in features.columns:
        if not features[name].gather(list(some)).equals(alone[name]):
            what = "label" if name == LABEL else f"feature {name!r}"
            raise InputError(
                f"dataset.py: {what} depends on other rows of the batch: a row that is scored alone would get another "
                "value, and rows of the holdout would reach into training; use the row's own columns only"
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
            f"label {fractions[0]} is a fraction, no class; use task: regression, or make classes of it in dataset.py"
        )
