"""Evaluate: how good the chosen model is on the holdout, beside two baselines.

And how much of that is noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.errors import InputError
from evergreen.evaluation.intervals import Estimate, bootstrap
from evergreen.metrics.metric import Metrics
from evergreen.params import Evaluate as EvaluateParams
from evergreen.training.cross_validation import predict_holdout
from evergreen.training.learner import XGBOOST, find_learner
from evergreen.training.seeds import Spread, summarize

if TYPE_CHECKING:
    from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]
MODEL = "model"


@dataclass(frozen=True)
class Evaluation:
    """What the holdout says: each metric of each model with its interval, spread over seeds."""

    task: str
    rows: int
    chosen: tuple[int, ...]  # seeds in the model
    estimates: dict[str, dict[str, Estimate]]  # "model", "constant", "linear" -> metric -> estimate
    spread: dict[str, Spread]  # metric -> over seeds
    y: Array = field(repr=False)
    predictions: dict[str, Array] = field(repr=False)  # by model, for the holdout
    classes: tuple[str, ...] = ()

    def as_values(self) -> dict[str, float]:
        """Return name -> value of each metric, its interval, and its spread over seeds."""
        values: dict[str, float] = {}
        for model, metrics in self.estimates.items():
            for name, metric in metrics.items():
                key = name if model == MODEL else f"{model}.{name}"
                values |= {key: metric.value, f"{key}.low": metric.low, f"{key}.high": metric.high}
        for name, spread in self.spread.items():
            values |= {
                f"seeds.{name}.mean": spread.mean,
                f"seeds.{name}.deviation": spread.deviation,
            }
        return values

    def as_markdown(self) -> str:
        """Return a table of every metric with its interval, model beside baselines."""
        models = list(self.estimates)
        lines = [
            f"| holdout of {self.rows:,} rows | {' | '.join(models)} |",
            "|---" * (len(models) + 1) + "|",
        ]
        for name in self.estimates[MODEL]:
            cells = [self.estimates[model][name] for model in models]
            shown = " | ".join(
                f"{cell.value:.4f} ({cell.low:.4f} to {cell.high:.4f})" for cell in cells
            )
            lines.append(f"| {name} | {shown} |")
        spread = "; ".join(
            f"{name} {over.mean:.4f} ± {over.deviation:.4f}" for name, over in self.spread.items()
        )
        return "\n".join(
            [*lines, "", f"Over {len(next(iter(self.spread.values())).values)} seeds: {spread}"]
        )


def predict(booster: bytes, x: Array, learner: str = XGBOOST) -> Array:
    """Return the predictions of one model of `learner` for encoded rows.

    Shape (rows,), or (rows, classes).
    """
    return find_learner(learner).load(booster).predict(x)


def measure_seed(
    tables: Tables, booster: bytes, learner: str = XGBOOST, *, metrics: Metrics
) -> dict[str, float]:
    """Return the metrics of one seed's model on the holdout."""
    check_holdout(tables)
    return metrics.measure(tables.task, tables.holdout.y, predict_holdout(tables, booster, learner))


def losses_of(
    tables: Tables, boosters: Mapping[int, bytes], learner: str, *, metrics: Metrics
) -> dict[int, float]:
    """Return the loss of each seed's model on the holdout (`Metrics.loss`), such as log loss."""
    loss = metrics.loss(tables.task)
    return {
        seed: measure_seed(tables, content, learner, metrics=metrics)[loss]
        for seed, content in boosters.items()
    }


def check_holdout(tables: Tables) -> None:
    """Raise InputError where the holdout cannot tell a good model from a bad one."""
    if not len(tables.holdout) or not len(tables.train):
        raise InputError(
            f"the split leaves {len(tables.train):,} training and {len(tables.holdout):,} holdout "
            "rows: each needs some; add batches"
        )
    if tables.task != "regression" and tables.holdout.y.min() == tables.holdout.y.max():
        only = tables.classes[int(tables.holdout.y[0])]
        raise InputError(
            f"all {len(tables.holdout):,} holdout labels are {only}: no model can be judged by them"
        )


def evaluate(
    tables: Tables,
    boosters: Mapping[int, bytes],
    seed_metrics: Sequence[Mapping[str, float]],
    baselines: Mapping[str, Array],
    params: EvaluateParams,
    learner: str = XGBOOST,
    *,
    metrics: Metrics,
) -> Evaluation:
    """Judge the model made of `boosters`, by seed, on the holdout; several are averaged.

    `seed_metrics` holds what `measure_seed` said of every seed trained, chosen or not.
    """
    check_holdout(tables)
    said = [predict_holdout(tables, booster, learner) for booster in boosters.values()]
    predictions = {MODEL: np.mean(said, axis=0), **baselines}
    estimates = bootstrap(
        tables.task,
        tables.holdout.y,
        predictions,
        resamples=params.resamples,
        confidence=params.confidence,
        seed=min(boosters),
        metrics=metrics,
    )
    names = list(seed_metrics[0])
    return Evaluation(
        task=tables.task,
        rows=len(tables.holdout),
        chosen=tuple(sorted(boosters)),
        estimates=estimates,
        spread={
            name: summarize([seed[name] for seed in seed_metrics], params.confidence)
            for name in names
        },
        y=tables.holdout.y,
        predictions=predictions,
        classes=tables.classes,
    )
