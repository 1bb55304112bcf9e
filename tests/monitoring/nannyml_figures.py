"""A small data set, and what NannyML estimates on it without labels; kept in nannyml.json.

The later rows are of the same range of scores as the reference, with more of the high ones: beyond
that range NannyML's isotonic regression goes on with what the last few rows were.

The library does not depend on NannyML, so this runs in an environment of its own:

    python3.12 -m venv nannyml && nannyml/bin/pip install nannyml==0.13.1
    NML_DISABLE_USAGE_LOGGING=1 nannyml/bin/python tests/monitoring/nannyml_figures.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

KEPT = Path(__file__).with_name("nannyml.json")
ROWS, SHIFT = 4000, 0.8  # of each part; how much more of the later rows have high scores
Array = np.ndarray[Any, np.dtype[Any]]


def spread(count: int, step: float) -> Array:
    """Numbers from 0 to 1, evenly spread and without a generator, so that they never change."""
    return np.asarray((np.arange(1, count + 1) * step) % 1.0)


def draw_binary(shift: float = 0.0) -> tuple[Array, Array]:
    """Labels, and predictions that are too sure of themselves, both of shape (rows,)."""
    score = 3 * (spread(ROWS, 0.6180339887) ** (1 / (1 + shift)) - 0.5)
    chance = 1 / (1 + np.exp(-score))
    return (spread(ROWS, 0.7548776662) < chance).astype(float), 1 / (1 + np.exp(-2 * score))


def draw_multiclass(shift: float = 0.0) -> tuple[Array, Array]:
    """Codes of three classes, shape (rows,), and predictions that are too sure, (rows, 3)."""
    steps = (0.8191725134, 0.6710436067, 0.5497004779)
    scores = np.column_stack([2 * spread(ROWS, step) for step in steps])
    scores[:, 0] = 2 * spread(ROWS, steps[0]) ** (1 / (1 + shift))
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    sure = np.exp(2 * scores) / np.exp(2 * scores).sum(axis=1, keepdims=True)
    edges = np.cumsum(chances, axis=1)
    return (spread(ROWS, 0.7548776662)[:, None] > edges[:, :2]).sum(axis=1).astype(float), sure


def estimate_binary() -> dict[str, float]:
    """Return NannyML's estimates for the later rows."""
    import nannyml
    import pandas as pd

    (y, p), (_, later) = draw_binary(), draw_binary(SHIFT)
    reference = pd.DataFrame({"y": y, "p": p, "predicted": (p >= 0.5).astype(float)})
    rows = pd.DataFrame({"p": later, "predicted": (later >= 0.5).astype(float)})
    found = nannyml.CBPE(
        metrics=["roc_auc", "average_precision"],
        y_pred="predicted",
        y_pred_proba="p",
        y_true="y",
        problem_type="classification_binary",
        chunk_size=ROWS,
    )
    return values_of(found.fit(reference).estimate(rows), "roc_auc", "average_precision")


def estimate_multiclass() -> dict[str, float]:
    """Return NannyML's estimates for the later rows."""
    import nannyml
    import pandas as pd

    (y, p), (_, later) = draw_multiclass(), draw_multiclass(SHIFT)
    columns = {f"class {code}": f"p{code}" for code in range(3)}
    names = np.array([*columns])

    def frame(chances: Array) -> Any:
        found = pd.DataFrame(chances, columns=[*columns.values()])
        return found.assign(predicted=names[chances.argmax(axis=1)])

    found = nannyml.CBPE(
        metrics=["accuracy"],
        y_pred="predicted",
        y_pred_proba=columns,
        y_true="y",
        problem_type="classification_multiclass",
        chunk_size=ROWS,
    )
    reference = frame(p).assign(y=names[y.astype(int)])
    return values_of(found.fit(reference).estimate(frame(later)), "accuracy")


def values_of(result: Any, *metrics: str) -> dict[str, float]:
    frame = result.filter(period="analysis").to_df()
    return {name: round(float(frame[(name, "value")].iloc[0]), 6) for name in metrics}


if __name__ == "__main__":
    from importlib.metadata import version

    figures = {"nannyml": version("nannyml")}
    figures |= {"binary": estimate_binary(), "multiclass": estimate_multiclass()}
    KEPT.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
