"""Edits: a service takes up what was edited since it started, once that was tried elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evergreen import code

Marks = Mapping[str, object]


def restart() -> None:
    """Become a new process of the same command, with the code that is on disk now."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


class Edits:
    """What is no longer as this process took it: code, and `others`, by name and what marks it.

    `trial`: arguments of Python that must succeed in a new process before this one restarts. A
    mark that is None, such as that of a file that is gone, is waited for.
    """

    def __init__(
        self, root: Path, trial: Sequence[str], others: Callable[[], Marks] = dict
    ) -> None:
        self._root, self._trial, self._others = root, [sys.executable, *trial], others
        self._taken, self._refused, self.why = others(), dict[str, object](), ""

    def find(self) -> dict[str, object]:
        """Return what was edited and not refused, with what marks how it is now.

        `why` says why the last that was edited is refused; '' once it is not there any more.
        """
        edited: dict[str, object] = {
            str(path): path.stat().st_mtime_ns if path.exists() else 0 for path in code.changed()
        }
        for name, mark in self._others().items():
            before = self._taken.get(name)
            if None not in (mark, before) and mark != before:
                edited[name] = mark
        if edited and edited == self._refused:
            return {}
        self._refused, self.why = {}, ""
        return edited

    def refuses(self, edited: Marks) -> str:
        """Try what was edited; return why it cannot be used, '' where it can.

        It is not found again then until more is edited.
        """
        done = subprocess.run(
            self._trial, cwd=self._root, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return ""
        said = done.stderr.strip().splitlines() or [f"its trial ended with {done.returncode}"]
        last = said[-1].removeprefix("error: ")
        self._refused = dict(edited)
        self.why = (
            f"{', '.join(edited)}: {last}; until that is corrected, what was read before is used"
        )
        return self.why
