"""Predictions: what a version of the model predicted for a batch, kept once and never changed.

`data/predictions/<batch>/` holds for each version its predictions (`<version>.parquet`), the rows
that were not scored with their reasons (`<version>.quarantine.parquet`), the sketch of their
features, and what all were made from (`<version>.json`), written last: what has no such file is a
leftover of a killed scoring, and is written anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from evergreen import formats
from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.keys import hash_keys, key_columns
from evergreen.features.row_numbers import ROW
from evergreen.features.split import AT, CONTENT
from evergreen.files import sha256_of_file, sweep_left, write_json, write_whole
from evergreen.project import Project
from evergreen.scoring.unlabelled import Given
from evergreen.statistics.sketch import SKETCH, Sketch

# The column; with several classes one column a class: "prediction_" and its name
PREDICTION = "prediction"
MODEL, VERSION, SCORED_AT = "model", "version", "scored_at"
Engine = Literal["package", "onnx"]  # what computes predictions
PACKAGE: Engine = "package"
ONNX: Engine = "onnx"
PATIENCE = 60  # seconds for another scoring that writes


@dataclass(frozen=True)
class Scorer:
    """The version of the registry that predicts, and the training run it came out of."""

    model: str
    version: str
    run_id: str


@dataclass(frozen=True)
class Kept:
    """What is kept of one batch by one version, and a fingerprint of its rows as delivered."""

    batch: str
    scorer: Scorer
    fingerprint: str
    delivered: int
    scored: int
    quarantined: int
    left_out: dict[str, int]  # rows left out on purpose, by reason
    scored_at: str  # ISO 8601, UTC
    files: dict[str, str]  # name -> SHA-256
    folder: Path
    engine: Engine = PACKAGE  # that computed them

    @property
    def path(self) -> Path:
        """Where the predictions lie."""
        return self.folder / f"{self.scorer.version}.parquet"

    @classmethod
    def read(cls, path: Path) -> Kept:
        """Read what `keep` wrote. Raises InputError where it is damaged."""
        try:
            content = formats.unstamp(dict(json.loads(path.read_text(encoding="utf-8"))), path)
            return cls(**{**content, "scorer": Scorer(**content["scorer"])}, folder=path.parent)
        except (OSError, ValueError, TypeError, KeyError):
            raise InputError(
                f"{path} is missing or damaged: remove {path.parent} and score the batch again"
            ) from None


def find(project: Project, dataset: Dataset, given: Given, scorer: Scorer) -> Kept | None:
    """Return what is kept of these rows by this version; None where it has not scored them.

    Raises InputError where other rows are kept under the batch's name, or another model's under the
    version's number.
    """
    folder, rows = project.predictions / given.batch, fingerprint(dataset, given.rows)
    kept = [Kept.read(path) for path in _facts(folder)]
    for earlier in kept:
        if earlier.fingerprint != rows:
            raise InputError(
                f"batch {given.batch!r} was scored before with other rows: {earlier.delivered:,} "
                f"rows by version {earlier.scorer.version} on {earlier.scored_at[:10]}, now "
                f"{given.rows.height:,}: batches do not change; score these under a new name "
                "(--name)"
            )
    same = next((earlier for earlier in kept if earlier.scorer.version == scorer.version), None)
    if same and same.scorer != scorer:
        raise InputError(
            f"{same.path} is of version {scorer.version} of another registry "
            f"({same.scorer.model!r}, run {same.scorer.run_id}, not {scorer.model!r}, run "
            f"{scorer.run_id}): move {project.predictions} away, or score under a new name (--name)"
        )
    return same


def keep(
    project: Project,
    dataset: Dataset,
    given: Given,
    scorer: Scorer,
    predictions: pl.DataFrame,
    features: Sketch,
    quarantined: pl.DataFrame,
    left_out: Mapping[str, int],
    engine: Engine = PACKAGE,
) -> tuple[Kept, bool]:
    """Keep the predictions of a batch, and return what is kept and whether it is new.

    `predictions`: key, event time, prediction; `row` without a key. Kept with them are the sketch
    of the features and the rows not scored. What is kept already stays as it is. Raises InputError
    as `find` does.
    """
    folder, version, now = project.predictions / given.batch, scorer.version, datetime.now(UTC)
    made = (scorer.model, MODEL), (version, VERSION), (now, SCORED_AT)
    whole = predictions.with_columns(pl.lit(value).alias(name) for value, name in made)
    with _writing(project):
        if kept := find(project, dataset, given, scorer):
            return kept, False
        folder.mkdir(parents=True, exist_ok=True)
        sweep_left(folder)
        frames = {f"{version}.quarantine.parquet": quarantined, f"{version}.parquet": whole}
        for name, frame in frames.items():
            write_whole(folder / name, lambda part, frame=frame: frame.write_parquet(part))  # type: ignore[misc]
        features.write(folder / f"{version}{SKETCH}")
        kept = Kept(
            given.batch,
            scorer,
            fingerprint(dataset, given.rows),
            given.rows.height,
            whole.height,
            quarantined.height,
            dict(left_out),
            now.isoformat(timespec="seconds"),
            {name: sha256_of_file(folder / name) for name in (*frames, f"{version}{SKETCH}")},
            folder,
            engine,
        )
        facts = {name: value for name, value in asdict(kept).items() if name != "folder"}
        if engine == PACKAGE:
            del facts["engine"]
        write_json(folder / f"{version}.json", formats.stamp(facts))
    return kept, True


def read(project: Project, batch: str, version: str) -> pl.DataFrame:
    """Return the predictions of a batch by a version, by event time.

    Columns: each of the key as `key_…`, or without any `key_content` and `row` (its number in the
    batch), `event_time`, `prediction` (or `prediction_<class>` for each class) as float32, `model`,
    `version`, `scored_at` (UTC). Raises InputError where there are none, or not as they were kept.
    """
    return pl.read_parquet(_unaltered(project, batch, version, ".parquet"))


def read_sketch(project: Project, batch: str, version: str) -> Sketch:
    """Return the sketch of the features behind such predictions. Raises InputError as `read`."""
    return Sketch.read(_unaltered(project, batch, version, SKETCH))


def known(project: Project) -> list[tuple[str, str]]:
    """Return (batch, version) of all that is kept, in order of batch, then of version."""
    return [
        (path.parent.name, path.stem)
        for folder in sorted(project.predictions.glob("*"))
        for path in _facts(folder)
    ]


def join_labels(predictions: pl.DataFrame, labelled: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `predictions` whose labels have arrived, with the columns of `labelled`.

    `labelled`: rows of a features file, with the keys and whatever is asked for, such as the label.
    Raises InputError where two rows of `labelled` share a key. Rows without one (key in dataset.py
    is empty) are known by what they hold; those that hold the same as others are not joined.
    """
    predictions = predictions.drop(ROW, AT, strict=False)
    keys = key_columns(predictions)
    if not keys:
        raise InputError(
            "these predictions carry no key: they cannot be matched with labels that arrive later"
        )
    if keys == [CONTENT]:
        predictions = predictions.filter(predictions[CONTENT].is_unique())
        labelled = labelled.filter(labelled[CONTENT].is_unique())
    twice = labelled.filter(labelled.select(keys).is_duplicated())
    if not twice.is_empty():
        raise InputError(
            f"{twice.height:,} labelled rows share a key, such as {twice.select(keys).row(0)}: "
            "keep each key once"
        )
    more = [name for name in labelled.columns if name not in (*predictions.columns, AT)]
    try:
        return predictions.join(
            labelled.select(*keys, *more), on=keys, nulls_equal=True, maintain_order="left"
        )
    except pl.exceptions.PolarsError as error:  # the types of the key are others now
        raise InputError(
            f"predictions and labelled rows have keys of different types: {error}"
        ) from None


def fingerprint(dataset: Dataset, rows: pl.DataFrame) -> str:
    """Return a SHA-256 of the declared columns known in time, in any order of rows and columns."""
    names = [name for name in dataset.known_in_time if name in rows.columns]
    hashes = np.sort(hash_keys(rows, names))
    return hashlib.sha256(json.dumps(names).encode() + hashes.tobytes()).hexdigest()


def _unaltered(project: Project, batch: str, version: str, suffix: str) -> Path:
    kept = Kept.read(project.predictions / batch / f"{version}.json")
    path = kept.path.with_name(version + suffix)
    if not path.is_file() or sha256_of_file(path) != kept.files.get(path.name):
        raise InputError(
            f"{path} is missing or was changed after it was scored: "
            f"remove {kept.folder} and score the batch again"
        )
    return path


def _facts(folder: Path) -> list[Path]:
    """Return the files that make a scoring count, in order of version."""
    return sorted(
        (path for path in folder.glob("*.json") if path.stem.isdigit()),
        key=lambda path: int(path.stem),
    )


@contextmanager
def _writing(project: Project) -> Iterator[None]:
    """Let only a single scoring write at a time.

    By a lock of its own: the project's may be held by a training for hours.
    """
    from filelock import FileLock, Timeout

    project.stores.mkdir(parents=True, exist_ok=True)
    lock = FileLock(project.stores / "predictions.lock", timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"another scoring has been writing for over {PATIENCE} s: stop it, then score again"
        ) from None
    try:
        yield
    finally:
        lock.release()
