"""From rows whose labels are not known yet to predictions: read, validate, score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field

from evergreen.orchestration import console
from evergreen.orchestration.server import scoring_tag_of
from evergreen.orchestration.tasks import scoring as steps
from evergreen.orchestration.tasks.job import Job, name_run, skip, tell_prefect
from evergreen.scoring.predictions import PACKAGE, Engine, Kept

File = Annotated[str, Field(min_length=1)]
Name = Annotated[str | None, Field(min_length=1)]


@dataclass(frozen=True)
class Scored:
    """Which batch was scored by which version, counts of its rows, and where they are kept."""

    batch: str
    version: str
    rows: int
    quarantined: int
    path: Path
    fresh: bool

    @classmethod
    def of(cls, kept: Kept, *, fresh: bool) -> Scored:
        """Return it in the words of what is kept."""
        return cls(kept.batch, kept.scorer.version, kept.scored, kept.quarantined, kept.path, fresh)


@flow(name="scoring")
def scoring(path: File, name: Name = None, engine: Engine = PACKAGE) -> Scored:
    """Predict with the champion for rows whose labels are not known yet.

    What it has scored before stays as it is. The project's lock is not needed: a training may be
    under way.

    Args:
        path: A CSV, TSV or Parquet file, here or behind a URL; or the file of a batch in data/raw.
        name: What the batch is called; empty: like its file.
        engine: What computes the predictions: the package, or the ONNX graph made of it.
    """
    console.install()
    job = Job.open()
    # Not the tag of a training: whoever trains would take this run for one that was killed.
    tell_prefect(name=name or path.rsplit("/", 1)[-1], tags=[scoring_tag_of(job.project)])
    plan = steps.read(job, path, name)
    name_run(f"{plan.given.batch} by version {plan.scorer.version}")
    if plan.kept:
        for step in ("validate", "score"):
            skip(
                step,
                f"version {plan.scorer.version} has scored these rows before: {plan.kept.path}",
            )
        return Scored.of(plan.kept, fresh=False)
    checked = steps.validate(job, plan)
    kept, fresh = steps.score(job, plan, checked, engine)
    return Scored.of(kept, fresh=fresh)
