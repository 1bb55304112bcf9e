"""Serve: what is asked of the registry's files, and a port that cannot be had."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace

import pytest
from conftest import refusal

from evergreen.params import Params
from evergreen.project import Project
from evergreen.serving.serve import SOCKET, _About, _handed_over, _take, build, stamp_of


def test_a_stamp_changes_with_the_registrys_files(tmp_path):
    project = Project(tmp_path)
    project.stores.mkdir()
    store = project.stores / "mlflow.db"
    stamp = stamp_of(project, SimpleNamespace(uri=f"sqlite:///{store}"))
    before = stamp()
    store.write_text("a")
    after = stamp()
    assert before != after == stamp()
    (project.stores / "mlflow.db-wal").write_text("b")
    assert stamp() != after


def test_a_registry_behind_a_server_is_asked_each_time(tmp_path):
    stamp = stamp_of(Project(tmp_path), SimpleNamespace(uri="http://127.0.0.1:5000"))
    assert stamp() is None


def test_a_port_that_is_taken_is_one_sentence():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        refusal(lambda: _take("127.0.0.1", port), f"127.0.0.1:{port}", "--port")
    with _take("127.0.0.1", 0) as free:
        assert free.getsockname()[1] > 0
        assert free.proto == socket.IPPROTO_TCP  # else each answer waits 40 ms
    refusal(lambda: _take("no.such.name.invalid", 1), "cannot be listened at")


def test_a_socket_is_handed_over_once(monkeypatch):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv(SOCKET, str(os.dup(held.fileno())))
        with _handed_over() as taken:
            assert taken.getsockname() == held.getsockname()
            assert not taken.get_inheritable()
        assert _handed_over() is None


@pytest.mark.parametrize("number", ["", "abc", "-1", "999999"])
def test_what_is_no_socket_is_not_taken(number, monkeypatch):
    monkeypatch.setenv(SOCKET, number)
    assert _handed_over() is None


def test_without_a_store_there_is_nothing_to_serve(tmp_path):
    refusal(lambda: build(Project(tmp_path), Params()), "there is no champion: `evergreen run`")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("watched", [True, False])
def test_what_is_known_of_a_version_names_its_drift(watched):
    drift = {"drifted": ["temp"], "label_drifted": False, "says": "temp moved", "columns": [1]}
    entry = SimpleNamespace(batch="2013-08", action="keep", reason="no loss", run_id="a")
    journal = SimpleNamespace(
        entries=lambda version: [entry] * watched, facts=lambda last: {"drift": drift}
    )
    runs = SimpleNamespace(describe=lambda run: ({"auc": 0.7, "odd": float("nan")}, {}))
    scorer = SimpleNamespace(version="1", run_id="run")
    learnt = SimpleNamespace(newest="2013-07-31", batches=("2013-07",))
    live = SimpleNamespace(scorer=scorer, model=SimpleNamespace(learnt=learnt))
    told = _About(runs, journal)(live)
    assert told["metrics"] == {"auc": 0.7}
    seen = {"batch": "2013-08", "decision": "keep", "reason": "no loss"}
    shown = {name: value for name, value in drift.items() if name != "columns"}
    assert told["monitoring"] == (seen | {"drift": shown} if watched else None)
