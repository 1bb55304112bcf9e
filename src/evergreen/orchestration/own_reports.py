"""Own reports: the project's own reports of a finished training run, kept with it.

A report that fails is said and the run goes on: a picture that is missing can be drawn again, and
no model that has been trained is to be lost for it.
"""

from __future__ import annotations

from pathlib import Path

from prefect.logging import get_run_logger

from evergreen.errors import log_traceback
from evergreen.extensions import Report, name_of
from evergreen.orchestration.notify import describe
from evergreen.project import Project
from evergreen.report.finished import Finished, written


def write_own(run: Finished) -> list[Path]:
    """Write each report of the project into `reports/`, named as its function; return paths."""
    found = (_write(report, run) for report in run.params.extensions.reports)
    return [path for path in found if path]


def _write(report: Report, run: Finished) -> Path | None:
    project: Project = run.project
    try:
        with project.temporary() as folder:
            made = written(report, run, Path(folder))
            if made is None:
                return None
            project.reports.mkdir(parents=True, exist_ok=True)
            path = project.reports / f"{name_of(report)}{made.suffix}"
            made.replace(path)
            return path
    except Exception as error:  # whatever it is, it is of the user's code
        log_traceback(error, project.stores)
        get_run_logger().warning(
            "the report %s of extensions.py failed (%s): the run goes on without it",
            name_of(report),
            describe(error),
        )
        return None
