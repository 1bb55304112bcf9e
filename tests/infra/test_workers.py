"""Two workers and one champion: many runs at once, and workers that are killed in the middle.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from infra.stacked import MARKS, Run, Servers, made
from infra.working import (
    assert_nothing_half_written,
    children,
    decisions,
    deploy,
    kill,
    page_of,
    runs,
    seeds_of_champion,
    versions,
    worker,
)
from services import Page, services

from evergreen.orchestration.automations import BEAT, dead_runs

pytestmark = MARKS
AT_A_TIME = 50
WITHIN = 480.0  # seconds until all have ended
ANSWER = 10.0  # seconds that Prefect's server may take meanwhile


def states(page: Page, asked: list[str]) -> Counter[str]:
    """How many runs are in which state, by its name; Prefect answers soon."""
    clock = time.monotonic()
    found = page.ask("/flow_runs/filter", {"flow_runs": {"id": {"any_": asked}}})
    assert time.monotonic() - clock < ANSWER
    return Counter(run["state"]["name"] for run in found)


def test_fifty_runs_at_once_and_two_workers_make_one_champion(
    servers: Servers, tmp_path: Path
) -> None:
    project, page = made(tmp_path, "fifty"), page_of(servers)
    work = servers.ours.variables("work")
    with services(project, signal.SIGTERM, **work), worker(project, servers, "second"):
        clock = time.monotonic()
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            asked = [*pool.map(lambda _: page.start(), range(AT_A_TIME))]
        while (found := states(page, asked)).keys() - {"Completed", "Skipped"}:
            assert not found.keys() & {"Failed", "Crashed", "Cancelled"}, found
            assert time.monotonic() - clock < WITHIN, found
            time.sleep(2)
        took = time.monotonic() - clock
        page.until(lambda: not unfinished(page), "the end of what monitoring asked for")
        assert automation(page, project.package)["enabled"]
    assert found.total() == AT_A_TIME
    print(f"{took:.0f} s: {dict(found)}")
    assert versions(servers, "fifty") == ("1", 1)
    assert decisions(servers, "fifty") == [("1", "promoted")]
    own = [run for run in runs(servers, "fifty") if is_training(run)]
    assert [run["info"]["status"] for run in own] == ["FINISHED"]
    assert_nothing_half_written(project, servers, "fifty")


def unfinished(page: Page) -> list[tuple[str, str, str]]:
    return [told for told in page.told() if told[1] not in ("COMPLETED", "CRASHED", "FAILED")]


def is_training(run: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    return not any(tag["key"] == "mlflow.parentRunId" for tag in run["data"]["tags"])


@pytest.fixture(scope="module")
def undisturbed(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The champion's seeds of a run that nobody kills."""
    run = Run(made(tmp_path_factory.mktemp("undisturbed"), "undisturbed"), servers)
    assert run.end() == 0, run.said
    return seeds_of_champion(servers, "undisturbed")


def automation(page: Page, package: str) -> dict[str, Any]:
    """What notices dead runs at Prefect's server."""
    name = {"automations": {"name": {"any_": [dead_runs(package, ())["name"]]}}}
    (known,) = page.ask("/automations/filter", name)
    return dict(known)


def notice_soon(page: Page, package: str) -> None:
    """Let Prefect notice a dead run after two signs of life that did not come."""
    known = automation(page, package)
    trigger = known["trigger"] | {"within": 2 * BEAT + 10}
    changed = {key: known[key] for key in ("name", "description", "enabled", "actions")}
    page.ask(f"/automations/{known['id']}", changed | {"trigger": trigger}, how="PUT")


@pytest.mark.parametrize("how", ["with_its_run", "alone"])
def test_a_worker_is_killed_in_a_training_and_another_ends_with_the_same_champion(
    how: str, servers: Servers, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    name = f"killed_{how}"
    project, page = made(tmp_path, name), page_of(servers)
    deploy(project, servers)
    notice_soon(page, project.package)
    with worker(project, servers, "first") as first:
        begun = page.start()
        page.until(lambda: "matrix" in page.tasks(begun), "a training that is under way")
        started = children(first)
        kill(psutil.Process(first.pid), *(started if how == "with_its_run" else ()))
        if how == "with_its_run":  # noticed while nobody asks for anything
            assert not versions(servers, name)[0]
            page.until(lambda: states(page, [begun]) == {"Crashed": 1}, "a word of its end")
        with worker(project, servers, "second"):
            asked = page.start()
            page.wait(asked, "COMPLETED")
            # Alone, it leaves a run that goes on or breaks off; in any case one whose end is known
            assert states(page, [begun]).keys() <= {"Completed", "Crashed"}
        kill(*started)
    assert versions(servers, name) == ("1", 1)
    assert decisions(servers, name) == [("1", "promoted")]
    assert seeds_of_champion(servers, name) == undisturbed
    assert_nothing_half_written(project, servers, name)
