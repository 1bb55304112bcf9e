"""The section train: a loss and a schedule with numbers of their own, none of which goes unread."""

from __future__ import annotations

from typing import get_args

import pytest
from conftest import refusal

from evergreen.params import Params, Train, parse
from evergreen.params.train import FOR_TASK, OF_LOSS, USUAL, Loss

WITHOUT = {"learner": "xgboost", "max_depth": 6}  # some that are there as before
VALUES = {
    "quantile": 0.9, "huber_slope": 3.0, "tweedie_power": 1.2, "positive_weight": 5.0,
    "focal_gamma": 1.0, "schedule_rounds": 50, "schedule_end": 0.5,
}  # fmt: skip


def test_every_loss_is_of_a_task():
    assert {"auto", *(loss for losses in FOR_TASK.values() for loss in losses)} == {*get_args(Loss)}
    assert {task: losses[0] for task, losses in FOR_TASK.items()} == USUAL


@pytest.mark.parametrize(
    ("task", "loss"), [(task, loss) for task in FOR_TASK for loss in get_args(Loss)]
)
def test_a_loss_is_taken_by_its_task_only(task, loss):
    content = {"task": task, "train": {"loss": loss}}
    if loss == "auto" or loss in FOR_TASK[task]:
        found = parse(content, "params.yaml")
        assert found.train.loss_for(task) == (USUAL[task] if loss == "auto" else loss)
    else:
        refusal(
            lambda: parse(content, "params.yaml"),
            f"train.loss is {loss}", f"none of task {task}", FOR_TASK[task][-1],
        )  # fmt: skip


@pytest.mark.parametrize("name", OF_LOSS)
def test_a_number_of_another_loss_is_refused(name):
    right = {"train": {"loss": OF_LOSS[name], name: VALUES[name]}}
    task = next(task for task, losses in FOR_TASK.items() if OF_LOSS[name] in losses)
    assert getattr(parse({"task": task} | right, "params.yaml").train, name) == VALUES[name]
    refusal(
        lambda: parse({"train": {name: VALUES[name]}}, "params.yaml"),
        f"train.{name} is of `loss: {OF_LOSS[name]}`", "loss is auto", "remove it",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["schedule_rounds", "schedule_end"])
def test_a_number_of_a_schedule_waits_for_one_and_changes_nothing_until_then(name):
    """So that `evergreen tune` can try constant beside others."""
    alone = parse({"train": {name: VALUES[name]}}, "params.yaml").train
    assert alone.chosen("binary", set()) == Train().chosen("binary", set())
    falls = parse({"train": {"schedule": "cosine", name: VALUES[name]}}, "params.yaml").train
    assert falls.chosen("binary", set())[name] == VALUES[name]


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": "hinge"}, {"loss": "quantile", "quantile": 1}, {"loss": "quantile", "quantile": 0},
        {"loss": "pseudo_huber", "huber_slope": 0}, {"loss": "tweedie", "tweedie_power": 2},
        {"loss": "weighted_log_loss", "positive_weight": 0}, {"loss": "focal", "focal_gamma": -1},
        {"schedule": "sine"}, {"schedule": "cosine", "schedule_end": 0},
        {"schedule": "cosine", "schedule_rounds": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_number_is_named(wrong):
    refusal(lambda: parse({"train": wrong}, "params.yaml"), f"train.{[*wrong][-1]}")


def test_what_stands_for_training_is_as_it_was_before_there_was_a_choice():
    """Else each champion would be taken for one that was trained otherwise."""
    new = {"loss", "schedule", *VALUES}
    for task, usual in USUAL.items():
        known = Train().chosen(task, {"device"})
        assert set(known) == set(Train.model_fields) - new - {"device"}
        assert Train(loss=usual).chosen(task, {"device"}) == known
    assert Train(loss="gamma").chosen("regression", set())["loss"] == "gamma"
    nine = Train(loss="quantile", quantile=0.9).chosen("regression", set())
    assert (nine["loss"], nine["quantile"]) == ("quantile", 0.9)
    falls = Train(schedule="step", schedule_rounds=50).chosen("binary", set())
    assert (falls["schedule"], falls["schedule_rounds"]) == ("step", 50)
    assert "schedule_end" not in falls


def test_another_loss_leaves_the_numbers_of_the_first_behind():
    nine = Train(loss="quantile", quantile=0.9, max_depth=3)
    other = nine.with_loss("tweedie")
    assert (other.loss, other.quantile, other.tweedie_power, other.max_depth) == (
        "tweedie",
        0.5,
        1.5,
        3,
    )
    assert nine.with_loss("quantile") == nine
    falls = Train(schedule="cosine", schedule_rounds=50)
    assert falls.with_schedule("step").schedule_rounds == 50
    assert falls.with_schedule("constant").chosen("binary", set()) == Train().chosen(
        "binary", set()
    )


@pytest.mark.parametrize(
    ("train", "quantile"),
    [
        ({"loss": "quantile", "quantile": 0.9}, 0.9),
        ({"loss": "absolute"}, 0.5),
        ({"loss": "pseudo_huber"}, 0.5),
        ({"loss": "gamma"}, None),
        ({}, None),
    ],
)
def test_which_quantile_a_loss_aims_at(train, quantile):
    assert Train(**train).aimed_quantile() == quantile


@pytest.mark.parametrize(
    ("task", "train", "decides", "loss"),
    [
        ("regression", {}, "rmse", "rmse"),
        ("regression", {"loss": "squared"}, "rmse", "rmse"),
        ("regression", {"loss": "absolute"}, "mae", "mae"),
        ("regression", {"loss": "pseudo_huber"}, "mae", "mae"),
        ("regression", {"loss": "quantile", "quantile": 0.9}, "pinball_0_9", "pinball_0_9"),
        ("regression", {"loss": "gamma"}, "gamma_deviance", "gamma_deviance"),
        ("regression", {"loss": "poisson"}, "poisson_deviance", "poisson_deviance"),
        ("regression", {"loss": "tweedie"}, "tweedie_deviance_1_5", "tweedie_deviance_1_5"),
        ("binary", {}, "roc_auc", "log_loss"),
        ("binary", {"loss": "weighted_log_loss"}, "roc_auc", "log_loss"),
        ("binary", {"loss": "focal"}, "roc_auc", "log_loss"),
        ("multiclass", {"loss": "log_loss"}, "accuracy", "log_loss"),
    ],
)
def test_the_metric_that_decides_follows_the_loss(task, train, decides, loss):
    metrics = Params(task=task, train=train).metrics
    assert metrics.pick(None, task) == decides
    assert metrics.loss(task) == loss
