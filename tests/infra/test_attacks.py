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
READER, OWNER = ("eve", "eve-has-a-password"), ("ada", "ada-has-a-password")


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
    before = sorted(servers.ours.folder.iterdir())
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
    assert sorted(servers.ours.folder.iterdir()) == before


def test_who_may_only_read_changes_no_champion_and_who_may_edit_can(servers: Servers) -> None:
    port, main = servers.ours.ports["mlflow"], servers.login
    for name, password in (READER, OWNER):
        body = {"username": name, "password": password}
        assert ask(port, "POST", f"{API}/users/create", main, body)[0] == 200
    made = ask(port, "POST", f"{API}/experiments/create", main, {"name": "churn decisions"})
    number = json.loads(made[1])["experiment_id"]
    for path, body in (
        ("registered-models/create", {"name": "churn"}),
        ("model-versions/create", {"name": "churn", "source": "mlflow-artifacts:/1/models/m"}),
    ):
        assert ask(port, "POST", f"{API}/{path}", main, body)[0] == 200, path
    for kind, which in (("registered_model", "churn"), ("experiment", number)):
        grant = {"username": OWNER[0], "resource_type": kind, "resource_id": which}
        path = "/api/3.0/mlflow/users/permissions/grant"
        assert ask(port, "POST", path, main, grant | {"permission": "EDIT"})[0] == 200
    acts = [
        ("POST", f"{API}/registered-models/alias",
         {"name": "churn", "alias": "champion", "version": "1"}),
        ("POST", f"{API}/runs/create", {"experiment_id": number, "start_time": 1}),
        ("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{number}/models/m/artifacts/seed-0.ubj", "x"),
    ]  # fmt: skip
    found = {
        login[0]: [ask(port, how, path, ":".join(login), body)[0] for how, path, body in acts]
        for login in (READER, OWNER)
    }
    assert found == {READER[0]: [403, 403, 403], OWNER[0]: [200, 200, 200]}
    path = f"{API}/registered-models/alias?name=churn&alias=champion"
    read = ask(port, "GET", path, ":".join(READER))
    assert (read[0], json.loads(read[1])["model_version"]["version"]) == (200, "1")
