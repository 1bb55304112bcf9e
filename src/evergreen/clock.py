"""Clock: how far this machine's is from a server's, by which runs are due."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

from evergreen.http import date_of

OFF = 60.0  # seconds from which on it is told


def behind(url: str) -> float:
    """Return by how many seconds this clock is behind that of the server at `url`.

    Below 0 it is ahead; 0 where the server does not say.
    """
    try:
        return parsedate_to_datetime(date_of(url)).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0.0


def warning(seconds: float, server: str) -> str:
    """Return a sentence about a clock that is so far behind a server's; '' where it is right."""
    if abs(seconds) < OFF:
        return ""
    how = "behind" if seconds > 0 else "ahead of"
    return (
        f"the clock of this machine is {abs(seconds) / 60:.0f} min {how} that of the {server} "
        "server: set it, by NTP say"
    )
