"""What keeps two models from being compared, by name; nothing is then promoted by itself."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from promotion.gated import broken
from promotion.relearnt import relearnt
from recipes.people import candidate, people

from evergreen.decision import ASK, KEEP, PROMOTE, REFUSE
from evergreen.errors import InputError
from evergreen.evaluation.evaluate import predict
from evergreen.features.definition import Definition, LostError, Written
from evergreen.features.keys import KEY, hash_keys
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.promotion.candidate import Candidate
from evergreen.promotion.judge import judge
from evergreen.promotion.rollback import judge_rollback
from evergreen.report.comparison import draw_comparison

pytestmark = pytest.mark.usefixtures("same_resamples")


def with_encoder(candidate: Candidate, **changes: Any) -> Candidate:
    encoder = replace(candidate.model.encoder, **changes)
    known = vars(candidate.model) | {"encoder": encoder}
    return replace(
        candidate,
        model=SimpleNamespace(**known, predict_rows=lambda rows: encoder.transform(rows)[:, 0]),
    )


def keys_of(rows: pl.DataFrame) -> Any:
    return hash_keys(rows, [f"{KEY}id"])


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("who", ["champion", "challenger"])
def test_rows_that_one_has_learnt_from_are_a_fault_that_names_it_and_counts_them(
    task, who, world, settle
):
    sides = {"champion": world.champion(task), "challenger": world.better(task)}
    sides[who] = relearnt(sides[who], keys_of(world.holdout(task)[:7]))
    judged, decision = settle(task, sides["challenger"], sides["champion"])
    name = "model (1)" if who == "champion" else "challenger"
    expected = "it cannot be compared: 7 of 1,500 rows of the comparison were in the training data "
    expected += f"of the {name}"
    assert decision.action == REFUSE
    assert any(reason.startswith(expected) for reason in decision.reasons)
    assert len(judged.evidence.faults) == 1
    assert judged.evidence.comparison.whole == {}
    assert "champion" not in judged.predictions


def test_a_first_model_that_has_learnt_the_rows_is_refused(world, settle):
    known = relearnt(world.better("binary"), keys_of(world.holdout("binary")[:1]))
    _, decision = settle("binary", known, None)
    assert broken(decision) == {"comparable"}
    assert "1 of 1,500 rows" in decision.reasons[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"features": ("first", "gone", "lost")},
            "the rows lack the feature(s) gone, lost, which the model needs",
        ),
        ({"features": ("place",), "levels": {}}, "feature 'place' must be a number, found String"),
    ],
)
def test_a_champion_that_cannot_be_compared_is_a_fault_that_refuses(changes, reason, world, settle):
    champion = with_encoder(world.champion("binary"), **changes)
    judged, decision = settle("binary", world.better("binary"), champion)
    assert "comparable" in broken(decision)
    assert decision.reasons[0].startswith("it cannot be compared: ")
    assert reason in decision.reasons[0]
    assert judged.evidence.champion == "1"  # it lives, and nobody took its place unseen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"classes": ("no", "maybe", "yes")},
            "predicts binary of no, maybe, yes, the challenger binary of no, yes",
        ),
        ({"classes": ("yes", "no")}, "it predicts binary of yes, no"),
        (
            {"task": "multiclass"},
            "predicts multiclass of no, yes, the challenger binary of no, yes",
        ),
        (
            {"task": "regression", "classes": ()},
            "predicts regression of a number, the challenger binary of no, yes",
        ),
    ],
)
def test_a_champion_that_answers_another_question_goes_by_a_persons_word_only(
    changes, reason, world, settle
):
    champion = with_encoder(world.champion("binary"), **changes)
    judged, decision = settle("binary", world.better("binary"), champion)
    assert (decision.action, broken(decision)) == (ASK, set())
    assert decision.reasons[0].startswith("not compared with the champion, version 1: ")
    assert reason in decision.reasons[0]
    assert "`evergreen promote --approve`" in decision.reasons[0]
    assert judged.evidence.comparison.whole == {}  # no number that would be read as if it held
    assert "champion" not in judged.predictions
    worse = world.learn("binary", world.draw_rows("binary", 30, 5), version="3")
    refused = settle("binary", worse, champion)[1]
    assert refused.action == REFUSE  # it has to beat the baselines, as a first one
    assert any(
        reason.startswith("nothing was compared with the champion: ") for reason in refused.reasons
    )


def definition(**changes: Any) -> Definition:
    said = {
        "task": "binary",
        "label": Written.of(pl.col("late") > 15),
        "features": {},
        "key": ("id",),
        "time": "day",
    }
    return Definition(**said | changes)


@pytest.mark.parametrize(
    ("was", "reason"),
    [
        ({}, None),
        # The rows that it has learnt from are known by the key of then
        ({"key": ("other",)}, None),
        (
            {"label": Written.of(pl.col("late") > 60)},
            'it predicts [(col("late")) > (dyn int: 60)] (binary), and label',
        ),
        ({"task": "regression"}, "(regression), and label is"),
        ({"time": ""}, "time was no column and is 'day' now"),
    ],
)
def test_a_label_that_was_changed_is_seen(was, reason, world, settle):
    def told(candidate: Candidate, **changes: Any) -> Candidate:
        known = vars(candidate.model) | {"definition": definition(**changes)}
        return replace(
            candidate, model=SimpleNamespace(**known, predict_rows=candidate.model.predict_rows)
        )

    champion, better = told(world.champion("binary"), **was), told(world.better("binary"))
    _, decision = settle(
        "binary", better, champion, reloaded=better.model.predict_rows(world.holdout("binary"))
    )
    assert decision.action == (ASK if reason else PROMOTE)
    assert (reason or "") in decision.reasons[0]
    back = judge_rollback(
        world.holdout("binary"), better, champion, "roc_auc", world.params("binary")
    )
    if reason:
        assert (back.action, reason in back.reasons[0]) == (KEEP, True)


def test_a_champion_whose_features_are_gone_goes_by_a_persons_word_only(world, settle):
    def gone(rows: pl.DataFrame) -> pl.DataFrame:
        raise LostError("the model needs the column 'first', which is not there any more")

    champion = replace(world.champion("binary"), own=gone)
    _, decision = settle("binary", world.better("binary"), champion)
    assert decision.action == ASK
    assert "needs the column 'first'" in decision.reasons[0]


@pytest.mark.slow
def test_a_champion_is_compared_by_its_own_features(world, settle):
    """What it calls `first` is computed otherwise by now."""
    champion, better = world.champion("binary"), world.better("binary")
    same = settle("binary", better, champion)[0].evidence.comparison.whole
    turned = replace(champion, own=lambda rows: rows.with_columns(-pl.col("first")))
    other = settle("binary", better, turned)[0].evidence.comparison.whole
    assert same["roc_auc"].challenger == other["roc_auc"].challenger
    assert same["roc_auc"].champion > other["roc_auc"].champion


def test_a_challenger_that_the_rows_do_not_suit_is_an_error(world, settle):
    challenger = with_encoder(world.better("binary"), features=("first", "gone"))
    with pytest.raises(InputError, match=r"the rows lack the feature\(s\) gone"):
        settle("binary", challenger, world.champion("binary"), reloaded=np.zeros(1500))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "champion"),
    [
        ("binary", True),
        ("regression", False),
        *(
            pytest.param(task, champion, marks=pytest.mark.long)
            for task, champion in (
                ("binary", False),
                ("regression", True),
                ("multiclass", False),
                ("multiclass", True),
            )
        ),
    ],
)
def test_too_few_rows_are_a_refusal_that_says_so(task, champion, world, settle, tmp_path):
    rows = world.holdout(task)[:29]
    judged, decision = settle(
        task, world.better(task), world.champion(task) if champion else None, rows=rows
    )
    assert decision.action == REFUSE
    assert "the 29 rows of the holdout are too few, or of one class; " in decision.reasons[0]
    assert "wait for more rows" in decision.reasons[0]
    assert {"comparable", "better"} <= broken(decision)
    found = judged.evidence.comparison
    assert (found.rows, found.whole, found.models, found.slices, found.baselines) == (
        29,
        {},
        None,
        {},
        {},
    )
    assert (
        draw_comparison(judged, decision, "few", tmp_path / "few.png", metrics=LIBRARY)
        .stat()
        .st_size
        > 10_000
    )


@pytest.mark.parametrize("who", ["champion", "challenger"])
@pytest.mark.parametrize("where", ["packaged", "seeds"])
def test_predictions_that_are_no_numbers_are_told_not_judged(
    who, where, world, settle, monkeypatch
):
    """Either an error that says whose, or a refusal; never a promotion, never a traceback."""
    sides = {"champion": world.champion("binary"), "challenger": world.better("binary")}

    def spoil(p: Any) -> Any:
        return np.where(np.arange(len(p)) < 5, np.nan, p)

    if where == "packaged":
        sides[who] = relearnt(sides[who], np.array([1], np.uint64))
        whole = sides[who].model.predict_rows
        sides[who].model.predict_rows = lambda rows: spoil(whole(rows))
    else:
        spoilt = set(sides[who].seeds)

        class Spoiling:
            def load(self, content: bytes) -> Any:
                said = lambda x: predict(content, x)  # noqa: E731
                return SimpleNamespace(
                    predict=lambda x: spoil(said(x)) if content in spoilt else said(x)
                )

        monkeypatch.setattr("evergreen.promotion.candidate.find_learner", lambda _: Spoiling())
    try:
        _, decision = settle("binary", sides["challenger"], sides["champion"])
    except InputError as error:
        told = str(error)
    else:
        assert decision.action == REFUSE
        told = " ".join(decision.reasons)
    assert f"version {sides[who].version}" in told
    assert "5 of 1,500" in told


def test_a_challenger_that_has_learnt_from_later_rows_is_refused(world, settle):
    """By time: what it knows of May says something of April, though no key is shared."""
    ahead = relearnt(world.better("binary"), np.array([1], np.uint64), newest="2013-05-20 00:00:00")
    _, decision = settle("binary", ahead, world.champion("binary"))
    assert broken(decision) >= {"comparable"}


@pytest.mark.slow
def test_a_packaged_model_that_is_none_of_its_sweep_is_refused(world, settle):
    """The sweep is what is compared: it must be the packaged model's own."""
    stranger = world.learn("binary", world.draw_rows("binary", 3000, 8), seeds=(70,))
    challenger = replace(stranger, seeds=world.better("binary").seeds)
    judged, decision = settle("binary", challenger, world.champion("binary"))
    assert decision.action == REFUSE
    assert len(judged.evidence.faults) == 1
    assert "not of its own sweep" in judged.evidence.faults[0]


def test_a_packaged_mean_that_is_none_of_its_sweep_is_a_fault(world):
    own, rows = candidate("binary", 1.0, "2"), people("binary", 300, 7)
    stranger = replace(own, seeds=candidate("binary", 0.7, "3").seeds)
    assert own.predict(rows).averaged
    assert judge(rows, own, None, {}, world.params("binary")).evidence.faults == ()
    (fault,) = judge(rows, stranger, None, {}, world.params("binary")).evidence.faults
    assert "not of its own sweep" in fault


def test_a_model_that_says_it_has_learnt_from_no_row_is_refused(world, settle):
    nobody = relearnt(world.better("binary"), np.array([], np.uint64))
    _, decision = settle("binary", nobody, world.champion("binary"))
    assert decision.action == REFUSE
