"""Two clones of one project, and two projects, at one stack at once: a champion for each project.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL.
"""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

from infra.stacked import MARKS, Run, Servers, made
from infra.working import (
    assert_nothing_half_written,
    champion,
    decisions,
    deploy,
    page_of,
    runs,
    versions,
    worker,
)

from evergreen.project import Project

pytestmark = MARKS


def folder(at: Path, name: str) -> Path:
    (at / name).mkdir()
    return at / name


def roots(servers: Servers, name: str) -> set[str]:
    """Which folders the runs of a project come from, those of decisions too."""
    found = [run for part in (name, f"{name} decisions") for run in runs(servers, part)]
    return {tags_of(run)["evergreen.root"] for run in found}


def tags_of(run: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def root_of(project: Project) -> str:
    return f"{socket.gethostname()}:{project.root}"


def test_two_clones_that_run_at_once_have_one_champion(servers: Servers, tmp_path: Path) -> None:
    clones = [made(folder(tmp_path, name), "cloned", seeds=2) for name in ("first", "second")]
    both = [Run(project, servers) for project in clones]
    ends = [run.end() for run in both]
    assert 0 in ends, [run.said for run in both]
    for run, end in zip(both, ends, strict=True):
        said = run.said.splitlines()[-1]
        assert end == 0 or "is champion now: run again" in said, run.said
    number, _ = versions(servers, "cloned")
    for project in clones:  # whichever of them asks
        again = Run(project, servers)
        assert again.end() == 0, again.said
        assert f"cloned version {number} is champion" in again.said
        status = Run(project, servers, "status")
        assert status.end() == 0, status.said
        assert "moved" not in status.said
        assert_nothing_half_written(project, servers, "cloned")
    assert [of for of in decisions(servers, "cloned") if of[1] == "promoted"] == [
        (number, "promoted")
    ]
    assert roots(servers, "cloned") == {root_of(project) for project in clones}


def renamed(project: Project, package: str) -> Project:
    """The project as one of another package."""
    before = project.package
    shutil.move(project.root / "src" / before, project.root / "src" / package)
    for path in [
        *(project.root / "src" / package).rglob("*.py"),
        *(project.root / name for name in ("pyproject.toml", "dvc.yaml", "prefect.yaml")),
    ]:
        path.write_text(path.read_text().replace(before, package))
    return Project(project.root)


def test_two_projects_that_run_at_once_have_a_champion_each(
    servers: Servers, tmp_path: Path
) -> None:
    page, ours = page_of(servers), made(folder(tmp_path, "ours"), "ours", seeds=2)
    theirs = renamed(made(folder(tmp_path, "theirs"), "theirs", seeds=2), "other_flights")
    for project in (ours, theirs):
        deploy(project, servers)
    with worker(ours, servers, "first"), worker(theirs, servers, "second"):
        asked = [page.start(), page.start(package="other_flights")]
        for run in asked:
            page.wait(run, "COMPLETED")
    for project, name in ((ours, "ours"), (theirs, "theirs")):
        assert versions(servers, name) == ("1", 1)
        assert decisions(servers, name) == [("1", "promoted")]
        assert roots(servers, name) == {root_of(project)}
        made_by = champion(servers, name)["run_id"]
        assert made_by in {run["info"]["run_id"] for run in runs(servers, name)}
        assert_nothing_half_written(project, servers, name)


def test_a_project_does_not_take_the_name_of_another(servers: Servers, tmp_path: Path) -> None:
    first = Run(made(folder(tmp_path, "first"), "taken", seeds=1), servers)
    assert first.end() == 0, first.said
    second = made(folder(tmp_path, "second"), "taken", seeds=1)
    settings = second.root / "pyproject.toml"
    settings.write_text(settings.read_text().replace('name = "', 'name = "another-', 1))
    run = Run(second, servers)
    assert run.end() == 1, run.said
    assert "is of the project" in run.said.splitlines()[-1]
    assert versions(servers, "taken") == ("1", 1)
