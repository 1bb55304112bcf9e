"""Doctor: a healthy project has nothing to mend; what is wrong is named with what to do."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from conftest import ROOT
from http_server import serve

from evergreen import doctor, params
from evergreen.doctor import Finding, check_parity, examine, port_is_free
from evergreen.errors import InputError
from evergreen.project import Project
from evergreen.training import device
from late_flights.dataset import dataset

PARTS = [
    "Python",
    "libraries",
    "disk",
    "git",
    "params.yaml",
    "device",
    "source",
    "stores",
    "DVC",
    "MLflow",
]


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path) -> Iterator[None]:
    """What the libraries set in the environment of this process is taken back."""
    with mock.patch.dict(os.environ, DVC_SITE_CACHE_DIR=str(tmp_path / "site")):
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        yield


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """A healthy project with one small batch and ports that are free."""
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as first,
        closing(socket.create_server(("127.0.0.1", 0))) as second,
    ):
        chosen = {"prefect": first.getsockname()[1], "mlflow": second.getsockname()[1]}
    return make_project(("2013-01",), rows=50, ports=chosen)


def edit(project: Project, section: str, **values: object) -> None:
    content = yaml.safe_load(project.params.read_text())
    content[section] = values if section == "source" else content.get(section, {}) | values
    project.params.write_text(yaml.safe_dump(content))


def wrong(project: Project) -> dict[str, Finding]:
    """What is not fine, by its small name; each says in one line what to do."""
    found = {finding.what.lower(): finding for finding in examine(project) if not finding.fine}
    assert [
        name
        for name, finding in found.items()
        if not finding.advice or "\n" in finding.found + finding.advice
    ] == []
    return found


@pytest.mark.slow
def test_a_healthy_project_has_nothing_to_mend(project: Project) -> None:
    found = {finding.what: finding for finding in examine(project)}
    assert list(found)[: len(PARTS)] == PARTS
    assert [finding for finding in found.values() if not finding.fine or finding.advice] == []
    assert found["source"].found == "1 batch, 2013-01"
    assert found["DVC"].found == "stages to run: ingest, validate, prepare"
    assert found["MLflow"].found == "no run yet"
    assert [finding.found for name, finding in found.items() if name.startswith("port ")] == [
        "free",
        "free",
    ]
    assert not list(project.stores.iterdir())


# --- what is broken


def without_git(project: Project) -> None:
    shutil.rmtree(project.root / ".git")


def without_source(project: Project) -> None:
    edit(project, "source", kind="files", path=str(project.root / "nowhere"))


def unfinished_month(project: Project) -> None:
    """Rows there are, but their month has not ended."""
    with closing(sqlite3.connect(project.root / "sales.db")) as connection, connection:
        connection.execute(f"CREATE TABLE sales ({dataset.time} TEXT, amount)")
        connection.execute(
            "INSERT INTO sales VALUES (?, 1)", (str(datetime.now(UTC).replace(tzinfo=None)),)
        )
    edit(
        project,
        "source",
        kind="sql",
        url=f"sqlite:///{project.root}/sales.db",
        query="SELECT * FROM sales",
    )


def unknown_driver(project: Project) -> None:
    edit(project, "source", kind="sql", url="nosuch://here/db", query="SELECT 1")


def file_for_stores(project: Project) -> None:
    project.stores.write_text("")


def broken_dvc_yaml(project: Project) -> None:
    (project.root / "dvc.yaml").write_text("stages: [ingest")


def without_dvc(project: Project) -> None:
    shutil.rmtree(project.root / ".dvc")


BROKEN: dict[str, tuple[Callable[[Project], None], str, tuple[str, ...]]] = {
    "no git": (without_git, "git", ("git init", "commit")),
    "no source": (without_source, "source", ("source.path", "nowhere")),
    "no finished batch": (unfinished_month, "source", ("batch",)),
    "unknown driver": (unknown_driver, "source", ("source.", "nosuch")),
    "stores is a file": (file_for_stores, "stores", ("stores",)),
    "dvc.yaml": (broken_dvc_yaml, "dvc", ("dvc.yaml",)),
    "no .dvc": (without_dvc, "dvc", ("not inside of a DVC repository",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(name: str, project: Project) -> None:
    spoil, what, parts = BROKEN[name]
    spoil(project)
    found = wrong(project)
    assert what in found
    said = found[what].found + " " + found[what].advice
    assert [part for part in parts if part not in said] == [], said
    assert len(found) == 1 or name == "no git"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("train: {max_dept: 3}", ("train.max_dept", "did you mean 'max_depth'?")),
        ("task: [binary", ("not valid YAML",)),
        ("sweep: {seeds: 0}\nsplit: {train_batches: 0}", ("sweep.seeds", "split.train_batches")),
    ],
)
def test_faults_in_params_end_the_examination(
    content: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    (tmp_path / "params.yaml").write_text(content)
    found = wrong(Project(tmp_path))
    assert list(found) == ["git", "params.yaml"]
    assert [part for part in parts if part not in found["params.yaml"].advice] == []
    assert [finding.what for finding in examine(Project(tmp_path))] == PARTS[:5]


@pytest.mark.slow
def test_a_damaged_database_of_mlflow(project: Project) -> None:
    project.stores.mkdir()
    (project.stores / "mlflow.db").write_bytes(b"no database")
    assert list(wrong(project)) == ["mlflow"]


@pytest.mark.slow  # it loads MLflow
def test_what_was_done_to_the_models_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.stores.mkdir()
    (project.stores / "mlflow.db").touch()
    monkeypatch.setattr("evergreen.stores.registry.Registry.aliases", lambda _: {"champion": "3"})
    said = ["the alias champion was moved", "version 3\nis damaged"]
    monkeypatch.setattr("evergreen.stores.outside.warnings", lambda _: said)
    found = wrong(project)
    assert list(found) == ["mlflow"]
    assert (found["mlflow"].found, found["mlflow"].advice) == (
        "champion: version 3",
        "the alias champion was moved; version 3 is damaged",
    )


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_models_whose_database_is_gone_are_no_new_project(there: bool, project: Project) -> None:
    (project.stores / "mlflow" / "1").mkdir(parents=True)
    (project.stores / "mlflow" / "1" / "MLmodel").touch()
    if there:
        (project.stores / "mlflow.db").touch()
    found = wrong(project)
    assert list(found) == ["mlflow"]
    assert "mlflow holds what earlier runs made" in found["mlflow"].advice


@pytest.mark.slow
def test_cuda_demanded_in_vain(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "count_gpus", lambda: 0)
    edit(project, "train", device="cuda")
    found = wrong(project)
    assert list(found) == ["device"]
    assert "train.device is 'cuda' but no NVIDIA GPU was found" in found["device"].advice


def test_little_room_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._disk(Project(tmp_path)).fine
    monkeypatch.setattr(doctor, "ENOUGH_DISK", 1e9)
    found = doctor._disk(Project(tmp_path))
    assert (found.fine, found.advice) == (False, "free some space, or move the project")


@pytest.mark.parametrize(
    ("needed", "said"),
    [
        (["no-such-package>=1"], "no-such-package is missing"),
        (["click<1", "polars"], "click "),
        (["no-such-package", "click<1"], "no-such-package is missing; click "),
    ],
)
def test_libraries_that_do_not_fit(
    needed: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "requires", lambda _: needed)
    found = doctor._libraries(Project(ROOT))
    assert not found.fine
    assert found.found.startswith(said)
    assert "make run" in found.advice


def test_requirements_of_other_platforms_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["no-such-package; sys_platform == 'nowhere'", "other; extra == 'more'", "click>=8"]
    monkeypatch.setattr(doctor, "requires", lambda _: needed)
    found = doctor._libraries(Project(ROOT))
    assert found.fine, found.found


@pytest.mark.parametrize(
    ("settings", "found"),
    [("", "not known"), ("[project]\nname = 'nowhere-installed'\n", "nowhere-installed is not")],
)
def test_a_project_that_is_not_installed_is_told(settings: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(settings)
    told = doctor._libraries(Project(tmp_path))
    assert not told.fine
    assert told.found.startswith(found)
    assert told.advice


# --- ports


def test_a_port_in_use_may_be_this_projects_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        finding = list(doctor._ports(params.parse({"ports": {"mlflow": port}}, "params.yaml")))[1]
    assert (finding.what, finding.fine, finding.found) == (f"port {port} (mlflow)", True, "in use")
    assert "change ports.mlflow in params.yaml" in finding.advice


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_port_is_taken_whoever_listens(host: str) -> None:
    options: dict[str, Any] = (
        {"family": socket.AF_INET6, "dualstack_ipv6": True} if ":" in host else {}
    )
    with socket.create_server((host, 0), **options) as listener:
        port = listener.getsockname()[1]
        assert not port_is_free(port)
    assert port_is_free(port)


def test_a_port_is_free_right_after_its_server_has_gone() -> None:
    """A connection that the server closed lingers for a minute."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), listener.accept()[0] as served:
            served.shutdown(socket.SHUT_RDWR)
    assert port_is_free(port)


# --- parity


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpus", "there", "fine", "said"),
    [
        (0, False, True, "no NVIDIA GPU was found on this machine"),
        (1, True, True, "near"),
        (1, True, False, "far"),
    ],
)
def test_parity_is_compared_where_there_is_a_gpu(
    gpus: int,
    there: bool,
    fine: bool,
    said: str,
    make_project: Callable[..., Project],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = make_project(rows=10)
    monkeypatch.setattr("evergreen.doctor.count_gpus", lambda: gpus)
    monkeypatch.setattr("evergreen.doctor.pick_device", lambda _: "cuda")
    monkeypatch.setattr("evergreen.training.tables.load_tables", lambda _: None)
    monkeypatch.setattr("evergreen.evaluation.parity.find_parity", lambda *_: (fine, said))
    if there:
        with pytest.raises(InputError, match="no features are prepared yet"):
            check_parity(project)
        project.features.mkdir(parents=True)
        (project.features / "split.json").write_text("{}")
    found = check_parity(project)
    assert (found.fine, bool(found.advice)) == (fine, not fine)
    assert found.found.startswith(said)


def test_personal_columns_and_their_key_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, chosen = Project(tmp_path), params.Params()
    for personal, said in (({}, ""), ({"tailnum": "hash"}, "tailnum (hash), no key yet: ")):
        monkeypatch.setitem(project.__dict__, "dataset", replace(dataset, personal=personal))
        assert doctor._personal(project, chosen).found.startswith(said)
    monkeypatch.setenv("EVERGREEN_PERSONAL_KEY", "k" * 32)
    assert doctor._personal(project, chosen).found == "tailnum (hash)"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of a server that answers so to whoever brings the login, and 401 to others."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "Basic ZXZlcmdyZWVuOng="
            self.send_response(status if known else 401)
            self.end_headers()
            self.wfile.write(body)

    with serve(Answer) as port:
        yield f"http://127.0.0.1:{port}/api"


@pytest.mark.parametrize(
    ("login", "status", "body", "says"),
    [
        ("evergreen:x", 200, b'"3.8.8"', "3.8.8 answers, and takes the login"),
        ("evergreen:y", 200, b'"3.8.8"', "refuses the login: set PREFECT_API_AUTH_STRING"),
        ("", 200, b'"3.8.8"', "refuses the login"),
        ("evergreen:x", 404, b"", "the Prefect server of PREFECT_API_URL answers 404"),
        ("evergreen:x", 200, b"<html>", "does not answer: start it, or correct the address"),
    ],
)
def test_a_server_that_the_environment_names_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str, status: int, body: bytes, says: str
) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", login)
    with answering(status, body) as url:
        monkeypatch.setenv("PREFECT_API_URL", url)
        found = doctor._guarded(doctor._prefect, Project(tmp_path), params.Params())
    assert says in found.found + found.advice
    assert found.fine == (says.startswith("3.8.8"))
    assert [finding.what for finding in doctor._ports(params.Params())] == ["port 5000 (mlflow)"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "nonsense", "http://[", "http:// /api"])
def test_a_server_that_is_away_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    found = doctor._guarded(doctor._prefect, Project(tmp_path), params.Params())
    assert not found.fine
    assert "the Prefect server of PREFECT_API_URL does not answer" in found.advice


@pytest.mark.parametrize(
    ("seconds", "found", "advice"),
    [
        (0.0, "as Prefect and MLflow have it", ""),
        (3600.0, "is off", "min behind that of the Prefect server: set it, by NTP say; the clock"),
    ],
)
def test_a_clock_that_is_not_that_of_the_servers_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, found: str, advice: str
) -> None:
    monkeypatch.setattr(doctor.clock, "behind", lambda _: seconds)
    for name in doctor.NAMED.values():
        monkeypatch.delenv(name, raising=False)
    assert doctor._clock(Project(tmp_path), params.Params()).found == ""  # no server is named
    for name in doctor.NAMED.values():
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    told = doctor._clock(Project(tmp_path), params.Params())
    assert (told.found, told.fine) == (found, not advice)
    assert advice in told.advice
