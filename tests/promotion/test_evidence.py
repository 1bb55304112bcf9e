"""Evidence: what the gate knows of two candidates, and what keeps them from being compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from promotion.relearnt import broken, refit_of, relearnt

from evergreen.decision import ASK, KEEP, PROMOTE, REFUSE
from evergreen.errors import InputError
from evergreen.evaluation.calibration import calibration_error
from evergreen.evaluation.evaluate import predict
from evergreen.evaluation.held_out import HeldOut
from evergreen.features.definition import Definition, LostError, Written
from evergreen.features.keys import KEY, hash_keys, hash_rows
from evergreen.features.split import GROUP, LABEL, SLICE, TIME
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.promotion.candidate import Candidate
from evergreen.promotion.compare import Side
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


# --- what is gathered
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_the_evidence_is_what_both_models_say_of_the_rows(task, world, settle):
    champion, challenger, rows = world.champion(task), world.better(task), world.holdout(task)
    judged, decision = settle(task, challenger, champion, groups=True)
    evidence = judged.evidence
    x, y = (
        challenger.model.encoder.transform(rows),
        challenger.model.encoder.transform_label(rows[LABEL]),
    )
    metric = LIBRARY.pick(None, task)
    assert decision.action == PROMOTE
    assert (evidence.champion, evidence.seeds_expected, evidence.faults, evidence.reload) == (
        "1",
        4,
        (),
        0.0,
    )
    assert evidence.comparison.metric == metric
    assert evidence.comparison.rows == rows.height
    for name, side in (("champion", champion), ("challenger", challenger)):
        assert judged.predictions[name].tobytes() == side.model.predict_rows(rows).tobytes()
        alone = [LIBRARY.measure(task, y, predict(booster, x))[metric] for booster in side.seeds]
        assert evidence.comparison.by_seed[name] == pytest.approx(alone)
    assert evidence.calibration == tuple(
        calibration_error(task, y, judged.predictions[name]) for name in ("champion", "challenger")
    )
    assert list(evidence.comparison.slices) == [f"place={name}" for name in sorted(world.places)]
    assert list(evidence.comparison.baselines) == ["constant", "linear"]
    assert list(evidence.groups) == ["member"]
    assert judged.y.tobytes() == y.tobytes()


@pytest.mark.parametrize("task", TASKS)
def test_without_a_champion_the_challenger_is_judged_alone(task, world, settle):
    judged, decision = settle(task, world.better(task), None)
    assert decision.action == PROMOTE
    assert (judged.evidence.champion, judged.evidence.champion_age_days) == (None, None)
    assert judged.evidence.calibration[0] is None
    assert list(judged.predictions) == ["challenger"]


@pytest.mark.parametrize("task", TASKS)
def test_a_mean_of_seeds_is_compared_as_the_mean(task, world, settle):
    mean, rows = world.better(task, "mean"), world.holdout(task)
    judged, _ = settle(task, mean, world.champion(task))
    assert mean.predict_unseen(rows).averaged
    assert not world.better(task).predict_unseen(rows).averaged
    metric = LIBRARY.pick(None, task)
    found = judged.evidence.comparison
    shown = LIBRARY.measure(task, judged.y, judged.predictions["challenger"])[metric]
    assert found.whole[metric].challenger == pytest.approx(shown)
    assert len(found.by_seed["challenger"]) == 4
    assert found.whole[metric].challenger != pytest.approx(
        np.mean(found.by_seed["challenger"]), rel=1e-4
    )


@pytest.mark.parametrize(
    ("task", "labels", "classes", "codes"),
    [
        ("binary", ["no", "yes", "no"], ("no", "yes"), [0, 1, 0]),
        ("binary", ["10", "9", "10"], ("9", "10"), [1, 0, 1]),
        ("multiclass", ["c", "a", "b"], ("c", "b", "a"), [0, 2, 1]),
        ("regression", [1.5, -2.0, 0.25], (), [1.5, -2.0, 0.25]),
    ],
)
def test_labels_are_codes_of_the_challengers_classes(task, labels, classes, codes, world, settle):
    encoder = replace(world.encoder(task), classes=classes)
    rows = world.draw_rows(task, 90, 0, "holdout").with_columns(pl.Series(LABEL, labels * 30))
    draw = np.random.default_rng(0)
    p = draw.dirichlet(np.ones(3), 90) if task == "multiclass" else draw.random(90)
    judged, _ = settle(
        task,
        world.tell(task, Side(p, (p, p)), encoder=encoder),
        None,
        rows=rows,
        baselines={"flat": p},
    )
    assert judged.y.tolist() == codes * 30


def test_a_label_that_no_training_row_had_is_an_error_that_names_it(world, settle):
    rows = world.holdout("binary").with_columns(pl.Series(LABEL, ["perhaps"] * 1500))
    with pytest.raises(
        InputError, match="label 'perhaps' is in no training row; those hold no, yes"
    ):
        settle("binary", world.better("binary"), world.champion("binary"), rows=rows)


@pytest.mark.parametrize(("metric", "expected"), [(None, "roc_auc"), ("log_loss", "log_loss")])
def test_the_metric_that_decides_is_a_parameter(metric, expected, world, settle):
    judged, decision = settle(
        "binary", world.better("binary"), world.champion("binary"), metric=metric
    )
    assert judged.evidence.comparison.metric == expected
    assert decision.reasons[0].startswith(f"better beyond the noise: {expected} ")


@pytest.mark.parametrize(
    ("task", "metric"), [("binary", "rocauc"), ("binary", "rmse"), ("multiclass", "brier")]
)
def test_a_metric_that_the_task_does_not_have_is_an_error_that_names_it(
    task, metric, world, settle
):
    with pytest.raises(InputError, match=metric):
        settle(task, world.better(task), world.champion(task), metric=metric)


def test_notes_and_the_number_of_seeds_are_handed_on(world, settle):
    judged, decision = settle(
        "binary", world.better("binary"), None, seeds=6, notes=("a check was off",)
    )
    assert (judged.evidence.notes, judged.evidence.seeds_expected) == (("a check was off",), 6)
    assert broken(decision) == {"seeds"}


# --- slices and groups
# ------------------------------------------------------------------------------------------------


def slices_of(column: list[str | None], world: Any, settle: Any) -> dict[str, Any]:
    rows = world.draw_rows("regression", len(column), 0, "holdout").with_columns(
        pl.Series(f"{SLICE}place", column)
    )
    judged, _ = settle(
        "regression", world.better("regression"), world.champion("regression"), rows=rows
    )
    return dict(judged.evidence.comparison.slices)


@pytest.mark.parametrize(
    ("levels", "names"),
    [
        ({"ash": 30, "bay": 29, "cove": 200}, ["place=ash", "place=cove"]),
        ({"ash": 400}, ["place=ash"]),
        ({None: 100, "ash": 100}, ["place=ash"]),
        ({"a=b|c": 100, "": 100}, ["place=", "place=a=b|c"]),
        ({None: 200}, []),
    ],
)
def test_each_value_of_30_rows_is_a_slice(levels, names, world, settle):
    column = [level for level, count in levels.items() for _ in range(count)]
    assert list(slices_of(column, world, settle)) == names


def test_a_slice_holds_the_rows_of_its_value(world, settle):
    column = ["ash", "bay", None] * 200
    found = slices_of(column, world, settle)
    rows = world.draw_rows("regression", 600, 0, "holdout").filter(np.arange(600) % 3 == 1)
    challenger = world.better("regression")
    x, y = (
        challenger.model.encoder.transform(rows),
        challenger.model.encoder.transform_label(rows[LABEL]),
    )
    alone = [
        LIBRARY.measure("regression", y, predict(seed, x))["rmse"] for seed in challenger.seeds
    ]
    assert found["place=bay"].challenger == pytest.approx(np.mean(alone))


def test_sixty_slices_are_all_looked_at(world, settle):
    column = [f"level {at % 60:02}" for at in range(60 * 40)]
    found = slices_of(column, world, settle)
    assert len(found) == 60
    known = [lead for lead in found.values() if lead]
    assert len(known) == 60
    assert min(lead.high - lead.low for lead in known) > 0


def test_a_row_whose_group_is_not_known_is_in_a_group_too(world, settle):
    """A person who does not say is a person."""
    rows = world.holdout("regression")
    unknown = pl.Series(f"{GROUP}member", [None, "us", "them"] * 500)
    judged, _ = settle(
        "regression", world.better("regression"), None, rows=rows.with_columns(unknown), groups=True
    )
    named = pl.Series(f"{GROUP}member", ["who knows", "us", "them"] * 500)
    other, _ = settle(
        "regression", world.better("regression"), None, rows=rows.with_columns(named), groups=True
    )
    assert judged.evidence.groups == other.evidence.groups


def test_groups_that_are_declared_but_too_small_are_not_called_undeclared(world, settle):
    rows = world.holdout("regression").with_columns(
        pl.Series(f"{GROUP}member", ["us"] * 1480 + ["them"] * 20)
    )
    _, decision = settle("regression", world.better("regression"), None, rows=rows, groups=True)
    told = next(rule["says"] for rule in decision.rules if rule["name"] == "groups")
    assert "no groups are declared" not in told


def test_without_slices_and_groups_nothing_is_looked_at(world, settle):
    rows = world.holdout("regression").drop(f"{SLICE}place", f"{GROUP}member")
    judged, decision = settle(
        "regression", world.better("regression"), world.champion("regression"), rows=rows
    )
    assert (judged.evidence.comparison.slices, dict(judged.evidence.groups)) == ({}, {})
    told = {rule["name"]: rule["says"] for rule in decision.rules}
    assert told["slices"] == "no slice to compare"
    assert "groups in dataset.py" in told["groups"]


# --- what keeps models from being compared
# ----------------------------------------------------------------------------


def keys_of(rows: pl.DataFrame) -> Any:
    return hash_keys(rows, [f"{KEY}id"])


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
            "the rows lack the feature(s) gone, lost; the model was trained",
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
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("champion", [False, True])
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
    assert draw_comparison(judged, decision, "few", tmp_path / "few.png").stat().st_size > 10_000


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


def test_a_packaged_model_that_is_none_of_its_sweep_is_refused(world, settle):
    """The sweep is what is compared: it must be the packaged model's own."""
    stranger = world.learn("binary", world.draw_rows("binary", 3000, 8), seeds=(70,))
    challenger = replace(stranger, seeds=world.better("binary").seeds)
    _, decision = settle("binary", challenger, world.champion("binary"))
    assert decision.action == REFUSE


def test_a_model_that_says_it_has_learnt_from_no_row_is_refused(world, settle):
    nobody = relearnt(world.better("binary"), np.array([], np.uint64))
    _, decision = settle("binary", nobody, world.champion("binary"))
    assert decision.action == REFUSE


# --- age
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("newest", "days"),
    [
        ("2013-04-30 00:00:00", 0.0),
        ("2013-04-28 12:00:00", 1.5),
        ("2013-04-28T12:00:00", 1.5),
        ("2012-04-30", 365.0),
        ("2013-05-10 00:00:00", -10.0),
    ],
)
def test_the_age_of_the_champion_is_counted_to_the_newest_row(newest, days, world, settle):
    rows = world.holdout("regression").with_columns(
        pl.Series(TIME, [datetime.fromisoformat("2013-04-30")] * 1500)
    )
    champion = relearnt(world.champion("regression"), np.array([1], np.uint64), newest)
    judged, _ = settle("regression", world.better("regression"), champion, rows=rows)
    assert judged.evidence.champion_age_days == pytest.approx(days)


@pytest.mark.parametrize(
    ("moment", "newest"),
    [
        (date.fromisoformat("2013-04-30"), "2013-04-28"),
        (datetime(2013, 4, 30, tzinfo=UTC), "2013-04-28 00:00:00+00:00"),
    ],
)
def test_event_times_may_be_days_or_know_their_zone(moment, newest, world, settle):
    rows = world.holdout("regression").with_columns(pl.Series(TIME, [moment] * 1500))
    champion = relearnt(world.champion("regression"), np.array([1], np.uint64), newest)
    judged, _ = settle("regression", world.better("regression"), champion, rows=rows)
    assert judged.evidence.champion_age_days == pytest.approx(2.0)


def test_an_old_champion_yields_to_its_equal(world, settle):
    """The same sweep once more is no better, and within a wide margin no worse; only age lets it
    in.
    """
    young, equal = world.champion("regression"), replace(world.champion("regression"), version="2")
    old = relearnt(young, np.array([1], np.uint64), "2012-01-01")
    assert settle("regression", equal, young, margin=0.5)[1].action == REFUSE
    _, decision = settle("regression", equal, old, margin=0.5)
    assert decision.action == PROMOTE
    assert "days older (at most 180), and the challenger is no worse" in decision.reasons[0]
    assert settle("regression", equal, old, margin=0.5, max_age_days=None)[1].action == REFUSE


# --- a model that has learnt from what judges
# ---------------------------------------------------------------------------


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
        "1,400 of 1,500 rows that it has learnt from are not among those that it was judged by"
        in decision.reasons[0]
    )
    assert judged.evidence.comparison.whole == {}


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
    some = HeldOut.of(hash_rows(rows)[kept], *(champion_predict_folds(champion, rows, kept)))
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


def champion_predict_folds(
    champion: Candidate, rows: pl.DataFrame, kept: Any
) -> tuple[Any, tuple[Any, ...]]:
    side = champion.predict(rows)
    return side.prediction[kept], tuple(seed[kept] for seed in side.seeds)


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


# --- what only a person can answer
# ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "new", "asked"),
    [(0.6, True, True), (0.6, False, False), (2.0, True, False)],
    ids=["far more by a new feature", "far more by those known", "a little more by a new feature"],
)
def test_new_features_that_tell_far_more_than_the_champion_knew_are_asked_about(
    noise, new, asked, world, settle
):
    y = world.encoder("binary").transform_label(world.holdout("binary")[LABEL])
    draw = np.random.default_rng(0)

    def side(noise: float) -> Side:
        said = [
            1 / (1 + np.exp(-(2 * y - 1 + noise * draw.normal(size=len(y)))))
            for _ in range(world.seeds)
        ]
        return Side(said[0].astype(np.float32), tuple(seed.astype(np.float32) for seed in said))

    known = world.features[:1] + world.features[2:] if new else world.features
    champion = world.tell("binary", side(3.0), version="1", encoder=world.encoder("binary", known))
    bold = {"max_calibration_error": None, "slice_margin": None}
    judged, decision = settle("binary", world.tell("binary", side(noise)), champion, **bold)
    assert (decision.action == ASK) == asked
    assert [
        "'second', which the champion lacks" in question for question in judged.evidence.questions
    ] == [True] * asked
    assert not asked or "evergreen promote --approve" in " ".join(decision.reasons)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_first_model_is_of_use_where_a_constant_is_surely_worse(task, world, settle):
    judged, _ = settle(task, world.better(task), None)
    assert judged.evidence.useful == {"binary": "log_loss", "regression": "rmse"}[task]
    assert settle(task, world.better(task), world.champion(task))[0].evidence.useful == ""
    y = world.better(task).model.encoder.transform_label(world.holdout(task)["label"])
    flat = {"constant": np.full(len(y), y.mean()), "linear": np.full(len(y), y.mean())}
    wrong = np.asarray(0.99 - 0.98 * y if task == "binary" else y[::-1])
    assert (
        settle(task, world.tell(task, Side(wrong, (wrong, wrong))), None, baselines=flat)[
            0
        ].evidence.useful
        == ""
    )
