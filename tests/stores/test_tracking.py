"""Tracking: which store and experiment are meant, and where they are shown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from tracked import begin, kill

from evergreen.errors import InputError
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores.runs import Runs
from evergreen.stores.tracking import Tracker
from evergreen.stores.versions import Versions

pytestmark = pytest.mark.slow  # real stores


@pytest.mark.parametrize("name", ["with space", "o'neil", '100% "größe"'])
def test_any_name_of_a_folder(name, open_tracker):
    tracker = open_tracker(name)
    run_id = begin(tracker)
    kill(tracker, run_id)
    assert Runs(tracker).recover() == [run_id]


def test_a_deleted_experiment_is_an_error(tracker, open_tracker):
    tracker.client.delete_experiment(tracker.experiment)
    with pytest.raises(InputError, match="experiment"):
        begin(open_tracker())


@pytest.mark.parametrize(
    ("uri", "owner", "taken"),
    [
        ("http://mlflow:5000", "price-watch", True),
        ("http://mlflow:5000", "churn", False),
        ("http://mlflow:5000", None, False),  # made before there was an owner
        ("sqlite:///shared.db", "price-watch", False),
    ],
)
def test_two_projects_on_one_server_need_two_names(uri, owner, taken, open_tracker, monkeypatch):
    tracker = open_tracker()
    (tracker.project.root / "pyproject.toml").write_text('[project]\nname = "churn"\n')
    tags = {} if owner is None else {"evergreen.project": owner}
    found = SimpleNamespace(lifecycle_stage="active", tags=tags, experiment_id="7")
    tracker.uri = uri
    client = SimpleNamespace(
        get_experiment_by_name=lambda name: found, get_registered_model=lambda name: found
    )
    tracker.__dict__["client"] = client
    if taken:
        said = "the {} 'evergreen' at MLFLOW_TRACKING_URI is of the project 'price-watch': give"
        with pytest.raises(InputError, match=said.format("experiment")):
            tracker.experiment_called("evergreen")
        with pytest.raises(InputError, match=said.format("model")):
            Versions(tracker)._ensure_model()
    else:
        assert tracker.experiment_called("evergreen") == "7"
        Versions(tracker)._ensure_model()


def test_whose_an_experiment_is_stands_on_it(open_tracker):
    tracker, made = open_tracker(), []
    (tracker.project.root / "pyproject.toml").write_text('[project]\nname = "churn"\n')

    def create(name, artifact_location, tags):
        made.append((name, artifact_location, tags["evergreen.project"]))
        return "1"

    tracker.uri = "http://mlflow:5000"
    tracker.__dict__["client"] = SimpleNamespace(
        get_experiment_by_name=lambda name: None, create_experiment=create
    )
    assert tracker.experiment_called("churn decisions") == "1"
    assert made == [("churn decisions", None, "churn")]


def test_an_experiment_that_another_clone_has_just_made_is_taken(open_tracker, monkeypatch):
    tracker, made = open_tracker(), []
    client, look = tracker.client, tracker.client.get_experiment_by_name

    def nothing_yet(name):  # and right after it is made
        monkeypatch.setattr(client, "get_experiment_by_name", look)
        made.append(client.create_experiment(name))

    monkeypatch.setattr(client, "get_experiment_by_name", nothing_yet)
    assert [tracker.experiment_called("churn")] == made


def test_a_model_that_another_clone_has_just_made_is_taken(open_tracker, monkeypatch):
    tracker = open_tracker()
    client, look = tracker.client, tracker.client.get_registered_model

    def nothing_yet(name):  # and right after it is made
        monkeypatch.setattr(client, "get_registered_model", look)
        client.create_registered_model(name)
        raise MlflowException("no such model", RESOURCE_DOES_NOT_EXIST)

    monkeypatch.setattr(client, "get_registered_model", nothing_yet)
    Versions(tracker)._ensure_model()
    assert client.get_registered_model("evergreen").name == "evergreen"


def test_the_environment_names_the_store(open_tracker, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5999")
    tracker = open_tracker()
    assert tracker.uri == "http://127.0.0.1:5999"


@pytest.mark.parametrize(
    ("uri", "start"),
    [(None, "http://127.0.0.1:5123/#/"), ("http://host:5999", "http://host:5999/#/")],
)
def test_where_a_run_is_shown(uri, start, open_tracker, monkeypatch):
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracker = open_tracker(ports={"mlflow": 5123})
    tracker.__dict__["experiment"] = "7"
    models = "?workflowType=machine_learning"
    assert tracker.link("abc") == f"{start}experiments/7/runs/abc{models}"
    assert tracker.link("abc", "artifacts") == f"{start}experiments/7/runs/abc/artifacts{models}"
    assert tracker.link() == f"{start}experiments/7/runs{models}"
    monkeypatch.setenv("EVERGREEN_MLFLOW_PAGE", "http://seen.example:9")
    assert tracker.link() == f"http://seen.example:9/#/experiments/7/runs{models}"


@pytest.mark.parametrize(
    ("uri", "there"),
    [("", False), ("sqlite:////elsewhere/mlflow.db", True), ("http://other:5000", True)],
)
def test_a_store_that_is_named_is_there_and_ones_own_once_it_is_made(
    uri: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracker = Tracker(Project(tmp_path), Params())
    assert tracker.is_there == there
    tracker.project.stores.mkdir()
    (tracker.project.stores / "mlflow.db").touch()
    assert tracker.is_there


@pytest.mark.parametrize(
    "uri", ["http://me:hunter2@127.0.0.1:5000", "https://me:p@ss:w/hunter2@host"]
)
def test_a_link_holds_no_login(uri, open_tracker, monkeypatch):
    tracker = open_tracker()
    monkeypatch.setattr(tracker, "uri", uri)
    monkeypatch.setattr(type(tracker), "experiment", "1")
    assert "hunter2" not in tracker.link("run")
