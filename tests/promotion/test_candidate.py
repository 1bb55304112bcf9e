"""Candidate: what a version predicts, and which rows can judge it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from promotion.relearnt import refit_of, relearnt

from evergreen.decision import PROMOTE, REFUSE
from evergreen.evaluation.held_out import HeldOut
from evergreen.features.keys import hash_rows
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.promotion.candidate import Candidate
from evergreen.promotion.judge import judge

pytestmark = pytest.mark.usefixtures("same_resamples")


@pytest.mark.slow
def test_rows_that_it_has_not_learnt_from_are_predicted_by_the_live_model(world):
    rows = world.holdout("binary")
    live = refit_of(world.champion("binary"), rows[:700], world)
    side, whole = live.predict_unseen(rows), live.predict(rows)
    # Here both are of the same boosters
    np.testing.assert_array_equal(side.prediction, whole.prediction)
    shifted = replace(live.held_out(), packaged=live.held_out().packaged + 1)
    moved = replace(live, held_out=lambda: shifted).predict_unseen(rows)
    np.testing.assert_array_equal(
        np.flatnonzero(moved.prediction != side.prediction), np.arange(700)
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_champion_that_has_learnt_the_rows_is_spoken_for_by_what_was_said_before(
    task, world, settle
):
    """The same decision, and the same numbers, as of the champion before its refit."""
    champion, rows = world.champion(task), world.holdout(task)
    before, _ = settle(task, world.better(task), champion)
    after, decision = settle(task, world.better(task), refit_of(champion, rows, world))
    assert decision.action == PROMOTE
    assert after.evidence.comparison == before.evidence.comparison
    np.testing.assert_array_equal(after.predictions["champion"], before.predictions["champion"])


def test_rows_that_it_has_learnt_from_and_was_not_judged_by_are_a_fault(world, settle):
    rows = world.holdout("binary")
    champion = refit_of(world.champion("binary"), rows, world)
    few = HeldOut.of(hash_rows(rows)[:100], np.zeros(100), (np.zeros(100),))
    judged, decision = settle(
        "binary", world.better("binary"), replace(champion, held_out=lambda: few)
    )
    assert decision.action == REFUSE
    assert (
        "1,400 of 1,500 rows that the model was trained on were never used to judge it"
        in decision.reasons[0]
    )
    assert judged.evidence.comparison.whole == {}


@pytest.mark.slow
def test_rows_that_it_has_learnt_from_and_was_not_judged_by_are_left_out_where_most_remain(
    world, settle
):
    """Late rows, and a cut by time that has moved: the comparison is that on the rows that both can
    be judged by.
    """
    rows, challenger = world.holdout("binary"), world.better("binary")
    champion = refit_of(world.champion("binary"), rows, world)
    said = champion.held_out()
    kept = np.isin(hash_rows(rows), said.keys[::3], invert=True)  # of two rows in three it is known
    some = HeldOut.of(hash_rows(rows)[kept], *(champion_predictions(champion, rows, kept)))
    reloaded = challenger.model.predict_rows(rows)[kept]
    judged, decision = settle(
        "binary", challenger, replace(champion, held_out=lambda: some), reloaded=reloaded
    )
    assert decision.action == PROMOTE
    assert "500 of 1,500 rows of the holdout are left out of the comparison" in decision.reasons[-1]
    alone, _ = settle(
        "binary",
        challenger,
        refit_of(world.champion("binary"), rows.filter(kept), world),
        rows=rows.filter(kept),
        baselines={},
    )
    assert judged.evidence.comparison.whole == alone.evidence.comparison.whole
    assert len(judged.y) == len(judged.predictions["champion"]) == 1000
    assert len(judged.held_out.keys) == 1500  # what goes live learns from all


@pytest.mark.slow
@pytest.mark.parametrize(
    ("judging", "says"),
    [
        (750, "750 of 1,500 rows of the holdout are left out of the comparison"),
        (749, "751 of 1,500 rows that the model was trained on were never used to judge it"),
    ],
)
def test_where_less_than_half_of_the_rows_remain_nothing_is_compared(judging, says, world):
    rows = world.holdout("binary")
    champion = refit_of(world.champion("binary"), rows, world)
    kept = np.arange(1500) < judging
    some = HeldOut.of(hash_rows(rows)[kept], *(champion_predictions(champion, rows, kept)))
    champion = replace(champion, held_out=lambda: some)
    evidence = judge(rows, world.better("binary"), champion, {}, world.params("binary")).evidence
    (said,) = (*evidence.notes, *evidence.faults)
    assert says in said
    compared = judging == 750
    assert (bool(evidence.comparison.whole), evidence.faults == ()) == (compared, compared)


def champion_predictions(
    champion: Candidate, rows: pl.DataFrame, kept: Any
) -> tuple[Any, tuple[Any, ...]]:
    side = champion.predict(rows)
    return side.prediction[kept], tuple(seed[kept] for seed in side.seeds)


@pytest.mark.slow
def test_a_champion_that_has_learnt_from_rows_that_are_gone_is_judged_by_the_next_batch(
    world, settle
):
    """The batch that judged it was dropped: nothing is compared on older rows, which it knows, and
    then again all is.
    """
    gone, older, later = (world.draw_rows("binary", 1500, seed, "holdout") for seed in (5, 6, 7))
    champion = refit_of(world.champion("binary"), gone, world)
    keys = np.concatenate([champion.model.learnt.keys, hash_rows(older)])
    champion = replace(relearnt(champion, keys), held_out=champion.held_out)
    _, decision = settle("binary", world.better("binary"), champion, rows=older)
    assert decision.action == REFUSE
    assert "`evergreen rollback`" in decision.reasons[0]
    assert settle("binary", world.better("binary"), champion, rows=later)[1].action == PROMOTE


@pytest.mark.slow
def test_a_batch_whose_rows_were_replaced_is_judged_by_what_was_said_and_what_is_said_now(
    world, settle
):
    """Half of the rows have other keys now: of those the live model has learnt nothing."""
    rows = world.holdout("binary")
    champion = refit_of(world.champion("binary"), rows, world)
    replaced = pl.concat([rows[:750], world.draw_rows("binary", 750, 9, "holdout")])
    judged, decision = settle("binary", world.better("binary"), champion, rows=replaced)
    assert decision.action == PROMOTE
    assert judged.evidence.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_same_model_before_its_refit_is_a_refresh_that_is_no_worse_and_no_change(
    task, world, settle
):
    """Challenger and champion have learnt from the very same rows by the same seeds: not a row
    tells them apart.
    """
    champion = world.better(task)
    equal = replace(champion, version="2")
    judged, decision = settle(task, equal, replace(champion, version="1"), refresh=True)
    assert decision.action == PROMOTE
    assert judged.evidence.comparison.models.value == 0
    assert settle(task, equal, replace(champion, version="1"))[1].action == REFUSE


@pytest.mark.slow
def test_a_rerun_without_new_data_is_judged_by_what_was_said_before_the_refit(world, settle):
    """The champion has learnt from the rows that judge, and would look far too good on them."""
    judged = world.champion("binary")
    live = world.learn(
        "binary",
        pl.concat([world.draw_rows("binary", 400, 1), world.holdout("binary")]),
        version="1",
    )
    said = judged.predict_unseen(world.holdout("binary"))
    known = HeldOut.of(hash_rows(world.holdout("binary")), said.prediction, said.seeds)
    champion = replace(live, held_out=lambda: known)
    found, decision = settle("binary", world.better("binary"), champion)
    assert decision.action == PROMOTE
    # Of the old kind: rows in common
    assert settle("binary", world.better("binary"), live)[1].action == REFUSE
    by_heart = LIBRARY.measure("binary", found.y, live.model.predict_rows(world.holdout("binary")))[
        "roc_auc"
    ]
    assert found.evidence.comparison.whole["roc_auc"].champion < by_heart - 0.02
