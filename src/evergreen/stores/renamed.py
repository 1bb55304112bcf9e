"""Tags in MLflow of a project that was a copy of the library, and called them by its own name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from evergreen.stores.client import quoted
from evergreen.stores.tracking import MOST, PARTS, Tracker

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

OURS = "evergreen"


def rename_tags(tracker: Tracker, name: str) -> int:
    """Write every tag that begins with `name` and a dot under the library's name too.

    Returns how many runs and versions have such tags. What is there stays, so that doing it again
    changes nothing.
    """
    from mlflow.entities import RunTag

    client, params = tracker.client, tracker.params
    trainings = params.tracking.experiment
    places = [trainings, *(f"{trainings} {part}" for part in PARTS)]
    experiments = [
        found.experiment_id for place in places if (found := client.get_experiment_by_name(place))
    ]
    changed = 0
    runs = client.search_runs(experiments, max_results=MOST) if experiments else []
    for run in runs:
        if tags := _renamed(run.data.tags, name):
            client.log_batch(run.info.run_id, tags=[RunTag(*tag) for tag in tags.items()])
            changed += 1
    return changed + _rename_versions(client, params.tracking.model, name)


def _rename_versions(client: MlflowClient, model: str, name: str) -> int:
    changed = 0
    for version in client.search_model_versions(f"name = {quoted(model)}"):
        tags = _renamed(version.tags, name)
        for key, value in tags.items():
            client.set_model_version_tag(model, version.version, key, value)
        changed += bool(tags)
    return changed


def _renamed(tags: Mapping[str, str], name: str) -> dict[str, str]:
    found = {
        OURS + key.removeprefix(name): value
        for key, value in tags.items()
        if key.startswith(f"{name}.")
    }
    return {key: value for key, value in found.items() if key not in tags}
