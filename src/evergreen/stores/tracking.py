"""A project's place in MLflow: the store, the experiment, and what tells its runs from others'.

Only modules of `stores` call MLflow. Run ids are passed as values, never by MLflow's "active run",
so that tasks in threads cannot mix them up.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen import formats
from evergreen.errors import InputError
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores import databases
from evergreen.stores.client import ROOT, load_library, open_client, quoted
from evergreen.stores.git import Commit

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

# MLflow's pages for models, not for prompts
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
FOR_MODELS = "workflowType=machine_learning"  # the same, of a link
MOST = 50_000  # runs that a search returns
OWNER = "evergreen.project"  # tag of what is on a server that several projects may share
FORMAT = "evergreen.format"  # tag of an experiment, see formats.py
PARTS = ("monitoring", "decisions", "replay", "tuning")  # experiments beside that of the trainings


class Tracker:
    """One project's experiment."""

    def __init__(self, project: Project, params: Params) -> None:
        self.project, self.params = project, params
        self.commit: Commit | None = None  # of the code that runs, where it was read at the start
        self.writing = threading.Lock()  # SQLite takes one writer at a time
        self.uri = (
            os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project.stores / 'mlflow.db'}"
        )

    @property
    def is_there(self) -> bool:
        """Whether there is a store, or was: opening the project's own would make one."""
        return not self._is_own or self._database.exists() or databases.holds_files(self._artifacts)

    @property
    def _is_own(self) -> bool:
        return str(self._database) in self.uri

    @property
    def _database(self) -> Path:
        return self.project.stores / "mlflow.db"

    @property
    def _artifacts(self) -> Path:
        return self.project.stores / "mlflow"

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client; the database is created at the first call.

        Raises InputError where the project's own is damaged, gone, or held by another process.
        """
        self.project.stores.mkdir(parents=True, exist_ok=True)
        load_library()
        if not self._is_own:
            return open_client(self.uri)
        databases.prepare(self._database, self._artifacts)
        try:
            return open_client(self.uri)
        except Exception as error:
            raise InputError(
                f"MLflow cannot open {self._database} ({str(error).splitlines()[0]}): keep a copy "
                f"of it, then `mlflow db upgrade {self.uri}`; or restore it from a backup"
            ) from error

    @cached_property
    def experiment(self) -> str:
        """The id of the project's experiment."""
        return self.experiment_called(self.params.tracking.experiment)

    def experiment_called(self, name: str) -> str:
        """Return the id of an experiment, which is created where it does not exist.

        Raises InputError where it was deleted, or MLflow cannot create it.
        """
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if not found:
            is_remote = "://" in self.uri and not self.uri.startswith("sqlite")
            place = None if is_remote else str(self._artifacts)
            tags = EXPERIMENT_TAGS | self.owner
            try:
                return str(self.client.create_experiment(name, artifact_location=place, tags=tags))
            except MlflowException as error:
                found = self.client.get_experiment_by_name(name)  # another clone was quicker
                if not found:
                    raise InputError(
                        f"MLflow cannot create the experiment {name!r}: {error}"
                    ) from error
        if found.lifecycle_stage == "deleted":
            raise InputError(
                f"the experiment {name!r} was deleted in MLflow: restore it, "
                "or change tracking.experiment"
            )
        self.check_owner(f"the experiment {name!r}", found.tags)
        formats.check(found.tags.get(FORMAT, 1), f"the experiment {name!r} in MLflow")
        return str(found.experiment_id)

    @property
    def owner(self) -> dict[str, str]:
        """The tag of what this project makes on a server; empty where the store is its own."""
        return {OWNER: self.project.distribution} if self.uri.startswith("http") else {}

    def check_owner(self, what: str, tags: Mapping[str, str]) -> None:
        """Raise InputError where another project made it: the champions of both would be mixed."""
        mine, made_by = self.owner, tags.get(OWNER)
        if mine and made_by not in (None, mine[OWNER]):
            raise InputError(
                f"{what} at MLFLOW_TRACKING_URI is of the project {made_by!r}: give this one other "
                "names in params.yaml, tracking.experiment and tracking.model"
            )

    @property
    def root(self) -> str:
        """What tells this project's runs from those of others in a shared store."""
        # Nobody else writes there: a new host name is still this project
        own = str(self.project.stores) in self.uri
        return str(self.project.root) if own else f"{socket.gethostname()}:{self.project.root}"

    def search(self, condition: str, most: int = MOST) -> list[Run]:
        """Return the runs of the experiment that meet a condition of MLflow's, newest first."""
        newest_first = ["attributes.start_time DESC"]
        return list(
            self.client.search_runs(
                [self.experiment], condition, max_results=most, order_by=newest_first
            )
        )

    def create_run(
        self, experiment: str, name: str, tags: Mapping[str, str], *, last: bool = False
    ) -> Run:
        """Begin a run of this project in an experiment, which says the format of what is in it.

        `last`: it comes after all that are there, also where a clock was set back, or another
        machine's is ahead.
        """
        if formats.FORMAT > 1:
            self.client.set_experiment_tag(experiment, FORMAT, formats.FORMAT)
        begun = int(time.time() * 1000)
        if last:
            begun = max(begun, self._newest_of(experiment) + 1)
        tags = {ROOT: self.root, **tags}
        return self.client.create_run(experiment, begun, run_name=name, tags=tags)

    def _newest_of(self, experiment: str) -> int:
        """Return when the newest run began, in milliseconds; deleted ones count too."""
        from mlflow.entities import ViewType

        newest_first = ["attributes.start_time DESC"]
        found = self.client.search_runs([experiment], "", ViewType.ALL, 1, newest_first)
        return max((int(run.info.start_time) for run in found), default=0)

    def add_child(self, parent: str, name: str, tags: Mapping[str, str]) -> str:
        """Begin a run below another; return its id."""
        run = self.create_run(self.experiment, name, {"mlflow.parentRunId": parent, **tags})
        return str(run.info.run_id)

    def stored_formats(self) -> set[int]:
        """Return the formats of what the project's experiments hold; nothing is created."""
        if not self.is_there:
            return set()
        name = self.params.tracking.experiment
        names = {name, *(f"{name} {part}" for part in PARTS)}
        found = self.client.search_experiments(filter_string=f"name LIKE {quoted(name + '%')}")
        return {
            int(experiment.tags.get(FORMAT, 1)) for experiment in found if experiment.name in names
        }

    def link(self, run_id: str = "", part: str = "") -> str:
        """Return where all runs, a run or a part of it is shown once the MLflow server is up.

        `part`: "artifacts", say.
        """
        own = (
            re.sub(r"://\S*@", "://", self.uri)
            if self.uri.startswith("http")
            else f"http://127.0.0.1:{self.params.ports.mlflow}"
        )
        base = os.environ.get("EVERGREEN_MLFLOW_PAGE") or own  # what a browser calls it
        place = "/".join(name for name in ("runs", run_id, part) if name)
        return f"{base}/#/experiments/{self.experiment}/{place}?{FOR_MODELS}"
