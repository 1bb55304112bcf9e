"""Alternatives: losses and schedules on the same cuts, each by the metric that decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import refusal
from tuning.tried import TRAIN, prepare_batches

from evergreen.params import Params
from evergreen.training.tables import Table, Tables
from evergreen.tuning.alternatives import each_loss, each_schedule, try_each
from evergreen.tuning.cuts import Cut, find_cuts

QUICK = TRAIN | {"rounds": 15, "min_child_weight": 1.0}


def params_of(task: str, **train: Any) -> Params:
    return Params(task=task, train=QUICK | train, evaluate={"resamples": 200})


def cuts_of(make_tables: Any, *, lowest: float = 1.0, task: str = "regression") -> list[Cut]:
    """Two cuts whose labels are skewed and above zero, but for the lowest."""
    found = []
    for seed in (1, 2):
        tables: Tables = make_tables(task, rows=(400, 150, 600), seed=seed)
        parts = {}
        for role in ("train", "validation", "holdout"):
            part = getattr(tables, role)
            y = np.exp(part.y / 3).astype(np.float32) if task == "regression" else part.y.copy()
            y[0] = lowest if role == "holdout" and task == "regression" else y[0]
            parts[role] = Table(part.x, y)
        found.append(Cut(f"b{seed}", replace(tables, **parts)))
    return found


def test_each_loss_of_the_task_begins_with_the_one_that_is_set():
    params = params_of("regression", loss="quantile", quantile=0.9)
    found = each_loss(params)
    assert [*found] == [
        "quantile", "squared", "absolute", "pseudo_huber", "gamma", "tweedie", "poisson",
    ]  # fmt: skip
    assert found["quantile"] is params
    assert found["gamma"].train == params.train.with_loss("gamma")
    assert [*each_loss(params_of("binary"))] == ["log_loss", "weighted_log_loss", "focal"]
    weighted = params_of("binary", loss="weighted_log_loss", positive_weight=4)
    assert each_loss(weighted)["weighted_log_loss"].train.positive_weight == 4


@pytest.mark.parametrize("case", [("multiclass", "xgboost"), ("binary", "linear")])
def test_where_there_is_one_loss_nothing_is_compared(case):
    task, learner = case
    refusal(
        lambda: each_loss(params_of(task, learner=learner)),
        learner,
        f"one loss for {task}, log_loss",
    )


def test_each_schedule_and_the_rate_that_those_which_fall_begin_with():
    found = each_schedule(params_of("binary"), 0.9)
    assert [*found] == ["constant", "time", "exponential", "step", "cosine"]
    assert {way.train.learning_rate for name, way in found.items() if name != "constant"} == {0.9}
    assert found["constant"].train.learning_rate == 0.3
    now = params_of("binary", schedule="cosine", schedule_rounds=10)
    again = each_schedule(now)
    assert next(iter(again)) == "cosine"
    assert again["step"].train.schedule_rounds == 10
    assert again["constant"].train.chosen("binary", set()) == params_of("binary").train.chosen(
        "binary", set()
    )


@pytest.mark.slow
def test_losses_are_compared_by_the_metrics_that_decide(make_tables):
    params = params_of("regression")
    ways = {
        name: way
        for name, way in each_loss(params).items()
        if name in ("squared", "quantile", "gamma")
    }
    found = try_each("loss", ways, cuts_of(make_tables), (0, 1))
    assert [way.name for way in found.tried] == ["squared", "quantile", "gamma"]
    assert found.metrics == ("rmse", "pinball_0_5", "gamma_deviance")
    assert found.now.lead is found.now.own is None
    assert (found.rows, found.cuts, found.seeds) == (1200, ("b1", "b2"), (0, 1))
    assert found.confidence == pytest.approx(1 - 0.05 / 2)  # two intervals
    for way in found.tried[1:]:
        assert way.lead.metric == "rmse"
        assert way.own.metric == way.decides
        assert way.lead.second == pytest.approx(way.values["rmse"], rel=1e-6)
        assert way.lead.first == pytest.approx(found.now.values["rmse"], rel=1e-6)
        assert way.rounds > 0
    assert [way.stops_by for way in found.tried] == ["rmse", "quantile", "gamma-deviance"]
    said = " ".join(found.says())
    assert "the newest batch, which the gate judges by, was not looked at" in said
    assert "2 comparisons with squared" in said
    assert "metrics that would decide, rmse, pinball_0_5, gamma_deviance" in said


@pytest.mark.slow
def test_a_loss_that_wins_by_its_own_metric_is_said_to_do_so(make_tables):
    params = params_of("regression")
    ways = {
        "squared": params,
        "quantile": params.override(train={"loss": "quantile", "quantile": 0.9}),
    }
    found = try_each("loss", ways, cuts_of(make_tables), range(6))  # of two, the noise is wide
    ninth = found.tried[1]
    assert ninth.own.is_better
    assert not ninth.is_better
    assert found.best is None
    advice = [*found.says()][-1]
    assert advice.startswith("keep squared: by rmse, which decides, no other is better; quantile: ")
    assert "its own metric only" in advice


@pytest.mark.slow
def test_a_better_one_is_to_be_set(make_tables):
    slow = params_of("regression", learning_rate=0.01)
    ways = {"slow": slow, "fast": slow.override(train={"learning_rate": 0.3})}
    found = try_each("schedule", ways, cuts_of(make_tables), range(6))
    assert found.best.name == "fast"
    assert "set `schedule: fast` under train in params.yaml" in [*found.says()][-1]


@pytest.mark.slow
def test_a_loss_that_cannot_take_the_labels_is_told_and_the_rest_compared(make_tables):
    params = params_of("regression")
    ways = {
        name: way
        for name, way in each_loss(params).items()
        if name in ("squared", "gamma", "poisson")
    }
    found = try_each("loss", ways, cuts_of(make_tables, lowest=0.0), (0, 1))
    refused = {way.name: way.refused for way in found.tried}
    assert "takes labels above 0: that of row 1 of the cut b1 is 0" in refused["gamma"]
    assert refused["squared"] == refused["poisson"] == ""
    assert found.confidence == pytest.approx(0.95)
    assert "gamma_deviance" not in found.metrics
    worse = params.override(train={"loss": "gamma"})
    refusal(
        lambda: try_each("loss", {"gamma": worse}, cuts_of(make_tables, lowest=0.0), (0, 1)),
        "train.loss is gamma",
    )


@pytest.mark.slow
def test_the_gate_s_own_metric_decides_where_it_is_named(make_tables):
    params = params_of("regression").override(gate={"metric": "mae"})
    ways = {name: way for name, way in each_loss(params).items() if name in ("squared", "gamma")}
    found = try_each("loss", ways, cuts_of(make_tables), (0, 1))
    assert found.metrics == ("mae",)
    assert found.tried[1].own is None


@pytest.mark.slow
def test_the_holdout_of_the_gate_is_never_read(site: Any, monkeypatch: pytest.MonkeyPatch):
    """What the newest batch holds changes nothing."""
    params = prepare_batches(site, rows=150, train=QUICK)
    ways = {
        name: way for name, way in each_schedule(params).items() if name in ("constant", "step")
    }
    found = try_each("schedule", ways, find_cuts(site.project, params, 2), (0, 1))
    assert found.cuts == ("b4", "b5")
    newest = site.project.features / "b6.parquet"
    assert newest.exists()
    newest.unlink()
    again = try_each("schedule", ways, find_cuts(site.project, params, 2), (0, 1))
    assert again.tried[1].lead == found.tried[1].lead
