"""The models of a project in MLflow's registry: who is champion, who was, and why.

The champion is the version of the newest decision that made one; decisions are events (runs of the
experiment "… decisions", with their evidence as artifacts). Three aliases show others what was
decided: `champion` is live, `challenger` is the newest that was not promoted, `previous-champion`
is what a rollback brings back. A person can move them in MLflow: that decides nothing, and
outside.py notices.

Each change is first written down as an event, then made by one alias that the database sets in one
step, then marked as done. So a crash leaves the old champion or the new one, and `recover` knows
which.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version as version_of_library
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen import code
from evergreen.decision import ASK, Decision
from evergreen.errors import InputError
from evergreen.features.encoder import Encoder
from evergreen.files import sha256_of_file
from evergreen.scoring.package import CHECKSUMS, Model, read_package
from evergreen.stores.tracking import FINGERPRINT, ROOT, Tracker, quoted
from evergreen.training.learner import find_learner

if TYPE_CHECKING:
    import polars as pl
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.exceptions import MlflowException

Array = np.ndarray[Any, np.dtype[Any]]
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous-champion"
PACKAGE = "evergreen.package"  # tag of a version: SHA-256 of the package's list of checksums
# Tag of a version: SHA-256 of each of MLflow's own files beside the package
BESIDE = "evergreen.beside"
CHALLENGED = "evergreen.challenged"  # tag of a version: when it was last registered as challenger
EVENT = "evergreen.event"
PROMOTED, REFUSED, ASKED, ROLLED_BACK = "promoted", "refused", "waits for approval", "rolled back"
OUTSIDE, PUT_BACK = "changed outside", "put back"
CHANGES = (PROMOTED, ROLLED_BACK)
FIRST = "`evergreen run` trains one, or says what stands in the way"
DECISIONS = (*CHANGES, REFUSED, ASKED)


@dataclass(frozen=True)
class Registered:
    """A model version in the registry, and the alias it holds ('' for none)."""

    name: str
    version: str
    alias: str


@dataclass(frozen=True)
class Event:
    """Something that was decided about a version: when (UTC), what, about which, who was champion before, and why.

    `package`: the version's checksum then, '' where it was not noted. `deleted`: in MLflow, where
    it can be restored.
    """

    when: datetime
    what: str
    version: str
    before: str | None
    # The rows that the version was judged on: the newest batch, or words that end in its name
    batch: str
    reason: str
    run_id: str
    model: str = ""
    package: str = ""
    deleted: bool = False


class Registry:
    """One project's model versions, and the events of their lives."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker, self.client = tracker, tracker.client
        self.name = tracker.params.tracking.model

    @cached_property
    def _events(self) -> str:
        """The id of the experiment that holds the events."""
        return self.tracker.experiment_called(self._place)

    @property
    def _place(self) -> str:
        return f"{self.tracker.params.tracking.experiment} decisions"

    # --- versions
    # ----------------------------------------------------------------------------------------------

    def register(self, run_id: str, fingerprint: str, folder: Path, encoder: Encoder) -> Registered:
        """Put the packaged model in `folder` into the registry, as challenger unless it is champion.

        A version that an interrupted run registered already is taken, not doubled.
        """
        self._ensure_model()
        known = (
            one
            for one in self._versions()
            if one.tags.get(FINGERPRINT) == fingerprint and self._is_intact(one)
        )
        found = next(known, None)
        number = (
            str(found.version) if found else self._add_version(run_id, fingerprint, folder, encoder)
        )
        if self.aliases().get(CHAMPION) != number:
            self.client.set_model_version_tag(
                self.name, number, CHALLENGED, datetime.now(UTC).isoformat()
            )
            self.client.set_registered_model_alias(self.name, CHALLENGER, number)
        return self.registered(number)

    def aliases(self) -> dict[str, str]:
        """Return alias -> version of the project's model, by what was decided; empty where nothing is registered."""
        held, live, events = self.shown_aliases(), self.decided(), self.history()
        before, challenger = self._before(live, events), self._challenger(held, live, events)
        decided = {CHAMPION: live, PREVIOUS: before, CHALLENGER: challenger}
        return {alias: number for alias, number in {**held, **decided}.items() if number}

    def decided(self) -> str | None:
        """Return the version that the newest change made champion, whether or not it can be used; None before one."""
        event = self.decision()
        return event.version if event else None

    def decision(self) -> Event | None:
        """Return the newest change of champion; one that was killed counts once its alias was set."""
        held = self.shown_aliases().get(CHAMPION)
        for run in self._search():
            event = _event(run)
            cut = run.info.status == "RUNNING" and event.version == held
            if (
                event.what in CHANGES
                and self._is_mine(event)
                and (run.info.status == "FINISHED" or cut)
            ):
                return event
        return None

    def shown_aliases(self) -> dict[str, str]:
        """Return alias -> version as MLflow shows them to others, whoever set them."""
        from mlflow.exceptions import MlflowException

        try:
            aliases = self.client.get_registered_model(self.name).aliases
            return {alias: str(number) for alias, number in aliases.items()}
        except MlflowException as error:
            if not _is_absent(error):  # a store that does not answer is no store without a champion
                raise
            return {}

    def champion(self) -> str | None:
        """Return the version that is live; None where there is none, or its files are gone or damaged."""
        event = self.decision()
        return event.version if event and not self.fault(event) else None

    def fault(self, event: Event) -> str | None:
        """Return why the version that an event is about cannot be used as it was decided; None where it can."""
        try:
            found = self._version(event.version)
            if event.package and event.package != found.tags.get(PACKAGE):
                raise InputError(
                    f"version {event.version} of {self.name!r} is not what was decided upon: do not use it"
                )
            with self._package(found) as folder:
                read_package(folder)
        except (InputError, ValueError) as error:
            return str(error)
        return None

    def pick(self, number: str | None) -> str:
        """Return the version called `number`, or the challenger.

        Raises InputError where there is none.
        """
        held = self.aliases()
        chosen = number or held.get(CHALLENGER)
        if not chosen:
            raise InputError(
                "there is no challenger: `evergreen run` makes one when there is something new"
            )
        if chosen == held.get(CHAMPION):
            raise InputError(f"version {chosen} is the champion already")
        return str(self._version(chosen).version)

    def champion_of(self, fingerprint: str) -> Registered | None:
        """Return the champion where it came out of the training run with this fingerprint."""
        number = self.champion()
        same = number and self._version(number).tags.get(FINGERPRINT) == fingerprint
        return self.registered(number) if number and same else None

    def version_of(self, run_id: str) -> Registered | None:
        """Return the version that `run_id` registered; None where its files are gone or damaged."""
        for one in self._versions():
            if one.run_id == run_id and self._is_intact(one):
                return self.registered(str(one.version))
        return None

    def run_of(self, number: str) -> str:
        """Return the id of the training run that a version came out of."""
        return str(self._version(number).run_id)

    def open(self, number: str) -> Model:
        """Return the model of a version, every checksum compared.

        Raises InputError where the version is not there, or its files are not as they were
        registered.
        """
        with self._package(self._version(number)) as folder:
            return read_package(folder)

    def predict_afresh(self, number: str, rows: pl.DataFrame) -> Array:
        """Return what a version predicts for `rows` in a new process that is given its files from the registry.

        MLflow's own loader has no part in it: it runs whatever the file MLmodel names.
        Raises InputError where it cannot be loaded or does not predict.
        """
        temporary = self.tracker.project.temporary()
        with self._package(self._version(number)) as package, temporary as folder:
            # The new process compares files with their list; the list itself is compared by now.
            given, found = Path(folder, "rows.parquet"), Path(folder, "predictions.npy")
            rows.write_parquet(given)
            command = [
                sys.executable,
                "-m",
                "evergreen.stores.registry",
                str(package),
                str(given),
                str(found),
            ]
            env = os.environ | code.environment(Path(folder, "code"))
            done = subprocess.run(command, env=env, capture_output=True, text=True)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise InputError(
                    f"version {number} of {self.name!r} cannot be loaded from the registry: {last}"
                )
            return np.asarray(np.load(found, allow_pickle=False))

    # --- changes of champion
    # ------------------------------------------------------------------------------------------

    def promote(
        self,
        number: str,
        expected: str | None,
        decision: Decision,
        batch: str = "",
        files: Sequence[Path] = (),
    ) -> Event:
        """Make a version the champion in place of `expected`; in one step, whatever happens meanwhile.

        Raises InputError where another version has become champion since `decision` was made.
        """
        self._version(number)
        now = self.decided()
        if now == number:
            raise InputError(f"version {number} is the champion already")
        if now != expected:
            raise InputError(
                f"version {number} was compared with {_called(expected)}, but {_called(now)} is champion now: "
                "run again, so that it is compared with that one"
            )
        return self._change(
            PROMOTED, number, now, now, "; ".join(decision.reasons), batch, decision, files
        )

    def rollback(self, reason: str, to: str | None = None) -> Event:
        """Make an earlier version the champion again: `to`, or the one before the present one.

        Where the alias was moved in MLflow, and `to` names no other version, it is only put back to
        the champion. Raises InputError where there is no such version, or its files are not as they
        were registered.
        """
        event = self.decision()
        now = event.version if event else None
        if (
            event
            and to in (None, now)
            and self.shown_aliases().get(CHAMPION) != now
            and not self.fault(event)
        ):
            return self._change(
                PUT_BACK,
                event.version,
                self.shown_aliases().get(CHAMPION),
                self._before(now),
                reason,
            )
        target = to or self._before(now)
        if target is None:
            raise InputError("there is no earlier champion to go back to: name a version with --to")
        if target == now:
            raise InputError(f"version {target} is the champion already")
        self._version(target)
        if not any(one.version == target and one.what == PROMOTED for one in self.history()):
            raise InputError(f"version {target} was never champion: `evergreen promote {target}`")
        self.open(target)
        return self._change(ROLLED_BACK, target, now, self._before(target), reason)

    def record(
        self,
        number: str,
        what: str,
        decision: Decision,
        batch: str = "",
        files: Sequence[Path] = (),
    ) -> Event:
        """Write down a decision that changes no alias: `REFUSED` or `ASKED`."""
        run_id = self._begin(what, number, self.decided(), "; ".join(decision.reasons), batch)
        self._attach(run_id, decision, files)
        self.client.set_terminated(run_id)
        return _event(self.client.get_run(run_id))

    def record_outside(self, number: str, reason: str) -> None:
        """Write down what a person did to a version in MLflow."""
        self.client.set_terminated(self._begin(OUTSIDE, number, self.decided(), reason, ""))

    def show_aliases(self) -> None:
        """Put the aliases beside the champion's back to what was decided, and restore events that were deleted."""
        wanted, held = self.aliases(), self.shown_aliases()
        for alias in (PREVIOUS, CHALLENGER):
            if wanted.get(alias) == held.get(alias):
                continue
            if number := wanted.get(alias):
                if self.exists(number):
                    self.client.set_registered_model_alias(self.name, alias, number)
            else:
                self.client.delete_registered_model_alias(self.name, alias)
        for event in self.history():
            if event.deleted:
                self.client.restore_run(event.run_id)

    def recover(self) -> list[str]:
        """Finish or abandon changes that a killed process left half-way; call it with the project's lock held.

        Returns a sentence for each.
        """
        told = []
        for run in self._search(
            f"attributes.status = 'RUNNING' and tags.`{ROOT}` = {quoted(self.tracker.root)}"
        ):
            event = _event(run)
            done = (
                event.what in (*CHANGES, PUT_BACK)
                and self.shown_aliases().get(CHAMPION) == event.version
            )
            if done:
                self._tidy(event.before if event.what == PROMOTED else self._before(event.version))
            self.client.set_terminated(event.run_id, "FINISHED" if done else "KILLED")
            told.append(
                f"version {event.version} was being {event.what} when the process was killed: "
                + ("it is champion" if done else "nothing was changed")
            )
        return told

    # --- history
    # ----------------------------------------------------------------------------------------------

    def history(self) -> list[Event]:
        """Return every event that took effect, oldest first; one that was deleted in MLflow counts as before."""
        found = map(_event, reversed(self._search("attributes.status = 'FINISHED'")))
        return [event for event in found if self._is_mine(event)]

    def live_at(self, moment: datetime) -> Event | None:
        """Return the event that had made the champion of `moment` (UTC); None before the first."""
        changes = [one for one in self.history() if one.what in CHANGES and one.when <= moment]
        return changes[-1] if changes else None

    def last_decision(self, number: str) -> Event | None:
        """Return the newest event about a version."""
        events = (event for event in reversed(self.history()) if event.what in DECISIONS)
        return next((event for event in events if event.version == number), None)

    def why_no_champion(self) -> str:
        """Return, where there is no champion, what was decided last and what a person can do."""
        for event in self.history()[-1:]:
            number = event.version
            if event.what == ASKED:
                return (
                    f"version {number} waits for approval: `evergreen promote {number} --approve`"
                )
            if event.what == REFUSED:
                return (
                    f"the gate refused version {number} (`evergreen history` says why): `evergreen run` tries again "
                    f"once data or parameters have changed, `evergreen promote {number} --override --reason WHY` takes "
                    "it as it is"
                )
        return FIRST

    def evidence(self, event: Event) -> dict[str, Any]:
        """Return the decision behind an event as plain values; empty where a person acted alone."""
        there = any(one.path == "decision.json" for one in self.client.list_artifacts(event.run_id))
        return self.tracker.read_json(event.run_id, "decision.json") if there else {}

    # --- details
    # ----------------------------------------------------------------------------------------------

    def _change(
        self,
        what: str,
        number: str,
        now: str | None,
        previous: str | None,
        reason: str,
        batch: str = "",
        decision: Decision | None = None,
        files: Sequence[Path] = (),
    ) -> Event:
        run_id = self._begin(what, number, now, reason, batch or self._batch(number))
        self._attach(run_id, decision, files)
        # The one step that counts
        self.client.set_registered_model_alias(self.name, CHAMPION, number)
        self._tidy(previous)
        self.client.set_terminated(run_id)
        return _event(self.client.get_run(run_id))

    def _tidy(self, previous: str | None) -> None:
        """Let the other aliases follow the champion."""
        held = self.shown_aliases()
        if held.get(CHALLENGER) == held.get(CHAMPION) and CHALLENGER in held:
            self.client.delete_registered_model_alias(self.name, CHALLENGER)
        if previous:
            self.client.set_registered_model_alias(self.name, PREVIOUS, previous)
        elif PREVIOUS in held:
            self.client.delete_registered_model_alias(self.name, PREVIOUS)

    def _before(self, number: str | None, events: Sequence[Event] | None = None) -> str | None:
        """Return who was champion before `number` was promoted."""
        promotions = [
            one
            for one in events or self.history()
            if one.what == PROMOTED and one.version == number
        ]
        return promotions[-1].before if promotions else None

    def _challenger(
        self, held: Mapping[str, str], live: str | None, events: Sequence[Event]
    ) -> str | None:
        """Return the version that was registered as challenger last, unless it became champion since."""
        noted = {
            str(found.version): found.tags[CHALLENGED]
            for found in self._versions()
            if CHALLENGED in found.tags
        }
        number = max(noted, key=noted.__getitem__) if noted else held.get(CHALLENGER)
        since = datetime.fromisoformat(noted[number]) if number in noted else None
        changes = [event for event in events if event.what in CHANGES and event.version == number]
        gone = changes and (changes[-1].when >= since if since else live == number)
        return None if gone else number

    def _is_mine(self, event: Event) -> bool:
        return event.model in ("", self.name)

    def _batch(self, number: str) -> str:
        return next(
            (one.batch for one in self.history() if one.version == number and one.batch), ""
        )

    def _begin(self, what: str, number: str, before: str | None, reason: str, batch: str) -> str:
        from mlflow.entities import Param

        name = f"version {number} {what}" + (f" ({batch})" if batch else "")
        tags = {
            EVENT: what,
            f"{EVENT}.version": number,
            f"{EVENT}.before": before or "",
            f"{EVENT}.batch": batch,
            f"{EVENT}.reason": reason,
            "mlflow.note.content": reason,
        }
        run_id = str(self.tracker.create_run(self._events, name, tags).info.run_id)
        package = self._version(number).tags.get(PACKAGE, "") if self.exists(number) else ""
        facts = {
            "what": what,
            "version": number,
            "before": before,
            "model": self.name,
            "package": package,
        }
        # Tags can be edited in MLflow's page, parameters cannot.
        self.client.log_batch(
            run_id, params=[Param(key, value) for key, value in facts.items() if value]
        )
        return run_id

    def _attach(self, run_id: str, decision: Decision | None, files: Sequence[Path]) -> None:
        if decision:
            self.client.log_dict(run_id, decision.as_plain(), "decision.json")
            self.client.set_tag(run_id, "mlflow.note.content", decision.as_markdown())
        for path in files:
            self.client.log_artifact(run_id, str(path))

    def _search(self, filter_string: str = "") -> list[Run]:
        """Return runs of events, newest first, those that were deleted in MLflow as well."""
        from mlflow.entities import ViewType

        if (
            "_events" not in self.__dict__
            and self.client.get_experiment_by_name(self._place) is None
        ):
            return []  # to look makes nothing
        how = {
            "run_view_type": ViewType.ALL,
            "max_results": 50_000,
            "order_by": ["attributes.start_time DESC"],
        }
        return list(self.client.search_runs([self._events], filter_string, **how))

    def _versions(self) -> list[ModelVersion]:
        return list(self.client.search_model_versions(f"name = {quoted(self.name)}"))

    def _version(self, number: str) -> ModelVersion:
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_model_version(self.name, number)
        except MlflowException as error:
            if not _is_absent(error):
                raise
            known = (
                ", ".join(sorted((str(one.version) for one in self._versions()), key=int)) or "none"
            )
            raise InputError(
                f"there is no version {number} of {self.name!r}; there are: {known}"
            ) from None

    def exists(self, number: str) -> bool:
        """Say whether there is such a version."""
        return any(str(found.version) == number for found in self._versions())

    def registered(self, number: str) -> Registered:
        """Return a version with the alias it holds now."""
        held = {version: alias for alias, version in sorted(self.aliases().items(), reverse=True)}
        return Registered(self.name, number, held.get(number, ""))

    @contextmanager
    def _package(self, found: ModelVersion) -> Iterator[Path]:
        """Bring the package into a folder for a while, its list of checksums compared with the one that was registered.

        Raises InputError where files are gone or were changed; a store that does not answer raises
        its own error.
        """
        from mlflow.artifacts import download_artifacts, list_artifacts
        from mlflow.exceptions import MlflowException

        what, store = f"version {found.version} of {self.name!r}", self.tracker.uri
        changed = InputError(f"{what} was changed after it was registered: do not use it")
        try:
            place = self.client.get_logged_model(
                str(found.source).removeprefix("models:/")
            ).artifact_location
            there = list_artifacts(artifact_uri=place, tracking_uri=store)
        except MlflowException as error:
            if not _is_absent(error):
                raise
            there = []
        if not there:
            raise InputError(f"the files of {what} are gone: bring them back, or `evergreen run`")
        with self.tracker.project.temporary() as folder:
            try:
                root = Path(
                    download_artifacts(artifact_uri=place, tracking_uri=store, dst_path=str(folder))
                )
            except OSError:  # a link to nowhere, or in a circle
                raise changed from None
            lists = [path for path in sorted(root.rglob(CHECKSUMS)) if path.is_file()]
            sums = next(
                (path for path in lists if sha256_of_file(path) == found.tags.get(PACKAGE)), None
            )
            if sums is None:
                raise changed
            for name, was in json.loads(found.tags.get(BESIDE, "{}")).items():
                # Older versions have none
                if not (root / name).is_file() or sha256_of_file(root / name) != was:
                    raise InputError(
                        f"{name} of {what} was changed after it was registered: do not use it"
                    )
            try:
                yield sums.parent
            except InputError as error:  # the copy is gone by the time that somebody reads this
                raise InputError(f"{what}: {error}".replace(f"{root}/", "")) from None

    def _is_intact(self, found: ModelVersion) -> bool:
        try:
            with self._package(found) as folder:
                read_package(folder)
        except (InputError, ValueError):
            return False
        return True

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_registered_model(self.name)
        except MlflowException as error:
            if not _is_absent(error):
                raise
            self.client.create_registered_model(self.name)

    def _add_version(self, run_id: str, fingerprint: str, folder: Path, encoder: Encoder) -> str:
        import mlflow.pyfunc
        from mlflow.models import Model as MlflowModel

        learner = find_learner(read_package(folder).learner)
        libraries = (*learner.LIBRARIES, "numpy", "polars", "pandas")
        with self._as_default(), warnings.catch_warnings():
            # About the lack of an example row: the signature is declared
            warnings.simplefilter("ignore", UserWarning)
            experiment = self.tracker.experiment
            model_id = self.client.create_logged_model(
                experiment, name="model", source_run_id=run_id
            ).model_id
            logged = MlflowModel.log(
                artifact_path=None,
                flavor=mlflow.pyfunc,
                run_id=run_id,
                model_id=model_id,
                loader_module="evergreen.scoring.package",
                data_path=str(folder),
                signature=_signature(encoder),
                pip_requirements=[
                    f"{library}=={version_of_library(library)}" for library in libraries
                ],
            )
            tags = {FINGERPRINT: fingerprint, PACKAGE: sha256_of_file(folder / CHECKSUMS)}
            tags[BESIDE] = self._sums_beside(logged.model_id)
            made = self.client.create_model_version(
                self.name, source=logged.model_uri, run_id=run_id, model_id=model_id, tags=tags
            )
        return str(made.version)

    def _sums_beside(self, model_id: str) -> str:
        """Return the checksums of the files that MLflow has put beside the package, as JSON."""
        from mlflow.artifacts import download_artifacts

        place = self.client.get_logged_model(model_id).artifact_location
        with self.tracker.project.temporary() as folder:
            root = Path(
                download_artifacts(
                    artifact_uri=place, tracking_uri=self.tracker.uri, dst_path=folder
                )
            )
            return json.dumps(
                {
                    path.name: sha256_of_file(path)
                    for path in sorted(root.iterdir())
                    if path.is_file()
                }
            )

    @contextmanager
    def _as_default(self) -> Iterator[None]:
        """Make this store MLflow's default for a while: loading and logging models know no other way."""
        import mlflow

        names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
        before = {name: os.environ.get(name) for name in names}
        mlflow.set_tracking_uri(self.tracker.uri)
        mlflow.set_registry_uri(self.tracker.uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before["MLFLOW_TRACKING_URI"] or "")
            mlflow.set_registry_uri(before["MLFLOW_REGISTRY_URI"] or "")
            for name, was in before.items():
                os.environ.pop(name, None)
                if was is not None:
                    os.environ[name] = was


def _is_absent(error: MlflowException) -> bool:
    """Say whether the store answered that it has no such thing, or can have none."""
    from mlflow.protos.databricks_pb2 import (
        INVALID_PARAMETER_VALUE,
        RESOURCE_DOES_NOT_EXIST,
        ErrorCode,
    )

    return error.error_code in (
        ErrorCode.Name(RESOURCE_DOES_NOT_EXIST),
        ErrorCode.Name(INVALID_PARAMETER_VALUE),
    )


def promotable(registry: Registry, number: str, *, override: bool = False) -> Decision:
    """Return what the gate said of a version that a person may promote.

    Raises InputError where the gate refused it, or it was never judged, unless `override`; or where
    another champion has come since.
    """
    event = registry.last_decision(number)
    said = registry.evidence(event) if event else {}
    if not override and (event is None or event.what != ASKED):
        why = (
            event.reason
            if event and event.what == REFUSED
            else "the gate has not left it to a person"
        )
        raise InputError(
            f"version {number} is not to be promoted: {why} Promoting it nevertheless takes --override --reason"
        )
    if not override and event and event.before != registry.decided():
        raise InputError(
            f"version {number} was compared with {_called(event.before)}, which is champion no more: run again"
        )
    registry.open(number)
    return Decision(
        said.get("action", ASK), tuple(said.get("reasons", ())), said.get("evidence", {"rules": []})
    )


def _event(run: Run) -> Event:
    tags, sure = run.data.tags, run.data.params  # parameters of older events: none
    when = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    version, before, batch, reason = (
        tags.get(f"{EVENT}.{key}", "") for key in ("version", "before", "batch", "reason")
    )
    what, version = sure.get("what", tags.get(EVENT, "")), sure.get("version", version)
    before = sure.get("before", "" if sure else before)
    deleted = run.info.lifecycle_stage == "deleted"
    about = sure.get("model", ""), sure.get("package", ""), deleted
    return Event(when, what, version, before or None, batch, reason, str(run.info.run_id), *about)


def _called(number: str | None) -> str:
    return f"version {number}" if number else "no champion"


def _signature(encoder: Encoder) -> Any:
    from mlflow.models.signature import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    columns = [
        ColSpec("string" if name in encoder.levels else "double", name, required=False)
        for name in encoder.features
    ]
    return ModelSignature(inputs=Schema(columns), outputs=Schema([ColSpec("float")]))


def main(package: str, rows: str, predictions: str) -> None:
    """Predict for `rows` (Parquet) with the model in the folder `package`: `python -m evergreen.stores.registry`."""
    import polars as pl

    model = read_package(Path(package))
    np.save(predictions, np.asarray(model.predict_rows(pl.read_parquet(rows))), allow_pickle=False)


if __name__ == "__main__":
    # A process of seconds: looking through libraries for garbage would be a third of it
    gc.disable()
    main(*sys.argv[1:])
    gc.freeze()
