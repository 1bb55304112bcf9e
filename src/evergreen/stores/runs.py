"""Training runs in MLflow: begun or continued, with data, code and evaluation recorded."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.evaluation.evaluate import Evaluation
from evergreen.redact import redact_code
from evergreen.stores.artifacts import Artifacts
from evergreen.stores.client import ROOT, quoted
from evergreen.stores.git import read_commit
from evergreen.stores.tracking import Tracker
from evergreen.training.device import describe_machine
from evergreen.training.learner import find_learner

if TYPE_CHECKING:
    from mlflow.entities import Run

LIBRARIES = ("scikit-learn", "numpy", "polars", "great-expectations", "dvc", "mlflow", "prefect")
FINGERPRINT = "evergreen.fingerprint"
FAILED_SEEDS = "evergreen.failed_seeds"
HOLDOUT = "evergreen.split.holdout"
NEWEST = 100  # trainings whose end is looked at


@dataclass(frozen=True)
class Training:
    """A finished training run, and the batches that judged it."""

    run_id: str
    holdout: tuple[str, ...]


class Runs:
    """The training runs of one project."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def recover(self) -> list[str]:
        """Close what a killed run of this project left open; return the ids.

        Call it with the project's lock held.
        """
        mine = f"attributes.status = 'RUNNING' and tags.`{ROOT}` = {quoted(self.tracker.root)}"
        left = [str(run.info.run_id) for run in self.tracker.search(mine)]
        for run_id in left:
            self.tracker.client.set_terminated(run_id, "KILLED")
        return left

    def find_finished(self, fingerprint: str) -> Run | None:
        """Return the run with this fingerprint that finished with every seed, if there is one."""
        return next((run for run in self._with(fingerprint) if _is_complete(run)), None)

    def reopen(self, run_id: str) -> None:
        """Let a finished run be continued: what it made is no longer all there."""
        self.tracker.client.set_terminated(run_id, "KILLED")

    @contextmanager
    def open(
        self,
        fingerprint: str,
        name: str,
        facts: Mapping[str, Any],
        texts: Mapping[str, str] | None = None,
    ) -> Iterator[str]:
        """Continue the unfinished run with this fingerprint, or begin one; it ends as its block.

        `texts`: what is kept as a file below code/, by name. Yields the run's id.
        """
        client = self.tracker.client
        run_id = self._continue(fingerprint) or self._begin(fingerprint, name)
        try:
            self._describe_code(run_id, facts, texts or {})
            yield run_id
        except Exception:
            client.set_terminated(run_id, "FAILED")
            raise
        except BaseException:
            client.set_terminated(run_id, "KILLED")
            raise
        client.set_terminated(run_id, "FINISHED")

    def trainings(self) -> list[Training]:
        """Return the runs that finished with all their seeds, oldest first: no other was judged."""
        found = self.tracker.search(f"attributes.status = 'FINISHED' and tags.`{HOLDOUT}` != ''")
        return [
            Training(str(run.info.run_id), tuple(run.data.tags[HOLDOUT].split(", ")))
            for run in reversed(found)
            if _is_complete(run)
        ]

    def ended(self) -> list[tuple[str, float]]:
        """Return MLflow's status and the seconds of each of the newest trainings, newest first.

        The seconds of one that is under way are NaN.
        """
        found = self.tracker.search(f"tags.`{HOLDOUT}` != ''", NEWEST)
        return [
            (
                str(run.info.status),
                (run.info.end_time - run.info.start_time) / 1000
                if run.info.end_time
                else float("nan"),
            )
            for run in found
        ]

    def describe(self, run_id: str) -> tuple[dict[str, float], dict[str, str]]:
        """Return the metrics and the tags of a run."""
        data = self.tracker.client.get_run(run_id).data
        return dict(data.metrics), dict(data.tags)

    def seconds(self, run_id: str) -> float:
        """Return how long a run took by the clock; NaN where it has not ended."""
        info = self.tracker.client.get_run(run_id).info
        return (info.end_time - info.start_time) / 1000 if info.end_time else float("nan")

    def tag(self, run_id: str, facts: Mapping[str, Any]) -> None:
        """Add facts to a run."""
        for name, value in facts.items():
            self.tracker.client.set_tag(run_id, f"evergreen.{name}", str(value))

    def log_data(self, run_id: str, versions: Mapping[str, str], rows: Mapping[str, int]) -> None:
        """Record each data set with its DVC hash as an input of the run."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = []
        for path, digest in versions.items():
            features = path == "data/features"
            data = Dataset(
                name=path,
                digest=digest.removesuffix(".dir"),
                source_type="dvc",
                source=json.dumps({"path": path, "md5": digest}),
                profile=json.dumps({"rows": dict(rows)}) if features else None,
            )
            tag = InputTag("mlflow.data.context", "training" if features else "upstream")
            inputs.append(DatasetInput(data, [tag]))
        self.tracker.client.log_inputs(run_id, inputs)

    def record_evaluation(
        self,
        run_id: str,
        evaluation: Evaluation,
        failed_seeds: Sequence[int],
        files: Sequence[Path],
    ) -> None:
        """Record metrics with intervals, their spread over seeds, failed seeds, and `files`."""
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        values = evaluation.as_values()
        # NaN is no finding
        known = [Metric(name, value, now, 0) for name, value in values.items() if value == value]
        tags = {
            "evergreen.chosen_seeds": json.dumps(evaluation.chosen),
            FAILED_SEEDS: json.dumps(list(failed_seeds)),
            "mlflow.note.content": evaluation.as_markdown(),
        }
        self.tracker.client.log_batch(
            run_id, known, tags=[RunTag(key, value) for key, value in tags.items()]
        )
        Artifacts(self.tracker).attach(run_id, files)

    def _with(self, fingerprint: str) -> list[Run]:
        return self.tracker.search(f"tags.`{FINGERPRINT}` = '{fingerprint}'")

    def _continue(self, fingerprint: str) -> str | None:
        left = (
            run for run in self._with(fingerprint) if self._is_free(run) and not _is_complete(run)
        )
        if not (run := next(left, None)):
            return None
        self.tracker.client.update_run(run.info.run_id, status="RUNNING")
        return str(run.info.run_id)

    def _is_free(self, run: Run) -> bool:
        return bool(run.info.status != "RUNNING" or run.data.tags.get(ROOT) == self.tracker.root)

    def _begin(self, fingerprint: str, name: str) -> str:
        used = find_learner(self.tracker.params.train.learner).LIBRARIES
        tags = {FINGERPRINT: fingerprint}
        tags |= {f"library.{name}": version(name) for name in dict.fromkeys((*used, *LIBRARIES))}
        tags["library.python"] = platform.python_version()
        tags |= {"mlflow.source.name": "evergreen run", "mlflow.source.type": "PROJECT"}
        run = self.tracker.create_run(self.tracker.experiment, name, tags)
        return str(run.info.run_id)

    def _describe_code(
        self, run_id: str, facts: Mapping[str, Any], texts: Mapping[str, str]
    ) -> None:
        from mlflow.entities import RunTag

        client = self.tracker.client
        facts = {"model": self.tracker.params.sweep.model, "machine": _machine(facts), **facts}
        tags = {f"evergreen.{key}": str(value) for key, value in facts.items()}
        commit = self.tracker.commit or read_commit(self.tracker.project.root)
        changes = commit.changes
        tags |= {
            "mlflow.source.git.commit": commit.name,
            "evergreen.git.dirty": "not known" if commit.why else str(bool(changes)).lower(),
            "evergreen.git.no_commit": commit.why,
        }
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        if changes:
            client.log_text(run_id, changes, "code/uncommitted.diff")
        for name, text in texts.items():
            client.log_text(run_id, redact_code(text), f"code/{name}")


def _machine(facts: Mapping[str, Any]) -> str:
    """Return what trains, in words; '' where no training is described."""
    return describe_machine(facts["device"]) if "device" in facts else ""


def _is_complete(run: Run) -> bool:
    return bool(run.info.status == "FINISHED" and run.data.tags.get(FAILED_SEEDS, "[]") == "[]")
