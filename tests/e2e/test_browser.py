"""A foreign page in the browser of a user who is logged in: it reads and changes nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser, browse
from services import Page, free_port, services

from evergreen.orchestration.login import login_of
from evergreen.orchestration.server import ask
from evergreen.project import Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CHROMIUM,
        reason="NOT TESTED: what a page of another site reaches, since no Chromium is here",
    ),
]
# What a page tries, each in every way that a browser knows; it returns what it could read.
ATTACK = """
(async tries => {
  const read = [];
  const wait = milliseconds => new Promise(done => setTimeout(done, milliseconds));
  for (const {url, method, body} of tries) {
    for (const more of [
      {}, {credentials: "include"}, {mode: "no-cors", credentials: "include"},
      {headers: {"Content-Type": "application/json"}, credentials: "include"},
      {headers: {"Content-Type": "text/plain"}, mode: "no-cors", credentials: "include"},
    ]) {
      try {
        const answer = await fetch(url, {method, body: body || undefined, ...more});
        if (answer.ok) read.push(method + " " + url + " " + (await answer.text()).slice(0, 80));
      } catch (error) {}
    }
    if (method == "POST") {
      const [form, field, frame] = ["form", "input", "iframe"].map(
        (kind) => document.createElement(kind));
      frame.name = "hidden" + Math.random();
      Object.assign(form, {action: url, method: "POST", enctype: "text/plain", target: frame.name});
      field.name = body.slice(0, -1) + ', "x": "'; field.value = '"}';
      form.append(field); document.body.append(frame, form); form.submit();
    }
    if (method == "GET") {
      const frame = document.createElement("iframe");
      frame.src = url; document.body.append(frame); await wait(300);
      try {
        if (frame.contentDocument.body.innerText.includes("{")) read.push("frame " + url);
      } catch (error) {}
    }
  }
  await wait(2000);
  return read;
})
"""
SOCKET = """
(url => new Promise(done => {
  const socket = new WebSocket(url, "prefect");
  socket.onopen = () => done("open"); socket.onerror = () => done("refused");
}))
"""


@contextmanager
def site() -> Iterator[int]:
    """A site of somebody else, on this machine."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<body>cats</body>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def tries(prefect: str, mlflow: str, deployment: str, mark: Path) -> list[dict[str, str]]:
    """Return what the page asks for: to read, to run its own command, to make and to delete."""
    command = {"state": {"type": "SCHEDULED"}, "job_variables": {"command": f"touch {mark}"}}
    found = [
        ("GET", f"{prefect}/api/admin/settings", None),
        ("POST", f"{prefect}/api/deployments/filter", {}),
        ("POST", f"{prefect}/api/deployments/{deployment}/create_flow_run", command),
        ("DELETE", f"{prefect}/api/deployments/{deployment}", None),
        ("GET", f"{mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0", None),
        ("POST", f"{mlflow}/ajax-api/2.0/mlflow/experiments/search", {"max_results": 9}),
        ("POST", f"{mlflow}/api/2.0/mlflow/experiments/create", {"name": "evil"}),
        ("POST", f"{mlflow}/api/2.0/mlflow/experiments/delete", {"experiment_id": "1"}),
    ]
    return [
        {"method": method, "url": url, "body": "" if body is None else json.dumps(body)}
        for method, url, body in found
    ]


def log_in(browser: Browser, prefect: str, mlflow: str, login: str) -> str:
    """Open both pages as a person does; return MLflow's tab."""
    tab = browser.open(prefect)
    browser.until(tab, "!!document.querySelector('input[type=password]')")
    browser.run(tab, "document.querySelector('input[type=password]').focus()")
    browser.do("Input.insertText", tab, text=login)
    browser.run(tab, "[...document.querySelectorAll('button')].pop().click()")
    browser.until_said(tab, "Flow Runs")
    name, _, password = login.partition(":")
    browser.login = (name, password)
    tab = browser.open(mlflow)
    browser.until_said(tab, "Experiments")
    return tab


def experiments(mlflow: str, login: str) -> list[str]:
    found = json.loads(ask(f"{mlflow}/api/2.0/mlflow/experiments/search?max_results=100", login)[1])
    return [experiment["name"] for experiment in found["experiments"]]


def test_a_page_of_another_site_reaches_nothing_and_our_own_pages_work(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    ports = {"prefect": free_port(), "mlflow": free_port()}
    serve = {"port": free_port()}
    project, mark = make_project((), ports=ports, serve=serve), tmp_path / "mark"
    login = login_of(project)
    prefect, mlflow = (f"http://127.0.0.1:{port}" for port in ports.values())
    with (
        services(project) as page,
        site() as port,
        browse("--host-resolver-rules=MAP *.example 127.0.0.1") as browser,
    ):
        deployment = page.ask("/deployments/name/scoring/late_flights-scoring")["id"]
        own = log_in(browser, prefect, mlflow, login)
        before = experiments(mlflow, login)
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
        assert experiments(mlflow, login) == before
        assert (
            browser.run(own, f"{ATTACK}({json.dumps(tries('', mlflow, deployment, mark)[-2:-1])})")
            != []
        )
        assert "evil" in experiments(mlflow, login)  # the same page, were it our own
    assert not mark.exists()


def unharmed(page: Page, deployment: str) -> bool:
    """Say whether a deployment is there, and nobody has started it."""
    runs: Any = page.ask("/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}})
    return page.ask(f"/deployments/{deployment}")["id"] == deployment and runs == []
