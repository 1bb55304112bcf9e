"""Monitor: what is seen of a batch is what the model says of it, beside what it has learnt from."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from recipes.people import NAMES, candidate, people

from evergreen.evaluation.held_out import HeldOut
from evergreen.evaluation.intervals import Estimate
from evergreen.features.keys import KEY, hash_rows
from evergreen.features.split import LABEL, TIME
from evergreen.ingest.manifest import Manifest, when
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.monitoring.monitor import (
    Observation,
    Reference,
    gather,
    observe,
    predict,
    window_of,
)
from evergreen.monitoring.performance import measure_live
from evergreen.params import Params
from evergreen.statistics.sketch import SKETCH, Sketch, sketch


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


@pytest.fixture
def kept(tmp_path: Path) -> Manifest:
    """Two batches of features, of 300 rows each, and their sketches."""
    found = Manifest(tmp_path)
    for name, seed in (("2013-04", 1), ("2013-05", 2)):
        rows = people("binary", 300, seed, f"{name}-01")
        rows.write_parquet(found.file(name))
        summary(rows, NAMES).write(found.file(name, SKETCH))
        found.record(name, found.file(name), found.file(name, SKETCH), **when(rows[TIME]))
    return found


BATCHES = ("2013-04", "2013-05")
FEW = Params(task="binary", evaluate={"resamples": 100})


def shown(rows: pl.DataFrame, p: Any) -> dict[str, Estimate]:
    """What predictions for rows show."""
    y = candidate("binary", 1.0, "1").model.encoder.transform_label(rows[LABEL])
    days = rows[TIME].dt.date().to_physical().to_numpy()
    return measure_live("binary", y, p, days, FEW.evaluate, FEW.sweep.first_seed, metrics=LIBRARY)


def test_of_a_refit_champion_is_expected_what_was_said_before_it_learnt_the_rows(
    kept: Manifest,
) -> None:
    """Not what it says now of rows that it knows by heart, nor anything of rows not said of."""
    rows = pl.concat([pl.read_parquet(kept.file(name)) for name in BATCHES])
    live, before = (candidate("binary", skill, "1").model for skill in (1.0, 0.05))
    some = rows.sample(400, seed=3)
    said = before.predict_rows(some)
    held_out = HeldOut.of(hash_rows(some), said, (said,))
    found = gather("1", live, held_out, kept, BATCHES, BATCHES, FEW, 0.5)
    judged = rows.filter(np.isin(hash_rows(rows), hash_rows(some)))
    assert found.expected == shown(judged, before.predict_rows(judged))
    assert found.expected["log_loss"] != shown(judged, live.predict_rows(judged))["log_loss"]
    assert (found.version, len(found.past), found.whole.rows) == ("1", 2, 600)


@pytest.mark.parametrize(
    ("time", "newest"),
    [
        ("day", "2013-04-10T23:00:00"),  # by time: what came later
        ("", "2013-06-01T00:00:00"),  # by key
    ],
)
def test_of_a_champion_that_was_not_refit_is_expected_what_it_says_of_rows_it_has_not_learnt(
    time: str, newest: str, kept: Manifest
) -> None:
    """By the features that it was made for."""
    rows = pl.concat([pl.read_parquet(kept.file(name)) for name in BATCHES])
    model = candidate("binary", 1.0, "1").model
    model.definition = replace(model.definition, time=time)
    keys = model.learnt.keys if time else hash_rows(rows[:100])
    model.learnt = replace(model.learnt, keys=keys, newest=newest)

    def own(given: pl.DataFrame) -> pl.DataFrame:
        return given.with_columns(-pl.col("first"))

    found = gather("1", model, None, kept, BATCHES[:1], BATCHES, FEW, 0.5, own)
    assert found.expected == shown(rows[100:], model.predict_rows(own(rows[100:])))
    assert (len(found.past), found.whole.rows) == (1, 300)


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
