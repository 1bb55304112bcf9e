"""The versions of a project's model in MLflow's registry, and the aliases shown there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.errors import InputError
from evergreen.features.encoder import Encoder
from evergreen.scoring.package import Model, read_package
from evergreen.stores.client import is_absent, quoted
from evergreen.stores.model_files import NO_FILES, PACKAGE, Files, ModelFiles
from evergreen.stores.reload import Array, predict_in_new_process
from evergreen.stores.runs import FINGERPRINT
from evergreen.stores.tracking import Tracker

if TYPE_CHECKING:
    import polars as pl
    from mlflow.entities.model_registry import ModelVersion

CHALLENGED = "evergreen.challenged"  # tag of a version: when it was last registered as challenger


class Versions:
    """The versions of one project's model."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker, self.name = tracker, tracker.params.tracking.model
        self.files = ModelFiles(tracker)
        self._held: tuple[list[ModelVersion], dict[str, str]] | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Ask MLflow once for versions and aliases read within, whatever is written meanwhile."""
        outer = self._held
        self._held = self.all(), self.aliases()
        try:
            yield
        finally:
            self._held = outer

    def add(
        self, run_id: str, fingerprint: str, folder: Path, encoder: Encoder, more: Files = NO_FILES
    ) -> str:
        """Make the package in `folder` a version, with `more` files beside it; return its number.

        A version that an interrupted run registered already is taken, not doubled.
        """
        self._ensure_model()
        for version in self.all():
            if version.tags.get(FINGERPRINT) == fingerprint and self.files.are_intact(version):
                return str(version.version)
        return self.files.add_version(run_id, fingerprint, folder, encoder, more)

    def all(self) -> list[ModelVersion]:
        """Return every version, as MLflow describes it."""
        if self._held:
            return self._held[0]
        found = self.tracker.client.search_model_versions(f"name = {quoted(self.name)}")
        return list(found)

    def exists(self, number: str) -> bool:
        """Return whether there is such a version."""
        return any(str(version.version) == number for version in self.all())

    def find(self, number: str) -> ModelVersion:
        """Return a version, as MLflow describes it. Raises InputError where there is none."""
        from mlflow.exceptions import MlflowException

        try:
            return self.tracker.client.get_model_version(self.name, number)
        except MlflowException as error:
            if not is_absent(error):
                raise
            known = sorted((str(version.version) for version in self.all()), key=int)
            raise InputError(
                f"there is no version {number} of {self.name!r}; "
                f"there are: {', '.join(known) or 'none'}"
            ) from None

    def made_by(self, run_id: str) -> str | None:
        """Return the version that a run registered; None where its files are gone or damaged."""
        for version in self.all():
            if version.run_id == run_id and self.files.are_intact(version):
                return str(version.version)
        return None

    def run_of(self, number: str) -> str:
        """Return the id of the training run that a version came out of."""
        return str(self.find(number).run_id)

    def fingerprint_of(self, number: str) -> str | None:
        """Return the fingerprint of the training run that a version came out of."""
        found: str | None = self.find(number).tags.get(FINGERPRINT)
        return found

    def checksum_of(self, number: str) -> str:
        """Return the checksum of a version's package; '' where there is no such version."""
        return self.find(number).tags.get(PACKAGE, "") if self.exists(number) else ""

    def fetch(self, number: str) -> AbstractContextManager[Path]:
        """Bring a version's package into a folder for a while: see ModelFiles.fetch."""
        return self.files.fetch(self.find(number))

    def fetch_whole(self, number: str) -> AbstractContextManager[tuple[Path, Path | None]]:
        """Bring a version's package and its library there: see ModelFiles.fetch_whole."""
        return self.files.fetch_whole(self.find(number))

    def open(self, number: str) -> Model:
        """Return the model of a version, every checksum compared.

        Raises InputError where the version is not there, or its files are not as they were
        registered.
        """
        with self.fetch(number) as folder:
            return read_package(folder)

    def predict_reloaded(self, number: str, rows: pl.DataFrame) -> Array:
        """Return what a version predicts for `rows` in a new process that loads its files.

        Raises InputError where it cannot be loaded or does not predict.
        """
        with self.fetch(number) as package:
            return predict_in_new_process(self.tracker.project, package, rows)

    def aliases(self) -> dict[str, str]:
        """Return alias -> version as MLflow shows them to others, whoever set them."""
        from mlflow.exceptions import MlflowException

        if self._held:
            return self._held[1]
        try:
            aliases = self.tracker.client.get_registered_model(self.name).aliases
            return {alias: str(number) for alias, number in aliases.items()}
        except MlflowException as error:
            if not is_absent(error):  # a store that does not answer is no store without a champion
                raise
            return {}

    def set_alias(self, alias: str, number: str | None) -> None:
        """Let MLflow show `alias` at a version; at none, where `number` is None."""
        if number:
            self.tracker.client.set_registered_model_alias(self.name, alias, number)
        else:
            self.tracker.client.delete_registered_model_alias(self.name, alias)

    def describe(self, number: str, text: str) -> None:
        """Let MLflow's page of a version say `text`, which is Markdown."""
        self.tracker.client.update_model_version(self.name, number, text)

    def note_challenger(self, number: str, after: Iterable[datetime] = ()) -> None:
        """Note that a version is registered as challenger now.

        That is after all that were noted before, and after the moments `after`, also where a clock
        was set back, or another machine's is ahead.
        """
        least = timedelta(milliseconds=1)
        earlier = (moment + least for moment in (*after, *self.challengers().values()))
        now = max([datetime.now(UTC), *earlier]).isoformat()
        self.tracker.client.set_model_version_tag(self.name, number, CHALLENGED, now)

    def challengers(self) -> dict[str, datetime]:
        """Return number -> moment of each version that was registered as challenger."""
        return {
            str(version.version): datetime.fromisoformat(version.tags[CHALLENGED])
            for version in self.all()
            if CHALLENGED in version.tags
        }

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        client = self.tracker.client
        try:
            found = client.get_registered_model(self.name)
        except MlflowException as error:
            if not is_absent(error):
                raise
            try:
                found = client.create_registered_model(self.name, self.tracker.owner)
            except MlflowException as failed:
                if failed.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_registered_model(self.name)  # another clone was quicker
        self.tracker.check_owner(f"the model {self.name!r}", found.tags)
