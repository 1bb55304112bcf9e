"""Schedules: pure functions of the round, which reproduce what is known of a quadratic."""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from evergreen.params import Train
from evergreen.params.train import Schedule
from evergreen.training import schedules
from evergreen.training.schedules import SHARES, is_over, rate_at
from evergreen.training.tables import Table
from evergreen.training.xgboost import build_matrix, load, train

FALLING: tuple[Schedule, ...] = ("time", "exponential", "step", "cosine")


def scheduled(name: str, rate: float = 0.4, length: int = 20, end: float = 0.1, **more) -> Train:
    given = {} if name == "constant" else {"schedule_rounds": length, "schedule_end": end}
    return Train(device="cpu", learning_rate=rate, schedule=name, **given, **more)


def test_each_schedule_of_the_parameters_is_there():
    assert set(SHARES) | {"constant"} == set(Schedule.__args__) == {*FALLING, "constant"}


@pytest.mark.parametrize(
    ("name", "at", "rate"),
    [
        ("time", 10, 0.4 / (1 + 9 * 0.5)),
        ("time", 1, 0.4 / (1 + 9 / 20)),
        ("exponential", 10, 0.4 * 0.1**0.5),
        ("exponential", 1, 0.4 * 0.1 ** (1 / 20)),
        ("step", 6, 0.4),  # halves every 20 / log2(10) = 6.02 rounds
        ("step", 7, 0.2),
        ("step", 13, 0.1),
        ("step", 19, 0.05),
        ("cosine", 10, 0.4 * 0.55),
        ("cosine", 5, 0.4 * (0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2)),
        ("constant", 10, 0.4),
        ("constant", 10_000, 0.4),
    ],
)
def test_the_rate_of_a_round(name, at, rate):
    assert rate_at(scheduled(name), at) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize("name", FALLING)
def test_a_schedule_begins_at_the_rate_falls_to_its_end_and_stays(name):
    params = scheduled(name)
    rates = [rate_at(params, number) for number in range(60)]
    assert rates[0] == params.learning_rate
    assert all(later <= earlier for earlier, later in pairwise(rates))
    assert rates[20:] == [pytest.approx(0.04)] * 40
    assert min(rates) >= 0.04 * (1 - 1e-12)
    assert [is_over(params, number) for number in (0, 18, 19, 50)] == [False, False, True, True]


def test_a_schedule_knows_no_clock_and_no_state():
    params = scheduled("cosine")
    assert [rate_at(params, at) for at in (7, 3, 7)] == [rate_at(params, at) for at in (7, 3, 7)]
    code = inspect.getsource(schedules)
    assert not [word for word in ("import time", "datetime", "random", "global ") if word in code]


# --- what is known of a quadratic
# --------------------------------------------------------------------------------------------------


def descend(params: Train, curvature: float, rounds: int, start: float = 1.0) -> list[float]:
    """Where gradient descent on curvature * x ** 2 / 2 is after each round, step by step."""
    x, found = start, []
    for number in range(rounds):
        x -= rate_at(params, number) * curvature * x
        found.append(x)
    return found


def shrink(name: str, curvature: float, rounds: int) -> float:
    """What is left of x by the closed form: the product of 1 - rate * curvature over all rounds."""
    rate, length, end, left = 0.4, 20, 0.1, 1.0
    for t in range(rounds):
        done = min(t / length, 1.0)
        share = {
            "constant": 1.0,
            "time": 1 / (1 + 9 * done),
            "exponential": end**done,
            "step": 0.5 ** math.floor(math.log2(10) * done) if done < 1 else end,
            "cosine": end + (1 - end) * math.cos(math.pi * done / 2) ** 2,
        }[name]
        left *= 1 - rate * share * curvature
    return left


@pytest.mark.parametrize("curvature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("name", ["constant", *FALLING])
def test_descent_on_a_quadratic_is_the_product_of_its_steps(name, curvature):
    """Gradient descent multiplies x by 1 - rate * curvature (Nesterov, Lectures on convex
    optimization, 2018, section 1.2.3)."""
    found = descend(scheduled(name), curvature, 40)[-1]
    assert found == pytest.approx(shrink(name, curvature, 40), rel=1e-9, abs=1e-300)


def test_a_rate_just_above_two_over_the_curvature_diverges_and_a_schedule_brings_it_back():
    """A constant step is stable below 2 / L only; one that falls below it is so from then on."""
    curvature = 4.0
    assert abs(descend(scheduled("constant", rate=0.49), curvature, 200)[-1]) < 1e-3
    assert abs(descend(scheduled("constant", rate=0.51), curvature, 200)[-1]) > 1e2
    for name in FALLING:
        path = np.abs(descend(scheduled(name, rate=0.51), curvature, 200))
        assert path[0] > 1 - 1e-9
        assert path[-1] < 1e-3


def test_a_falling_rate_averages_noise_out():
    """With noise in the gradient a constant rate keeps a variance of rate / (2 - rate) times the
    noise's (of an autoregression of order 1); a schedule comes nearer to the answer."""
    draw = np.random.default_rng(0)
    left = {}
    for name in ("constant", *FALLING):
        x, params, squares = np.ones(2000), scheduled(name), []
        for number in range(120):
            x = x - rate_at(params, number) * (x + draw.normal(size=2000))
            squares.append(float((x**2).mean()))
        left[name] = float(np.mean(squares[60:]))
    assert left["constant"] == pytest.approx(0.4 / (2 - 0.4), rel=0.03)
    for name in FALLING:
        assert left[name] == pytest.approx(0.04 / (2 - 0.04), rel=0.1)


# --- in XGBoost
# --------------------------------------------------------------------------------------------------


def steps_of(params: Train, rounds: int, make_tables) -> list[float]:
    """How far each round moves the prediction of rows labelled 2, where a feature tells all."""
    y = np.array([0.0, 2.0] * 60, np.float32)
    rows = Table(np.ascontiguousarray(np.column_stack([y] * 4)), y)
    plain = {"max_depth": 1, "min_child_weight": 0, "reg_lambda": 0, "subsample": 1.0}
    params = params.model_copy(update=plain | {"rounds": rounds})
    tables = replace(make_tables("regression"), train=rows, validation=rows.none())
    booster = load(train(build_matrix(tables, params, 1), params, 0).booster).booster
    trees = [json.loads(tree) for tree in booster.get_dump(dump_format="json")]
    return [max(leaf["leaf"] for leaf in tree["children"]) for tree in trees]


@pytest.mark.parametrize("name", FALLING)
def test_boosting_on_a_quadratic_takes_the_steps_of_the_schedule(name, make_tables):
    """Each leaf is gradient descent on (x - 2) ** 2 / 2 from the mean, 1.

    XGBoost's callback is asked after each round: the first round has the rate of round 0, the
    second that of round 1, and so on.
    """
    params, left, steps = scheduled(name), 1.0, []
    for number in range(25):
        steps.append(rate_at(params, number) * left)
        left -= steps[-1]
    np.testing.assert_allclose(steps_of(params, 25, make_tables), steps, rtol=1e-3)


@pytest.fixture(scope="module")
def tables(make_tables):
    return make_tables("regression")


def quickly(name: str, **more) -> Train:
    return scheduled(name, max_depth=3, min_child_weight=1.0, max_bin=64, **more)


@pytest.mark.slow
@pytest.mark.parametrize("name", FALLING)
def test_each_schedule_makes_the_same_bytes_for_any_threads_and_another_model(name, tables):
    params = quickly(name, rounds=40, early_stopping_rounds=5)
    matrix = build_matrix(tables, params, 1)
    single, two = (train(matrix, params, 7, threads=threads) for threads in (1, 2))
    assert (single.booster, single.history) == (two.booster, two.history)
    constant = quickly("constant", rounds=40, early_stopping_rounds=5)
    assert single.booster != train(matrix, constant, 7).booster
    assert load(single.booster).booster.num_boosted_rounds() == single.rounds


@pytest.mark.parametrize("name", FALLING)
def test_a_refit_for_fixed_rounds_takes_the_same_steps(name, tables):
    """The rounds that early stopping kept, boosted again without it, are the same trees."""
    params = quickly(name, rounds=40, early_stopping_rounds=5)
    stopped = train(build_matrix(tables, params, 1), params, 1)
    blind = replace(tables, validation=tables.train.none())
    fixed = params.model_copy(update={"rounds": stopped.rounds})
    again = train(build_matrix(blind, fixed, 1), fixed, 1)
    np.testing.assert_array_equal(
        load(again.booster).predict(tables.holdout.x),
        load(stopped.booster).predict(tables.holdout.x),
    )


def test_nothing_stops_a_training_while_the_rate_still_falls(tables):
    """At a high rate the loss soon falls no more; with smaller steps it falls again."""
    noisy = Table(tables.validation.x, tables.validation.y)
    rows = replace(tables, validation=noisy)
    how = {"rate": 1.0, "length": 30, "end": 0.02, "rounds": 200}
    waits = quickly("cosine", early_stopping_rounds=3, **how)
    seen = train(build_matrix(rows, waits, 1), waits, 0)
    stops = waits.with_schedule("constant")
    alone = train(build_matrix(rows, stops, 1), stops, 0)
    assert len(alone.history["validation"]) < 30 <= len(seen.history["validation"]) < 200
    assert seen.rounds == int(np.argmin(seen.history["validation"])) + 1


@pytest.mark.parametrize("task", ["absolute", "quantile", "squared", "gamma"])
def test_the_rate_reaches_losses_whose_leaves_are_set_anew(task, tables):
    """XGBoost sets leaves of absolute and quantile to medians and quantiles of what is left."""
    lifted = [Table(part.x, np.exp(part.y / 4)) for part in (tables.train, tables.validation)]
    rows = replace(tables, train=lifted[0], validation=lifted[1])
    moved = {}
    for name in ("constant", "exponential"):
        params = quickly(name, rounds=30, early_stopping_rounds=30, loss=task)
        done = train(
            build_matrix(replace(rows, validation=rows.train.none()), params, 1), params, 0
        )
        booster = load(done.booster).booster
        late = [
            booster.inplace_predict(rows.train.x, iteration_range=(0, upto), predict_type="margin")
            for upto in (25, 30)
        ]
        moved[name] = float(np.abs(late[1] - late[0]).mean())
    assert moved["exponential"] < 0.7 * moved["constant"]
