"""The seeds of a training run in MLflow: a child run each, with its losses and its model."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.files import sha256_of
from evergreen.stores.tracking import Tracker
from evergreen.training.learner import XGBOOST, Trained, find_learner
from evergreen.training.seeds import JUDGED

if TYPE_CHECKING:
    from mlflow.entities import Metric

SEED, ROLE = "evergreen.seed", "evergreen.role"
PARENT = "mlflow.parentRunId"
AT_ONCE = 1000  # metrics that MLflow takes in one call


class Seeds:
    """The seeds that one project's training runs recorded."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def load(self, parent: str, fingerprint: str, role: str = JUDGED) -> Trained | None:
        """Return the model that was trained with this fingerprint, or None; not a damaged one.

        One that another parent holds is recorded below `parent` as well, with the `role` that it
        has there.
        """
        found = self.tracker.search(
            f"tags.`{SEED}.fingerprint` = '{fingerprint}' and attributes.status = 'FINISHED'"
        )
        found.sort(key=lambda run: run.data.tags.get(PARENT) != parent)
        for run in found:
            run_id = str(run.info.run_id)
            trained = self.read(run_id)
            if trained is None:
                continue
            if run.data.tags.get(PARENT) != parent:
                known = self.tracker.params.metrics.of(self.tracker.params.task)
                metrics = {k: v for k, v in run.data.metrics.items() if k in known}
                self.record(parent, trained, metrics, fingerprint, role, reused_from=run_id)
            return trained
        return None

    def of_run(self, parent: str, role: str = JUDGED) -> list[Trained]:
        """Return the models that a run recorded in a `role`, by seed; damaged ones are left out."""
        children = self.tracker.search(
            f"tags.{PARENT} = '{parent}' and attributes.status = 'FINISHED'"
        )
        found: dict[str, Trained] = {}
        for run in children:  # newest first
            seed = run.data.tags.get(SEED) if run.data.tags.get(ROLE, JUDGED) == role else None
            if seed and seed not in found and (trained := self.read(run.info.run_id)):
                found[seed] = trained
        return sorted(found.values(), key=lambda trained: trained.seed)

    def seconds_of(self, parent: str) -> dict[str, list[float]]:
        """Return the seconds of each model that a run trained itself, by its role."""
        children = self.tracker.search(
            f"tags.{PARENT} = '{parent}' and attributes.status = 'FINISHED'"
        )
        found: dict[str, list[float]] = {}
        for run in children:
            seconds = run.data.metrics.get("seconds")
            if seconds is not None and "evergreen.reused_from" not in run.data.tags:
                found.setdefault(run.data.tags.get(ROLE, JUDGED), []).append(float(seconds))
        return found

    def read(self, run_id: str) -> Trained | None:
        """Return the model of a seed's run, or None where it is missing or was altered.

        A store that does not answer raises its own error.
        """
        client = self.tracker.client
        if not client.list_artifacts(run_id, "seed"):
            return None
        with self.tracker.project.temporary() as place:
            folder = Path(client.download_artifacts(run_id, "seed", place))
            try:
                facts = json.loads((folder / "trained.json").read_text(encoding="utf-8"))
                learner = facts.pop("learner", XGBOOST)  # at first there was no other
                booster = (folder / _file_of(learner, facts.get("folds", 1))).read_bytes()
                if sha256_of(booster.hex()) != facts.pop("sha256"):
                    return None
                facts["history"] = {name: tuple(curve) for name, curve in facts["history"].items()}
                return Trained(booster=booster, **facts)
            except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
                return None

    def record(
        self,
        parent: str,
        trained: Trained,
        metrics: Mapping[str, float],
        fingerprint: str,
        role: str = JUDGED,
        *,
        reused_from: str | None = None,
    ) -> str:
        """Record a seed as a child of `parent`: loss by round, holdout metrics, the model.

        Returns the id of its run.
        """
        tags = {
            SEED: str(trained.seed),
            ROLE: role,
            f"{SEED}.fingerprint": fingerprint,
        }
        if reused_from:
            tags["evergreen.reused_from"] = reused_from
        with self.tracker.writing:
            return self._record(parent, trained, metrics, tags)

    def record_failure(self, parent: str, seed: int, error: str, role: str = JUDGED) -> None:
        """Record a seed that could not be trained: the next run continues its unfinished sweep."""
        tags = {SEED: str(seed), ROLE: role, "evergreen.error": error[:500]}
        run_id = self.tracker.add_child(parent, name_of_seed(seed, role), tags)
        self.tracker.client.set_terminated(run_id, "FAILED")

    def _record(
        self, parent: str, trained: Trained, metrics: Mapping[str, float], tags: dict[str, str]
    ) -> str:
        from mlflow.entities import Param

        client, train = self.tracker.client, self.tracker.params.train
        run_id = self.tracker.add_child(parent, name_of_seed(trained.seed, tags[ROLE]), tags)
        entries = _curves_and_metrics(trained, metrics)
        params = [Param(name, str(value)) for name, value in train.model_dump().items()]
        for start in range(0, len(entries), AT_ONCE):
            client.log_batch(run_id, entries[start : start + AT_ONCE], params if start == 0 else ())
        with self.tracker.project.temporary() as folder:
            place = Path(folder, "seed")
            place.mkdir()
            (place / _file_of(train.learner, trained.folds)).write_bytes(trained.booster)
            facts = asdict(trained) | {
                "learner": train.learner,
                "sha256": sha256_of(trained.booster.hex()),
            }
            facts.pop("booster")
            (place / "trained.json").write_text(json.dumps(facts), encoding="utf-8")
            client.log_artifacts(run_id, folder)
        client.set_terminated(run_id)
        return run_id


def name_of_seed(seed: int, role: str) -> str:
    """Return what the run of a seed is called."""
    return f"seed {seed}" if role == JUDGED else f"seed {seed}, {role}"


def _curves_and_metrics(trained: Trained, metrics: Mapping[str, float]) -> list[Metric]:
    """Return the loss after each round, then what the seed ended with."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    curves = [
        Metric(f"{name}_loss", value, now, step)
        for name, curve in trained.history.items()
        for step, value in enumerate(curve)
    ]
    finals = {**metrics, "rounds": trained.rounds, "seconds": trained.seconds}
    if trained.validation_loss is not None:
        finals["best_validation_loss"] = trained.validation_loss
    return curves + [Metric(name, float(value), now, 0) for name, value in finals.items()]


def _file_of(learner: str, folds: int) -> str:
    """Return the name of the file of a seed's model, or of its models, one per fold."""
    return f"booster{find_learner(learner).SUFFIX}" if folds == 1 else "folds.json"
