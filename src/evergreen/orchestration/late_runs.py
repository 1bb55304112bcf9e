"""Late runs: what ran without a server is in Prefect's history as soon as there is one.

A run with nothing to do ends before a server is up. It is noted in a file beside Prefect's
database, and whichever server opens that next writes it into the history, with its own times.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

from evergreen.project import Project

FILE = "late_runs.jsonl"
PAUSE = 5.0  # seconds between two looks of a running server


@dataclass(frozen=True)
class LateRun:
    """A run of the flow `flow`, every step of which was skipped; times in seconds, UTC."""

    id: str
    flow: str
    name: str
    began: float
    ended: float
    message: str
    tags: tuple[str, ...]
    parameters: dict[str, Any]


def note(
    project: Project,
    flow: str,
    name: str,
    began: float,
    message: str,
    tag: str,
    parameters: dict[str, Any],
) -> None:
    """Note a run that ends now, for the next server of the project."""
    ended = datetime.now(UTC).timestamp()
    run = LateRun(str(uuid4()), flow, name, began, ended, message, (tag,), parameters)
    home = Path(os.environ.get("PREFECT_HOME", project.stores / "prefect"))
    home.mkdir(parents=True, exist_ok=True)
    with _held(home), (home / FILE).open("a", encoding="utf-8") as file:
        file.write(f"\n{json.dumps(asdict(run))}\n")  # what a kill cut short ends there


def read(home: Path) -> list[LateRun]:
    """Return the runs that are noted in Prefect's folder; a line cut short by a kill is none."""
    found = []
    if (home / FILE).is_file():
        for line in (home / FILE).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):
                run = json.loads(line)
                found.append(LateRun(**run | {"tags": tuple(run["tags"])}))
    return found


async def keep_recording(home: Path) -> None:
    """Record what is noted, in Prefect's server of this process, now and as long as it runs."""
    while True:
        if (home / FILE).is_file():
            try:
                await record(home)
            except Exception:  # the server is worth more than this
                traceback.print_exc(file=sys.stderr)
                return
        await asyncio.sleep(PAUSE)


async def record(home: Path) -> None:
    """Write what is noted into Prefect's history, each run once, then drop the notes."""
    from prefect.server.database import provide_database_interface

    with _held(home):
        runs = read(home)
        database = provide_database_interface()
        async with database.session_context(begin_transaction=True) as session:
            for run in runs:
                await _add(session, run)
        (home / FILE).unlink(missing_ok=True)


async def _add(session: object, run: LateRun) -> None:
    from prefect.server import models, schemas

    began, ended = (datetime.fromtimestamp(at, UTC) for at in (run.began, run.ended))
    flow = await models.flows.create_flow(session, schemas.core.Flow(name=run.flow))
    state = schemas.states.State(
        type=schemas.states.StateType.COMPLETED,
        name="Skipped",
        message=run.message,
        timestamp=ended,
    )
    made = schemas.core.FlowRun(
        flow_id=flow.id,
        name=run.name,
        tags=list(run.tags),
        parameters=run.parameters,
        idempotency_key=run.id,
        expected_start_time=began,
        start_time=began,
        end_time=ended,
        total_run_time=ended - began,
        state=state,
    )
    await models.flow_runs.create_flow_run(session, made)


def _held(home: Path) -> FileLock:
    return FileLock(home / f"{FILE}.lock", timeout=30)
