"""Luck, over many trials: how often the gate promotes what is not better, and misses what is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from promotion.gated import why_broken as broken

from evergreen.decision import PROMOTE
from evergreen.evaluation.evaluate import predict
from evergreen.features.split import LABEL, SLICE, TIME
from evergreen.promotion.candidate import Candidate
from evergreen.promotion.compare import Side

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("same_resamples")]
POOL, ROWS, PEOPLE = 16, 500, 4000


@cache
def pool_of(
    learn: Callable[..., Candidate], draw: Callable[..., pl.DataFrame], task: str, rows: int
) -> Any:
    """The predictions of many seeds of one way of training for many rows, shape (seeds, rows)."""
    candidate = learn(task, draw(task, rows, 1), seeds=range(POOL))
    x = candidate.model.encoder.transform(draw(task, PEOPLE, 9, "holdout"))
    return np.array([predict(booster, x) for booster in candidate.seeds])


def share_promoted(task: str, rows: int, sweep: int, trials: int, world: Any, settle: Any) -> float:
    """How often a sweep from `rows` rows is promoted over one from 400, no seed on both sides, on
    newly drawn rows.
    """
    old, new = (pool_of(world.learn, world.draw_rows, task, count) for count in (400, rows))
    people = world.draw_rows(task, PEOPLE, 9, "holdout").drop(f"{SLICE}place")  # they only refuse
    promoted = []
    for trial in range(trials):
        draw = np.random.default_rng([1, trial])
        some, seeds = np.sort(draw.choice(PEOPLE, ROWS, replace=False)), draw.permutation(POOL)
        sides = [
            Side(pool[mine[0]][some], tuple(pool[seed][some] for seed in mine))
            for pool, mine in ((old, seeds[:sweep]), (new, seeds[sweep : 2 * sweep]))
        ]
        champion, challenger = (
            world.tell(task, side, version) for side, version in zip(sides, "12", strict=True)
        )
        flat = {"constant": np.full_like(sides[0].prediction, sides[0].prediction.mean())}
        _, decision = settle(
            task, challenger, champion, rows=people[some], baselines=flat, seeds=sweep
        )
        promoted.append(decision.action == PROMOTE)
    return float(np.mean(promoted))


@pytest.mark.parametrize("sweep", [3, 8])
def test_the_champion_with_other_seeds_is_rarely_promoted(sweep, world, settle):
    """At most in 5% of 60 trials: `low > 0` alone lets 2.5% through, and then four or more have a
    chance of 6%.
    """
    assert share_promoted("regression", 400, sweep, 60, world, settle) <= 0.05


def test_what_is_truly_better_is_mostly_promoted(world, settle):
    """A gate that refuses everything would pass every test above. Ten times the rows; of 20 trials,
    16.
    """
    assert share_promoted("regression", 4000, 8, 20, world, settle) >= 0.8


def test_a_first_model_that_has_learnt_nothing_is_rarely_promoted(world, settle):
    """Labels that nothing tells: at most in 5% of 60 trials may it pass for better than a constant
    and a linear model.

    Its seeds learn from the same rows and so are much alike.
    """
    rows, draw, promoted = (
        world.draw_rows("regression", 300, 5, "holdout"),
        np.random.default_rng(2),
        [],
    )
    rows = rows.drop(f"{SLICE}place")
    for _ in range(60):
        label = draw.normal(size=300)
        told = 0.05 * draw.normal(size=300)
        side = Side(told, tuple(told + 0.002 * draw.normal(size=300) for _ in range(4)))
        others = {"constant": np.zeros(300), "linear": 0.05 * draw.normal(size=300)}
        _, decision = settle("regression", world.tell("regression", side), None, baselines=others,
                             rows=rows.with_columns(pl.Series(LABEL, label)))  # fmt: skip
        promoted.append(decision.action == PROMOTE)
    assert np.mean(promoted) <= 0.05


def test_few_rows_do_not_make_a_true_probability_uncalibrated(world, settle):
    """A first model that says each row's true chance, on 100 rows: at most one trial of ten may
    call that wrong.
    """
    rows, refused = world.draw_rows("binary", 100, 5, "holdout").drop(f"{SLICE}place"), []
    for trial in range(20):
        draw = np.random.default_rng([6, trial])
        chance = draw.random(100)
        label = pl.Series(LABEL, np.where(draw.random(100) < chance, "yes", "no"))
        oracle = world.tell("binary", Side(chance, (chance,) * 4))
        _, decision = settle(
            "binary", oracle, None, rows=rows.with_columns(label), baselines={"flat": chance * 0}
        )
        refused.append("calibration" in broken(decision))
    assert np.mean(refused) <= 0.1


def test_rows_of_one_day_are_no_independent_witnesses(world, settle):
    """Neither model is better: each is off by an amount that is new every day, 30 days of 20 rows.

    Rows of a day share their weather. 60 trials: a 95% interval should hold the truth, no
    difference, in 85% at least.
    """
    rows, draw, held = (
        world.draw_rows("regression", 600, 5, "holdout"),
        np.random.default_rng(3),
        [],
    )
    rows, y = rows.drop(f"{SLICE}place"), rows[LABEL].to_numpy()
    day = rows[TIME].dt.ordinal_day().to_numpy() - rows[TIME][0].timetuple().tm_yday
    assert np.bincount(day).tolist() == [20] * 30
    for _ in range(60):
        told = [y + draw.normal(size=600) + draw.normal(size=30)[day] for _ in range(2)]
        champion, challenger = (
            world.tell("regression", Side(predicted, (predicted,) * 4), name)
            for name, predicted in zip("12", told, strict=True)
        )
        judged, _ = settle("regression", challenger, champion, rows=rows, baselines={})
        found = judged.evidence.comparison.whole["rmse"]
        held.append(found.low <= 0 <= found.high)
    assert np.mean(held) >= 0.85


def test_a_slice_that_falls_far_is_seen_with_three_seeds(world, settle):
    """Twenty slices of 150 rows; in one, right answers fall from 80% to 60%, while they rise in the
    others.
    """
    rows, place, seen = world.draw_rows("multiclass", 3000, 7, "holdout"), np.arange(3000) % 20, []
    rows = rows.with_columns(pl.Series(f"{SLICE}place", [f"level {at:02}" for at in place]))
    y = world.encoder("multiclass").transform_label(rows[LABEL]).astype(int)

    def answer(edge: Any, hard: Any, draw: np.random.Generator) -> Side:
        own = 0.8 * hard + 0.5 * draw.normal(size=3000)
        wrong = [own + 0.33 * draw.normal(size=3000) > edge for _ in range(3)]
        members = tuple(np.eye(3)[(y + shift) % 3] for shift in wrong)
        return Side(members[0], members)

    for trial in range(10):
        draw = np.random.default_rng([4, trial])
        hard = draw.normal(size=3000)
        edges = {"1": 0.84, "2": np.where(place == 7, 0.25, 1.04)}
        champion, challenger = (
            world.tell("multiclass", answer(edge, hard, draw), v) for v, edge in edges.items()
        )
        _, decision = settle("multiclass", challenger, champion, rows=rows, baselines={}, seeds=3)
        seen.append("level 07" in broken(decision).get("slices", ""))
    assert np.mean(seen) >= 0.8
