"""Score: a row gets the same prediction before and after its label is known, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import CLASSES, month
from polars.testing import assert_frame_equal

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.encoder import Encoder
from evergreen.features.featurize import featurize, featurize_unlabelled, summarize
from evergreen.features.keys import KEY
from evergreen.features.split import LABEL, TIME
from evergreen.params import Train
from evergreen.scoring.package import Learnt, Model
from evergreen.scoring.score import score_rows, summarize_scores
from evergreen.training.xgboost import build_matrix, train
from late_flights.dataset import dataset

MONTH = "2013-06"
NOTHING = [pl.lit(None, dataset.columns[name]).alias(name) for name in dataset.known_later]
KEYS = [KEY + name for name in dataset.key]
QUICK = Train(
    device="cpu", rounds=5, early_stopping_rounds=5, learning_rate=0.3, max_depth=3, max_bin=64
)
LABELS = {
    "binary": pl.col("arr_delay") > 15,
    "multiclass": pl.when(pl.col("arr_delay") < -5)
    .then(pl.lit("a"))
    .otherwise(pl.when(pl.col("arr_delay") > 15).then(pl.lit("c")).otherwise(pl.lit("b"))),
    "regression": pl.col("arr_delay"),
}


def declared(task: str) -> Dataset:
    """The flights with the label of a task."""
    return replace(dataset, label=LABELS[task])


def model_of(task: str) -> Model:
    """A model of the first rows of a month."""
    from evergreen.training.tables import Table, Tables

    rows, _ = featurize(declared(task), month("2013-05").head(600), task)
    levels = summarize(dataset, rows, {}).kept.levels
    known = {
        name: tuple(sorted(counts)) for name, counts in levels.items() if name in dataset.features
    }
    classes = ("false", "true") if task == "binary" else CLASSES[task]
    encoder = Encoder(task, tuple(dataset.features), known, classes, ("2013-05",))
    table = Table(encoder.transform(rows), encoder.transform_label(rows[LABEL]))
    tables = Tables(task, encoder.features, tuple(known), classes, table, table, table)  # type: ignore[arg-type]
    matrix = build_matrix(tables, QUICK, threads=1)
    boosters = {seed: train(matrix, QUICK, seed).booster for seed in (0, 1)}
    return Model(encoder, boosters, Learnt(np.array([1], np.uint64), "2013-05-31"))


@pytest.mark.slow
@pytest.mark.parametrize("task", LABELS)
def test_the_same_bits_as_once_it_is_labelled(task: str) -> None:
    model, rows = model_of(task), month(MONTH)
    scores = score_rows(model, dataset, rows.with_columns(NOTHING))
    labelled, _ = featurize(declared(task), rows, task)
    expected = model.predict_rows(labelled)
    names = [f"prediction_{letter}" for letter in "abc"] if task == "multiclass" else ["prediction"]
    assert scores.predictions.columns == [*KEYS, TIME, *names]
    assert set(scores.predictions.select(names).dtypes) == {pl.Float32()}
    joined = labelled.select(KEYS).join(scores.predictions, on=KEYS, maintain_order="left")
    assert (
        joined.select(names).to_numpy().tobytes() == expected.reshape(len(expected), -1).tobytes()
    )
    assert scores.predictions.height == rows.height > labelled.height
    assert_frame_equal(scores.features.select(KEYS), scores.predictions.select(KEYS))
    assert scores.predictions[TIME].is_sorted()


@pytest.mark.slow
def test_rows_are_scored_alone_as_together() -> None:
    model, rows = model_of("binary"), month(MONTH).head(12).sort(dataset.time, maintain_order=True)
    together = score_rows(model, dataset, rows).predictions
    alone = pl.concat(
        [score_rows(model, dataset, rows[at]).predictions for at in range(rows.height)]
    )
    assert_frame_equal(alone, together, check_exact=True)
    assert score_rows(model, dataset, rows.clear()).predictions.schema == together.schema


# --- features


def test_features_are_those_of_training() -> None:
    labelled, _ = featurize(dataset, month(MONTH), "binary")
    features, left_out = featurize_unlabelled(dataset, month(MONTH).with_columns(NOTHING))
    assert features.columns == [name for name in labelled.columns if name != LABEL]
    # Each reason is known only later
    assert (features.height, left_out) == (month(MONTH).height, {})
    same = labelled.select(KEYS).join(features, on=KEYS, maintain_order="left", nulls_equal=True)
    assert_frame_equal(same.select(features.columns), labelled.drop(LABEL), check_exact=True)


REASONS: dict[str, tuple[pl.Expr, bool]] = {  # reason to leave a row out -> is it known in time?
    "from Newark": (pl.col("origin") == "EWR", True),
    "no weather": (pl.col("wind_gust").is_null(), True),
    "cancelled": (pl.col("dep_time").is_null(), False),
    "late from Newark": ((pl.col("origin") == "EWR") & (pl.col("dep_delay") > 5), False),
}


@pytest.mark.parametrize("why", REASONS)
def test_rows_are_left_out_only_for_what_is_known_in_time(why: str) -> None:
    condition, in_time = REASONS[why]
    rows = month(MONTH)
    features, left_out = featurize_unlabelled(replace(dataset, left_out={why: condition}), rows)
    expected = {why: rows.filter(condition.fill_null(value=True)).height} if in_time else {}
    assert left_out == expected
    assert features.height == rows.height - sum(expected.values())


def test_a_feature_that_mixes_rows_is_refused() -> None:
    warmer = replace(dataset, features={"warmer": pl.col("distance") - pl.col("distance").mean()})
    with pytest.raises(InputError, match="feature 'warmer' depends on other rows"):
        featurize_unlabelled(warmer, month(MONTH))


# --- what does not fit the model

CHANGES: dict[str, tuple[dict[str, pl.Expr], str]] = {
    "gone": ({"temp": pl.lit(None)}, "needs the feature 'temp', which is no longer in dataset.py"),
    "text": (
        {"weekday": pl.col("scheduled_departure").dt.strftime("%a")},
        "'weekday' is text, and was a number",
    ),
    "number": ({"origin": pl.col("distance")}, "'origin' is a number, and was text"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_features_declared_otherwise_since_are_an_error(change: str) -> None:
    model, (features, said) = model_of("binary"), CHANGES[change]
    changed = {**dataset.features, **features}
    if change == "gone":
        changed = {name: expression for name, expression in changed.items() if name not in features}
    with pytest.raises(InputError, match=said):
        score_rows(model, replace(dataset, features=changed), month(MONTH))


def test_a_prediction_that_is_no_number_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("binary")
    monkeypatch.setattr(
        model, "predict_rows", lambda rows: np.full(rows.height, np.nan, np.float32)
    )
    with pytest.raises(InputError, match="no number for 5 of 5 rows"):
        score_rows(model, dataset, month(MONTH).head(5))


# --- the summary


@pytest.fixture
def make_scores() -> Callable[..., tuple[Any, Encoder]]:
    def make(task: str = "binary", rows: pl.DataFrame | None = None) -> tuple[Any, Encoder]:
        model = model_of(task)
        return score_rows(model, dataset, month(MONTH) if rows is None else rows), model.encoder

    return make


def test_summary_says_means_and_quantiles(make_scores: Callable[..., tuple[Any, Encoder]]) -> None:
    scores, encoder = make_scores()
    shown = summarize_scores(scores, encoder).predictions["prediction"]
    values = scores.predictions["prediction"].to_numpy().astype(float)
    assert shown["mean"] == pytest.approx(values.mean())
    assert [shown[name] for name in ("5 %", "median", "95 %")] == pytest.approx(
        np.quantile(values, [0.05, 0.5, 0.95])
    )


def test_summary_counts_levels_the_model_does_not_know(
    make_scores: Callable[..., tuple[Any, Encoder]],
) -> None:
    rows = month(MONTH).with_columns(
        carrier=pl.when(pl.int_range(pl.len()) < 4).then(pl.lit("ZZ")).otherwise("origin")
    )
    scores, encoder = make_scores(rows=rows.with_columns(dest=pl.lit(None, pl.String)))
    everything = {**encoder.levels, "carrier": ("EWR", "JFK", "LGA")}
    assert summarize_scores(scores, replace(encoder, levels=everything)).unseen == {"carrier": 4}


@pytest.mark.slow
def test_summary_of_several_classes_and_of_no_row(
    make_scores: Callable[..., tuple[Any, Encoder]],
) -> None:
    shown = summarize_scores(*make_scores("multiclass")).predictions
    assert list(shown) == ["prediction_a", "prediction_b", "prediction_c"]
    assert sum(figures["mean"] for figures in shown.values()) == pytest.approx(1, abs=1e-6)
    assert summarize_scores(*make_scores(rows=month(MONTH).clear())).predictions == {}
