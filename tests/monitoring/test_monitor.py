"""Monitor: what is seen of a batch is what the model says of it, beside what it has learnt from."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from evergreen.features.keys import KEY
from evergreen.features.split import LABEL, TIME
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.monitoring.monitor import Observation, Reference, observe, predict, window_of
from evergreen.monitoring.performance import measure_live
from evergreen.statistics.sketch import Sketch, sketch


def summary(rows: pl.DataFrame, features: tuple[str, ...]) -> Sketch:
    return sketch(
        rows.select(*features, *(name for name in (LABEL,) if name in rows.columns)), rows[TIME]
    )


def later(rows: pl.DataFrame, days: int = 30) -> pl.DataFrame:
    return rows.with_columns(pl.col(TIME) + timedelta(days=days))


@pytest.fixture(scope="module")
def known(world: Any) -> Any:
    """The reference of a task's better model."""
    cache: dict[str, Reference] = {}

    def make(task: str) -> Reference:
        if task not in cache:
            model = world.better(task).model
            past = [summary(world.draw_rows(task, 1000, seed), world.features) for seed in (2, 3)]
            cache[task] = Reference.of(
                "7",
                model,
                past,
                world.holdout(task),
                model.predict_rows(world.holdout(task)),
                world.params(task),
                0.5,
            )
        return cache[task]

    return make


def look_at(known: Any, world: Any, task: str, rows: pl.DataFrame, **more: Any) -> Observation:
    labelled_later = more.pop("labelled_later", None)
    return observe(
        "new",
        rows,
        summary(rows, world.features),
        labelled_later,
        known(task),
        world.params(task),
        **more,
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_an_ordinary_batch_is_as_expected(task: str, known: Any, world: Any) -> None:
    rows = later(world.draw_rows(task, 1500, 9, "holdout"))
    seen = look_at(known, world, task, rows)
    assert (seen.rows, seen.labelled, seen.drift.drifted, seen.drift.label_drifted) == (
        1500,
        1500,
        (),
        False,
    )
    assert (seen.start, seen.end) == (rows[TIME].min(), rows[TIME].max())
    model = known(task).model
    y, p = model.encoder.transform_label(rows[LABEL]), model.predict_rows(rows)
    assert {name: estimate.value for name, estimate in seen.real.items()} == pytest.approx(
        LIBRARY.measure(task, y, p)
    )
    metric = LIBRARY.pick(None, task)
    expected = known(task).expected[metric]
    assert expected.low < seen.real[metric].high
    assert seen.real[metric].low < expected.high
    assert "prediction" in {column.shift.column for column in seen.drift.columns}
    if task != "regression":
        assert seen.estimated[metric].low < seen.real[metric].high
        assert seen.real[metric].low < seen.estimated[metric].high
    else:
        assert seen.estimated == {}


@pytest.mark.slow
def test_a_shifted_feature_is_named(known: Any, world: Any) -> None:
    rows = later(world.draw_rows("binary", 1500, 9, "holdout")).with_columns(pl.col("first") + 1)
    seen = look_at(known, world, "binary", rows)
    assert seen.drift.drifted == ("first",)
    assert not seen.answered


@pytest.mark.slow
def test_without_labels_only_an_estimate_is_there(known: Any, world: Any) -> None:
    rows = later(world.draw_rows("binary", 1500, 9, "holdout"))
    seen = look_at(known, world, "binary", rows.drop(LABEL))
    assert (seen.labelled, seen.real, seen.answered) == (0, {}, False)
    assert seen.estimated == look_at(known, world, "binary", rows).estimated


@pytest.mark.slow
@pytest.mark.parametrize(("share", "answered"), [(1.0, True), (0.5, True), (0.49, False)])
def test_labels_that_come_later_are_measured_on_predictions_made_before(
    share: float, answered: bool, known: Any, world: Any
) -> None:
    rows = later(world.draw_rows("binary", 1500, 9, "holdout"))
    p = np.linspace(0, 1, 1500, dtype=np.float32)  # what was said then, whatever the model says now
    keys = [name for name in rows.columns if name.startswith(KEY)]
    kept = rows.select(*keys, TIME).with_columns(prediction=p)
    some = int(1500 * share)
    labelled_later = kept[:some].with_columns(rows[LABEL][:some])
    seen = observe(
        "new",
        kept,
        summary(rows.drop(LABEL), world.features),
        labelled_later,
        known("binary"),
        world.params("binary"),
    )
    y = known("binary").model.encoder.transform_label(rows[LABEL][:some])
    assert seen.real["roc_auc"].value == pytest.approx(
        LIBRARY.measure("binary", y, p[:some])["roc_auc"]
    )
    assert (seen.labelled, seen.answered) == (some, answered)


@pytest.mark.slow
def test_what_was_seen_survives_json_and_is_what_the_policy_needs(known: Any, world: Any) -> None:
    rows = later(world.draw_rows("binary", 1500, 9, "holdout"))
    seen = look_at(known, world, "binary", rows, unfit=("first is odd",))
    window = window_of(json.loads(json.dumps(seen.as_plain())), "roc_auc")
    assert (window.batch, window.end, window.rows, window.labelled) == ("new", seen.end, 1500, 1500)
    assert (window.real, window.estimated) == (seen.real["roc_auc"], seen.adjusted["roc_auc"])
    assert window.unfit == ("first is odd",)


@pytest.mark.slow
def test_an_estimate_that_was_wrong_before_is_trusted_less(known: Any, world: Any) -> None:
    rows = later(world.draw_rows("binary", 1500, 9, "holdout"))
    plain = look_at(known, world, "binary", rows).as_plain()
    wrong = plain | {"real": {"roc_auc": {"value": 0.6, "low": 0.59, "high": 0.61}}}
    wide, narrow = (
        look_at(known, world, "binary", rows, earlier=[batch]) for batch in (wrong, plain)
    )
    assert narrow.adjusted["roc_auc"] == narrow.estimated["roc_auc"]
    assert wide.adjusted["roc_auc"].low < narrow.adjusted["roc_auc"].low - 0.1
    assert wide.adjusted["roc_auc"].value == narrow.adjusted["roc_auc"].value


def test_what_a_model_says_is_taken_as_it_was_kept(world: Any) -> None:
    rows = world.holdout("multiclass")[:5]
    model = world.better("multiclass").model
    said = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]]
    kept = pl.DataFrame(
        {f"prediction_{name}": said[:, at] for at, name in enumerate(model.encoder.classes)}
    )
    assert predict(model, kept).tolist() == said.tolist()
    assert predict(model, rows).tolist() == model.predict_rows(rows).tolist()


def test_what_is_expected_is_what_the_holdout_shows(known: Any, world: Any) -> None:
    reference = known("binary")
    rows, params = world.holdout("binary"), world.params("binary")
    y, p = reference.model.encoder.transform_label(rows[LABEL]), reference.model.predict_rows(rows)
    days = rows[TIME].dt.date().to_physical().to_numpy()
    assert dict(reference.expected) == measure_live(
        "binary", y, p, days, params.evaluate, params.sweep.first_seed, metrics=LIBRARY
    )
    assert replace(reference, version="8").whole.columns.keys() >= {"first", "prediction", LABEL}


@pytest.mark.slow
def test_a_class_that_the_champion_never_met_does_not_stop_the_watch(
    known: Any, world: Any
) -> None:
    rows = later(world.draw_rows("multiclass", 1500, 9, "holdout"))
    odd = rows.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("Delayd")).otherwise(LABEL).alias(LABEL)
    )
    seen = look_at(known, world, "multiclass", odd)
    assert (seen.labelled, seen.rows) == (1499, 1500)
    assert np.isfinite(seen.real["accuracy"].value)
