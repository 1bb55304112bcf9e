"""Losses: the same bytes for any threads, the file predicts by itself, and each aims at its own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import xgboost as xgb
from conftest import refusal

from evergreen.errors import InputError
from evergreen.evaluation.calibration import calibration_error
from evergreen.metrics.by_loss import deviance, pinball
from evergreen.metrics.table import LIBRARY
from evergreen.params import Gate, Train
from evergreen.params.train import FOR_TASK
from evergreen.training.learner import LEARNERS, losses_taken
from evergreen.training.losses import (
    focal_losses,
    focal_slopes,
    positive_weight,
    tell,
    undo_weight,
    watched,
    weigh,
)
from evergreen.training.tables import Table
from evergreen.training.xgboost import build_matrix, load, train

OPTIONS = {"quantile": {"quantile": 0.8}, "pseudo_huber": {"huber_slope": 2.0}}
NAMED = [
    (task, loss)
    for task, losses in FOR_TASK.items()
    for loss in losses
    if (task, loss) != ("regression", "squared") and loss != "log_loss"
]


def params_of(quick: Train, loss: str, **values) -> Train:
    return Train(**quick.model_dump() | {"loss": loss} | OPTIONS.get(loss, {}) | values)


def positive(tables):
    """The rows with labels that every loss takes: about 40, skewed."""
    parts = (tables.train, tables.validation, tables.holdout)
    moved = [Table(part.x, 30 * np.exp(part.y / 4).astype(np.float32)) for part in parts]
    return replace(tables, train=moved[0], validation=moved[1], holdout=moved[2])


def tables_of(make_tables, task: str):
    return positive(make_tables(task)) if task == "regression" else make_tables(task)


@pytest.mark.parametrize(("task", "loss"), NAMED)
def test_a_loss_keeps_what_is_promised_of_training(task, loss, make_tables, quick):
    """Same bytes for 1 and 2 threads; the loaded model says the same; the best round is kept."""
    params, tables = params_of(quick, loss), tables_of(make_tables, task)
    matrix = build_matrix(tables, params, 1)
    single, two = (train(matrix, params, 7, threads=threads) for threads in (1, 2))
    assert (single.booster, single.history) == (two.booster, two.history)
    losses = single.history["validation"]
    assert single.rounds == int(np.argmin(losses)) + 1
    assert single.validation_loss == min(losses) < losses[0]
    plain = xgb.Booster(model_file=bytearray(single.booster))
    said = load(single.booster).predict(tables.holdout.x)
    np.testing.assert_array_equal(
        said, plain.predict(xgb.DMatrix(tables.holdout.x, feature_names=[*tables.features]))
    )
    again = xgb.Booster(model_file=bytearray(plain.save_raw("ubj")))
    np.testing.assert_array_equal(said, again.inplace_predict(tables.holdout.x))
    assert said.shape == tables.holdout.y.shape
    assert np.isfinite(said).all()


@pytest.mark.parametrize(("task", "loss"), NAMED)
def test_without_validation_rows_it_trains_for_all_rounds(task, loss, make_tables, quick):
    tables = tables_of(make_tables, task)
    blind, params = (
        replace(tables, validation=tables.train.none()),
        params_of(quick, loss, rounds=6),
    )
    done = train(build_matrix(blind, params), params, 1)
    assert (done.rounds, done.validation_loss, done.history) == (6, None, {})


@pytest.mark.parametrize("task", FOR_TASK)
def test_a_loss_that_is_usual_is_auto_by_another_name(task, make_matrix, quick):
    usual = FOR_TASK[task][0]
    named = quick.with_loss(usual)
    assert train(make_matrix(task), named, 3).booster == train(make_matrix(task), quick, 3).booster


@pytest.mark.parametrize(
    ("loss", "metric"),
    [
        ("absolute", LIBRARY["mae"]),
        ("quantile", pinball(0.8)),
        ("gamma", deviance("gamma", 2)),
        ("poisson", deviance("poisson", 1)),
        ("tweedie", deviance("tweedie", 1.5)),
    ],
)
def test_what_stops_is_what_decides(loss, metric, make_tables, quick):
    """The round that is kept is the one that is least in the metric which decides."""
    params, tables = params_of(quick, loss), tables_of(make_tables, "regression")
    done = train(build_matrix(tables, params, 1), params, 0)
    booster, rows = load(done.booster).booster, tables.validation
    values = [
        metric.measure(rows.y, booster.inplace_predict(rows.x, iteration_range=(0, upto)))
        for upto in range(1, done.rounds + 1)
    ]
    losses = np.array(done.history["validation"][: done.rounds])
    assert int(np.argmin(values)) == int(np.argmin(losses))
    # Equal, but for a factor and a constant of the labels
    slope, constant = np.polyfit(losses, values, 1)
    np.testing.assert_allclose(values, slope * losses + constant, rtol=1e-3)


@pytest.mark.slow
def test_a_quantile_lies_above_its_share_of_the_labels(make_tables, quick):
    tables = positive(make_tables("regression", rows=(3000, 1000, 1000)))
    below = {}
    for share in (0.1, 0.5, 0.9):
        slow = {"quantile": share, "learning_rate": 0.1, "max_depth": 2, "rounds": 150}
        params = params_of(quick, "quantile", **slow)
        said = load(train(build_matrix(tables, params, 1), params, 0).booster)
        below[share] = float((tables.holdout.y < said.predict(tables.holdout.x)).mean())
    assert below == {share: pytest.approx(share, abs=0.06) for share in below}


@pytest.mark.parametrize("level", [0.0, 40.0, -1000.0])
def test_pseudo_huber_starts_from_the_median(level, make_tables, quick):
    """XGBoost's own start explodes for labels far from 0, and one round is kept."""
    tables = make_tables("regression")
    parts = [
        Table(part.x, part.y + np.float32(level)) for part in (tables.train, tables.validation)
    ]
    moved, params = (
        replace(tables, train=parts[0], validation=parts[1]),
        params_of(quick, "pseudo_huber"),
    )
    told = tell("regression", params, parts[0].y)
    assert told["base_score"] == pytest.approx(float(np.median(parts[0].y)))
    assert told["huber_slope"] == 2.0
    done = train(build_matrix(moved, params, 1), params, 0)
    assert done.rounds > 5
    off = np.abs(load(done.booster).predict(tables.holdout.x) - level - tables.holdout.y)
    assert off.mean() < 0.8 * np.abs(tables.holdout.y - np.median(tables.holdout.y)).mean()


def test_what_is_watched_has_xgboosts_name():
    asked = {loss: watched("regression", Train(loss=loss)) for loss in FOR_TASK["regression"]}
    assert asked == {
        "squared": "rmse", "absolute": "mae", "pseudo_huber": "mphe", "quantile": "quantile",
        "gamma": "gamma-deviance", "tweedie": "tweedie-nloglik@1.5", "poisson": "poisson-nloglik",
    }  # fmt: skip


# --- weights
# --------------------------------------------------------------------------------------------------


def rare(rows: int = 6000):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(rows, 3)).astype(np.float32)
    odds = np.exp(1.5 * x[:, 0] - x[:, 1] - 3)
    return x, (draw.random(rows) < odds / (1 + odds)).astype(np.float32)


@pytest.mark.parametrize("weight", [None, 3.0, 20.0])
def test_weighted_predictions_are_probabilities(weight, make_tables, quick):
    x, y = rare()
    parts = [Table(x[a:b], y[a:b]) for a, b in ((0, 3000), (3000, 4000), (4000, 6000))]
    named = dict(zip(("train", "validation", "holdout"), parts, strict=True))
    tables = replace(make_tables("binary"), features=("a", "b", "c"), categories=(), **named)
    params, (judging, happened) = (
        params_of(quick, "weighted_log_loss", positive_weight=weight),
        (parts[2].x, parts[2].y),
    )
    done = train(build_matrix(tables, params, 1), params, 0)
    said = load(done.booster).predict(judging)
    assert calibration_error("binary", happened, said) < Gate().max_calibration_error / 2
    plain = train(build_matrix(tables, quick, 1), quick, 0)
    assert not np.array_equal(said, load(plain.booster).predict(judging))
    # As the trees were grown: by the odds that weights make
    loaded = load(done.booster).booster
    loaded.set_param({"base_score": tell("binary", params, parts[0].y)["base_score"]})
    assert calibration_error("binary", happened, loaded.inplace_predict(judging)) > 0.09
    undo_weight(loaded, parts[0].y)
    np.testing.assert_array_equal(loaded.inplace_predict(judging), said)


def test_weights_balance_the_classes_and_weigh_one_on_average():
    y = np.array([1.0] * 20 + [0.0] * 180)
    params = Train(loss="weighted_log_loss")
    assert positive_weight(params, y) == pytest.approx(181 / 21)
    weights = weigh(params, y, y)
    assert weights.mean() == pytest.approx(1)
    assert weights[0] / weights[-1] == pytest.approx(181 / 21)
    four = Train(loss="weighted_log_loss", positive_weight=4)
    assert set(weigh(four, y, y) / weigh(four, y, y)[-1]) == {1.0, 4.0}


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("loss", ["weighted_log_loss", "focal"])
def test_a_fold_of_one_class_is_learnt(loss, label, make_tables, quick):
    tables = make_tables("binary")
    alone = replace(tables, train=Table(tables.train.x, np.full_like(tables.train.y, label)))
    params = params_of(quick, loss, rounds=5)
    said = load(train(build_matrix(alone, params, 1), params, 0).booster).predict(tables.holdout.x)
    assert np.isfinite(said).all()
    assert np.abs(said - label).max() < 0.5


# --- focal
# --------------------------------------------------------------------------------------------------


def test_focal_with_gamma_zero_is_the_log_loss():
    y, margin = np.array([0.0, 1, 1, 0]), np.array([-2.0, 0.5, -3, 4])
    p = 1 / (1 + np.exp(-margin))
    first, second = focal_slopes(y, margin, 0)
    np.testing.assert_allclose(first, p - y, rtol=1e-6)
    np.testing.assert_allclose(second, p * (1 - p), rtol=1e-6)
    np.testing.assert_allclose(focal_losses(y, margin, 0), -np.log(np.where(y == 1, p, 1 - p)))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_slopes_are_the_derivatives(gamma):
    margin = np.linspace(-8, 8, 81)
    for label in (0.0, 1.0):
        y, width = np.full_like(margin, label), 1e-4
        first, second = focal_slopes(y, margin, gamma)
        ahead, behind = (focal_losses(y, margin + step, gamma) for step in (width, -width))
        np.testing.assert_allclose(first, (ahead - behind) / (2 * width), atol=1e-6)
        here = focal_losses(y, margin, gamma)
        curvature = (ahead - 2 * here + behind) / width**2
        assert (second > 0).all()
        assert (second >= curvature - 1e-5).all()


def test_focal_far_out_is_no_overflow():
    with np.errstate(all="raise", under="ignore"):
        for label in (0.0, 1.0):
            found = focal_slopes(np.full(2, label), np.array([-800.0, 800.0]), 2.0)
            assert np.isfinite(found).all()


# --- labels, and who takes what
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "label"), [("gamma", 0.0), ("gamma", -2.0), ("poisson", -1.0), ("tweedie", -0.5)]
)
def test_a_label_that_a_loss_cannot_take_is_named(loss, label, make_tables, quick):
    tables = positive(make_tables("regression"))
    y = tables.train.y.copy()
    y[16] = label
    refusal(
        lambda: build_matrix(
            replace(tables, train=Table(tables.train.x, y)), params_of(quick, loss)
        ),
        f"train.loss is {loss}",
        "training row 17",
        f"is {label:g}",
        "name another loss",
    )


@pytest.mark.parametrize("loss", ["poisson", "tweedie"])
def test_a_label_of_zero_is_taken(loss, make_tables, quick):
    tables = positive(make_tables("regression"))
    y = np.where(tables.train.y < 25, 0, tables.train.y).astype(np.float32)
    params = params_of(quick, loss)
    assert train(build_matrix(replace(tables, train=Table(tables.train.x, y)), params), params, 0)


def test_every_learner_says_which_losses_it_takes():
    taken = {name: {task: losses_taken(name, task) for task in FOR_TASK} for name in LEARNERS}
    assert taken["xgboost"] == FOR_TASK
    assert taken["linear"] == {task: (losses[0],) for task, losses in FOR_TASK.items()}
    with pytest.raises(InputError):
        losses_taken("no.such", "binary")


def test_the_weight_of_a_share_that_is_odds():
    params = Train(loss="weighted_log_loss", positive_weight=2.0)
    y = np.array([1.0] * 9 + [0.0] * 19)
    assert tell("binary", params, y)["base_score"] == pytest.approx(20 / 40)
    assert math.isclose(tell("binary", Train(loss="focal"), y)["base_score"], 10 / 30)
