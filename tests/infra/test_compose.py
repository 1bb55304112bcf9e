"""The servers in containers: the file, what must never be in it, and its commands run for real.

No container engine is needed: the commands of `compose.yaml` run as they stand there, with its
variables, on PostgreSQL.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, environment
from services import PATIENCE, Page, free_port, services

from evergreen import params
from evergreen.orchestration.login import login_of
from evergreen.project import Project

BIN = Path(sys.executable).parent
INFRA = ROOT / "infra"
TEXT = (INFRA / "compose.yaml").read_text()
CONTENT: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = CONTENT["services"]
SECRETS = {name: Path(how["file"]).name for name, how in CONTENT["secrets"].items()}
HELD = "/run/secrets/"
LOGIN = SERVICES["mlflow"]["environment"]["MLFLOW_AUTH_ADMIN_USERNAME"]
VARIABLE = re.compile(r"\$\{(\w+):([?-])([^}]*)\}")
NEEDED = {found[1] for found in VARIABLE.finditer(TEXT) if found[2] == "?"}


def fill_in(value: object, known: Mapping[str, str]) -> str:
    """Put variables in as Compose does: `${NAME:-default}`, and `${NAME:?why}` must be known."""
    return VARIABLE.sub(lambda found: known.get(found[1]) or {"-": found[3]}[found[2]], str(value))


def check(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", f"vendor.{schema}", str(path)]
    return subprocess.run(command, capture_output=True, text=True)


# --- the file
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_file_is_what_compose_reads() -> None:
    done = check("compose-spec", INFRA / "compose.yaml")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("restart: unless-stopped", "restrat: unless-stopped"),
        ("    image: postgres:17", "    image: [postgres, 17]"),
        ("hostname: work", "hostname: {work: 1}"),
        ("condition: service_healthy", "condition: service_fine"),
    ],
)
def test_a_slip_in_the_file_is_found(tmp_path: Path, line: str, wrong: str) -> None:
    assert line in TEXT
    (tmp_path / "compose.yaml").write_text(TEXT.replace(line, wrong))
    assert check("compose-spec", tmp_path / "compose.yaml").returncode == 1


def test_only_what_a_person_looks_at_has_a_port() -> None:
    with_ports = {name for name, service in SERVICES.items() if "ports" in service}
    assert with_ports == {"prefect", "mlflow", "serve", "grafana"}


def test_what_holds_secrets_is_in_no_repository() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert "/secrets/" in (INFRA / ".gitignore").read_text().splitlines()


def test_our_services_run_as_the_owner_of_the_folder_and_write_where_they_have_to() -> None:
    ours = {name: service for name, service in SERVICES.items() if "evergreen" in service["image"]}
    assert set(ours) == {"prefect", "mlflow", "work", "work-gpu", "serve"}
    assert all(service["user"].startswith("${USER_ID:?") for service in ours.values())
    pages = SERVICES["prefect"]["environment"]["PREFECT_UI_STATIC_DIRECTORY"]
    assert pages.startswith(f"{SERVICES['prefect']['tmpfs'][0]}/")  # else it cannot write them
    serve = SERVICES["serve"]  # strangers speak to it: it writes where it has to, and nowhere else
    written = {mount.rpartition("/project")[2] for mount in serve["volumes"] if mount[-3:] != ":ro"}
    assert written == {"/stores", "/data", "/feedback"}
    made = set(re.findall(r'"([\w/]+)": 0o7', (INFRA / "settings.sh").read_text()))
    assert {path.strip("/") for path in written} <= made  # else they would be root's


def test_only_mlflow_holds_the_keys_of_the_store() -> None:
    keys = {"s3-name", "s3-key"}
    assert {name for name, how in SERVICES.items() if keys & set(how.get("secrets", ()))} == {
        "mlflow"
    }
    for name in ("work", "work-gpu", "serve"):  # which have the project's folder
        assert not any("AWS" in key for key in SERVICES[name]["environment"])


def test_few_services_start_by_default() -> None:
    profiles = {name: tuple(service.get("profiles", ())) for name, service in SERVICES.items()}
    assert {name for name, of in profiles.items() if not of or "cpu" in of} == {
        "postgres", "prefect", "mlflow", "work", "serve",
    }  # fmt: skip
    assert {profile for of in profiles.values() for profile in of} == {
        "cpu", "gpu", "observe", "s3",
    }  # fmt: skip
    known = SERVICES["mlflow"]["depends_on"]["s3"]
    assert known["required"] is False


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("swordfish\n")
    run = [str(INFRA / "entry.sh"), "sh", "-c", 'echo "$A_KEY ${A_KEY_FILE:-none} $SSL_CERT_FILE"']
    env = {
        "PATH": os.environ["PATH"], "SECRETS": str(tmp_path), "SSL_CERT_FILE": "/etc/ssl/ca.crt",
        "A_KEY_FILE": f"{tmp_path}/key",
    }  # fmt: skip
    done = subprocess.run(run, env=env, capture_output=True, text=True)
    assert done.stdout == "swordfish none /etc/ssl/ca.crt\n"
    (tmp_path / "key").unlink()
    done = subprocess.run(run, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: A_KEY: {tmp_path}/key cannot be read: make stack writes it\n"


def test_the_image_holds_what_is_pinned_and_nothing_that_is_secret() -> None:
    docker = (INFRA / "Dockerfile").read_text()
    installs = re.findall(r"pip install (.*)", docker)
    assert all(
        "--require-hashes --no-deps" in line or "--no-deps --editable ." in line
        for line in installs
    )
    named = re.findall(r"-r (requirements/\w+\.txt)", docker)
    assert named == ["requirements/build.txt", "requirements/run.txt", "requirements/server.txt"]
    assert all((ROOT / path).exists() for path in named)
    users = re.findall(r"^USER (\d+):", docker, re.MULTILINE)
    assert users, "it would run as root"
    assert users[-1] != "0"
    assert re.search(r"^ENV .*LOGNAME=\w+", docker, re.MULTILINE), (
        "DVC asks for the name of a user that the image has not"
    )
    lines = (INFRA / "Dockerfile.dockerignore").read_text().splitlines()
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert lines[1] == "*"
    assert all((ROOT / path).exists() for path in kept)
    assert not {".git", "data", "stores", "infra", "infra/.env"} & set(kept)


@pytest.mark.slow
def test_make_writes_the_login_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    up = [shutil.copy(INFRA / "up.sh", tmp_path / "infra")]
    shutil.copy(INFRA / "settings.sh", tmp_path / "infra")
    docker = tmp_path / "bin" / "docker"  # in place of the real one
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\necho docker $*\n")
    docker.chmod(0o755)
    env = {"PATH": f"{docker.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(up, check=True, capture_output=True, text=True, env=env)
    built, started = done.stdout.splitlines()[:2]
    assert built == "docker compose -f infra/compose.yaml build prefect"
    assert started == "docker compose -f infra/compose.yaml up --detach --wait"
    assert "MLflow http://127.0.0.1:5000" in done.stdout
    written, kept = tmp_path / "infra" / ".env", tmp_path / "infra" / "secrets"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    known = dict(line.split("=") for line in written.read_text().splitlines())
    assert set(known) >= NEEDED
    assert known["COMPOSE_PROFILES"] == "cpu"
    assert int(known["USER_ID"]) == os.getuid()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    secrets = {path.name: path.read_text() for path in kept.iterdir()}
    assert set(secrets) == set(SECRETS.values())
    assert secrets.pop("webhook") == ""
    assert all(len(secret) > 40 for secret in secrets.values())
    assert len(set(secrets.values())) == len(secrets)
    assert secrets["login"] == f"{LOGIN}:{secrets['password']}"
    own = login_of(Project(tmp_path))
    assert own == secrets["login"]  # the same for what asks by itself
    assert not any(secret in done.stdout + written.read_text() for secret in secrets.values())
    subprocess.run(up, check=True, capture_output=True, env=env)
    assert {path.name: path.read_text() for path in kept.iterdir()} == secrets | {"webhook": ""}


@pytest.mark.slow
def test_a_login_that_there_is_stays(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    own = login_of(Project(tmp_path))
    settings = shutil.copy(INFRA / "settings.sh", tmp_path / "infra")
    subprocess.run([settings], check=True)
    assert (tmp_path / "infra" / "secrets" / "login").read_text() == own


# --- for real
# --------------------------------------------------------------------------------------------------


@contextmanager
def postgres(folder: Path, password: str) -> Iterator[int]:
    """Start PostgreSQL as the image does: a superuser, its database, then `databases.sql`."""
    given = SERVICES["postgres"]["environment"]
    user = "nobody" if os.getuid() == 0 else None  # it refuses to run as root
    port, secret = free_port(), folder / "password"
    secret.write_text(password)
    for path in (folder, secret):
        shutil.chown(path, user or os.getuid())
    make = [
        "initdb",
        "-D",
        str(folder / "db"),
        "-U",
        given["POSTGRES_USER"],
        "--pwfile",
        str(secret),
        "-A",
        "scram-sha-256",
    ]
    subprocess.run(make, check=True, capture_output=True, user=user, cwd=folder)
    serve = [
        "postgres",
        "-D",
        str(folder / "db"),
        "-p",
        str(port),
        "-k",
        str(folder),
        "-h",
        "127.0.0.1",
    ]
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(serve, stdout=log, stderr=log, user=user, cwd=folder)
    try:
        psql = ["psql", "-v", "ON_ERROR_STOP=1", "-q"]
        env = os.environ | {
            "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": given["POSTGRES_USER"],
            "PGPASSWORD": password, "PGDATABASE": "postgres",
        }  # fmt: skip
        until = time.monotonic() + PATIENCE
        while subprocess.run(
            [*psql, "-c", f"CREATE DATABASE {given['POSTGRES_DB']}"], env=env, capture_output=True
        ).returncode:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        subprocess.run(
            [*psql, "-f", str(INFRA / "databases.sql")], env=env, check=True, capture_output=True
        )
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


class Stack:
    """The services of the file as processes of this machine, with other addresses and folders."""

    def __init__(self, folder: Path, database: int, known: Mapping[str, str]) -> None:
        self.folder, self.known = folder, known
        self.ports = {name: free_port() for name in ("prefect", "mlflow", "serve")}
        self.others = {
            "0.0.0.0": "127.0.0.1", "4200": str(self.ports["prefect"]),
            "8000": str(self.ports["serve"]),
            "=5000": f"={self.ports['mlflow']}", "/artifacts": str(folder / "artifacts"),
            "/tmp/prefect": str(folder / "prefect"), "infra/mlflow.ini": str(INFRA / "mlflow.ini"),
            "/tmp/metrics": str(folder / "metrics"),
            "http://prefect": "http://127.0.0.1",
            "http://mlflow:5000": f"http://127.0.0.1:{self.ports['mlflow']}",
        }  # fmt: skip
        self.database = {"PGHOST": "127.0.0.1", "PGPORT": str(database)}

    def here(self, value: object) -> str:
        text = fill_in(value, self.known)
        for theirs, ours in self.others.items():
            text = text.replace(theirs, ours)
        return text

    def variables(self, name: str) -> dict[str, str]:
        given = {}
        for key, value in SERVICES[name]["environment"].items():
            if key.endswith("_FILE"):  # as infra/entry.sh does
                secret = self.folder / "infra" / "secrets" / SECRETS[value.removeprefix(HELD)]
                given[key.removesuffix("_FILE")] = secret.read_text()
            else:
                given[key] = self.here(value)
        return given | (self.database if "PGHOST" in given else {})

    @contextmanager
    def serve(self, name: str, where: Path | None = None, setup: str = "") -> Iterator[int]:
        """`setup`: what a shell does before, in a mount namespace of the service's own."""
        port = self.ports[name]
        command = [self.here(word) for word in SERVICES[name]["command"]]
        command[0] = str(BIN / command[0])
        if setup:
            shell = ["unshare", "-rm", "sh", "-c", f'set -e; {setup}; exec "$@"', "sh"]
            command = [*shell, *command]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=environment(where or ROOT) | self.variables(name),
                stdout=log,
                stderr=log,
                cwd=where or self.folder,
            )
        healthy = [self.here(word) for word in SERVICES[name]["healthcheck"]["test"][1:]]
        healthy = [sys.executable, *healthy[1:-1], healthy[-1].replace(":5000", f":{port}")]
        try:
            until = time.monotonic() + PATIENCE
            while subprocess.run(healthy, capture_output=True).returncode:
                assert process.poll() is None, (self.folder / f"{name}.log").read_text()
                assert time.monotonic() < until
                time.sleep(2)  # each check is a process, which takes from what is to start
            yield port
        finally:
            process.terminate()
            process.wait(timeout=60)


def status(url: str, content: object = None, **headers: str) -> int:
    body = None if content is None else json.dumps(content).encode()
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"} | headers)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(
    not shutil.which("initdb"), reason="PostgreSQL's initdb, postgres and psql are not on the PATH"
)
def test_the_whole_stack_trains_a_champion_and_asks_for_a_login(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    project = make_project(sweep={"seeds": 2})
    (tmp_path / "infra").mkdir()
    subprocess.run([shutil.copy(INFRA / "settings.sh", tmp_path / "infra")], check=True)
    kept = tmp_path / "infra" / "secrets"
    known = {path.name: path.read_text() for path in kept.iterdir()}
    login = known["login"]
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="pg-"))
        )  # whose user may not see `tmp_path`
        database = stack.enter_context(postgres(folder, known["database"]))
        ours = Stack(tmp_path, database, dict.fromkeys(NEEDED, "0"))
        page = Page(stack.enter_context(ours.serve("prefect")), login)
        mlflow = f"http://127.0.0.1:{stack.enter_context(ours.serve('mlflow'))}"
        search = f"{mlflow}/api/2.0/mlflow/experiments/search"
        authorized = {"Authorization": page.headers["Authorization"]}
        assert status(f"{page.api}/flow_runs/filter", {}) == 401
        assert status(search, {"max_results": 9}) == 401
        assert status(search, {"max_results": 9}, **authorized) == 200
        for url, content in ((search, {"max_results": 9}), (f"{page.api}/flow_runs/filter", {})):
            assert status(url, content, **authorized, Host="evil.example") == 403
            assert status(url, content, **authorized, Origin="http://localhost:8888") == 403
        with services(project, **ours.variables("work")):
            run_id = page.until(lambda: [run["id"] for run in page.runs("training")], "a training")[
                0
            ]
            page.wait(run_id, "COMPLETED")
        with ours.serve("serve", project.root) as port:
            ready = f"http://127.0.0.1:{port}/ready"
            its = Page(port, login_of(project)).headers["Authorization"]
            assert status(ready) == 401
            assert status(ready, Authorization=its) == 200
        model = params.load(project.params).tracking.model
        champion = f"{mlflow}/api/2.0/mlflow/registered-models/alias?name={model}&alias=champion"
        assert status(champion, **authorized) == 200
        assert [path.name for path in (tmp_path / "artifacts").iterdir()], (
            "no file of a run is in the store"
        )
        assert not (project.stores / "mlflow.db").exists()
        assert not (project.stores / "prefect" / "prefect.db").exists()
    for log in [*tmp_path.glob("*.log"), *project.stores.glob("*.log")]:
        assert not [
            secret for secret in known.values() if len(secret) > 12 and secret in log.read_text()
        ], log.name
