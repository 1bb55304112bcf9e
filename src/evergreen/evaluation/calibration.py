"""Calibration error: how far predictions are from what happened, whatever they rank."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def calibration_error(
    task: str, y: Array, p: Array, bins: int = 10, quantile: float | None = None
) -> float:
    """Return how far predictions are from what happened, on average: 0 is perfect.

    Binary: expected calibration error over `bins` of equal row counts (Naeini et al., Obtaining
    well calibrated probabilities using Bayesian binning, 2015, with quantile bins). Multiclass: the
    same for the probability of the predicted class. Regression: the mean error in standard
    deviations of the label; where a `quantile` of the label is predicted, by how much the share of
    labels below the prediction is another.
    """
    if quantile is not None:
        below = float(np.mean(y < p) + np.mean(y <= p)) / 2  # a tie counts half
        return abs(below - quantile)
    if task == "regression":
        spread = float(y.std())
        return float(abs(np.mean(p - y)) / spread) if spread else 0.0
    happened = (y == 1) if task == "binary" else p.argmax(axis=1) == y
    said = p if task == "binary" else p.max(axis=1) / p.sum(axis=1)
    bins = max(1, min(bins, len(y) // 50))  # fewer rows in a bin differ by chance alone
    edges = np.quantile(said, np.arange(1, bins) / bins)
    at = np.searchsorted(edges, said, side="right")  # equal predictions share a bin
    return float(
        np.abs(np.bincount(at, said - happened.astype(np.float64), minlength=bins)).sum() / len(y)
    )
