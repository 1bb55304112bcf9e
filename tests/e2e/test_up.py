"""`evergreen up`, touched only by a form: an approval, and what a new batch starts.

The services take longer to start than all else here takes: they are started once, and a page of
another site has its try at them before a person approves.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import yaml
from browser import CHROMIUM, browse
from conftest import month
from foreign_page import ATTACK, SOCKET, experiments, log_in, site, tries, unharmed
from services import PATIENCE, Page, at_work, eventually, free_port, services
from strangers import assert_mlflow_is_closed, assert_prefect_is_closed

from evergreen import params
from evergreen.doctor import port_is_free
from evergreen.http import ask
from evergreen.orchestration.login import login_of
from evergreen.orchestration.watch import REQUESTED, resource_of
from evergreen.project import Project
from evergreen.stores.journal import Journal
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]
EAGER = {
    "windows": 1,
    "needed": 1,
    "cooldown_days": 0.0,
    "min_new_rows": 100,
    "max_age_days": 10.0,
    "max_growth": None,
}
STOPPED = ("CRASHED", "CANCELLED", "FAILED")


def deliver(project: Project, name: str) -> None:
    """Put a month of flights where the source looks."""
    month(name).write_parquet(project.root.parent / "inbox" / f"{name}.parquet")


def finished(page: Page, *stopped: str) -> list[Any]:
    """The runs of training that came to an end; none of them failed but those that were stopped."""
    found = [run for run in page.runs("training") if run["id"] not in stopped]
    assert [run["state"] for run in found if run["state"]["type"] in STOPPED] == []
    return [run for run in found if run["state"]["type"] == "COMPLETED"]


def is_quiet(page: Page, *stopped: str) -> bool:
    """Say whether no training is under way or waits; how many are asked for is a matter of time."""
    return len(finished(page, *stopped)) == len(page.runs("training")) - len(stopped)


def is_waiting(run: Any) -> bool:
    return bool(run["state"]["type"] == "PAUSED")


def decided(project: Project) -> list[tuple[str, str]]:
    """What was decided about which version."""
    found = Registry(Tracker(project, params.load(project.params)))
    return [(event.version, event.what) for event in found.events.history()]


def versions(project: Project) -> list[str]:
    """The versions that were decided upon, each as often as it was."""
    return [version for version, _ in decided(project)]


def flood(page: Page, project: Project) -> None:
    """Tell of the same drift many times at once."""
    payload, now = {"reason": "a flood"}, datetime.now(UTC).isoformat()
    said = {
        "event": REQUESTED,
        "resource": resource_of(project, payload),
        "payload": payload,
        "occurred": now,
    }
    page.ask("/events", [said | {"id": str(uuid4())} for _ in range(30)])


def assert_serves_this_machine_alone(project: Project, page: Page, cli: Run) -> None:
    """Both pages are there, for who is on this machine and logged in; a second `up` is refused."""
    chosen = params.load(project.params)
    ports = (chosen.ports.prefect, chosen.ports.mlflow, chosen.serve.port)
    pages = [f"http://127.0.0.1:{port}" for port in ports]
    told = page.said.splitlines()
    shown = [line.split()[1][: len(url)] for line, url in zip(told, pages, strict=False)]
    assert shown == pages, page.said
    assert told[3].split()[:2] == ["login", login_of(project)]
    assert [line[:6] for line in told[4:]] == ["Ctrl-C"]
    for url in pages[:2]:
        assert b"<html" in ask(f"{url}/", login_of(project))[1]
    assert hosts_of(project) == {"127.0.0.1"}
    second = cli(project, "up")
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith("error: ")
    assert second.stderr.count("\n") == 1


def hosts_of(project: Project) -> set[str]:
    """Where processes of the project listen; runs come and go."""
    found = set()
    for process in at_work(project):
        with suppress(psutil.Error):
            sockets = process.net_connections("inet")
            found |= {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}
    return found


def assert_nothing_is_left(project: Project) -> None:
    chosen = params.load(project.params)
    ports = (chosen.ports.prefect, chosen.ports.mlflow, chosen.serve.port)
    assert eventually(lambda: not at_work(project), PATIENCE), at_work(project)
    assert all(port_is_free(port) for port in ports)


def assert_deployed(page: Page) -> None:
    found = page.ask("/deployments/filter", {})
    deployments = {known["name"].removeprefix("late_flights-"): known for known in found}
    assert {"training", "monitoring", "scoring"} <= set(deployments)
    assert deployments["training"]["global_concurrency_limit"]["limit"] == 1
    assert all(deployments[name]["schedules"][0]["active"] for name in ("training", "monitoring"))


def approve(page: Page, project: Project) -> None:
    """Wait for the run that asks a person, and say yes in its form."""
    run_id = page.until(
        lambda: [run["id"] for run in page.runs("training") if is_waiting(run)], "a run that waits"
    )[0]
    assert decided(project) == [("1", "waits for approval")]
    answer = {"promote": True, "reason": "looks right"}
    page.ask(f"/flow_runs/{run_id}/resume", {"run_input": answer})
    page.wait(run_id, "COMPLETED")
    found = Registry(Tracker(project, params.load(project.params)))
    assert found.champion() == "1"
    assert "approved by a person: looks right" in found.events.history()[-1].reason


def readiness(project: Project) -> int | None:
    """What the server of predictions says of itself."""
    port = params.load(project.params).serve.port
    return ask(f"http://127.0.0.1:{port}/ready", login_of(project))[0]


def in_the_middle(page: Page) -> list[str]:
    """The runs that train at this moment."""
    running = [run["id"] for run in page.runs("training") if run["state"]["type"] == "RUNNING"]
    return [run_id for run_id in running if "matrix" in page.tasks(run_id)]


def eager(folder: Path, settled: Callable[[str], Path]) -> Project:
    """A project that retrains at the slightest reason, and whose first champion is asked for.

    Its batches are validated already: what lands later is not, and the validating costs seconds.
    """
    shutil.copytree(settled("validate"), folder, dirs_exist_ok=True, symlinks=True)
    project = Project(folder / "project")
    ports, serve = {"prefect": free_port(), "mlflow": free_port()}, {"port": free_port()}
    set_params(project, retrain=EAGER, gate={"approval": "manual"}, ports=ports, serve=serve)
    return project


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory,
    settled: Callable[[str], Path],
    with_prefect_database: Callable[[Project], Project],
) -> Project:
    return with_prefect_database(eager(tmp_path_factory.mktemp("up"), settled))


@pytest.fixture(scope="module")
def page(project: Project) -> Iterator[Page]:
    """The services of the project; once they are told to stop, nothing is left of them."""
    with services(project, signal.SIGTERM) as page:
        yield page
    assert_nothing_is_left(project)


def set_params(project: Project, **sections: dict[str, Any]) -> None:
    content = yaml.safe_load(project.params.read_text())
    for section, values in sections.items():
        content[section] |= values
    project.params.write_text(yaml.safe_dump(content))


def asked_for(page: Page) -> list[Any]:
    """The runs of training that were started because the champion has not learnt from August."""
    told = "2013-08: the newest row that the champion has learnt from is"
    return [run for run in page.runs("training") if run["parameters"]["reason"].startswith(told)]


def test_strangers_get_nothing(project: Project, page: Page) -> None:
    ports, login = params.load(project.params).ports, login_of(project)
    assert_prefect_is_closed(ports.prefect, login)
    assert_mlflow_is_closed(ports.mlflow, login)
    for name in ("prefect", "mlflow"):
        assert login.split(":")[1] not in (project.stores / f"{name}.log").read_text()


@pytest.mark.skipif(
    not CHROMIUM,
    reason="NOT TESTED: what a page of another site reaches, since no Chromium is here",
)
def test_a_page_of_another_site_reaches_nothing_and_our_own_pages_work(
    project: Project, page: Page, tmp_path: Path
) -> None:
    chosen, mark, login = params.load(project.params).ports, tmp_path / "mark", login_of(project)
    ports = {"prefect": chosen.prefect, "mlflow": chosen.mlflow}
    prefect, mlflow = (f"http://127.0.0.1:{port}" for port in ports.values())
    with (
        site() as port,
        browse("--host-resolver-rules=MAP *.example 127.0.0.1") as browser,
    ):
        deployment = page.ask("/deployments/name/scoring/late_flights-scoring")["id"]
        own = log_in(browser, prefect, mlflow, login)
        before = {*experiments(mlflow, login)}
        asked = json.dumps(tries(prefect, mlflow, deployment, mark))
        for evil in (
            f"http://evil.example:{port}",
            f"http://localhost:{port}",
            f"http://127.0.0.1:{port}",
        ):
            tab = browser.open(evil)
            browser.until_said(tab, "cats")
            assert browser.run(tab, f"{ATTACK}({asked})") == [], evil
            assert (
                browser.run(tab, f"{SOCKET}('ws://127.0.0.1:{ports['prefect']}/api/events/in')")
                == "refused"
            )
        for name, server in ports.items():
            # Whose name the attacker has led to this machine meanwhile
            rebound = f"http://evil.example:{server}"
            tab = browser.open(rebound)
            browser.until_said(tab, "refused")
            asked = json.dumps(tries(rebound, rebound, deployment, mark))
            assert browser.run(tab, f"{ATTACK}({asked})") == [], name
        assert unharmed(page, deployment)
        after = {*experiments(mlflow, login)}
        made = {name for name in after - before if not name.startswith("evergreen")}
        assert made == set()  # the project's own are made when something first runs
        assert before <= after
        assert (
            browser.run(own, f"{ATTACK}({json.dumps(tries('', mlflow, deployment, mark)[-2:-1])})")
            != []
        )
        assert "evil" in experiments(mlflow, login)  # the same page, were it our own
    assert not mark.exists()


def test_a_person_approves_and_a_batch_that_lands_starts_a_retraining(
    project: Project, page: Page, cli: Run
) -> None:
    assert_serves_this_machine_alone(project, page, cli)
    assert eventually(lambda: readiness(project) == 503, PATIENCE)
    approve(page, project)  # there was no champion yet: the first was asked for
    assert_deployed(page)
    deliver(project, "2013-08")
    page.until(lambda: asked_for(page), "a retraining after a batch landed")
    assert readiness(project) == 200


@pytest.mark.long
def test_services_that_are_stopped_in_the_middle_go_on_when_they_are_started_again(
    tmp_path: Path, settled: Callable[[str], Path]
) -> None:
    project = eager(tmp_path, settled)
    with services(project, signal.SIGTERM) as page:
        approve(page, project)
        set_params(project, gate={"approval": "auto"})
        deliver(project, "2013-08")
        (stopped,) = page.until(lambda: in_the_middle(page), "a retraining that is under way")
        assert asked_for(page)
    assert_nothing_is_left(project)
    deliver(project, "2013-09")  # while the services are stopped
    with services(project, signal.SIGKILL) as page:
        page.until(
            lambda: versions(project) == ["1", "1", "2"] and is_quiet(page, stopped),
            "a retraining after the services were started again",
        )
        assert page.ask(f"/flow_runs/{stopped}")["state"]["type"] in STOPPED
        before = len(page.runs("training"))
        flood(page, project)  # one run, and it finds nothing to do
        page.until(
            lambda: len(page.runs("training")) > before and is_quiet(page, stopped),
            "a run after a flood of events",
        )
        assert len(page.runs("training")) == before + 1
        assert versions(project) == ["1", "1", "2"]
    assert_nothing_is_left(project)
    journal = Journal(Tracker(project, params.load(project.params)))
    assert [seen.batch for seen in journal.entries()] == ["2013-08", "2013-09"]
    assert journal.asked() == []
    assert (project.reports / "monitoring.html").read_text().count("2013-09") >= 2
