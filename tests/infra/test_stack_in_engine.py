"""`make stack` for real: containers, PostgreSQL, S3 and Prometheus; used, broken, and brought back.

The engine is the one of this machine, or one that `engine.sh` starts out of Debian's packages.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from conftest import MONTHS, ROOT, SMALL, git, month
from infra.test_observe import OTHERS
from services import free_port

from evergreen import params

TESTS = ROOT / "tests" / "infra"
AS = "1000"  # who the folder belongs to, and who containers run as
PORTS = ("PREFECT_PORT", "MLFLOW_PORT", "SERVE_PORT")
PATIENCE = 900  # seconds, on a busy machine


def engine(folder: Path) -> dict[str, str]:
    """The variables that lead to an engine; the test is skipped, loudly, where none can be had."""
    own = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    there = subprocess.run(["docker", "version"], capture_output=True, check=False)
    if own.returncode == 0 and there.returncode == 0:
        return {}
    why = "" if os.getuid() == 0 else "it takes root to start one"
    if not why:
        done = subprocess.run([TESTS / "engine.sh", folder], capture_output=True, text=True)
        why = done.stderr.strip()[-300:] if done.returncode else ""
    if why:
        warnings.warn(f"NO CONTAINER ENGINE, the stack was NOT started: {why}", stacklevel=1)
        pytest.skip(f"no container engine: {why}")
    return {"DOCKER_HOST": f"unix://{folder}/docker.sock", "DOCKER_CONFIG": f"{folder}/config"}


class Stack:
    """A clone of the project, and its containers under a name of their own."""

    def __init__(self, root: Path, engine: Mapping[str, str], name: str) -> None:
        self.root = root
        self.env = {**os.environ, **engine, "COMPOSE_PROJECT_NAME": name}
        self.ports = {name: free_port() for name in PORTS}

    def settle(self) -> None:
        """Write the settings before `make stack` does: other ports, S3 and another user."""
        settings = {
            "COMPOSE_PROFILES": "cpu,s3", "ARTIFACTS": "s3://artifacts", "USER_ID": AS,
            "GROUP_ID": AS, "WORK_CPUS": "2", "WORK_MEMORY": "4g", **self.ports,
        }  # fmt: skip
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        (self.root / "infra" / ".env").write_text("".join(lines))
        subprocess.run(["chown", "-R", f"{AS}:{AS}", self.root], check=True)

    def run(self, *words: str | Path, fails: bool = False) -> str:
        done = subprocess.run(
            list(map(str, words)), cwd=self.root, env=self.env, capture_output=True, text=True,
            timeout=3600,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def compose(self, *words: str, fails: bool = False) -> str:
        return self.run("docker", "compose", "-f", "infra/compose.yaml", *words, fails=fails)

    def evergreen(self, *words: str, fails: bool = False) -> str:
        return self.compose("exec", "-T", "work", "evergreen", *words, fails=fails)

    @property
    def login(self) -> str:
        return (self.root / "infra" / "secrets" / "login").read_text()

    def ask(self, port: str, path: str, content: object = None, **headers: str) -> tuple[int, str]:
        """The status and the text of an answer, with the login."""
        given = {"Authorization": "Basic " + base64.b64encode(self.login.encode()).decode()}
        body = None if content is None else json.dumps(content).encode()
        url = f"http://127.0.0.1:{self.ports[port]}{path}"
        given |= {"Content-Type": "application/json"} | headers
        request = urllib.request.Request(url, body, given)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def champion(self) -> str:
        found = re.search(r"champion +version (\d+)", self.evergreen("status"))
        return found[1] if found else ""

    def served(self) -> str:
        status, text = self.ask("SERVE_PORT", "/ready")
        return str(json.loads(text)["version"]) if status == 200 else ""

    def give(self, name: str, **columns: Any) -> None:
        """Put a month into the inbox, some columns replaced."""
        path = self.root / "inbox" / f"{name}.parquet"
        part = path.with_suffix(".part")
        month(name).with_columns(**columns).write_parquet(part)
        part.chmod(0o644)
        part.rename(path)


def until(holds: Any, what: str, patience: float = PATIENCE) -> Any:
    end = time.monotonic() + patience
    while not (found := holds()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(3)
    return found


def clone(root: Path, source: Path | str) -> Path:
    subprocess.run(["git", "clone", "-q", source, root], check=True)
    return root


def small(root: Path) -> None:
    """Let the project take small batches from its own inbox."""
    content = params.Params().model_dump(mode="json", by_alias=True)
    content["source"] = {"kind": "files", "path": "inbox"}
    content["split"]["cross_validate_below"] = None
    content["split"]["train_batches"] = None
    content["drift"]["hold"] = None  # what has drifted is learnt from
    for section, values in {**SMALL, "sweep": {"seeds": 2}}.items():
        content[section] = content.get(section, {}) | values
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    git(root, "commit", "-qam", "small batches")
    (root / "inbox").mkdir()


@contextmanager
def stacks(folder: Path) -> Iterator[Stack]:
    found = engine(Path(os.environ.get("EVERGREEN_ENGINE", folder / "engine")))
    stack = Stack(clone(folder / "project", ROOT), found, "evergreen-test")
    small(stack.root)
    for name in MONTHS:
        stack.give(name)
    stack.settle()
    try:
        yield stack
    except BaseException:
        print(stack.compose("logs", "--tail", "60"))
        raise
    finally:
        subprocess.run(
            ["docker", "compose", "-f", "infra/compose.yaml", "--profile", "*", "down",
             "--volumes", "--timeout", "20"],
            cwd=stack.root, env=stack.env, capture_output=True, check=False,
        )  # fmt: skip
        pid = Path(found["DOCKER_CONFIG"]).parent / "dockerd.pid" if found else None
        if pid and "EVERGREEN_ENGINE" not in os.environ:
            subprocess.run(["kill", pid.read_text()], check=False)
            until(lambda: not pid.exists(), "the end of the engine", 60)
            shutil.rmtree(pid.parent, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(not shutil.which("docker"), reason="docker is not on the PATH")
def test_a_champion_lives_in_containers_and_all_is_brought_back(tmp_path: Path) -> None:
    with stacks(tmp_path) as stack:
        started = stack.run("make", "stack")
        assert stack.login not in started
        assert_closed(stack)
        # A command just after the start waits its turn: `work` trains by itself
        said = stack.evergreen("run")
        assert "s3://artifacts" not in said
        first = used(stack)
        second = renewed(stack, first)
        stack.evergreen("rollback", "--reason", "a test")
        assert stack.champion() == first != second
        until(lambda: stack.served() == first, "the first champion again")
        observed(stack)
        recovered(stack, tmp_path, first)


def used(stack: Stack) -> str:
    """Return the first champion, after it has scored and answered; its files are in S3 alone."""
    champion = str(until(stack.champion, "a champion"))
    until(lambda: stack.served() == champion, "a champion that answers")
    assert not list((stack.root / "stores" / "artifacts").iterdir())
    rows = month("2013-08").head(50)
    rows.write_parquet(stack.root / "rows.parquet")
    stack.evergreen("score", "rows.parquet")
    content = {"rows": json.loads(rows.head(3).write_json())}
    status, text = stack.ask("SERVE_PORT", "/predict", content)
    assert (status, json.loads(text)["version"]) == (200, champion), text
    assert "takes the login" in stack.evergreen("doctor")
    return champion


def renewed(stack: Stack, first: str) -> str:
    """Return the champion that follows, after a batch that has drifted was seen and learnt from."""
    stack.give("2013-08", carrier=pl.lit("UA"))
    stack.evergreen("monitor")
    stack.evergreen("run")
    if stack.champion() == first:  # the gate refused it
        stack.evergreen("promote", "2", "--override", "--reason", "a test")
    second = stack.champion()
    assert second != first
    until(lambda: stack.served() == second, "the second champion")
    return second


def assert_closed(stack: Stack) -> None:
    """No login, another site, another host: refused by each server; nothing runs as root."""
    asked = {
        "PREFECT_PORT": "/api/flow_runs/count",
        "MLFLOW_PORT": "/api/2.0/mlflow/experiments/get?experiment_id=0",
        "SERVE_PORT": "/metrics",
    }
    for port, path in asked.items():
        content = {} if port == "PREFECT_PORT" else None
        assert stack.ask(port, path, content, Authorization="")[0] == 401
        assert stack.ask(port, path, content, Host="evil.example")[0] == 403
        assert stack.ask(port, path, content, Origin="http://evil.example")[0] == 403
        assert stack.ask(port, path, content)[0] == 200
    for service in stack.compose("ps", "--services").split():
        assert stack.compose("exec", "-T", service, "id", "-u").strip() != "0"
        stack.compose("exec", "-T", service, "touch", "/usr/written", fails=True)
    for service in ("work", "serve"):
        hidden = "ls infra/secrets/* infra/s3/* 2>/dev/null | wc -l"
        assert stack.compose("exec", "-T", service, "sh", "-c", hidden).strip() == "0"


def observed(stack: Stack) -> None:
    """Prometheus has all servers and what the project knows of a champion that is behind."""
    stack.compose("up", "--detach", "--wait", "prometheus")

    def query(expr: str) -> Any:
        code = (
            "import urllib.parse, urllib.request as u; print(u.urlopen('http://prometheus:9090/api/"
            f"v1/query?query=' + urllib.parse.quote({expr!r})).read().decode())"
        )
        return json.loads(stack.compose("exec", "-T", "mlflow", "python", "-c", code))["data"][
            "result"
        ]

    until(lambda: [found["value"][1] for found in query("up")] == ["1"] * 3, "three servers", 180)
    until(lambda: query("evergreen_champion_behind_seconds > 0"), "what serve knows", 300)
    until(lambda: query("evergreen_drifted_columns > 0"), "what monitoring found", 300)
    for name in OTHERS - {"ALERTS"}:
        assert query(name), f"no server tells of {name}"


def recovered(stack: Stack, folder: Path, champion: str) -> None:
    """Everything but the backup is lost, and comes back into a new clone."""
    backup = folder / "backup"
    backup.mkdir()
    told = stack.run("infra/backup.sh", backup)
    assert "not in the backup: models and runs" not in told
    stack.compose("--profile", "*", "down", "--volumes", "--timeout", "20")
    shutil.rmtree(stack.root)
    (snapshot,) = (path.parent for path in backup.glob("*/backup.json"))
    clone(stack.root, snapshot / "code.bundle")
    stack.settle()
    stack.run("infra/restore.sh", backup)
    again = stack.run("infra/restore.sh", backup, fails=True)
    assert "holds something already" in again
    stack.run("make", "stack")
    assert stack.champion() == champion
    until(lambda: stack.served() == champion, "the champion of before")
    assert stack.evergreen("history").count("\n") > 3
