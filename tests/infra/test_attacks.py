"""Attacks on the servers as the stack starts them: refused, in a sentence, logged; nothing changes.

What each server's guard refuses is shown case by case in tests/orchestration/test_guard.py.
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable
from typing import Any

from infra.stacked import MARKS, Servers

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
    content = None if body is None else json.dumps(body)
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
