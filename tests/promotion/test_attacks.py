"""Attacks: what must never become champion is refused for its own reason, and what is truly better
gets in.

Really trained models on made-up rows; the champion has learnt from 400 of them and is decent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest
from promotion.gated import why_broken as broken

from evergreen.decision import PROMOTE, REFUSE, Decision
from evergreen.errors import InputError
from evergreen.features.keys import KEY, hash_keys
from evergreen.features.split import GROUP, LABEL
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.params import Leaks
from evergreen.promotion.candidate import Candidate
from evergreen.promotion.compare import Side
from evergreen.quality.leaks import check_leaks
from evergreen.scoring.package import Model, read_package, write_package
from evergreen.training.tables import Table, Tables

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("same_resamples")]


def met(decision: Decision) -> set[str]:
    return {rule["name"] for rule in decision.rules if rule["met"]}


# --- who gets in


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


# --- luck, over many trials
