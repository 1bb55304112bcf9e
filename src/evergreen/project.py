"""Where everything of one project lives, and the lock that lets one run at a time change it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evergreen.errors import InputError
from evergreen.files import sweep_left


@dataclass(frozen=True)
class Project:
    """The folder that holds `params.yaml` and `dvc.yaml`, and the places below it."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """Return the project that `start` (default: the working directory) lies in.

        Raises InputError where no folder from `start` upward holds both files.
        """
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
                return cls(folder)
        raise InputError(f"no project here: neither {here} nor a folder above it holds params.yaml and dvc.yaml")

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw"

    @property
    def validation(self) -> Path:
        return self.root / "data" / "validation"

    @property
    def validated(self) -> Path:
        return self.root / "data" / "validated"

    @property
    def quarantine(self) -> Path:
        return self.root / "data" / "quarantine"

    @property
    def features(self) -> Path:
        return self.root / "data" / "features"

    @property
    def predictions(self) -> Path:
        return self.root / "data" / "predictions"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def stores(self) -> Path:
        return self.root / "stores"

    @property
    def workspace(self) -> Project:
        """Where a replay has data and a lock of its own."""
        return Project(self.stores / "replay")

    @contextmanager
    def temporary(self) -> Iterator[str]:
        """Make a folder below `stores/` for as long as the block takes; the next run removes one that a kill has left."""
        self.stores.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.stores, prefix=f".part-{os.getpid()}-") as folder:
            yield folder

    @contextmanager
    def lock(self, patience: float = 0) -> Iterator[None]:
        """Hold the project: one run at a time changes data and models.

        The operating system drops the lock when its holder dies, however it dies.
        Raises InputError where another process still holds it after `patience` seconds.
        """
        from filelock import FileLock, Timeout

        self.stores.mkdir(parents=True, exist_ok=True)
        owner = self.stores / "run.pid"
        lock = FileLock(self.stores / "run.lock", timeout=patience)
        try:
            lock.acquire()
        except Timeout:
            pid = owner.read_text().strip() if owner.exists() else "unknown"
            raise InputError(
                f"another run of this project is under way (process {pid}): wait for it, or stop it, then run again"
            ) from None
        try:
            owner.write_text(str(os.getpid()))
            for folder in (self.root, self.reports, self.stores, self.root / ".dvc" / "tmp"):
                sweep_left(folder)
            yield
        finally:
            lock.release()
