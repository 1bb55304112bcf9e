"""Files of runs: any, JSON, and the predictions for the holdout that a refit model cannot make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evergreen.errors import InputError
from evergreen.evaluation.held_out import HeldOut
from evergreen.files import sha256_of_file
from evergreen.stores.tracking import Tracker

# Artifact of a run: what was predicted for the holdout before the live model was trained on it
HELD_OUT = "held_out.npz"
HELD_OUT_SUM = "evergreen.held_out"  # tag of a run: SHA-256 of that artifact


class Artifacts:
    """The artifacts of one project's runs."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def attach(self, run_id: str, files: Sequence[Path]) -> None:
        """Record `files` as artifacts of a run."""
        for path in files:
            self.tracker.client.log_artifact(run_id, str(path))

    def has(self, run_id: str, path: str) -> bool:
        """Return whether a run has the file `path` at the top of its artifacts."""
        return any(item.path == path for item in self.tracker.client.list_artifacts(run_id))

    def read_json(self, run_id: str, path: str) -> dict[str, Any]:
        """Return what the JSON file `path` among a run's artifacts holds."""
        with self.tracker.project.temporary() as place:
            file = Path(self.tracker.client.download_artifacts(run_id, path, place))
            return dict(json.loads(file.read_text(encoding="utf-8")))

    def read_texts(self, run_id: str, folder: str) -> dict[str, str]:
        """Return name -> text of each file in a folder of a run's artifacts; empty without one."""
        client, found = self.tracker.client, dict[str, str]()
        with self.tracker.project.temporary() as place:
            for artifact in client.list_artifacts(run_id, folder):
                path = Path(client.download_artifacts(run_id, artifact.path, place))
                found[path.name] = path.read_bytes().decode("utf-8", errors="replace")
        return found

    def fetch_files(self, run_id: str, folder: Path) -> None:
        """Bring the files at the top of a run's artifacts into `folder`; folders stay there."""
        folder.mkdir(parents=True, exist_ok=True)
        for artifact in self.tracker.client.list_artifacts(run_id):
            if not artifact.is_dir:
                self.tracker.client.download_artifacts(run_id, artifact.path, str(folder))

    def record_held_out(self, run_id: str, held_out: HeldOut) -> None:
        """Keep the predictions for the holdout, before a model that was trained on it goes live."""
        with self.tracker.project.temporary() as folder:
            path = Path(folder, HELD_OUT)
            held_out.write(path)
            self.attach(run_id, [path])
            self.tracker.client.set_tag(run_id, HELD_OUT_SUM, sha256_of_file(path))

    def read_held_out(self, run_id: str) -> HeldOut:
        """Return the predictions for the holdout.

        Raises InputError where the file is gone or was changed.
        """
        client = self.tracker.client
        recorded = client.get_run(run_id).data.tags.get(HELD_OUT_SUM)
        names = {artifact.path for artifact in client.list_artifacts(run_id)}
        with self.tracker.project.temporary() as place:
            path = None
            if HELD_OUT in names:
                path = Path(client.download_artifacts(run_id, HELD_OUT, place))
            if path is None or sha256_of_file(path) != recorded:
                raise InputError(
                    f"{HELD_OUT} of run {run_id}, the predictions for its holdout, is gone or was "
                    "changed: train a new champion with `evergreen run`"
                )
            return HeldOut.read(path)
