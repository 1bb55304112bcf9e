"""A headless browser, driven by its own protocol: it opens pages and tells what is in them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--no-proxy-server", "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE = 120  # seconds, on a busy machine


class Browser:
    """One browser; a tab is the name of its session."""

    def __init__(self, address: str) -> None:
        self._socket, self._numbers = (
            connect(address, max_size=None, open_timeout=PATIENCE),
            count(1),
        )
        self.login = ("", "")  # what a person gives where a page asks for a name and a password

    def open(self, url: str) -> str:
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        tab = str(self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        self.do("Fetch.enable", tab, handleAuthRequests=True)
        self.do("Page.navigate", tab, url=url)
        return tab

    def run(self, tab: str, code: str) -> Any:
        """Run JavaScript in a tab; return what it gives, or what its promise does."""
        found = self.do(
            "Runtime.evaluate", tab, expression=code, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, tab: str, code: str) -> Any:
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(LookupError):  # the page is about to be another
                if found := self.run(tab, code):
                    return found
            assert time.monotonic() < until, code
            time.sleep(0.2)

    def until_said(self, tab: str, text: str) -> None:
        self.until(tab, f"(document.body?.innerText ?? '').includes({json.dumps(text)})")

    def do(self, method: str, tab: str | None = None, **params: Any) -> Any:
        number = self._send(method, tab, params)
        while True:
            got = json.loads(self._socket.recv(timeout=PATIENCE))
            if got.get("id") == number:
                if "error" in got:
                    raise LookupError(got["error"]["message"])
                return got["result"]
            self._serve(got)

    def _serve(self, told: Any) -> None:
        asked = {"requestId": told.get("params", {}).get("requestId")}
        if told.get("method") == "Fetch.requestPaused":
            self._send("Fetch.continueRequest", told["sessionId"], asked)
        elif told.get("method") == "Fetch.authRequired":
            name, password = self.login
            given = {"response": "ProvideCredentials", "username": name, "password": password}
            self._send(
                "Fetch.continueWithAuth",
                told["sessionId"],
                asked | {"authChallengeResponse": given},
            )

    def _send(self, method: str, tab: str | None, params: Any) -> int:
        number = next(self._numbers)
        session = {"sessionId": tab} if tab else {}
        self._socket.send(json.dumps({"id": number, "method": method, "params": params} | session))
        return number


@contextmanager
def browse(*options: str) -> Iterator[Browser]:
    """Start a browser that has never been used."""
    assert CHROMIUM
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as folder:
        command = [CHROMIUM, *QUIET, *options, f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            found, until = Path(folder, "DevToolsActivePort"), time.monotonic() + PATIENCE
            while not found.exists() or len(found.read_text().split()) < 2:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            port, path = found.read_text().split()
            yield Browser(f"ws://127.0.0.1:{port}{path}")
        finally:
            process.terminate()
            process.wait(timeout=60)
