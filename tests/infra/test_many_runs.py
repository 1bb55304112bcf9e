"""Many runs at the servers of the stack: a worker dies, fifty are asked for, a thousand are kept.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
from conftest import environment
from infra.stacked import MARKS, PATIENCE, Run, Servers, made
from infra.test_attacks import API, ask
from services import Page, at_work, eventually, services

from evergreen.orchestration.server import tag_of
from evergreen.project import Project

pytestmark = MARKS
ASKED = int(os.environ.get("ASKED", "50"))
MANY = 1000
QUICK = {"PREFECT_WORKER_QUERY_SECONDS": "2"}  # 10 as shipped: a test only waits
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def page_of(servers: Servers) -> Page:
    return Page(servers.ours.ports["prefect"], servers.login)


def trainings(page: Page) -> list[Any]:
    """Runs of training that a worker was asked for, oldest first."""
    return [run for run in page.runs("training") if run["deployment_id"]]


def until(holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    end = time.monotonic() + patience
    while not (found := holds()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(1)
    return found


def versions(servers: Servers, name: str) -> tuple[str, int]:
    """Return the champion's version, and how many versions there are."""
    port, login = servers.ours.ports["mlflow"], servers.login
    models = f"{API}/registered-models"
    _, champion = ask(port, "GET", f"{models}/alias?name={name}&alias=champion", login)
    _, found = ask(port, "GET", f"{API}/model-versions/search?filter=name%3D%27{name}%27", login)
    champion = json.loads(champion).get("model_version", {}).get("version", "")
    return champion, len(json.loads(found).get("model_versions", ()))


def test_a_worker_dies_and_many_ask_at_once(servers: Servers, tmp_path: Path) -> None:
    project = made(tmp_path, "many", seeds=2, serve={"up": "off"})
    killed = worker_killed(project, servers)
    with services(project, **servers.ours.variables("work"), **QUICK):
        page = page_of(servers)
        recovered(project, servers, page, killed)
        asked_at_once(project, servers, page)


def worker_killed(project: Project, servers: Servers) -> str:
    """Return the training whose worker was killed in the middle."""
    up, page = Run(project, servers, "up", **QUICK), page_of(servers)
    up.until(re.compile("Ctrl-C stops everything"))

    def training() -> list[str]:
        running = [run["id"] for run in trainings(page) if run["state"]["type"] == "RUNNING"]
        return [run for run in running if "matrix" in page.tasks(run)]

    (killed,) = until(training, "a training")
    started = psutil.Process(up.process.pid).children(recursive=True)
    (worker,) = (child for child in started if child.cmdline()[3:5] == ["prefect", "worker"])
    for process in (worker, *worker.children(recursive=True)):  # as where memory is short
        process.kill()
    assert up.end() == 1
    assert up.said.splitlines()[-1].startswith("error: worker stopped by itself: see "), up.said
    assert eventually(lambda: at_work(project) == [], 60), at_work(project)
    assert versions(servers, "many") == ("", 0)
    return str(killed)


def recovered(project: Project, servers: Servers, page: Page, killed: str) -> None:
    """The next start says what became of the run, and a run completes what it had begun."""
    state = page.ask(f"/flow_runs/{killed}")["state"]
    assert state["type"] == "CRASHED"
    assert state["message"] == "its process was killed; the next run continues"
    if not [run for run in trainings(page) if run["state"]["type"] not in ENDED]:
        page.start()
    until(lambda: versions(servers, "many")[0] == "1", "a champion")
    until(lambda: {run["state"]["type"] for run in trainings(page)} <= ENDED, "the end of it")
    again = Run(project, servers, "up")
    assert again.end() == 1
    assert "`evergreen up` is running already" in again.said


@contextmanager
def second_worker(project: Project, servers: Servers) -> Iterator[None]:
    """One more worker for the project's pool."""
    env = environment(project.root) | servers.ours.variables("work") | QUICK
    command = ["-m", "evergreen.orchestration.services", "prefect", "worker", "start"]
    with (servers.ours.folder / "second.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, *command, "--pool", project.package, "--type", "process"],
            cwd=project.root, env=env | {"EVERGREEN_PROJECT": tag_of(project)},
            stdin=subprocess.PIPE, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
    finally:
        worker.terminate()
        worker.communicate(timeout=120)


def asked_at_once(project: Project, servers: Servers, page: Page) -> None:
    """Two workers, many runs asked for at once: one at a time, each ends well, one champion."""
    with second_worker(project, servers):
        asked = [page.start() for _ in range(ASKED)]
        slowest, began = 0.0, time.monotonic()

        def ended() -> list[Any]:
            nonlocal slowest
            clock = time.monotonic()
            found = page.ask("/flow_runs/filter", {"flow_runs": {"id": {"any_": asked}}})
            slowest = max(slowest, time.monotonic() - clock)
            assert {run["id"] for run in found} == {*asked}
            return found if {run["state"]["type"] for run in found} <= ENDED else []

        runs = until(ended, "the end of all that were asked for", 120 * ASKED)
    print(
        f"{ASKED} runs in {time.monotonic() - began:.0f} s; Prefect answers within {slowest:.1f} s"
    )
    assert [run["state"] for run in runs if run["state"]["type"] != "COMPLETED"] == []
    assert slowest < 30
    spans = sorted((run["start_time"], run["end_time"]) for run in runs)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert versions(servers, "many") == ("1", 1)
    assert {run["state"]["type"] for run in trainings(page)} <= ENDED


# --- a thousand runs
# --------------------------------------------------------------------------------------------------


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
