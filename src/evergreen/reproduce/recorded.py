"""Recorded: all that is known of how a version was made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evergreen.errors import InputError
from evergreen.evaluation.held_out import HeldOut
from evergreen.scoring.package import Model, read_package
from evergreen.stores.artifacts import HELD_OUT_SUM, Artifacts
from evergreen.stores.client import ROOT
from evergreen.stores.registry import Registry
from evergreen.stores.runs import FAILED_SEEDS, Runs

NO_COMMIT = "none"


@dataclass(frozen=True)
class Recorded:
    """What a version and the run that made it carry.

    `package`, `library`: where they lie; `params`, `lock`, `changes`: the texts of params.yaml,
    dvc.lock and the uncommitted diff. `held_out`: None where it was not refit.
    """

    number: str
    tags: Mapping[str, str] = field(repr=False)
    metrics: Mapping[str, float] = field(repr=False)
    params: str = field(repr=False)
    lock: str = field(repr=False)
    changes: str = field(repr=False)
    package: Path
    library: Path | None
    model: Model = field(repr=False)
    held_out: HeldOut | None = field(repr=False, default=None)

    @property
    def commit(self) -> str:
        """The commit of the code; '' where none is known."""
        name = self.tags.get("mlflow.source.git.commit", NO_COMMIT)
        return "" if name == NO_COMMIT else name

    @property
    def seeds(self) -> list[int]:
        """The seeds that were asked for."""
        return list(json.loads(self.tags.get("evergreen.seeds", "[]")))

    @property
    def failed(self) -> list[int]:
        """The seeds among them that could not be trained."""
        return list(json.loads(self.tags.get(FAILED_SEEDS, "[]")))

    @property
    def device(self) -> str:
        """What it was trained on: cpu or cuda."""
        return self.tags.get("evergreen.device", "cpu")

    @property
    def made_in(self) -> Path:
        """The folder of the project that made it, on whichever machine."""
        return Path(self.tags.get(ROOT, "").partition(":")[2] or self.tags.get(ROOT, ""))


def read(registry: Registry, number: str, folder: Path) -> Recorded:
    """Return what is recorded of a version; its package and library are copied into `folder`.

    Raises InputError where there is no such version, or its files are not as they were registered.
    """
    run_id = registry.versions.run_of(number)
    metrics, tags = Runs(registry.tracker).describe(run_id)
    artifacts = Artifacts(registry.tracker)
    texts = artifacts.read_texts(run_id, "code")
    package, library = folder / "package", None
    with registry.versions.fetch_whole(number) as (found, wheel):
        shutil.copytree(found, package)
        if wheel:
            library = Path(shutil.copy2(wheel, folder))
    return Recorded(
        number,
        tags,
        metrics,
        texts.get("params.yaml", ""),
        texts.get("dvc.lock", ""),
        texts.get("uncommitted.diff", ""),
        package,
        library,
        read_package(package),
        _held_out(artifacts, run_id) if HELD_OUT_SUM in tags else None,
    )


def _held_out(artifacts: Artifacts, run_id: str) -> HeldOut | None:
    """Return what was predicted for the holdout; None where it is gone: the model tells as much."""
    try:
        return artifacts.read_held_out(run_id)
    except InputError:
        return None
