"""The runs of a project in MLflow: a parent per training run, a child per seed.

With registry.py and journal.py the only caller of it.

Run ids are passed as values, never by MLflow's "active run", so that tasks in threads cannot mix
them up.
"""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen import formats
from evergreen.errors import InputError
from evergreen.evaluation.evaluate import MODEL, Evaluation
from evergreen.evaluation.held_out import HeldOut
from evergreen.evaluation.metrics import METRICS
from evergreen.files import sha256_of, sha256_of_file
from evergreen.params import Params
from evergreen.project import Project
from evergreen.redact import redact, redact_all, redact_code
from evergreen.stores import databases
from evergreen.stores.git import Commit, read_commit
from evergreen.training.learner import XGBOOST, Trained, find_learner
from evergreen.training.sweep import JUDGED

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

LIBRARIES = ("scikit-learn", "numpy", "polars", "great-expectations", "dvc", "mlflow", "prefect")
FINGERPRINT = "evergreen.fingerprint"
SEED, ROLE = "evergreen.seed", "evergreen.role"
# Artifact of a run: what was said of the holdout before the live model learnt from it
HELD_OUT = "held_out.npz"
ROOT = "evergreen.root"
FORMAT = "evergreen.format"  # tag of an experiment, see formats.py
PARTS = ("monitoring", "decisions", "replay")  # experiments beside that of the trainings
FAILED_SEEDS = "evergreen.failed_seeds"
HOLDOUT = "evergreen.split.holdout"
HELD_OUT_SUM = "evergreen.held_out"  # tag of a run: SHA-256 of that artifact
# MLflow's pages for models, not for prompts
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
FOR_MODELS = "workflowType=machine_learning"  # the same, of a link


@dataclass(frozen=True)
class Training:
    """A finished training run, and the batches that judged it."""

    run_id: str
    holdout: tuple[str, ...]


class Tracker:
    """One project's experiment."""

    def __init__(self, project: Project, params: Params) -> None:
        self.project, self.params = project, params
        self.commit: Commit | None = None  # of the code that runs, where it was read at the start
        self._writing = threading.Lock()  # SQLite takes one writer at a time
        self.uri = (
            os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project.stores / 'mlflow.db'}"
        )

    @property
    def is_there(self) -> bool:
        """Whether there is a store, or was: to look into the project's own would make one."""
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
        import logging

        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        self.project.stores.mkdir(parents=True, exist_ok=True)
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        # It logs tracebacks of what is raised
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        if not self._is_own:
            return _redacting(MlflowClient)(tracking_uri=self.uri, registry_uri=self.uri)
        databases.prepare(self._database, self._artifacts)
        try:
            return _redacting(MlflowClient)(tracking_uri=self.uri, registry_uri=self.uri)
        except Exception as error:
            raise InputError(
                f"MLflow cannot open {self._database} ({str(error).splitlines()[0]}): keep a copy of it, then "
                f"`mlflow db upgrade {self.uri}`; or bring it back from a backup"
            ) from error

    @cached_property
    def experiment(self) -> str:
        """The id of the project's experiment."""
        return self.experiment_called(self.params.tracking.experiment)

    def experiment_called(self, name: str) -> str:
        """Return the id of an experiment, which is made where it is not there."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found and found.lifecycle_stage == "deleted":
            raise InputError(
                f"the experiment {name!r} was deleted in MLflow: restore it, or change tracking.experiment"
            )
        if found:
            formats.check(found.tags.get(FORMAT, 1), f"the experiment {name!r} in MLflow")
            return str(found.experiment_id)
        place = (
            None
            if "://" in self.uri and not self.uri.startswith("sqlite")
            else str(self._artifacts)
        )
        try:
            return str(
                self.client.create_experiment(name, artifact_location=place, tags=EXPERIMENT_TAGS)
            )
        except MlflowException as error:
            raise InputError(f"MLflow cannot create the experiment {name!r}: {error}") from error

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> Run:
        """Begin a run of this project in an experiment, which says the format of what is in it."""
        if formats.FORMAT > 1:
            self.client.set_experiment_tag(experiment, FORMAT, formats.FORMAT)
        return self.client.create_run(experiment, run_name=name, tags={ROOT: self.root, **tags})

    def stored_formats(self) -> set[int]:
        """Return the formats of what the project's experiments hold; nothing is made to find out."""
        if not self.is_there:
            return set()
        name = self.params.tracking.experiment
        found = self.client.search_experiments(filter_string=f"name LIKE {quoted(name + '%')}")
        own = (one for one in found if one.name in {name, *(f"{name} {part}" for part in PARTS)})
        return {int(one.tags.get(FORMAT, 1)) for one in own}

    # --- runs
    # ----------------------------------------------------------------------------------------------

    def recover(self) -> list[str]:
        """Close what a killed run of this project left open; call it with the project's lock held."""
        mine = f"attributes.status = 'RUNNING' and tags.`{ROOT}` = {quoted(self.root)}"
        left = [run.info.run_id for run in self._search(mine)]
        for run_id in left:
            self.client.set_terminated(run_id, "KILLED")
        return left

    def find_finished(self, fingerprint: str) -> Run | None:
        """Return the training run with this fingerprint that finished with every seed, if there is one."""
        return next((run for run in self._with(fingerprint) if _complete(run)), None)

    def reopen(self, run_id: str) -> None:
        """Let a finished run be continued: what it made is no longer all there."""
        self.client.set_terminated(run_id, "KILLED")

    @contextmanager
    def open_run(
        self,
        fingerprint: str,
        name: str,
        facts: Mapping[str, Any],
        texts: Mapping[str, str] | None = None,
    ) -> Iterator[str]:
        """Continue the unfinished run with this fingerprint, or begin one; it ends with the block, and as it does.

        `texts`: what is kept as a file below code/, by name.
        """
        left = next(
            (run for run in self._with(fingerprint) if self._is_free(run) and not _complete(run)),
            None,
        )
        if left:
            run_id = str(left.info.run_id)
            self.client.update_run(run_id, status="RUNNING")
        else:
            tags = {FINGERPRINT: fingerprint, **self._about_code()}
            run_id = str(self.create_run(self.experiment, name, tags).info.run_id)
        try:
            self._describe(run_id, facts, texts or {})
            yield run_id
        except Exception:
            self.client.set_terminated(run_id, "FAILED")
            raise
        except BaseException:
            self.client.set_terminated(run_id, "KILLED")
            raise
        self.client.set_terminated(run_id, "FINISHED")

    def trainings(self) -> list[Training]:
        """Return the training runs that finished with all their seeds, oldest first: others could not be judged."""
        found = self._search(f"attributes.status = 'FINISHED' and tags.`{HOLDOUT}` != ''")
        return [
            Training(str(run.info.run_id), tuple(run.data.tags[HOLDOUT].split(", ")))
            for run in reversed(found)
            if _complete(run)
        ]

    def describe(self, run_id: str) -> tuple[dict[str, float], dict[str, str]]:
        """Return the metrics and the tags of a run."""
        data = self.client.get_run(run_id).data
        return dict(data.metrics), dict(data.tags)

    def log_data(self, run_id: str, versions: Mapping[str, str], rows: Mapping[str, int]) -> None:
        """Record each data set with its DVC hash as an input of the run."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(
                    name=path,
                    digest=digest.removesuffix(".dir"),
                    source_type="dvc",
                    source=json.dumps({"path": path, "md5": digest}),
                    profile=json.dumps({"rows": dict(rows)}) if path == "data/features" else None,
                ),
                [
                    InputTag(
                        "mlflow.data.context", "training" if path == "data/features" else "upstream"
                    )
                ],
            )
            for path, digest in versions.items()
        ]
        self.client.log_inputs(run_id, inputs)

    # --- seeds
    # ----------------------------------------------------------------------------------------------

    def load_seed(self, parent: str, fingerprint: str, role: str = JUDGED) -> Trained | None:
        """Return the model that an earlier run trained with this fingerprint, or None; a damaged one does not count.

        One that another parent holds is recorded below `parent` as well, with the `role` that it
        has there.
        """
        found = self._search(
            f"tags.`{SEED}.fingerprint` = '{fingerprint}' and attributes.status = 'FINISHED'"
        )
        found.sort(key=lambda run: run.data.tags.get("mlflow.parentRunId") != parent)
        for run in found:
            trained = self.read_seed(run.info.run_id)
            if trained is None:
                continue
            if run.data.tags.get("mlflow.parentRunId") != parent:
                metrics = {
                    k: v for k, v in run.data.metrics.items() if k in METRICS[self.params.task]
                }
                self.record_seed(
                    parent, trained, metrics, fingerprint, role, reused_from=run.info.run_id
                )
            return trained
        return None

    def seeds_of(self, parent: str, role: str = JUDGED) -> list[Trained]:
        """Return the models of all seeds that a training run recorded in a `role`, by seed; damaged ones are left out."""
        children = self._search(
            f"tags.mlflow.parentRunId = '{parent}' and attributes.status = 'FINISHED'"
        )
        found: dict[str, Trained] = {}
        for run in children:  # newest first
            seed = run.data.tags.get(SEED) if run.data.tags.get(ROLE, JUDGED) == role else None
            if seed and seed not in found and (trained := self.read_seed(run.info.run_id)):
                found[seed] = trained
        return sorted(found.values(), key=lambda one: one.seed)

    def read_seed(self, run_id: str) -> Trained | None:
        """Return the model that a seed's run holds, or None where it is missing or not as it was recorded.

        A store that does not answer raises its own error.
        """
        if not self.client.list_artifacts(run_id, "seed"):
            return None
        with self.project.temporary() as place:
            folder = Path(self.client.download_artifacts(run_id, "seed", place))
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

    def record_seed(
        self,
        parent: str,
        trained: Trained,
        metrics: Mapping[str, float],
        fingerprint: str,
        role: str = JUDGED,
        *,
        reused_from: str | None = None,
    ) -> str:
        """Record one seed as a child of `parent`: loss after each round, metrics on the holdout, the model."""
        tags = {
            SEED: str(trained.seed),
            f"{SEED}.fingerprint": fingerprint,
            ROLE: role,
        }
        if reused_from:
            tags["evergreen.reused_from"] = reused_from
        with self._writing:
            return self._record_seed(parent, trained, metrics, tags)

    def _record_seed(
        self, parent: str, trained: Trained, metrics: Mapping[str, float], tags: dict[str, str]
    ) -> str:
        from mlflow.entities import Metric, Param

        run_id = self._child(parent, name_of_seed(trained.seed, tags[ROLE]), tags)
        now = int(time.time() * 1000)
        curves = [
            Metric(f"{name}_loss", value, now, step)
            for name, curve in trained.history.items()
            for step, value in enumerate(curve)
        ]
        finals = {
            **metrics,
            "rounds": trained.rounds,
            "seconds": trained.seconds,
        }
        if trained.validation_loss is not None:
            finals["best_validation_loss"] = trained.validation_loss
        entries = curves + [Metric(name, float(value), now, 0) for name, value in finals.items()]
        params = [Param(name, str(value)) for name, value in self.params.train.model_dump().items()]
        for start in range(0, len(entries), 1000):  # MLflow takes at most 1,000 at once
            self.client.log_batch(
                run_id, entries[start : start + 1000], params if start == 0 else ()
            )
        with self.project.temporary() as folder:
            place = Path(folder, "seed")
            place.mkdir()
            learner = self.params.train.learner
            (place / _file_of(learner, trained.folds)).write_bytes(trained.booster)
            facts = asdict(trained) | {
                "learner": learner,
                "sha256": sha256_of(trained.booster.hex()),
            }
            facts.pop("booster")
            (place / "trained.json").write_text(json.dumps(facts), encoding="utf-8")
            self.client.log_artifacts(run_id, folder)
        self.client.set_terminated(run_id)
        return run_id

    def record_failure(self, parent: str, seed: int, error: str, role: str = JUDGED) -> None:
        """Record a seed that could not be trained; its sweep counts as unfinished and is continued by the next run."""
        run_id = self._child(
            parent,
            name_of_seed(seed, role),
            {SEED: str(seed), ROLE: role, "evergreen.error": error[:500]},
        )
        self.client.set_terminated(run_id, "FAILED")

    def tag(self, run_id: str, facts: Mapping[str, Any]) -> None:
        """Add facts to a run."""
        for name, value in facts.items():
            self.client.set_tag(run_id, f"evergreen.{name}", str(value))

    # --- what was said of the holdout
    # ---------------------------------------------------------------------------------

    def record_held_out(self, run_id: str, held_out: HeldOut) -> None:
        """Keep with the run what was said of the rows that judged, before a model goes live that has learnt from them."""
        with self.project.temporary() as folder:
            path = Path(folder, HELD_OUT)
            held_out.write(path)
            self.client.log_artifact(run_id, str(path))
            self.client.set_tag(run_id, HELD_OUT_SUM, sha256_of_file(path))

    def read_held_out(self, run_id: str) -> HeldOut:
        """Return what was said of the rows that judged. Raises InputError where the file is gone or was changed."""
        was = self.client.get_run(run_id).data.tags.get(HELD_OUT_SUM)
        there = {one.path for one in self.client.list_artifacts(run_id)}
        with self.project.temporary() as place:
            path = (
                Path(self.client.download_artifacts(run_id, HELD_OUT, place))
                if HELD_OUT in there
                else None
            )
            if path is None or sha256_of_file(path) != was:
                raise InputError(
                    f"{HELD_OUT} of run {run_id}, what was said of its holdout, is gone or was changed: train a new "
                    "champion with `evergreen run`"
                )
            return HeldOut.read(path)

    # --- evaluation
    # ----------------------------------------------------------------------------------------------

    def record_evaluation(
        self,
        run_id: str,
        evaluation: Evaluation,
        failed_seeds: Sequence[int],
        files: Sequence[Path],
    ) -> None:
        """Record metrics with their intervals, the spread over seeds, the seeds that failed, `files` as artifacts."""
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        values: dict[str, float] = {}
        for model, metrics in evaluation.estimates.items():
            for name, one in metrics.items():
                key = name if model == MODEL else f"{model}.{name}"
                values |= {key: one.value, f"{key}.low": one.low, f"{key}.high": one.high}
        for name, spread in evaluation.spread.items():
            values |= {
                f"seeds.{name}.mean": spread.mean,
                f"seeds.{name}.deviation": spread.deviation,
            }
        # NaN is no finding
        known = [Metric(name, value, now, 0) for name, value in values.items() if value == value]
        tags = {
            "evergreen.chosen_seeds": json.dumps(evaluation.chosen),
            FAILED_SEEDS: json.dumps(list(failed_seeds)),
        }
        tags["mlflow.note.content"] = evaluation.as_markdown()
        self.client.log_batch(
            run_id, known, tags=[RunTag(key, value) for key, value in tags.items()]
        )
        self.attach(run_id, files)

    def attach(self, run_id: str, files: Sequence[Path]) -> None:
        """Record `files` as artifacts of a run."""
        for path in files:
            self.client.log_artifact(run_id, str(path))

    def read_json(self, run_id: str, path: str) -> dict[str, Any]:
        """Return what the JSON file `path` among a run's artifacts holds."""
        with self.project.temporary() as place:
            file = Path(self.client.download_artifacts(run_id, path, place))
            return dict(json.loads(file.read_text(encoding="utf-8")))

    def fetch_files(self, run_id: str, folder: Path) -> None:
        """Bring the files that lie beside each other in a run's artifacts into `folder`; folders stay there."""
        folder.mkdir(parents=True, exist_ok=True)
        for one in self.client.list_artifacts(run_id):
            if not one.is_dir:
                self.client.download_artifacts(run_id, one.path, str(folder))

    def link(self, run_id: str = "", part: str = "") -> str:
        """Return where all runs, a run, or a part of it ("artifacts", say) is shown once the MLflow server is up."""
        own = (
            re.sub(r"://\S*@", "://", self.uri)
            if self.uri.startswith("http")
            else f"http://127.0.0.1:{self.params.ports.mlflow}"
        )
        base = os.environ.get("EVERGREEN_MLFLOW_PAGE") or own  # what a browser calls it
        place = "/".join(one for one in ("runs", run_id, part) if one)
        return f"{base}/#/experiments/{self.experiment}/{place}?{FOR_MODELS}"

    @property
    def root(self) -> str:
        """What tells this project's runs from those of others in a shared store."""
        # Nobody else writes there: a new host name is still this project
        own = str(self.project.stores) in self.uri
        return str(self.project.root) if own else f"{socket.gethostname()}:{self.project.root}"

    # --- details
    # ----------------------------------------------------------------------------------------------

    def _is_free(self, run: Run) -> bool:
        return bool(run.info.status != "RUNNING" or run.data.tags.get(ROOT) == self.root)

    def _with(self, fingerprint: str) -> list[Run]:
        return self._search(f"tags.`{FINGERPRINT}` = '{fingerprint}'")

    def _search(self, filter_string: str) -> list[Run]:
        newest_first = ["attributes.start_time DESC"]
        return list(
            self.client.search_runs(
                [self.experiment], filter_string, max_results=50_000, order_by=newest_first
            )
        )

    def _child(self, parent: str, name: str, tags: dict[str, str]) -> str:
        run = self.create_run(self.experiment, name, {"mlflow.parentRunId": parent, **tags})
        return str(run.info.run_id)

    def _about_code(self) -> dict[str, str]:
        used = dict.fromkeys((*find_learner(self.params.train.learner).LIBRARIES, *LIBRARIES))
        tags = {f"library.{name}": version(name) for name in used} | {
            "library.python": platform.python_version()
        }
        return tags | {"mlflow.source.name": "evergreen run", "mlflow.source.type": "PROJECT"}

    def _describe(self, run_id: str, facts: Mapping[str, Any], texts: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        tags = {f"evergreen.{key}": str(value) for key, value in facts.items()}
        commit = self.commit or read_commit(self.project.root)
        changes = commit.changes
        tags |= {
            "mlflow.source.git.commit": commit.name,
            "evergreen.git.dirty": "not known" if commit.why else str(bool(changes)).lower(),
            "evergreen.git.no_commit": commit.why,
        }
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        if changes:
            self.client.log_text(run_id, changes, "code/uncommitted.diff")
        for name, text in texts.items():
            self.client.log_text(run_id, redact_code(text), f"code/{name}")


def _redacting(client: type[MlflowClient]) -> type[MlflowClient]:
    """Return the kind of client that takes secrets out of every text before MLflow keeps it."""

    class Redacting(client):  # type: ignore[valid-type, misc]
        def create_run(self, *args: Any, **kwargs: Any) -> Any:
            return super().create_run(*args, **_without_secrets(kwargs))

        def set_tag(self, run_id: str, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
            return super().set_tag(run_id, key, redact(str(value)), *args, **kwargs)

        def log_batch(
            self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = (), **kwargs: Any
        ) -> Any:
            params, tags = (
                [type(one)(one.key, redact(one.value)) for one in given] for given in (params, tags)
            )
            return super().log_batch(run_id, metrics, params, tags, **kwargs)

        def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
            super().log_text(run_id, redact(text), artifact_file)

        def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
            super().log_dict(run_id, redact_all(dictionary), artifact_file)

    return Redacting


def _without_secrets(about: Mapping[str, Any]) -> dict[str, Any]:
    told = redact_all(about)
    if ROOT in about.get("tags", {}):
        told["tags"][ROOT] = about["tags"][ROOT]  # runs are found by it
    return dict(told)


def name_of_seed(seed: int, role: str) -> str:
    """Return what the run of a seed is called."""
    return f"seed {seed}" if role == JUDGED else f"seed {seed}, {role}"


def quoted(value: str) -> str:
    """Return `value` as MLflow's filters want it."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _complete(run: Run) -> bool:
    return bool(run.info.status == "FINISHED" and run.data.tags.get(FAILED_SEEDS, "[]") == "[]")


def _file_of(learner: str, folds: int) -> str:
    """Return what the file of a seed's model is called, or of its models, one for each fold of a cross-validation."""
    return f"booster{find_learner(learner).SUFFIX}" if folds == 1 else "folds.json"
