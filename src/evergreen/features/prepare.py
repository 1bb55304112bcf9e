"""Prepare: turn each validated batch into features, split the rows, fit the encoders.

What is done to a row depends on that row alone, so only new batches cost work. What is fitted (the
encoders) comes from the profile kept per batch, so it never reads history again. An encoder is
fitted on what its model learns from: that of the judged model on rows before the holdout, that of
the live one on all (`train.refit` in params.yaml).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from evergreen import formats, recipes
from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.encoder import ENCODER, LIVE_ENCODER, fit_encoder
from evergreen.features.featurize import compute_features, summarize
from evergreen.features.split import (
    LABEL,
    SHARES,
    TIME,
    Part,
    Split,
    split_rows,
    within,
)
from evergreen.files import sha256_of, sha256_of_modules, write_json, write_whole
from evergreen.ingest.manifest import Manifest, when
from evergreen.params import Drift, Params
from evergreen.project import Project
from evergreen.statistics.profile import Profile
from evergreen.statistics.sketch import SKETCH, sketch

# Returns batch -> column -> why it is held back
FindHeld = Callable[[Manifest, Sequence[str], Drift], dict[str, dict[str, str]]]


@dataclass(frozen=True)
class Prepared:
    """What a preparation did."""

    new: tuple[str, ...]  # batches turned into features now
    split: Split
    rows: int
    left_out: dict[str, int]  # rows left out, by reason
    held: dict[str, dict[str, str]]  # batches held back: column -> why


def prepare(
    project: Project, dataset: Dataset, params: Params, find_held: FindHeld, *, check: bool = False
) -> Prepared:
    """Write `data/features/`: three files per batch, `split.json`, `encoder.json`.

    With `check`, altered files are made anew. A batch that `find_held` names is in no part of the
    split. Raises InputError where the labels or the number of rows leave nothing to learn.
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
            features, left_out = compute_features(dataset, rows, params.task, arrived)
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
    counts = {reason: sample.rows for reason, sample in used.left_out.items()}
    return Prepared(tuple(new), split, used.kept.rows, counts, held)


def stale(project: Project, params: Params) -> list[str]:
    """Return the batches that have no features yet, or were prepared otherwise.

    Needed besides DVC, which does not notice where no file of its own has changed.
    """
    return Manifest(project.features).outdated(_fingerprints(project, params))


def _fingerprints(project: Project, params: Params) -> dict[str, str]:
    validated = Manifest(project.validated)
    recipe = sha256_of(recipes.PREPARE, sha256_of_modules(project.code_of("dataset")), params.task)
    return {name: sha256_of(validated.version(name), recipe) for name in validated.in_order()}


def _fit(dataset: Dataset, done: Manifest, split: Split, params: Params) -> None:
    """Fit the encoders of the judged and of the live model, on the rows each learns from."""
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
    """Return the profile of a batch as plain values.

    Where rows are split by key, with the profiles of the rows that are learnt from.
    """
    whole = asdict(summarize(dataset, features, left_out))
    if dataset.time:
        return whole
    shares = {
        "train": SHARES["train"],
        "before_holdout": (SHARES["train"][0], SHARES["validation"][1]),
    }
    return whole | {
        name: asdict(summarize(dataset, features.filter(within(features, edges)), {}))
        for name, edges in shares.items()
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
