"""The changes of `docs/make-it-yours.md`, made as they stand there; one run shows all of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, environment

from evergreen import params
from evergreen.features.encoder import Encoder
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]
PAGE = (ROOT / "docs" / "make-it-yours.md").read_text()


def snippet(about: str) -> str:
    """The code below a bold title of the page."""
    found = re.search(rf"^\*\*{about}.*?```\w+\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, about
    assert "**" not in found[1], about
    return found[1]


def swap(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def merge(params_file: Path, code: str, **replaced: str) -> None:
    """Put sections into `params.yaml`; what a test cannot have is replaced."""
    content = yaml.safe_load(params_file.read_text())
    for section, values in yaml.safe_load(code).items():
        assert section in content
        content[section] |= {key: replaced.get(key, value) for key, value in values.items()}
    params_file.write_text(yaml.safe_dump(content))


def shell(project: Project, line: str) -> None:
    done = subprocess.run(
        line,
        shell=True,
        cwd=project.root,
        env=environment(project.root),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_every_change_of_the_page_at_once(
    make_project: Callable[..., Project], cli: Run, tmp_path: Path
) -> None:
    project = make_project()
    code = project.root / "src" / "late_flights"
    first, rest = snippet("Another feature").split("        ...\n")
    swap(code / "dataset.py", first, first + rest)
    line = '        gxe.ExpectColumnValuesToBeBetween(column="dep_delay"'
    swap(
        code / "expectations.py", line, f"        {snippet('Another expectation').strip()},\n{line}"
    )
    merge(
        project.params,
        snippet("Another source"),
        path=str(project.root.parent / "inbox" / "*.parquet"),
    )
    merge(project.params, snippet("Another metric"))
    shutil.copytree(ROOT / "docs", project.root / "docs")
    shell(project, snippet("Another model"))
    deployments = project.root / "prefect.yaml"
    monthly = '    schedules:\n      - {slug: monthly, cron: "0 3 1 * *", timezone: UTC}\n'
    swap(deployments, monthly, snippet("Another trigger"))
    assert (
        yaml.safe_load(deployments.read_text())["deployments"][0]["schedules"][0]["cron"]
        == "0 3 * * 1"
    )

    done = cli(project, "run")
    assert done.returncode == 0, done.stderr
    assert "version 1 is " in done.stdout
    assert "evening" in Encoder.read(project.features / "encoder.json").features
    page = (project.reports / "validation.html").read_text()
    assert re.search(r"dest: [^<]*length", page), "the new expectation was not checked"
    assert {path.suffix for path in project.stores.glob("mlflow/**/seed/booster.*")} == {".skops"}
    registry = Registry(Tracker(project, params.load(project.params)))
    decided = registry.events.last_decision("1")
    assert decided
    evidence = registry.events.evidence(decided)["evidence"]
    assert [
        rule["says"] for rule in evidence["rules"] if rule["name"] == "reload" and not rule["met"]
    ] == []
    assert evidence["comparison"]["metric"] == "average_precision"

    store = tmp_path / "elsewhere"
    shell(project, snippet("Another store").replace("/mnt/shared/dvc", str(store)))
    assert any(path.is_file() for path in store.rglob("*"))


def test_the_page_names_every_change_once() -> None:
    titles = re.findall(r"^\*\*Another ([\w ]+?)(?: that decides)?\.?\*\*", PAGE, re.MULTILINE)
    assert titles == [
        "table",
        "source",
        "feature",
        "expectation",
        "metric",
        "model",
        "store",
        "trigger",
    ]
