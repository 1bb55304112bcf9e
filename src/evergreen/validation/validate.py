"""Validate: split each new batch into valid rows and quarantined rows, or stop at a bad batch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import polars as pl

from evergreen import recipes
from evergreen.errors import InputError
from evergreen.files import sha256_of, sha256_of_modules, sweep_left, write_json, write_whole
from evergreen.ingest.manifest import Manifest, when
from evergreen.ingest.memory import check_parquet
from evergreen.ingest.moments import moments
from evergreen.params import Params
from evergreen.params import Validate as ValidateParams
from evergreen.project import Project
from evergreen.validation.contract import Contract
from evergreen.validation.report import BadBatchError, BatchReport, Validated

REPORTS_SHOWN = 24  # batches on the validation page


def validate(project: Project, contract: Contract, *, check: bool = False) -> Validated:
    """Validate each batch of `data/raw/` that is new, or was checked by another contract.

    With `check`, also those whose files were altered. Writes `data/validated/`,
    `data/quarantine/` and `data/validation/`; nothing of it where a batch is bad.
    Raises BadBatchError for the first bad batch.
    """
    raw, done = Manifest(project.raw), Manifest(project.validated)
    if check:
        done.forget_altered()
    fingerprints = _fingerprints(project, contract.params)
    new = done.outdated(fingerprints)
    with project.temporary() as folder:
        checked = [_check(project, contract, raw, Path(folder), name) for name in new]
        done.drop([name for name in done.entries if name not in fingerprints])
        for batch in checked:
            _keep(project, batch, done, fingerprints[batch.report.batch])
    return Validated(tuple(new), tuple(read_reports(project)), batches=len(fingerprints))


def stale(project: Project, params: Params) -> list[str]:
    """Return the batches that were not checked yet, or by another contract.

    Needed besides DVC, which does not notice where no file of its own has changed.
    """
    return Manifest(project.validated).outdated(_fingerprints(project, params.validation))


def _fingerprints(project: Project, params: ValidateParams) -> dict[str, str]:
    raw, expected = Manifest(project.raw), fingerprint(project, params)
    return {name: sha256_of(raw.version(name), expected) for name in raw.in_order()}


def load_library() -> None:
    """Import Great Expectations, which takes two seconds."""
    import great_expectations.expectations  # noqa: F401


def fingerprint(project: Project, params: ValidateParams) -> str:
    """Return a hash of what is expected of any batch: recipe, the user's files and parameters."""
    own = sha256_of_modules(project.code_of("dataset", "expectations"))
    return sha256_of(recipes.VALIDATE, own, params.model_dump())


def read_reports(project: Project) -> list[BatchReport]:
    """Return the reports of the newest validated batches, by event time."""
    order = list(Manifest(project.validated).in_order())[-REPORTS_SHOWN:]
    files = (project.validation / f"{name}.json" for name in order)
    return [BatchReport.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files]


def read_raw(path: Path) -> pl.DataFrame:
    """Return one raw batch.

    Raises InputError where the file is damaged, or too large for the memory.
    """
    check_parquet(path, str(path))
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): restore it with `dvc checkout --force data/raw`"
        ) from None


@dataclass(frozen=True)
class _Checked:
    """A batch that was checked, its rows in files: in memory there is one batch at a time."""

    report: BatchReport
    valid: Path
    quarantined: Path | None
    when: Mapping[str, str]


def _check(
    project: Project, contract: Contract, raw: Manifest, folder: Path, name: str
) -> _Checked:
    """Return a batch checked, its rows put aside in `folder`; raises BadBatchError."""
    raw.check(name)
    outcome = contract.check(read_raw(project.raw / f"{name}.parquet"), name)
    if outcome.report.faults:
        raise BadBatchError(outcome.report)
    times = (
        moments(contract.dataset, outcome.valid, datetime.now(UTC).replace(tzinfo=None))
        if contract.dataset.has_time_column
        else pl.Series([raw.entries[name]["start"]])
    )
    valid, bad_rows = (folder / f"{name}-{kind}.parquet" for kind in ("valid", "quarantined"))
    outcome.valid.write_parquet(valid)
    some = not outcome.quarantined.is_empty()
    if some:
        outcome.quarantined.write_parquet(bad_rows)
    return _Checked(outcome.report, valid, bad_rows if some else None, when(times))


def _keep(project: Project, batch: _Checked, done: Manifest, made_from: str) -> None:
    name = batch.report.batch
    valid, report, bad_rows = (
        done.file(name),
        project.validation / f"{name}.json",
        project.quarantine / f"{name}.parquet",
    )
    for folder in (project.quarantine, project.validation):
        folder.mkdir(parents=True, exist_ok=True)
        sweep_left(folder)
    files = [valid, report]
    write_whole(valid, partial(shutil.copyfile, batch.valid))
    write_json(report, asdict(batch.report))
    if batch.quarantined:
        write_whole(bad_rows, partial(shutil.copyfile, batch.quarantined))
        files.append(bad_rows)
    else:
        bad_rows.unlink(missing_ok=True)
    done.record(name, *files, stamp=made_from, rows=batch.report.valid, **batch.when)
