"""HTTP: what a server answers to a login that is for it alone, and when it says that it is."""

from __future__ import annotations

import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException

SECONDS = 5.0  # that a server may take to answer


def ask(url: str, login: str = "") -> tuple[int | None, bytes]:
    """Return the status and content that a server answers at `url`; status None if none does."""
    try:
        request = urllib.request.Request(url)  # noqa: S310
        if login:  # which is for this server only, wherever it sends on to
            request.add_unredirected_header(
                "Authorization", f"Basic {b64encode(login.encode()).decode()}"
            )
        with _direct().open(request, timeout=SECONDS) as answer:
            return answer.status, bytes(answer.read()).strip()
    except urllib.error.HTTPError as error:
        error.close()
        return (error.code if error.url == url else None), b""
    except (OSError, ValueError, HTTPException):  # refused, timed out, not HTTP
        return None, b""


def date_of(url: str) -> str:
    """Return the date that a server tells with an answer, whatever that is; '' if it tells none."""
    try:
        with _direct().open(urllib.request.Request(url), timeout=SECONDS) as answer:  # noqa: S310
            return str(answer.headers["Date"] or "")
    except urllib.error.HTTPError as error:
        error.close()
        return str(error.headers["Date"] or "")
    except (OSError, ValueError, HTTPException):
        return ""


def _direct() -> urllib.request.OpenerDirector:
    """Return what asks a server without a proxy, which does not know this machine."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
