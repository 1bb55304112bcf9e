"""Reproduce: a version made again in a folder of its own, and compared with what is recorded.

The project's data, models and stores are read, never changed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from evergreen.errors import InputError
from evergreen.evaluation.held_out import HeldOut
from evergreen.features.split import Split, read_part
from evergreen.project import Project
from evergreen.redact import redact
from evergreen.reproduce import again, environment
from evergreen.reproduce.compare import (
    THINGS,
    Verdict,
    compare_data,
    compare_metrics,
    compare_packages,
    compare_predictions,
)
from evergreen.reproduce.recorded import Recorded, read
from evergreen.reproduce.restore import Restored, restore
from evergreen.scoring.package import read_package
from evergreen.stores.registry import Registry

LOCK = ".reproducing"  # in the folder: whose it is, and held while something is made in it


@dataclass(frozen=True)
class Ready:
    """A version that is restored; `apart`: what is not as then; `stops`: why it cannot train."""

    recorded: Recorded
    restored: Restored
    device: str
    apart: tuple[str, ...]
    folder: Path
    lock: int

    @property
    def stops(self) -> tuple[str, ...]:
        """What is lacking so that nothing can be trained."""
        return self.restored.stops

    def without_training(self) -> list[Verdict]:
        """Return what can be said where nothing is trained."""
        return [
            compare_data(self.restored.data),
            *(Verdict(what, None, "nothing was trained") for what in THINGS[1:]),
        ]


@contextmanager
def own_folder(folder: Path) -> Iterator[int]:
    """Hold `folder`, emptied; a process that is given the number holds it as well.

    Raises InputError where it is somebody else's, or a version is being made there.
    """
    lock = folder / LOCK
    if folder.exists() and not lock.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there and holds something else: name another --folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = lock.open("a")
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror or error}): name another --folder"
        ) from None
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"a version is being made again in {folder}: wait for it, or name another --folder"
            ) from None
        for left in folder.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            elif left != lock:
                left.unlink()
        yield file.fileno()


def prepare(registry: Registry, number: str, folder: Path, lock: int) -> Ready:
    """Restore a version in `folder`, and see what is not as it was.

    Raises InputError where there is no such version, or its package is damaged.
    """
    recorded = read(registry, number, _made(folder / "recorded"))
    restored = restore(recorded, registry.tracker.project.root, folder)
    device = environment.pick(recorded.device)
    apart = [*restored.lacks, *environment.differences(recorded.tags, device)]
    if recorded.failed:
        apart.append(f"seeds that failed then are trained now: {recorded.failed}")
    return Ready(recorded, restored, device, tuple(apart), folder, lock)


def train(ready: Ready) -> list[Verdict]:
    """Train the version again in a new process, and compare.

    Raises InputError where it cannot be trained.
    """
    made = _made(ready.folder / "made")
    _train(ready, made)
    recorded, project = ready.recorded, Project(ready.restored.root)
    rows = read_part(project, Split.of(project).judging)
    found = read_package(made / again.PACKAGE)
    before, now = recorded.held_out, HeldOut.read(made / again.HELD_OUT)
    metrics = json.loads((made / again.METRICS).read_text(encoding="utf-8"))
    return [
        compare_data(ready.restored.data),
        compare_packages(recorded.package, made / again.PACKAGE),
        compare_predictions(recorded.model, found, rows, (before, now) if before else None),
        compare_metrics(recorded.metrics, metrics),
    ]


def _train(ready: Ready, made: Path) -> None:
    recorded, root = ready.recorded, ready.restored.root
    model = recorded.model
    asked = again.Asked(
        str(root),
        recorded.seeds,
        recorded.tags.get("evergreen.model", ""),
        ready.device,
        model.learner,
        model.refit,
    )
    places = (ready.restored.library, root / "src", root)
    done = subprocess.run(
        [sys.executable, "-m", again.__name__, json.dumps(asdict(asked)), str(made)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))},
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        pass_fds=(ready.lock,),  # so that nobody takes the folder while it lives
    )
    if done.returncode:
        log = ready.folder / "errors.log"
        log.write_text(redact(done.stderr), encoding="utf-8")
        raise InputError(
            f"version {recorded.number} cannot be trained again: {_reason(done.stderr)} "
            f"(all that was said: {log})"
        )


def _reason(said: str) -> str:
    """Return what a process said last on standard error, on one line."""
    lines = said.strip().splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith(again.ERROR)]
    last = lines[starts[-1] :] if starts else lines[-1:]
    return " ".join(" ".join(last).removeprefix(again.ERROR).split()) or "no message"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
