"""Attacks: what must never become champion is refused for its own reason, and what is truly better
gets in.

Really trained models on made-up rows; the champion has learnt from 400 of them and is decent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from evergreen.decision import PROMOTE, REFUSE, Decision
from evergreen.errors import InputError
from evergreen.evaluation.evaluate import predict
from evergreen.features.keys import KEY, hash_keys
from evergreen.features.split import GROUP, LABEL, SLICE, TIME
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.params import Leaks
from evergreen.promotion.candidate import Candidate
from evergreen.promotion.compare import Side
from evergreen.promotion.gate import decide
from evergreen.promotion.influence import find_influence, teach
from evergreen.promotion.refit import compare_refit
from evergreen.quality.leaks import check_leaks
from evergreen.scoring.package import Model, read_package, write_package
from evergreen.training.learner import XGBOOST
from evergreen.training.sweep import Slots
from evergreen.training.tables import Table, Tables

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("same_resamples")]


def broken(decision: Decision) -> dict[str, str]:
    return {rule["name"]: rule["says"] for rule in decision.rules if not rule["met"]}


def met(decision: Decision) -> set[str]:
    return {rule["name"] for rule in decision.rules if rule["met"]}


# --- who gets in
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["median", "mean"])
@pytest.mark.parametrize("task", TASKS)
def test_a_model_that_is_truly_better_is_promoted(task, model, world, settle):
    _, decision = settle(task, world.better(task, model), world.champion(task), groups=True)
    assert decision.action == PROMOTE
    assert len(met(decision)) == 8 + len(LIBRARY.of(task))
    assert decision.reasons[0].startswith(f"better beyond the noise: {LIBRARY.pick(None, task)} ")


@pytest.mark.parametrize("task", TASKS)
def test_a_decent_first_model_is_promoted(task, world, settle):
    assert settle(task, world.champion(task), None)[1].action == PROMOTE


# --- who does not
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_a_model_of_shuffled_labels_is_refused(task, world, settle):
    rows = world.draw_rows(task, 2000, 2)
    challenger = world.learn(task, rows.with_columns(pl.col(LABEL).shuffle(seed=1)))
    for champion in (world.champion(task), None):
        _, decision = settle(task, challenger, champion)
        assert decision.action == REFUSE
        how = "probably" if champion else "surely"
        assert f"not {how} better than the linear baseline" in broken(decision)["baseline linear"]
        assert champion is None or "not better enough" in broken(decision)["better"]
        assert champion is None or "no worse" in broken(decision)


@pytest.mark.parametrize("task", TASKS)
def test_a_model_of_fewer_rows_is_refused(task, world, settle):
    _, decision = settle(
        task, world.learn(task, world.draw_rows(task, 300, 4)), world.champion(task)
    )
    assert decision.action == REFUSE
    assert "not better enough" in broken(decision)["better"]


@pytest.mark.parametrize("task", TASKS)
def test_a_model_of_fewer_rounds_is_refused(task, world, settle):
    few = world.quick.model_copy(update={"rounds": 4})
    _, decision = settle(
        task, world.learn(task, world.draw_rows(task, 400, 1), params=few), world.champion(task)
    )
    assert decision.action == REFUSE
    assert "not better enough" in broken(decision)["better"]


@pytest.mark.parametrize("task", TASKS)
def test_the_champion_under_another_name_is_refused(task, world, settle):
    _, decision = settle(task, replace(world.champion(task), version="2"), world.champion(task))
    assert list(broken(decision)) == ["better"]


def test_one_answer_for_everybody_is_refused(world, settle):
    flat = np.full(1500, 0.47, np.float32)
    _, decision = settle(
        "binary", world.tell("binary", Side(flat, (flat,) * 4)), world.champion("binary")
    )
    assert {
        "better",
        "no worse",
        "no worse in log_loss",
        "baseline constant",
        "baseline linear",
    } <= set(broken(decision))


@pytest.mark.parametrize("task", TASKS)
def test_a_model_that_has_learnt_the_holdout_is_refused_by_name(task, world, settle):
    holdout = world.holdout(task)
    challenger = world.learn(
        task, pl.concat([world.draw_rows(task, 400, 1), holdout]), seeds=range(2)
    )
    _, decision = settle(task, challenger, world.champion(task))
    assert decision.action == REFUSE
    assert (
        "1,500 of 1,500 rows of the comparison were in the training data of the challenger"
        in broken(decision)["comparable"]
    )


def test_a_model_that_was_stopped_by_one_row_of_the_holdout_is_refused_by_name(world, settle):
    challenger = world.learn(
        "binary", pl.concat([world.draw_rows("binary", 2000, 2), world.holdout("binary")[-1:]])
    )
    _, decision = settle("binary", challenger, world.champion("binary"))
    assert list(broken(decision)) == ["comparable", "better"]
    assert "1 of 1,500 rows" in broken(decision)["comparable"]


def test_the_holdout_under_other_keys_stops_the_run_before_training(world):
    """The gate knows rows by their keys; copies of them are found by what they hold."""
    encoder, holdout = world.encoder("binary"), world.holdout("binary")
    copies = holdout[:300].with_columns(
        pl.lit("renamed ").add(pl.col(f"{KEY}id")).alias(f"{KEY}id")
    )
    train = pl.concat([world.draw_rows("binary", 2000, 1), copies])

    def table(rows: pl.DataFrame) -> Table:
        return Table(
            encoder.transform(rows),
            encoder.transform_label(rows[LABEL]),
            hash_keys(rows, [f"{KEY}id"]),
        )

    parts = [
        table(rows) for rows in (train, world.draw_rows("binary", 300, 0, "validation"), holdout)
    ]
    tables = Tables("binary", encoder.features, ("place",), encoder.classes, *parts, encoder)
    with pytest.raises(
        InputError, match=r"300 of 1,500 holdout rows \(20.0%\) have the features and the label"
    ):
        check_leaks(tables, Leaks())


def test_a_model_that_is_better_but_for_one_slice_is_refused_by_its_name(world, settle):
    """It has learnt from many more rows, but in the smallest place two labels of three were turned
    round.
    """
    rows = world.draw_rows("binary", 4000, 2)
    turned = pl.when(pl.col(LABEL) == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    wrong = (pl.col("place") == "dell") & (pl.int_range(pl.len()) % 3 > 0)
    challenger = world.learn(
        "binary", rows.with_columns(pl.when(wrong).then(turned).otherwise(LABEL).alias(LABEL))
    )
    weak = world.learn("binary", world.draw_rows("binary", 120, 1), version="1")
    _, decision = settle("binary", challenger, weak)
    assert {"better", "no worse"} <= met(decision)
    assert (
        "much worse on a part of the rows, beyond its noise: place=dell: roc_auc"
        in broken(decision)["slices"]
    )
    assert "place=ash" not in broken(decision)["slices"]


def test_a_model_that_treats_a_group_otherwise_is_refused_by_its_name(world, settle):
    """Two of three labels of "them" were turned to no where it has learnt; the rows themselves
    treat all alike.
    """
    rows = world.draw_rows("binary", 6000, 2)
    held = (pl.col(f"{GROUP}member") == "them") & (pl.int_range(pl.len()) % 3 > 0)
    rows = rows.with_columns(pl.when(held).then(pl.lit("no")).otherwise(pl.col(LABEL)).alias(LABEL))
    judged, decision = settle("binary", world.learn("binary", rows), None, groups=True)
    assert "by member, surely 0." in broken(decision)["groups"]
    assert judged.evidence.groups["member"].low > 0.3


@dataclass(frozen=True)
class Squared(Candidate):
    """A candidate whose probabilities are squared: their order stays."""

    def predict(self, rows: pl.DataFrame) -> Side:
        side = super().predict(rows)
        return Side(side.prediction**2, tuple(seed**2 for seed in side.seeds))


def test_squared_probabilities_are_refused_though_their_order_is_better(world, settle):
    honest = world.better("binary")
    _, decision = settle(
        "binary", Squared("2", honest.model, honest.seeds), world.champion("binary")
    )
    assert {"better", "no worse"} <= met(decision)
    assert "calibration error 0.1" in broken(decision)["calibration"]
    weaker = Squared("2", world.champion("binary").model, world.champion("binary").seeds)
    _, decision = settle("binary", weaker, world.champion("binary"))
    assert "better" in broken(decision)
    assert "surely worse than by" in broken(decision)["no worse in brier"]


@pytest.mark.parametrize("task", TASKS)
def test_the_one_lucky_seed_of_a_bad_sweep_is_refused(task, world, settle):
    good, bad = (
        world.better(task),
        world.learn(task, world.draw_rows(task, 200, 5), seeds=range(20, 23)),
    )
    # The sweep of the better model begins at seed 10
    packaged = good.seeds[good.model.seeds[0] - 10]
    lucky = replace(good, seeds=(packaged, *bad.seeds))
    _, decision = settle(task, lucky, world.champion(task))
    assert "no worse" in met(decision)
    assert "not better enough" in broken(decision)["better"]


# --- a package that is not what was judged
# ----------------------------------------------------------------------------


@pytest.fixture
def folder(world, tmp_path):
    """The package of the better model."""
    model = world.better("binary").model
    booster = world.better("binary").seeds[[*range(10, 14)].index(model.seeds[0])]
    return write_package(
        tmp_path / "package", Model(model.encoder, {model.seeds[0]: booster}, model.learnt)
    )


def test_a_package_that_is_as_it_was_says_the_same(folder, world, settle):
    reloaded = read_package(folder).predict_rows(world.holdout("binary"))
    assert (
        settle("binary", world.better("binary"), world.champion("binary"), reloaded=reloaded)[
            1
        ].action
        == PROMOTE
    )


def test_a_model_file_that_was_altered_after_registration_is_not_loaded(folder):
    booster = next(folder.glob("seed-*.ubj"))
    content = bytearray(booster.read_bytes())
    content[len(content) // 2] ^= 1
    booster.write_bytes(content)
    with pytest.raises(
        InputError, match=rf"{booster.name} is missing or was changed after the model was packaged"
    ):
        read_package(folder)


@pytest.mark.parametrize("other", ["another seed", "another level"])
def test_an_altered_package_with_matching_checksums_is_refused(other, folder, world, settle):
    """Written anew with all its checksums: what it says gives it away, be it one level of one
    category.
    """
    better = world.better("binary")
    model = better.model
    boosters = {model.seeds[0]: better.seeds[[*range(10, 14)].index(model.seeds[0])]}
    encoder = model.encoder
    if other == "another seed":
        boosters = {model.seeds[0]: world.champion("binary").seeds[0]}
    else:
        encoder = replace(encoder, levels={"place": ("ash", "bay", "cove", "deli")})
    write_package(folder, Model(encoder, boosters, model.learnt))
    reloaded = read_package(folder).predict_rows(world.holdout("binary"))
    _, decision = settle("binary", better, world.champion("binary"), reloaded=reloaded)
    assert list(broken(decision)) == ["reload"]
    assert "in a fresh process predicts otherwise, by up to 0." in broken(decision)["reload"]


def test_one_leaf_that_was_altered_is_enough(world, settle):
    """The smallest change to one leaf, as a file would carry it."""
    import json

    import xgboost as xgb

    better = world.better("binary")
    seed = better.model.seeds[0]
    booster = xgb.Booster()
    booster.load_model(bytearray(better.seeds[[*range(10, 14)].index(seed)]))
    content = json.loads(booster.save_raw("json"))
    tree = content["learner"]["gradient_booster"]["model"]["trees"][0]
    leaf = max(at for at, child in enumerate(tree["left_children"]) if child == -1)
    tree["split_conditions"][leaf] += 1e-4  # where XGBoost keeps a leaf's value
    tree["base_weights"][leaf] += 1e-4
    booster.load_model(bytearray(json.dumps(content).encode()))
    altered = Model(
        better.model.encoder, {seed: bytes(booster.save_raw("ubj"))}, better.model.learnt
    )
    reloaded = altered.predict_rows(world.holdout("binary"))
    _, decision = settle("binary", better, world.champion("binary"), reloaded=reloaded)
    assert list(broken(decision)) == ["reload"]


# --- a newest batch that is poisoned: what is judged has not learnt it, what goes live has
# ------------------------------


def turned(rows: pl.DataFrame, wrong: pl.Expr) -> pl.DataFrame:
    other = pl.when(pl.col(LABEL) == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    return rows.with_columns(pl.when(wrong).then(other).otherwise(LABEL).alias(LABEL))


def wherever(share: float) -> pl.Expr:
    return pl.int_range(pl.len()).shuffle(3) < share * pl.len()


def spoilt(kind: str, share: float, rows: pl.DataFrame, world: Any) -> pl.DataFrame:
    """The newest batch, a `share` of its rows made wrong."""
    if kind == "labels turned round":
        return turned(rows, wherever(share))
    if kind == "labels of a corner turned round":
        return turned(rows, pl.col("first") > pl.col("first").quantile(1 - share))
    if kind == "shifted":
        moved = [
            pl.when(wherever(share)).then(pl.col(name) + 3).otherwise(name)
            for name in ("first", "second")
        ]
        return rows.with_columns(
            column.cast(pl.Float32).alias(name)
            for column, name in zip(moved, ("first", "second"), strict=True)
        )
    source = np.where(
        np.arange(rows.height) < share * rows.height,
        np.arange(rows.height) % 5,
        np.arange(rows.height),
    )
    return rows[source].with_columns(rows[f"{KEY}id"], rows[TIME])


def go_live(newest: pl.DataFrame, world: Any, settle: Any) -> tuple[Decision, float]:
    """Let the newest batch refresh a champion as the flow does; returns what is decided, and the
    true AUC it brings.
    """
    task, params = "binary", world.params("binary").model_copy(update={"train": world.quick})
    earlier, between = world.draw_rows(task, 2000, 2), world.draw_rows(task, 1500, 0, "validation")
    champion = world.learn(task, earlier, version="1", model="mean")
    judged, decision = settle(
        task, replace(champion, version="2"), champion, rows=newest, baselines={}, refresh=True
    )
    live = world.learn(task, pl.concat([earlier, newest]), model="mean")
    if decision.action == PROMOTE:
        around = tables_of(pl.concat([earlier, newest]), world)
        taught = teach(around, champion.model.rounds, XGBOOST, params, "cpu", Slots(1, 1))
        said = champion.model.predict_rows(newest)
        beside = compare_refit(live.model, champion.model, said, earlier, newest, 1, params)
        found = find_influence(around, between, champion.seeds, taught, XGBOOST, params)
        decision = decide(
            replace(judged.evidence, refit=replace(beside, influence=found)), params.gate
        )
    people = world.draw_rows(task, 20_000, 77, "holdout")
    y = world.encoder(task).transform_label(people[LABEL])
    new, old = (
        LIBRARY.measure(task, y, model.model.predict_rows(people))["roc_auc"]
        for model in (live, champion)
    )
    return decision, new - old


def tables_of(rows: pl.DataFrame, world: Any) -> Tables:
    encoder = world.encoder("binary")
    table = Table(
        encoder.transform(rows), encoder.transform_label(rows[LABEL]), hash_keys(rows, [f"{KEY}id"])
    )
    return Tables(
        "binary",
        encoder.features,
        ("place",),
        encoder.classes,
        table,
        table.none(),
        table.none(),
        encoder,
    )


@pytest.mark.parametrize("share", [0.01, 0.03, 0.1, 0.3, 1.0])
@pytest.mark.parametrize(
    "kind", ["labels turned round", "labels of a corner turned round", "shifted", "repeated"]
)
def test_a_poisoned_newest_batch_does_no_harm_that_matters(kind, share, world, settle):
    """It is refused, or what goes live is worse by less than a hundredth."""
    decision, gain = go_live(
        spoilt(kind, share, world.draw_rows("binary", 1500, 8, "holdout"), world), world, settle
    )
    assert decision.action == REFUSE or gain > -0.01
    if share <= 0.03:
        assert decision.action == PROMOTE, decision.reasons


def test_a_newest_batch_with_all_labels_turned_round_is_refused_for_what_it_teaches(world, settle):
    """Whatever the champion is asked about it, the challenger answers the same: only the refit
    would know.
    """
    rows = world.draw_rows("binary", 1500, 8, "holdout")
    decision, gain = go_live(spoilt("labels turned round", 1.0, rows, world), world, settle)
    assert gain < -0.05
    assert "refit, newest batch" in broken(decision)
    # On rows that it knows it is as good as before
    assert "refit, earlier rows" not in broken(decision)


@pytest.mark.parametrize("easy", [True, False])
def test_a_newest_batch_of_easy_rows_only_does_no_harm_and_an_honest_goes_live(easy, world, settle):
    """Easy: far from where yes and no meet, so that any model seems good there."""
    rows = world.draw_rows("binary", 9000, 8, "holdout")
    far = (pl.col("second") > 0) & (pl.col("first").abs() > 1)
    decision, gain = go_live((rows.filter(far) if easy else rows)[:1500], world, settle)
    assert decision.action == REFUSE or gain > -0.002
    assert decision.action == PROMOTE or easy


def test_near_copies_of_training_rows_in_half_of_the_newest_batch_stop_the_run_before_training(
    world,
):
    encoder, holdout, train = (
        world.encoder("binary"),
        world.holdout("binary"),
        world.draw_rows("binary", 3000, 2),
    )
    moved = pl.col("first") + pl.Series(np.random.default_rng(0).normal(size=750)).cast(pl.Float32)
    copies = train[:750].with_columns(
        moved.alias("first"), holdout[:750][f"{KEY}id"], holdout[:750][TIME]
    )
    parts = [
        tables_of(rows, world).train
        for rows in (train, world.draw_rows("binary", 300, 0, "validation"))
    ]
    half = tables_of(pl.concat([copies, holdout[750:]]), world).train
    tables = Tables("binary", encoder.features, ("place",), encoder.classes, *parts, half, encoder)
    with pytest.raises(InputError, match="but for one feature"):
        check_leaks(tables, Leaks())
    check_leaks(replace(tables, holdout=tables_of(holdout, world).train), Leaks())


# --- luck, over many trials
# -------------------------------------------------------------------------------------------

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
