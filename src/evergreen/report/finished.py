"""Finished: a training run whose model the gate has judged, for the project's own reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.errors import InputError
from evergreen.extensions import Report, name_of

if TYPE_CHECKING:
    import polars as pl

    from evergreen.decision import Decision
    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.promotion.judge import Judged
    from evergreen.scoring.package import Model


@dataclass(frozen=True)
class Finished:
    """A training run as a report sees it.

    `run_id`: in MLflow. `version`: of the `model`, which is loaded from the registry. `rows`: those
    that judged it, columns of a features file; `judged`: their labels `y`, what champion and
    challenger say of them (`predictions`), and the gate's `evidence`. `decision`: of the gate.
    """

    project: Project
    params: Params
    run_id: str
    version: str
    model: Model = field(repr=False)
    rows: pl.DataFrame = field(repr=False)
    judged: Judged = field(repr=False)
    decision: Decision = field(repr=False)


def written(report: Report, run: Finished, folder: Path) -> Path | None:
    """Return the file that `report` writes into `folder`; None where it writes none.

    Raises InputError where it returns something else than the path of a file there.
    """
    found = report(run, folder)
    if found is None:
        return None
    name = name_of(report)
    if not isinstance(found, Path):
        raise InputError(f"{name} returned {found!r}: return the path of what it wrote, or None")
    if not found.is_file() or found.resolve().parent != folder.resolve():
        raise InputError(f"{name} returned {found}, which is no file in the folder it was given")
    return found
