"""Labels: one that a loss cannot take is named with its batch and row."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from conftest import refusal
from tuning.tried import declare, draw_batch

from evergreen.features.prepare import prepare
from evergreen.metrics.by_loss import check_taken
from evergreen.training.labels import check_labels
from evergreen.training.tables import load_tables


@pytest.mark.parametrize(
    ("loss", "label", "taken"),
    [
        ("gamma", 0.0, False), ("gamma", -1.0, False), ("gamma", 0.1, True),
        ("poisson", 0.0, True), ("poisson", -0.5, False), ("tweedie", 0.0, True),
        ("tweedie", -2.0, False), ("squared", -2.0, True), ("quantile", -2.0, True),
        ("pseudo_huber", 0.0, True), ("log_loss", 0.0, True),
    ],
)  # fmt: skip
def test_which_labels_a_loss_takes(loss, label, taken):
    y = pl.Series([1.0, 2.0, label, 3.0]).to_numpy()
    if taken:
        check_taken(loss, y, str)
    else:
        refusal(
            lambda: check_taken(loss, y, "row {}".format), "that of row 2", f"is {label:g}", loss
        )


def test_all_that_it_cannot_take_are_counted():
    y = pl.Series([0.0, 2.0, -1.0, 0.0]).to_numpy()
    refusal(lambda: check_taken("gamma", y, str), "that of 0 is 0", "and so are 2 more")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("batch", "row", "key", "place"),
    [
        ("b2", 7, ("id",), "b2, id 200007"),
        ("b6", 3, ("id",), "b6, id 600003"),  # of the holdout
        ("b2", 7, (), "b2 row 8"),
    ],
)
def test_the_batch_and_the_row_are_named(batch, row, key, place, site: Any):
    """`key`: with one, the row is named by it; without, by its number in the batch."""
    declared = declare()
    site.dataset = type(declared)(
        columns={**declared.columns, "sold": pl.Float64()},
        key=key,
        time="day",
        label=pl.col("sold"),
        known_later=("sold",),
        features=declared.features,
    )
    frames = {
        f"b{number}": draw_batch(number, 60).with_columns(sold=pl.lit(2.0) + pl.col("first").abs())
        for number in range(1, 7)
    }
    frames[batch] = frames[batch].with_columns(
        sold=pl.when(pl.int_range(pl.len()) == row).then(-5.0).otherwise("sold")
    )
    site.accept(frames)
    params = site.params(task="regression", train={"device": "cpu", "loss": "gamma"})
    prepare(site.project, site.dataset, params, lambda *_: {})
    tables = load_tables(site.project)

    def check(loss: str) -> None:
        chosen = site.params(task="regression", train={"device": "cpu", "loss": loss})
        check_labels(site.project, site.dataset, chosen, tables)

    check("squared")
    refusal(lambda: check("gamma"), "train.loss is gamma", f"that of {place}", "is -5")
