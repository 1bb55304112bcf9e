"""Curves: how the predictions of models and the labels meet, one panel each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.report.panels import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class PlottedModel:
    """A model in a picture: its words in the legend, its colour, its predictions for the rows."""

    label: str
    colour: str
    p: Array = field(repr=False)


def draw_roc(axes: Axes, y: Array, models: Sequence[PlottedModel]) -> None:
    """Draw the receiver operating characteristic of each model; `y`: 0 or 1, shape (rows,)."""
    from sklearn.metrics import roc_curve

    for model in models:
        false, true, _ = roc_curve(y, model.p)
        axes.plot(false, true, color=model.colour, lw=2, label=model.label)
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.set_title("ROC")
    axes.legend(fontsize=8.5, loc="lower right")


def draw_precision_recall(axes: Axes, y: Array, models: Sequence[PlottedModel]) -> None:
    """Draw precision against recall of each model; `y`: 0 or 1, shape (rows,)."""
    from sklearn.metrics import precision_recall_curve

    for model in models:
        precision, recall, _ = precision_recall_curve(y, model.p)
        axes.plot(recall, precision, color=model.colour, lw=2, label=model.label)
    axes.axhline(float(np.mean(y)), color=GREY, lw=1, ls="--")
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    axes.set_title("Precision and recall")
    axes.legend(fontsize=8.5, loc="upper right")


def draw_calibration(axes: Axes, y: Array, models: Sequence[PlottedModel]) -> None:
    """Draw how often what each model predicts happens, by 15 groups of equal size.

    Predictions of shape (rows,) are of the event `y` == 1; of shape (rows, classes), the predicted
    class counts.
    """
    curves = [(_reliability(y, model.p), model) for model in models]
    top = (
        max(float(max(observed.max(), predicted.max())) for (observed, predicted), _ in curves)
        * 1.05
    )
    axes.plot([0, top], [0, top], color=GREY, lw=1, ls="--", label="perfect")
    for (observed, predicted), model in curves:
        axes.plot(predicted, observed, "o-", color=model.colour, lw=1.8, ms=5, label=model.label)
    axes.set(xlabel="predicted", ylabel="observed")
    axes.set_title("Calibration")
    axes.legend(fontsize=8.5, loc="upper left")


def _reliability(y: Array, p: Array) -> tuple[Array, Array]:
    from sklearn.calibration import calibration_curve

    happened, chance = (
        (y, p) if p.ndim == 1 else ((p.argmax(axis=1) == y).astype(float), p.max(axis=1))
    )
    observed, predicted = calibration_curve(happened, chance, n_bins=15, strategy="quantile")
    return np.asarray(observed), np.asarray(predicted)


def draw_errors(axes: Axes, y: Array, models: Sequence[PlottedModel]) -> None:
    """Draw the distribution of each model's absolute errors; `y`: labels, shape (rows,)."""
    for model in models:
        errors = np.sort(np.abs(y - model.p))
        axes.plot(
            errors, np.linspace(0, 1, len(errors)), color=model.colour, lw=2, label=model.label
        )
    axes.set(xlabel="absolute error", ylabel="share of rows at most that")
    axes.set_title("Errors")
    axes.legend(fontsize=8.5, loc="lower right")
