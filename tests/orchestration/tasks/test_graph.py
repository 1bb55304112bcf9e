"""Graph: written where it is wanted; a model that has none is registered all the same."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from conftest import refusal
from serving.served import model_of

from evergreen.errors import InputError
from evergreen.export.onnx_file import OnnxModel
from evergreen.features.featurize import featurize_unlabelled
from evergreen.orchestration.tasks import graph as module
from evergreen.orchestration.tasks.graph import FILE, check_graph, graph_of
from evergreen.params import Params
from evergreen.project import Project
from late_flights.dataset import dataset
from late_flights.flights import read

LOG = logging.getLogger("evergreen.test")


def job(folder: Path, *, onnx: str = "beside") -> Any:
    params = Params().override(tracking={"onnx": onnx})
    return SimpleNamespace(params=params, project=Project(folder))


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    """Rows of a month, which stand for the newest batch."""
    found, _ = featurize_unlabelled(dataset, read("2013-04").head(60))
    monkeypatch.setattr(module, "real_rows", lambda *_: found)
    monkeypatch.setattr(module, "get_run_logger", lambda: LOG)
    return found


def test_it_predicts_what_the_package_predicts(rows: pl.DataFrame, tmp_path: Path) -> None:
    model = model_of("1")
    graph = OnnxModel(graph_of(job(tmp_path), model, "a run")[FILE])
    assert abs(graph.predict_rows(rows) - model.predict_rows(rows)).max() < 1e-6
    assert graph.facts["run"] == "a run"


def test_there_is_none_where_none_is_wanted(tmp_path: Path) -> None:
    assert graph_of(job(tmp_path, onnx="off"), model_of("1"), "a run") == {}


def test_a_model_that_has_none_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("the learner has no ONNX form")

    monkeypatch.setattr(module, "make_onnx", refuse)
    assert graph_of(job(tmp_path), model_of("1"), "a run") == {}
    assert "carries no ONNX graph: the learner has no ONNX form" in caplog.text


def test_a_library_that_is_lacking_is_told_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lack(name: str) -> None:
        raise InputError(f"{name} is not installed")

    monkeypatch.setattr(module, "load_library", lack)
    check_graph(Params())
    wanted = Params().override(tracking={"onnx": "beside"})
    refusal(lambda: check_graph(wanted), "onnx is not installed")
