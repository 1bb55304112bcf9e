"""The client: nothing that MLflow stores holds a secret."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)

from evergreen.stores.client import is_absent, quoted
from evergreen.stores.runs import Runs
from evergreen.stores.seeds import Seeds

pytestmark = pytest.mark.slow  # real stores


def test_nothing_that_mlflow_keeps_holds_a_secret(make_project, open_tracker, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2-hunter2")
    project = make_project(months=())
    with project.params.open("a") as file:
        file.write("# once: postgresql://me:hunter2@host/db\n# password: hunter2\n")
    tracker = open_tracker(project)
    said = "https://host/x?sig=hunter2 and hunter2-hunter2"
    texts = {"params.yaml": project.params.read_text(), "dvc.lock": ""}
    with Runs(tracker).open("print", said, {"reason": said}, texts) as run_id:
        tracker.client.log_text(run_id, said, "a.txt")
        tracker.client.log_dict(run_id, {"a": [said, {said: 1}]}, "a.json")
        tracker.client.set_tag(run_id, "said", said)
        Seeds(tracker).record_failure(run_id, 1, said)
    stored = [path for path in project.stores.rglob("*") if path.is_file()]
    assert len(stored) > 4
    assert [path for path in stored if b"hunter2" in path.read_bytes()] == []
    assert tracker.client.get_run(run_id).data.tags["evergreen.root"] == tracker.root


@pytest.mark.parametrize(
    ("value", "expected"), [("late flights", "'late flights'"), ("o'neil", '"o\'neil"')]
)
def test_values_in_a_filter_are_quoted(value, expected):
    assert quoted(value) == expected


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (RESOURCE_DOES_NOT_EXIST, True),
        (INVALID_PARAMETER_VALUE, True),
        (TEMPORARILY_UNAVAILABLE, False),
    ],
)
def test_a_store_that_does_not_answer_is_not_one_without_the_thing(code, absent):
    assert is_absent(MlflowException("no answer", error_code=code)) == absent
