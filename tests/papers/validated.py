"""A project of two small validated batches, made without validating them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from conftest import month, settings_of

from evergreen.files import write_json
from evergreen.ingest.manifest import Manifest, when
from evergreen.project import Project
from evergreen.validation.report import BatchReport, Check

BATCHES = ("2013-01", "2013-02")


def validated(folder: Path) -> Project:
    project = settings_of(folder)
    for path in (project.validated, project.validation):
        path.mkdir(parents=True)
    done = Manifest(project.validated)
    for name in BATCHES:
        rows = month(name, 60).select(list(project.dataset.columns))
        rows.write_parquet(done.file(name))
        check = Check("carrier: not missing", "rows", passed=False, broken=2)
        report = BatchReport(name, rows.height + 2, rows.height, 2, (check,))
        write_json(project.validation / f"{name}.json", asdict(report))
        times = when(rows["scheduled_departure"])
        done.record(name, done.file(name), rows=rows.height, **times)
    return project
