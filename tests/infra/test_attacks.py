"""Attacks on the servers as the stack starts them: refused, in a sentence, logged; nothing changes.

What each server's guard refuses is shown case by case in tests/orchestration/test_guard.py.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import shutil
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import month
from infra.stacked import MARKS, Run, Servers, made

from evergreen.orchestration.login import login_of
from evergreen.project import Project

pytestmark = MARKS
API = "/api/2.0/mlflow"


def ask(
    port: int, method: str, path: str, login: str = "", body: Any = None, **headers: str
) -> tuple[int, str]:
    """Send a request as it is, dots and all; return status and text."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    content = body if body is None or isinstance(body, bytes) else json.dumps(body)
    line.request(method, path, content, {"Content-Type": "application/json"} | headers)
    answer = line.getresponse()
    text = answer.read().decode(errors="replace")
    line.close()
    return answer.status, text


def test_no_server_lets_a_stranger_in_and_each_says_so_in_its_log(
    servers: Servers, make_project: Callable[..., Project]
) -> None:
    ours, project = servers.ours, make_project()
    main = servers.login
    with ours.serve("serve", project.root) as serving:
        ports = {name: ours.ports[name] for name in ("prefect", "mlflow")} | {"serve": serving}
        logins = {"prefect": main, "mlflow": main, "serve": login_of(project)}
        paths = {
            "prefect": ("POST", "/api/flow_runs/filter"),
            "mlflow": ("POST", f"{API}/experiments/search"),
            "serve": ("GET", "/ready"),
        }
        for name, port in ports.items():
            method, path = paths[name]
            body = {"max_results": 1} if name == "mlflow" else {} if name == "prefect" else None
            login, other = logins[name], "http://localhost:8888"
            asked = {
                "own": ask(port, method, path, login, body),
                "no login": ask(port, method, path, "", body),
                "a wrong one": ask(port, method, path, f"{login}x", body),
                "a foreign name": ask(port, method, path, login, body, Host="evil.example"),
                "a foreign page": ask(port, method, path, login, body, Origin=other),
                "a neighbour": ask(port, method, path, login, body, Host="10.0.0.7:80"),
            }
            assert {case: status for case, (status, _) in asked.items()} == {
                "own": 503 if name == "serve" else 200, "no login": 401, "a wrong one": 401,
                "a foreign name": 403,
                "a foreign page": 403, "a neighbour": 403,
            }, name  # fmt: skip
            for case, (_, text) in asked.items():
                assert case == "own" or len(text.splitlines()) <= 1, (name, case, text)
            log = (ours.folder / f"{name}.log").read_text()
            assert f"refused with 401: {method} '{path}' from 127.0.0.1" in log, name
            assert login.split(":")[1] not in log


def test_no_name_of_an_artifact_leads_out_of_the_store(servers: Servers) -> None:
    port, login = servers.ours.ports["mlflow"], servers.login
    planted = servers.ours.folder / "secret.txt"  # beside the store
    planted.write_text("hunter2")
    root = "/api/2.0/mlflow-artifacts/artifacts"
    names = ["../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "%2e%2e%2fsecret.txt",
             "..%252fsecret.txt", "x/../../secret.txt", str(planted), f"/{planted}",
             "..%5csecret.txt", f"file://{planted}", "%2fetc%2fpasswd",
             "....//secret.txt"]  # fmt: skip
    before = {*servers.ours.folder.iterdir(), servers.ours.folder / "artifacts"}
    for name in names:
        for method in ("GET", "PUT", "DELETE"):
            status, text = ask(
                port, method, f"{root}/{name}", login, "x" if method == "PUT" else None
            )
            assert "hunter2" not in text, (method, name)
            assert "Traceback" not in text, (method, name)
            assert status >= 400 or method != "GET", (method, name, status)
        for query in ("path", "artifact_path"):
            status, text = ask(port, "GET", f"{root}?{query}={name}", login)
            assert "secret.txt" not in text.replace(name, ""), (query, name)
    assert planted.read_text() == "hunter2"
    assert {*servers.ours.folder.iterdir()} <= before


def test_who_may_only_read_changes_no_champion(servers: Servers) -> None:
    port, main, reader = servers.ours.ports["mlflow"], servers.login, "eve:eve-has-a-password"
    name, _, password = reader.partition(":")
    body = {"username": name, "password": password}
    assert ask(port, "POST", f"{API}/users/create", main, body)[0] == 200
    made = ask(port, "POST", f"{API}/experiments/create", main, {"name": "churn decisions"})
    number = json.loads(made[1])["experiment_id"]
    assert ask(port, "POST", f"{API}/registered-models/create", main, {"name": "churn"})[0] == 200
    alias = {"name": "churn", "alias": "champion", "version": "1"}
    for how, path, what in (
        ("POST", f"{API}/registered-models/alias", alias),
        ("POST", f"{API}/runs/create", {"experiment_id": number, "start_time": 1}),
        ("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{number}/models/m/seed-0.ubj", "x"),
    ):
        assert ask(port, how, path, reader, what)[0] == 403, path


# --- a project with a champion
# --------------------------------------------------------------------------------------------------

LITTLE = ("prlimit", "--as=12000000000")  # bytes of memory, as a container has a limit


@pytest.fixture(scope="module")
def attacked(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = made(tmp_path_factory.mktemp("attacked"), "attacked", seeds=1)
    run = Run(project, servers)
    assert run.end() == 0, run.said
    return project


def error_of(project: Project, servers: Servers, *words: str, within: tuple[str, ...] = ()) -> str:
    """The one sentence of a command that is refused."""
    run = Run(project, servers, *words, within=within)
    assert run.end() == 1, run.said
    errors = [line for line in run.said.splitlines() if line.startswith("error: ")]
    assert errors == run.said.splitlines()[-1:], run.said
    return errors[0]


def gzip_bomb() -> bytes:
    """Thirteen gigabytes, packed into as many megabytes."""
    return gzip.compress(b"a,b,c,d\n" * 2**23) * 200


def parquet_bomb() -> bytes:
    sink = pa.BufferOutputStream()
    words = pa.array(["x" * 2**20]).take(pa.array([0] * 1000))
    pa.parquet.write_table(pa.table({"carrier": words}), sink, compression="zstd")
    return bytes(sink.getvalue())


def test_a_bomb_as_a_batch_is_refused_in_a_sentence_and_the_next_batch_is_taken(
    servers: Servers, attacked: Project
) -> None:
    inbox = attacked.root.parent / "inbox"
    bomb = inbox / "2013-08.csv.gz"
    bomb.write_bytes(gzip_bomb())
    before = sorted(path.name for path in attacked.raw.iterdir())
    said = error_of(attacked, servers, "run", within=LITTLE)
    assert f"{bomb} takes at least" in said
    assert "split it into smaller files" in said
    assert sorted(path.name for path in attacked.raw.iterdir()) == before
    shutil.move(bomb, inbox / "2013-08.zip")
    run = Run(attacked, servers, "status")
    assert run.end() == 0, run.said
    assert "2013-08.zip (an archive: unpack it)" in " ".join(run.said.split())


@pytest.mark.parametrize("name", ["../../infra/secrets/login", "/etc/passwd", "..", "a/b", ".x"])
def test_no_name_of_a_batch_leads_out_of_the_project(
    name: str, servers: Servers, attacked: Project
) -> None:
    rows = attacked.root.parent / "rows.parquet"
    month("2013-08", 1500).head(5).write_parquet(rows)
    before = {*attacked.root.parent.rglob("*.parquet")}
    error_of(attacked, servers, "score", str(rows), "--name", name)
    assert {*attacked.root.parent.rglob("*.parquet")} == before


def test_what_is_sent_to_the_champion_costs_one_request(
    servers: Servers, attacked: Project
) -> None:
    rows = json.loads(month("2013-08", 1500).head(2).write_json())
    kind, packed = {"Content-Type": "application/vnd.apache.parquet"}, {"Content-Encoding": "gzip"}
    with servers.ours.serve("serve", attacked.root) as port:
        login = login_of(attacked)
        for body, headers in (
            (parquet_bomb(), kind),
            (gzip.compress(b" " * 2**30), packed),
            (b"[" * 10**6, {}),
            (b'{"rows": [' + b"{}," * 10**6 + b"{}]}", {}),
        ):
            status, text = ask(port, "POST", "/predict", login, body, **headers)
            assert status in (400, 413, 415, 422), text[:300]
            assert len(text.splitlines()) == 1
            assert "Traceback" not in text
        status, text = ask(port, "POST", "/predict", login, {"rows": rows})
        assert (status, json.loads(text)["version"]) == (200, "1")


def test_a_model_that_was_swapped_is_not_used(servers: Servers, attacked: Project) -> None:
    port, login = servers.ours.ports["mlflow"], servers.login
    rows = json.loads(month("2013-08", 1500).head(2).write_json())
    store, root = servers.ours.folder / "artifacts", "/api/2.0/mlflow-artifacts/artifacts"
    version = f"{API}/registered-models/alias?name=attacked&alias=champion"
    source = json.loads(ask(port, "GET", version, login)[1])["model_version"]["source"]
    model = source.removeprefix("models:/")
    (seed,) = (path for path in store.rglob("seed-0.*") if model in str(path))  # trees, or linear
    content = seed.read_bytes()
    altered = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    with servers.ours.serve("serve", attacked.root) as serving:
        own = login_of(attacked)
        before = ask(serving, "POST", "/predict", own, {"rows": rows})
        path = f"{root}/{seed.relative_to(store)}"
        assert ask(port, "PUT", path, login, altered)[0] == 200  # who may write there
        assert seed.read_bytes() == altered
        assert ask(serving, "POST", "/predict", own, {"rows": rows}) == before  # what it has loaded
    with servers.ours.serve("serve", attacked.root) as serving:
        status, text = ask(serving, "POST", "/predict", own, {"rows": rows})
        assert status == 503
        assert "no model is loaded" in text
    sent = attacked.root.parent / "rows.parquet"
    month("2013-08", 1500).head(5).write_parquet(sent)
    assert "seed-0." in error_of(attacked, servers, "score", str(sent))
    status_of = Run(attacked, servers, "status")
    assert status_of.end() == 0
    assert "the champion, version 1, cannot be used" in " ".join(status_of.said.split())
    assert ask(port, "PUT", path, login, content)[0] == 200
