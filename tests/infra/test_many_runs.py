"""Many runs at the servers of the stack: a thousand are kept, and pages and commands still answer.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from infra.stacked import MARKS, Run, Servers, made
from infra.test_attacks import API, ask
from infra.working import page_of, versions

from evergreen.project import Project

pytestmark = MARKS
MANY = 1000


def copy(
    link: psycopg.Connection[Any], table: str, only: str, values: Sequence[Any], **other: str
) -> None:
    """Write each row of a table that meets a condition MANY times; `other`: what changes, in SQL.

    `copied` is the number of the copy.
    """
    known = link.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND "
        "table_name = %s AND is_generated = 'NEVER' AND is_identity = 'NO'", [table],
    ).fetchall()  # fmt: skip
    names = [name for (name,) in known]
    made = ", ".join(other.get(name, f'"{name}"') for name in names)
    into = ", ".join(f'"{name}"' for name in names)
    link.execute(
        f"INSERT INTO {table} ({into}) SELECT {made} FROM {table}, "
        f"generate_series(1, {MANY}) AS copied WHERE {only}",
        values,
    )


def fill_mlflow(servers: Servers, name: str) -> int:
    """Copy all runs of a project: trainings with their seeds, decisions, what monitoring saw."""
    own = (
        "run_uuid IN (SELECT r.run_uuid FROM runs r JOIN experiments e USING (experiment_id) "
        "WHERE e.name LIKE %s)"
    )
    new = {"run_uuid": "md5(run_uuid || copied)"}
    kept = "'mlflow.parentRunId', 'evergreen.fingerprint'"
    tags = new | {"value": f"CASE WHEN key IN ({kept}) THEN md5(value || copied) ELSE value END"}
    with psycopg.connect(servers.database("mlflow")) as link:
        counted = f"SELECT count(*) FROM runs WHERE {own}"
        for table in ("latest_metrics", "metrics", "params", "tags"):
            link.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")  # rows come before their run
            copy(link, table, own, [f"{name}%"], **(tags if table == "tags" else new))
            link.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
        older = {"start_time": "start_time - 1000 * copied", "end_time": "end_time - 1000 * copied"}
        copy(link, "runs", own, [f"{name}%"], **new, **older)
        (count,) = link.execute(counted, [f"{name}%"]).fetchone() or (0,)
    return int(count)


def fill_prefect(servers: Servers, run: str) -> int:
    """Copy a run with its states, tasks and log."""
    new = {"id": "md5(id::text || copied)::uuid"}
    of_run = new | {"flow_run_id": "md5(flow_run_id::text || copied)::uuid"}
    states = {"state_id": "md5(state_id::text || copied)::uuid"}
    tables = {
        "flow_run": ("id = %s", new | states | {"idempotency_key": "NULL"}),
        "flow_run_state": ("flow_run_id = %s", of_run),
        "task_run_state": (
            "task_run_id IN (SELECT id FROM task_run WHERE flow_run_id = %s)",
            new | {"task_run_id": "md5(task_run_id::text || copied)::uuid"},
        ),
        "task_run": ("flow_run_id = %s", of_run | states),
        "log": ("flow_run_id = %s", of_run),
    }
    with psycopg.connect(servers.database("prefect")) as link:
        for table in tables:
            link.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for table, (only, other) in tables.items():
            copy(link, table, only, [run], **other)
        for table in tables:
            link.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
        (count,) = link.execute("SELECT count(*) FROM flow_run").fetchone() or (0,)
    return int(count)


def answers(project: Project, servers: Servers, name: str) -> dict[str, float]:
    """Return the seconds that commands take, and what the pages ask for."""
    main, took = servers.login, dict[str, float]()
    prefect, mlflow = servers.ours.ports["prefect"], servers.ours.ports["mlflow"]
    get = f"{API}/experiments/get-by-name?experiment_name={name}"
    number = json.loads(ask(mlflow, "GET", get, main)[1])["experiment"]["experiment_id"]
    newest = {"sort": "START_TIME_DESC", "limit": 200}
    runs = {"experiment_ids": [number], "max_results": 100, "order_by": ["start_time DESC"]}
    asked: dict[str, tuple[int, str, Any]] = {
        "Prefect's runs": (prefect, "/api/flow_runs/filter", newest),
        "Prefect's page of runs": (prefect, "/api/flow_runs/paginate", newest),
        "Prefect's count": (prefect, "/api/flow_runs/count", {}),
        "MLflow's runs": (mlflow, f"{API}/runs/search", runs),
        "MLflow's experiments": (mlflow, f"{API}/experiments/search", {"max_results": 100}),
    }
    for what, (port, path, body) in asked.items():
        clock = time.monotonic()
        status, text = ask(port, "POST", path, main, body)
        assert status == 200, text
        took[what] = time.monotonic() - clock
    for command in ("status", "history", "run"):
        run, clock = Run(project, servers, command), time.monotonic()
        assert run.end() == 0, run.said
        took[f"evergreen {command}"] = time.monotonic() - clock
        assert command != "history" or "version 1 promoted" in run.said
    return took


def assert_answers(project: Project, servers: Servers, name: str) -> None:
    """With a thousand times its runs in both, pages and commands answer as they did before."""
    before = answers(project, servers, name)
    runs = page_of(servers).runs("training")
    (newest, *_) = (run for run in reversed(runs) if run["state"]["type"] == "COMPLETED")
    kept = fill_mlflow(servers, name), fill_prefect(servers, newest["id"])
    after = answers(project, servers, name)
    said = {what: f"{before[what]:.1f} -> {took:.1f} s" for what, took in after.items()}
    print(f"{kept[0]} runs in MLflow, {kept[1]} in Prefect: {said}")
    assert kept[0] > 3 * MANY
    assert kept[1] > MANY
    assert {what: took for what, took in after.items() if took > before[what] + 15} == {}, said
    assert versions(servers, name) == ("1", 1)


def test_a_thousand_runs_are_recorded(servers: Servers, tmp_path: Path) -> None:
    project = made(tmp_path, "thousand", seeds=2)
    run = Run(project, servers)
    assert run.end() == 0, run.said
    assert_answers(project, servers, "thousand")
