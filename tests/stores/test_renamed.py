"""Tags that an old project called by its own name are found by the library's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evergreen.params import Params
from evergreen.stores.renamed import rename_tags
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow  # real stores


def experiment(tracker: Tracker, part: str = "") -> str:
    return tracker.experiment_called(f"{tracker.params.tracking.experiment} {part}".strip())


def run(tracker: Tracker, place: str, **tags: str) -> str:
    named = {key.replace("_", "."): value for key, value in tags.items()}
    return str(tracker.client.create_run(place, tags=named).info.run_id)


def tags_of(tracker: Tracker, run_id: str) -> dict[str, str]:
    tags = tracker.client.get_run(run_id).data.tags
    return {key: value for key, value in tags.items() if not key.startswith("mlflow.")}


def test_every_experiment_and_version_of_the_project(
    open_tracker: Callable[..., Tracker], tmp_path: Path
) -> None:
    tracker, name = open_tracker(), Params().tracking.model
    runs = [
        run(tracker, experiment(tracker, part), churn_event="promoted", other_x="1", churnx_y="2")
        for part in ("", "decisions", "monitoring")
    ]
    tracker.client.create_registered_model(name)
    tracker.client.create_model_version(
        name, str(tmp_path), tags={"churn.package": "abc", "x": "y"}
    )
    apart = run(tracker, tracker.experiment_called("another project"), churn_event="promoted")
    assert rename_tags(tracker, "churn") == 4
    for run_id in runs:
        assert tags_of(tracker, run_id) == {
            "churn.event": "promoted", "evergreen.event": "promoted", "other.x": "1",
            "churnx.y": "2"
        }  # fmt: skip
    version = tracker.client.get_model_version(name, "1")
    assert version.tags == {"churn.package": "abc", "evergreen.package": "abc", "x": "y"}
    assert tags_of(tracker, apart) == {"churn.event": "promoted"}
    assert rename_tags(tracker, "churn") == 0


def test_what_the_library_says_already_stays(open_tracker: Callable[..., Tracker]) -> None:
    tracker = open_tracker()
    made = run(tracker, experiment(tracker), churn_event="old", evergreen_event="new")
    assert rename_tags(tracker, "churn") == 0
    assert tags_of(tracker, made)["evergreen.event"] == "new"


def test_a_store_without_experiments(open_tracker: Callable[..., Tracker]) -> None:
    assert rename_tags(open_tracker(), "churn") == 0
