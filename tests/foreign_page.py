"""What a foreign page tries in the browser of a user who is logged in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from browser import Browser
from http_server import serve
from services import Page

from evergreen.orchestration.server import ask

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

    with serve(Answer) as port:
        yield port


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


def unharmed(page: Page, deployment: str) -> bool:
    """Say whether a deployment is there, and nobody has started it."""
    runs: Any = page.ask("/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}})
    return page.ask(f"/deployments/{deployment}")["id"] == deployment and runs == []
