"""Score: valid rows in, predictions out, with the features they were made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.featurize import featurize_unlabelled
from evergreen.features.keys import key_columns
from evergreen.features.split import TIME
from evergreen.scoring.predictions import PREDICTION

if TYPE_CHECKING:
    from evergreen.features.encoder import Encoder
    from evergreen.scoring.package import Model

Array = np.ndarray[Any, np.dtype[Any]]
SHARES = {"5 %": 0.05, "median": 0.5, "95 %": 0.95}  # of the predictions that are shown


@dataclass(frozen=True)
class Scores:
    """Predictions of rows, and the features behind each, row by row, both by event time.

    `predictions`: key, event time, and float32 `prediction` (of the second class, or a number), or
    with several classes `prediction_<class>` for each. `features`: the columns of a features file,
    less the label. `left_out`: rows left out on purpose, by reason; only reasons known in time.
    """

    predictions: pl.DataFrame = field(repr=False)
    features: pl.DataFrame = field(repr=False)
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class Summary:
    """What a person sees of scores."""

    # Of each prediction, its mean and quantiles; empty where no row was scored
    predictions: Mapping[str, Mapping[str, float]]
    unseen: Mapping[str, int]  # category -> rows; only where there are some


def score_rows(
    model: Model,
    dataset: Dataset,
    rows: pl.DataFrame,
    predict: Callable[[pl.DataFrame], Array] | None = None,
) -> Scores:
    """Return what `model` predicts for valid `rows`, shape (rows, columns), without labels.

    Bit for bit what it predicts for the same rows once they are labelled. `predict`: in place of
    the model, of rows of its features. Raises InputError where
    the features it was trained with cannot be computed any more, or a prediction is no number.
    """
    features, left_out = featurize_unlabelled(dataset, rows, model.definition)
    check_kinds(features.schema, model.encoder)
    several = model.encoder.task == "multiclass"
    names = [f"{PREDICTION}_{name}" for name in model.encoder.classes] if several else [PREDICTION]
    predicted = np.asarray((predict or model.predict_rows)(features), np.float32).reshape(
        features.height, len(names)
    )
    if unknown := int(np.isnan(predicted).any(axis=1).sum()):
        raise InputError(
            f"the model predicts no number for {unknown:,} of {len(predicted):,} rows: "
            "do not use it"
        )
    columns = [pl.Series(name, values) for name, values in zip(names, predicted.T, strict=True)]
    keys = key_columns(features)
    return Scores(features.select(*keys, TIME).with_columns(columns), features, left_out)


def summarize_scores(scores: Scores, encoder: Encoder) -> Summary:
    """Return means and quantiles of the predictions, and counts of rows with unknown levels."""
    shown = {}
    for name in (column for column in scores.predictions.columns if column.startswith(PREDICTION)):
        values = scores.predictions[name].cast(pl.Float64).to_numpy()
        if len(values):
            quantiles = np.quantile(values, list(SHARES.values()))
            shown[name] = {
                "mean": float(values.mean()),
                **dict(zip(SHARES, quantiles.tolist(), strict=True)),
            }
    unseen = {}
    for name, levels in encoder.levels.items():
        column = scores.features[name].drop_nulls()
        if rows := int((~column.is_in(list(levels))).sum()):
            unseen[name] = rows
    return Summary(shown, unseen)


def check_kinds(kinds: Mapping[str, pl.DataType], encoder: Encoder) -> None:
    """Raise InputError where a feature changed between text and number since training.

    Its levels would silently be unknown.
    """
    for name in encoder.features:
        if name in kinds and (kinds[name] == pl.String()) != (name in encoder.levels):
            was, now = ("text", "a number") if name in encoder.levels else ("a number", "text")
            raise InputError(
                f"dataset.py: feature {name!r} is {now}, and was {was} when the model was trained: "
                "train another model with `evergreen run`"
            )
