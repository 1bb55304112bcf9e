"""The pictures of one training run: the result at a glance, and the curves behind it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.evaluate import MODEL, Evaluation
from evergreen.finding import count
from evergreen.metrics.metric import Metrics
from evergreen.metrics.table import OF_CURVES
from evergreen.report.curves import (
    PlottedModel,
    draw_calibration,
    draw_errors,
    draw_precision_recall,
    draw_roc,
)
from evergreen.report.panels import (
    AMBER,
    DARK,
    GREEN,
    GREY,
    LEAF,
    Panel,
    draw_interval,
    draw_panels,
)
from evergreen.training.learner import XGBOOST, Trained, find_learner

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {MODEL: GREEN, "linear": AMBER, "constant": GREY}
TEXTS = COLOURS | {"constant": "#6e7681"}
MOST_POINTS = 4000  # drawn in a scatter


def draw_result(
    evaluation: Evaluation,
    seeds: Sequence[int],
    trained: Sequence[Trained],
    importance: Mapping[str, float],
    title: str,
    path: Path,
    learner: str = XGBOOST,
    *,
    metrics: Metrics,
    watched: str | None = None,
) -> Path:
    """Draw the result: against the baselines, over the seeds, while learning, by feature.

    `trained`: those whose loss was measured after each round; with a fixed number of rounds there
    are none. `watched`: what that loss is called; None: as the learner's usual one.
    """
    loss = watched or find_learner(learner).LOSSES[evaluation.task]
    chosen = [each for each in trained if each.seed in evaluation.chosen] or trained
    panels: list[Panel] = [
        lambda axes: _against_baselines(axes, evaluation, metrics),
        lambda axes: _over_seeds(axes, evaluation, seeds),
        lambda axes: _learning(axes, trained, chosen, loss),
        lambda axes: _importance(axes, importance),
    ]
    return draw_panels(panels, title, path)


def draw_curves(evaluation: Evaluation, title: str, path: Path) -> Path:
    """Draw how predictions and labels of the holdout meet: the curves of the task."""
    panels = {
        "binary": _binary_panels,
        "multiclass": _multiclass_panels,
        "regression": _regression_panels,
    }
    return draw_panels(panels[evaluation.task](evaluation), title, path)


def feature_gain(
    boosters: Collection[bytes], features: Sequence[str], learner: str = XGBOOST
) -> dict[str, float]:
    """Return each feature's share of the total gain, mean over boosters, the largest first."""
    load = find_learner(learner).load
    totals = dict.fromkeys(features, 0.0)
    for content in boosters:
        gains = load(content).gains()
        whole = sum(gains.values()) or 1.0
        for name, gain in gains.items():
            totals[name] += gain / whole / len(boosters)
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def _against_baselines(axes: Axes, evaluation: Evaluation, known: Metrics) -> None:
    models = [name for name in (MODEL, "linear", "constant") if name in evaluation.estimates]
    metrics = list(evaluation.estimates[MODEL])
    for row, metric in enumerate(metrics):
        values = {name: evaluation.estimates[name][metric] for name in models}
        edges = [
            edge
            for estimate in values.values()
            for edge in (estimate.low, estimate.high, estimate.value)
            if np.isfinite(edge)
        ]
        if not edges:
            continue
        low, width = min(edges), (max(edges) - min(edges)) or 1.0
        for step, (name, estimate) in enumerate(values.items()):
            y = row + (step - 1) * 0.22
            x = [(edge - low) / width for edge in (estimate.low, estimate.value, estimate.high)]
            draw_interval(axes, y, x, COLOURS[name], name if row == 0 else None)
            axes.annotate(
                f"{estimate.value:.3f}", (1.06, y), fontsize=8, va="center", color=TEXTS[name]
            )
    axes.set(xlim=(-0.05, 1.22), ylim=(len(metrics) - 0.5, -0.6), xticks=[])
    arrows = ["← better" if known[name].lower_is_better else "better →" for name in metrics]
    axes.set_yticks(
        range(len(metrics)),
        [f"{name}\n{arrow}" for name, arrow in zip(metrics, arrows, strict=True)],
    )
    axes.set_title(f"Holdout, {evaluation.rows:,} rows, with bootstrap intervals")
    axes.spines["bottom"].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, 0.0), ncols=3, fontsize=8.5)


def _over_seeds(axes: Axes, evaluation: Evaluation, seeds: Sequence[int]) -> None:
    metric = next(iter(evaluation.spread))
    spread = evaluation.spread[metric]
    axes.axhspan(
        spread.low, spread.high, color=LEAF, alpha=0.35, lw=0, label="interval of the mean"
    )
    axes.axhline(spread.mean, color=GREEN, lw=1)
    axes.plot(range(len(seeds)), spread.values, "o", color=GREY, ms=7)
    at = [place for place, seed in enumerate(seeds) if seed in evaluation.chosen]
    label = "in the model" if len(at) > 1 else "median by loss: the model"
    axes.plot(at, [spread.values[place] for place in at], "o", color=GREEN, ms=9, label=label)
    whole = evaluation.estimates[MODEL][metric].value
    if len(at) > 1:
        axes.axhline(
            whole, color=DARK, lw=1.4, ls="--", label=f"mean of their predictions: {whole:.4f}"
        )
    shown = range(0, len(seeds), max(1, len(seeds) // 12))
    axes.set_xticks(list(shown), [str(seeds[place]) for place in shown])
    axes.set(xlabel="seed", ylabel=metric)
    low, high = min(*spread.values, whole), max(*spread.values, whole)
    room = (high - low) or 0.01
    axes.set_ylim(low - 0.2 * room, high + 0.45 * room)
    axes.set_title(f"{count(len(seeds), 'seed')}: {spread.mean:.4f} ± {spread.deviation:.4f}")
    axes.legend(fontsize=8.5, loc="upper right")


def _learning(axes: Axes, trained: Sequence[Trained], chosen: Sequence[Trained], loss: str) -> None:
    for seed in trained:
        axes.plot(seed.history["validation"], color=LEAF, lw=0.8, alpha=0.8)
        axes.plot(seed.history["train"], color=GREY, lw=0.8, alpha=0.8)
    for seed in chosen[:1]:
        axes.plot(seed.history["validation"], color=GREEN, lw=1.8, label="validation")
        axes.plot(seed.history["train"], color="#6e7681", lw=1.8, label="training")
        lowest = seed.validation_loss or 0.0
        axes.plot(seed.rounds - 1, lowest, "o", color=GREEN, ms=7)
        axes.annotate(
            f"kept: {seed.rounds} rounds",
            (seed.rounds - 1, lowest),
            (6, 10),
            textcoords="offset points",
            fontsize=8.5,
        )
    axes.set(xlabel="round", ylabel=loss)
    axes.set_title("Learning")
    axes.legend(fontsize=8.5)


def _importance(axes: Axes, importance: Mapping[str, float]) -> None:
    shown = dict(list(importance.items())[:12])
    axes.barh(list(shown), list(shown.values()), color=GREEN, height=0.65)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.set_xlabel("share of the gain in loss")
    axes.set_title("Features")
    if not any(importance.values()):
        axes.set_title("Features: this learner does not report their gain")


def _binary_panels(evaluation: Evaluation) -> list[Panel]:
    return [
        lambda axes: draw_roc(axes, evaluation.y, _ranked(evaluation, "roc")),
        lambda axes: draw_precision_recall(
            axes, evaluation.y, _ranked(evaluation, "precision_recall")
        ),
        lambda axes: draw_calibration(axes, evaluation.y, [_grouped(evaluation)]),
        lambda axes: _scores(axes, evaluation),
    ]


def _ranked(evaluation: Evaluation, curve: str) -> list[PlottedModel]:
    found = {name: evaluation.estimates[name].get(OF_CURVES[curve]) for name in ("linear", MODEL)}
    labels = {
        name: f": {estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
        if estimate
        else ""
        for name, estimate in found.items()
    }
    return [
        PlottedModel(name + labels[name], COLOURS[name], evaluation.predictions[name])
        for name in found
    ]


def _grouped(evaluation: Evaluation) -> PlottedModel:
    return PlottedModel("model, 15 equal groups", GREEN, evaluation.predictions[MODEL])


def _scores(axes: Axes, evaluation: Evaluation) -> None:
    bins = np.linspace(0, 1, 41).tolist()
    for code, colour in ((0, GREY), (1, GREEN)):
        name = evaluation.classes[code] if evaluation.classes else str(code)
        values = evaluation.predictions[MODEL][evaluation.y == code]
        axes.hist(values, bins=bins, density=True, color=colour, alpha=0.6, label=f"label {name}")
    axes.set(xlabel="predicted chance", ylabel="density", yticks=[])
    axes.set_title("Predictions by label")
    axes.legend(fontsize=8.5)


def _multiclass_panels(evaluation: Evaluation) -> list[Panel]:
    return [
        lambda axes: _confusion(axes, evaluation),
        lambda axes: _recalls(axes, evaluation),
        lambda axes: draw_calibration(axes, evaluation.y, [_grouped(evaluation)]),
    ]


def _confusion(axes: Axes, evaluation: Evaluation) -> None:
    from sklearn.metrics import confusion_matrix

    top = evaluation.predictions[MODEL].argmax(axis=1)
    counts = confusion_matrix(evaluation.y, top, labels=np.arange(len(evaluation.classes)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Greens", vmin=0, vmax=1)
    if len(evaluation.classes) <= 12:
        for (row, column), count in np.ndenumerate(counts):
            axes.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.5 else DARK,
            )
        axes.set_xticks(range(len(evaluation.classes)), evaluation.classes)
        axes.set_yticks(range(len(evaluation.classes)), evaluation.classes)
    axes.set(xlabel="predicted", ylabel="label")
    axes.set_title("Confusion, rows of the holdout")


def _recalls(axes: Axes, evaluation: Evaluation) -> None:
    top = evaluation.predictions[MODEL].argmax(axis=1)
    present = [code for code in range(len(evaluation.classes)) if (evaluation.y == code).any()]
    values = [float((top[evaluation.y == code] == code).mean()) for code in present]
    axes.barh([evaluation.classes[code] for code in present], values, color=GREEN, height=0.65)
    axes.set(xlim=(0, 1), xlabel="recall")
    axes.invert_yaxis()
    axes.set_title("Recall by class")


def _regression_panels(evaluation: Evaluation) -> list[Panel]:
    models = [
        PlottedModel(name, COLOURS[name], evaluation.predictions[name])
        for name in ("constant", "linear", MODEL)
    ]
    return [
        lambda axes: _fit(axes, evaluation),
        lambda axes: _residuals(axes, evaluation),
        lambda axes: draw_errors(axes, evaluation.y, models),
    ]


def _fit(axes: Axes, evaluation: Evaluation) -> None:
    y, p = _few(evaluation)
    edges = [float(min(y.min(), p.min())), float(max(y.max(), p.max()))]
    axes.plot(edges, edges, color=GREY, lw=1, ls="--")
    axes.plot(p, y, ".", color=GREEN, ms=3, alpha=0.4)
    axes.set(xlabel="predicted", ylabel="label")
    axes.set_title("Label against prediction")


def _residuals(axes: Axes, evaluation: Evaluation) -> None:
    y, p = _few(evaluation)
    axes.axhline(0, color=GREY, lw=1, ls="--")
    axes.plot(p, y - p, ".", color=GREEN, ms=3, alpha=0.4)
    axes.set(xlabel="predicted", ylabel="label minus prediction")
    axes.set_title("Residuals")


def _few(evaluation: Evaluation) -> tuple[Any, Any]:
    step = max(1, evaluation.rows // MOST_POINTS)
    return evaluation.y[::step], evaluation.predictions[MODEL][::step]
