"""People as a user has them: no command leaves a value of a personal column in what it makes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
import yaml
from conftest import SMALL, copy_project, environment, git, run_cli
from forking import alone
from planted import DATASET, EXPECTATIONS, PERSONAL, find, people, spoilt, values_of

from evergreen.orchestration.login import login_of
from evergreen.params import Params
from evergreen.project import Project
from evergreen.scoring.predictions import known

pytestmark = [pytest.mark.slow, pytest.mark.long]
COLUMNS = ("email", "phone", "adviser", "name", "note")
PLACES = ("data/raw", "data/quarantine", "data/features", ".dvc/cache", "stores/mlflow",
          "reports")  # fmt: skip


def make(folder: Path, personal: str) -> Project:
    """A project of people with three batches, the first of which are clean."""
    root, inbox = folder / "project", folder / "inbox"
    copy_project(root)
    inbox.mkdir()
    package = root / "src" / "late_flights"
    (package / "dataset.py").write_text(DATASET.replace("@PERSONAL@", personal))
    (package / "expectations.py").write_text(EXPECTATIONS)
    content = Params().model_dump(mode="json", by_alias=True)
    content |= {"source": {"kind": "files", "path": "../inbox"}}
    for section, values in (SMALL | {"validate": {"max_bad_rows": 0.05}}).items():
        content[section] |= values
    content["split"]["cross_validate_below"] = None
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    git(root, "commit", "-qam", "people")
    people(0).write_parquet(inbox / "b0.parquet")
    spoilt(people(1)).write_csv(inbox / "b1.csv")
    people(2).write_csv(inbox / "b2.csv")
    return Project(root)


@pytest.fixture
def told() -> list[str]:
    """What commands print."""
    return []


@pytest.fixture
def does(told: list[str]) -> Callable[..., str]:
    """Run a command, which ends well or not as is said."""

    def run(project: Project, *words: str, well: bool = True) -> str:
        done = run_cli(project, *words)
        told.append(done.stdout + done.stderr)
        assert (done.returncode == 0) == well, told[-1]
        return told[-1]

    return run


def test_a_search_of_all_that_was_made_finds_nobody(
    tmp_path: Path, does: Callable[..., str], told: list[str]
) -> None:
    with alone():
        project = make(tmp_path, PERSONAL)
        inbox = tmp_path / "inbox"
        does(project, "run")
        refuse_broken_batches(project, inbox, does)
        people(3).write_parquet(inbox / "b3.parquet")
        does(project, "monitor")
        people(4).drop("left").write_csv(tmp_path / "new.csv")
        does(project, "score", str(tmp_path / "new.csv"), "--out", str(project.root / "out.csv"))
        does(project, "score", "--batch", "b2")
        with served(project) as there:
            told.extend(talk(there))
        does(project, "status")
        does(project, "doctor")
        does(project, "diagnose")
        does(project, "replay")
    labels = list((project.root / "feedback").glob("*.parquet"))
    assert len(labels) == 1
    assert {batch.partition("-")[0] for batch, _ in known(project)} >= {"new", "b2", "serving"}
    values = values_of([people(batch) for batch in range(8)], COLUMNS)
    assert find(project.root, values) == []
    said = "\n".join(told)
    assert [value for value in values if value in said] == []
    assert "planted" not in said.lower()
    assert_known_again(project, inbox, labels[0], does)


def refuse_broken_batches(project: Project, inbox: Path, does: Callable[..., str]) -> None:
    """Deliver what cannot be read, and what is bad as a whole; take it back."""
    lines = people(5).write_csv().splitlines()
    for text, said in (
        ([*lines[:5], f"{lines[5]},{lines[6]}"], "Expected 10 columns, got 20"),
        (lines[1:], "none of its 10 columns"),
        ([line.replace(",4917", ",planted-", 1) + "perhaps" for line in lines], "missing column"),
        ([lines[0], *(f"{line}?" for line in lines[1:])], "left: is a true or false"),
        ([lines[0], *(lines[9] for _ in range(99))], "email, phone: unique together"),
    ):
        (inbox / "b3.csv").write_text("\n".join(text) + "\n")
        assert said in does(project, "run", well=False)
        (inbox / "b3.csv").unlink()
        if (project.raw / "b3.parquet").exists():
            does(project, "ingest", "b3", "--drop")


@contextmanager
def served(project: Project) -> Iterator[httpx.Client]:
    """A client of `evergreen serve`."""
    words = [sys.executable, "-m", "evergreen.cli", "serve", "--port", "0"]
    with subprocess.Popen(
        words, cwd=project.root, env=environment(project.root), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            url = process.stdout.readline().split()[1]
            user, password = login_of(project).split(":")
            transport = httpx.HTTPTransport(retries=5)
            with httpx.Client(
                base_url=url, auth=(user, password), transport=transport, timeout=60
            ) as client:
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def talk(client: httpx.Client) -> list[str]:
    """What a server says to requests, good and bad; labels come for those who were predicted."""
    rows = [json.loads(line) for line in people(6)[20:40].write_ndjson().splitlines()]
    first, predict, feedback = rows[0], "/predict", "/feedback"
    odd = ({"phone": "planted-phone"}, {"spend": "a lot"}, {"email": None}, {"spend": -1})
    asked: list[tuple[str, Any]] = [
        (predict, first), (predict, {"rows": rows}), (predict, {first["email"]: 1}),
        (predict, {"rows": [first] * 200}), *((predict, first | change) for change in odd),
        (feedback, {"rows": rows}), (feedback, first | {"left": "perhaps"}),
    ]  # fmt: skip
    answers = [client.post(path, json=body) for path, body in asked]
    answers += [client.get(path) for path in ("/model", "/openapi.json", "/ready", "/metrics")]
    assert [answer.status_code for answer in answers[:3]] == [200, 200, 422]
    return [answer.text for answer in answers]


def assert_known_again(
    project: Project, inbox: Path, labels: Path, does: Callable[..., str]
) -> None:
    """Labels of requests, which hold hashes, are taken as they are, and join what was predicted."""
    shutil.copy(labels, inbox / "b4.parquet")
    does(project, "ingest")
    kept = pl.read_parquet(project.raw / "b4.parquet")
    assert kept["email"].to_list() == pl.read_parquet(labels)["email"].to_list()


def test_the_same_search_finds_who_was_not_declared(tmp_path: Path, does: Any) -> None:
    with alone():
        project = make(tmp_path, "{}")
        does(project, "run")
    found = find(project.root, values_of([people(batch) for batch in range(3)], COLUMNS))
    places = [line.removeprefix(f"{project.root}/") for line in found]
    assert [place for place in PLACES if not any(place in line for line in places)] == []
    # What is declared when that was kept is refused
    dataset = project.root / "src" / "late_flights" / "dataset.py"
    dataset.write_text(DATASET.replace("@PERSONAL@", PERSONAL))
    for words in (["run"], ["ingest"], ["validate"], ["status"], ["score", "--batch", "b0"]):
        assert "rm -rf data stores" in does(project, *words, well=False)
    for gone in ("data", "stores", "reports", ".dvc/cache"):
        shutil.rmtree(project.root / gone)
    (project.root / "dvc.lock").unlink()
    with alone():
        does(project, "run")
    left = find(project.root, values_of([people(batch) for batch in range(3)], COLUMNS))
    assert left == []
