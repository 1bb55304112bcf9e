"""The quick tests, in two processes of which each collects one half only.

    python tests/unit.py [OPTION ...]      # of pytest, for both

A worker of xdist collects all files, and imports what they need: a fifth of the tests' time.
The halves take about as long; Prefect is loaded for the second alone, Great Expectations for none.
Their files lie in memory where it has room: a sixth of the time is the disk's, more on a busy one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parent
FIRST = (
    "adopt", "features", "ingest", "late_flights", "papers", "project", "promotion",
    "quality", "scoring", "statistics", "testing", "validation",
)  # fmt: skip
QUICK = "not slow and not gpu and not long"
MEMORY, ROOM = Path("/dev/shm"), 2 * 10**9


def halves() -> tuple[list[Path], list[Path]]:
    """Return the folders of the first half, and all else: each test file is in one of them."""
    first = [TESTS / name for name in FIRST]
    tops = {TESTS / path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    return first, sorted(tops - {*first})


def place() -> Path | None:
    """Return where the tests' files lie best; None: where the system says."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if roomy and "TMPDIR" not in os.environ else None


def main(options: Sequence[str]) -> int:
    """Run both halves at once and show what they say; return 0 where both have passed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", QUICK]
    with tempfile.TemporaryDirectory(prefix="unit-", dir=place()) as folder:
        running = [
            subprocess.Popen(
                [*command, *options, *map(str, paths)],
                cwd=TESTS.parent,
                env=os.environ | {"TMPDIR": folder},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for paths in halves()
        ]
        for process in running:
            sys.stdout.write(process.communicate()[0].decode(errors="replace"))
    return max(process.returncode for process in running)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
