"""MLflow's client: texts that it stores hold no secret, and what it answers is understood."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evergreen.redact import redact, redact_all

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

ROOT = "evergreen.root"  # tag of a run: the project that it is of


def load_library() -> None:
    """Import MLflow so that it neither phones home nor logs more than warnings."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow.tracking  # noqa: F401

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It logs tracebacks of what is raised
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def open_client(uri: str) -> MlflowClient:
    """Return a client of the store at `uri`; call `load_library` before."""
    from mlflow.tracking import MlflowClient

    return _redacting(MlflowClient)(tracking_uri=uri, registry_uri=uri)


def is_absent(error: MlflowException) -> bool:
    """Return whether the store answered that it has no such thing, or can have none."""
    from mlflow.protos.databricks_pb2 import (
        INVALID_PARAMETER_VALUE,
        RESOURCE_DOES_NOT_EXIST,
        ErrorCode,
    )

    absent = (RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE)
    return error.error_code in [ErrorCode.Name(code) for code in absent]


def quoted(value: str) -> str:
    """Return `value` as MLflow's filters want it."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _redacting(client: type[MlflowClient]) -> type[MlflowClient]:
    """Return the class of a client that masks secrets in every text before MLflow stores it."""

    class Redacting(client):  # type: ignore[valid-type, misc]
        def create_run(self, *args: Any, **kwargs: Any) -> Any:
            return super().create_run(*args, **_without_secrets(kwargs))

        def set_tag(self, run_id: str, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
            return super().set_tag(run_id, key, redact(str(value)), *args, **kwargs)

        def log_batch(
            self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = (), **kwargs: Any
        ) -> Any:
            params, tags = (
                [type(pair)(pair.key, redact(pair.value)) for pair in pairs]
                for pairs in (params, tags)
            )
            return super().log_batch(run_id, metrics, params, tags, **kwargs)

        def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
            super().log_text(run_id, redact(text), artifact_file)

        def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
            super().log_dict(run_id, redact_all(dictionary), artifact_file)

    return Redacting


def _without_secrets(facts: Mapping[str, Any]) -> dict[str, Any]:
    masked = redact_all(facts)
    if ROOT in facts.get("tags", {}):
        masked["tags"][ROOT] = facts["tags"][ROOT]  # runs are found by it
    return dict(masked)
