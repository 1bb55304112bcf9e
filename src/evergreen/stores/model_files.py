"""The files of model versions in MLflow: a package each, its checksums in the version's tags."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version as version_of_library
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from evergreen import wheel as wheels
from evergreen.errors import InputError
from evergreen.features.encoder import Encoder
from evergreen.files import sha256_of_file
from evergreen.scoring.package import CHECKSUMS, read_package
from evergreen.stores.client import is_absent
from evergreen.stores.runs import FINGERPRINT
from evergreen.stores.tracking import Tracker
from evergreen.training.learner import find_learner

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

PACKAGE = "evergreen.package"  # tag of a version: SHA-256 of the package's list of checksums
# Tag of a version: SHA-256 of each of MLflow's own files beside the package
BESIDE = "evergreen.beside"
Files = Mapping[str, bytes]  # by name, beside the package
NO_FILES: Files = MappingProxyType({})


class ModelFiles:
    """The packages of one project's model versions."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker, self.name = tracker, tracker.params.tracking.model

    def add_version(
        self, run_id: str, fingerprint: str, folder: Path, encoder: Encoder, more: Files = NO_FILES
    ) -> str:
        """Log the package in `folder` as a model of a run, and make it a version.

        `more`: files that it carries beside the package. Returns the number of the version.
        """
        import mlflow.pyfunc
        from mlflow.models import Model as MlflowModel

        client = self.tracker.client
        learner = find_learner(read_package(folder).learner)
        libraries = (*learner.LIBRARIES, "numpy", "polars", "pandas")
        wheel, library = wheels.installed()
        with self._as_default(), warnings.catch_warnings():
            # About the lack of an example row: the signature is declared
            warnings.simplefilter("ignore", UserWarning)
            model_id = client.create_logged_model(
                self.tracker.experiment, name="model", source_run_id=run_id
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
                    *(f"{library}=={version_of_library(library)}" for library in libraries),
                    f"./{wheel}",  # which no index knows: it lies beside this list
                ],
            )
            with self.tracker.project.temporary() as place:
                for name, content in {**more, wheel: library}.items():
                    path = Path(place, name)
                    path.write_bytes(content)
                    client.log_model_artifact(model_id, str(path))
            tags = {FINGERPRINT: fingerprint, PACKAGE: sha256_of_file(folder / CHECKSUMS)}
            tags[BESIDE] = self._sums_beside(logged.model_id)
            made = client.create_model_version(
                self.name, source=logged.model_uri, run_id=run_id, model_id=model_id, tags=tags
            )
        return str(made.version)

    @contextmanager
    def fetch(self, version: ModelVersion) -> Iterator[Path]:
        """Bring a version's package into a folder for a while: see `fetch_whole`."""
        with self.fetch_whole(version) as (package, _):
            yield package

    @contextmanager
    def fetch_whole(self, version: ModelVersion) -> Iterator[tuple[Path, Path | None]]:
        """Bring a version's files into a folder for a while, their list of checksums compared.

        Yields the package's folder, and the wheel of the library that made it, if one lies there.
        Raises InputError where files are gone or were changed; a store that does not answer raises
        its own error.
        """
        what, place = f"version {version.version} of {self.name!r}", self._place_of(version)
        if place is None:
            raise InputError(
                f"the files of {what} are gone: restore them, or train anew with `evergreen run`"
            )
        changed = InputError(f"{what} was changed after it was registered: do not use it")
        with self.tracker.project.temporary() as folder:
            try:
                root = self._download(place, folder)
            except OSError:  # a link to nowhere, or in a circle
                raise changed from None
            lists = [path for path in sorted(root.rglob(CHECKSUMS)) if path.is_file()]
            sums = next(
                (path for path in lists if sha256_of_file(path) == version.tags.get(PACKAGE)), None
            )
            if sums is None:
                raise changed
            # Older versions have none
            for name, recorded in json.loads(version.tags.get(BESIDE, "{}")).items():
                if not (root / name).is_file() or sha256_of_file(root / name) != recorded:
                    raise InputError(
                        f"{name} of {what} was changed after it was registered: do not use it"
                    )
            try:
                yield sums.parent, next(iter(sorted(root.glob(f"{wheels.NAME}-*.whl"))), None)
            except InputError as error:  # the copy is gone by the time that somebody reads this
                raise InputError(f"{what}: {error}".replace(f"{root}/", "")) from None

    def are_intact(self, version: ModelVersion) -> bool:
        """Return whether a version's files are as they were registered."""
        try:
            with self.fetch(version) as folder:
                read_package(folder)
        except (InputError, ValueError):
            return False
        return True

    def _place_of(self, version: ModelVersion) -> str | None:
        """Return where a version's files lie; None where there are none."""
        from mlflow.artifacts import list_artifacts
        from mlflow.exceptions import MlflowException

        model_id = str(version.source).removeprefix("models:/")
        try:
            place = str(self.tracker.client.get_logged_model(model_id).artifact_location)
            found = list_artifacts(artifact_uri=place, tracking_uri=self.tracker.uri)
        except MlflowException as error:
            if not is_absent(error):
                raise
            return None
        return place if found else None

    def _download(self, place: str, folder: str) -> Path:
        from mlflow.artifacts import download_artifacts

        return Path(
            download_artifacts(artifact_uri=place, tracking_uri=self.tracker.uri, dst_path=folder)
        )

    def _sums_beside(self, model_id: str) -> str:
        """Return the checksums of the files that MLflow has put beside the package, as JSON."""
        place = self.tracker.client.get_logged_model(model_id).artifact_location
        with self.tracker.project.temporary() as folder:
            files = sorted(self._download(place, folder).iterdir())
            return json.dumps({path.name: sha256_of_file(path) for path in files if path.is_file()})

    @contextmanager
    def _as_default(self) -> Iterator[None]:
        """Make this store MLflow's default for a while: logging models knows no other way."""
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
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _signature(encoder: Encoder) -> Any:
    from mlflow.models.signature import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    columns = [
        ColSpec("string" if name in encoder.levels else "double", name) for name in encoder.features
    ]
    return ModelSignature(inputs=Schema(columns), outputs=Schema([ColSpec("float")]))
