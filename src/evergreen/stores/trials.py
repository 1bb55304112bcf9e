"""Tuning in MLflow: a run of the experiment "... tuning" per search, a child per trial."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.stores.artifacts import Artifacts
from evergreen.stores.client import ROOT, quoted
from evergreen.stores.git import read_commit
from evergreen.stores.tracking import MOST, Tracker

if TYPE_CHECKING:
    from mlflow.entities import Run

STUDY, TRIAL = "evergreen.study", "evergreen.trial"


class Trials:
    """What one search tried; a search that goes on goes on in its run.

    `study`: its name, the same for the same rows, space, seeds and present parameters.
    """

    def __init__(self, tracker: Tracker, study: str) -> None:
        self.tracker, self.client, self.study = tracker, tracker.client, study

    @cached_property
    def _place(self) -> str:
        return self.tracker.experiment_called(f"{self.tracker.params.tracking.experiment} tuning")

    @cached_property
    def run_id(self) -> str:
        """The run of the search, which is begun where there is none."""
        for run in self._search(f"tags.`{ROOT}` = {quoted(self.tracker.root)}"):
            if "mlflow.parentRunId" not in run.data.tags:
                self.client.update_run(run.info.run_id, status="RUNNING")
                return str(run.info.run_id)
        commit = read_commit(self.tracker.project.root)
        tags = {STUDY: self.study, "mlflow.source.git.commit": commit.name}
        tags |= {"mlflow.source.name": "evergreen tune", "mlflow.source.type": "PROJECT"}
        made = self.tracker.create_run(self._place, f"search {self.study[:8]}", tags)
        train = self.tracker.params.train.model_dump(mode="json")
        self.client.log_dict(made.info.run_id, train, "train.json")
        return str(made.info.run_id)

    @cached_property
    def _known(self) -> set[str]:
        """The numbers of the trials that are recorded."""
        found = self._search(f"tags.`mlflow.parentRunId` = '{self.run_id}'")
        return {run.data.tags[TRIAL] for run in found if run.info.status != "RUNNING"}

    def record(
        self, number: int, values: Mapping[str, Any], metrics: Mapping[str, float], ended: str
    ) -> None:
        """Record a trial, where it is not there yet.

        `values`: of the parameters. `ended`: MLflow's status of its run.
        """
        if str(number) in self._known:
            return
        from mlflow.entities import Metric, Param

        tags = {STUDY: self.study, TRIAL: str(number), "mlflow.parentRunId": self.run_id}
        run_id = str(self.tracker.create_run(self._place, f"trial {number}", tags).info.run_id)
        now = int(time.time() * 1000)
        known = [Metric(key, value, now, 0) for key, value in metrics.items() if value == value]
        params = [Param(key, json.dumps(value)) for key, value in values.items()]
        self.client.log_batch(run_id, known, params)
        self.client.set_terminated(run_id, ended)
        self._known.add(str(number))

    def finish(self, finding: str, metrics: Mapping[str, float], files: Sequence[Path]) -> None:
        """Record what came of the search."""
        self.client.set_tag(self.run_id, "mlflow.note.content", finding)
        for key, value in metrics.items():
            if value == value:  # NaN is no finding
                self.client.log_metric(self.run_id, key, value)
        Artifacts(self.tracker).attach(self.run_id, files)
        self.client.set_terminated(self.run_id)

    def stop(self) -> None:
        """Close the run of a search that ends before its end, where one was begun."""
        if "run_id" in vars(self):
            self.client.set_terminated(self.run_id, "KILLED")

    def _search(self, condition: str) -> list[Run]:
        found = f"tags.`{STUDY}` = '{self.study}' and {condition}"
        return list(self.client.search_runs([self._place], found, max_results=MOST))
