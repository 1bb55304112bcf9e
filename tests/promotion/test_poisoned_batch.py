"""A newest batch that is poisoned: the live model has learnt from it, the judged one has not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from promotion.gated import why_broken as broken

from evergreen.decision import PROMOTE, REFUSE, Decision
from evergreen.errors import InputError
from evergreen.features.keys import KEY, hash_keys
from evergreen.features.split import LABEL, TIME
from evergreen.metrics.table import LIBRARY
from evergreen.params import Leaks
from evergreen.promotion.gate import decide
from evergreen.promotion.influence import find_influence, teach
from evergreen.promotion.refit import compare_refit
from evergreen.quality.leaks import check_leaks
from evergreen.training.learner import XGBOOST
from evergreen.training.seeds import Slots
from evergreen.training.tables import Table, Tables

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("same_resamples")]


def turned(rows: pl.DataFrame, wrong: pl.Expr) -> pl.DataFrame:
    other = pl.when(pl.col(LABEL) == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    return rows.with_columns(pl.when(wrong).then(other).otherwise(LABEL).alias(LABEL))


def wherever(share: float) -> pl.Expr:
    return pl.int_range(pl.len()).shuffle(3) < share * pl.len()


def spoilt(kind: str, share: float, rows: pl.DataFrame, world: Any) -> pl.DataFrame:
    """The newest batch, a `share` of its rows made wrong."""
    if kind == "labels inverted":
        return turned(rows, wherever(share))
    if kind == "labels of a corner inverted":
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


@pytest.mark.parametrize(
    "share", [0.03, 0.3, *(pytest.param(at, marks=pytest.mark.long) for at in (0.01, 0.1, 1.0))]
)
@pytest.mark.parametrize(
    "kind", ["labels inverted", "labels of a corner inverted", "shifted", "repeated"]
)
def test_a_poisoned_newest_batch_does_no_harm_that_matters(kind, share, world, settle):
    """It is refused, or what goes live is worse by less than a hundredth."""
    decision, gain = go_live(
        spoilt(kind, share, world.draw_rows("binary", 1500, 8, "holdout"), world), world, settle
    )
    assert decision.action == REFUSE or gain > -0.01
    if share <= 0.03:
        assert decision.action == PROMOTE, decision.reasons


def test_a_newest_batch_with_all_labels_inverted_is_refused_for_what_it_teaches(world, settle):
    """Whatever the champion is asked about it, the challenger answers the same: only the refit
    would know.
    """
    rows = world.draw_rows("binary", 1500, 8, "holdout")
    decision, gain = go_live(spoilt("labels inverted", 1.0, rows, world), world, settle)
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
