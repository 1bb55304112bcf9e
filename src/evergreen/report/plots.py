"""The pictures of one training run: the result at a glance, and the curves behind it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.evaluate import MODEL, Evaluation
from evergreen.evaluation.metrics import LOWER_IS_BETTER, OF_CURVES
from evergreen.files import write_whole
from evergreen.finding import count
from evergreen.training.learner import XGBOOST, Trained, find_learner

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, np.dtype[Any]]
Panel = Callable[["Axes"], None]
GREEN, LEAF, GREY, DARK, AMBER = "#1b7f4b", "#8fcfa8", "#b9bec4", "#30363d", "#d9822b"
COLOURS = {MODEL: GREEN, "linear": AMBER, "constant": GREY}
TEXTS = COLOURS | {"constant": "#6e7681"}
MOST_POINTS = 4000  # drawn in a scatter


@dataclass(frozen=True)
class Seen:
    """A model as a picture shows it: its words in the legend, its colour, its predictions for the rows."""

    label: str
    colour: str
    p: Array = field(repr=False)


def draw_result(
    evaluation: Evaluation, seeds: Sequence[int], trained: Sequence[Trained], importance: Mapping[str, float],
    title: str, path: Path, learner: str = XGBOOST,
) -> Path:  # fmt: skip
    """Draw the result at a glance: against the baselines, over the seeds, while learning, by feature.

    `trained`: those whose loss was looked at after each round; a constant number of rounds leaves
    none of a seed's own.
    """
    loss = find_learner(learner).LOSSES[evaluation.task]
    chosen = [one for one in trained if one.seed in evaluation.chosen] or trained
    panels: list[Panel] = [
        lambda axes: _against_baselines(axes, evaluation),
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
    """Return each feature's share of the total gain in loss, mean over boosters of `learner`, largest first."""
    load = find_learner(learner).load
    totals = dict.fromkeys(features, 0.0)
    for content in boosters:
        gains = load(content).gains()
        whole = sum(gains.values()) or 1.0
        for name, gain in gains.items():
            totals[name] += gain / whole / len(boosters)
    return dict(sorted(totals.items(), key=lambda one: -one[1]))


def draw_panels(
    panels: Sequence[Panel],
    title: str,
    path: Path,
    *,
    grid: str = "AB;CD",
    size: tuple[float, float] = (11, 8),
    heights: Sequence[float] | None = None,
    colour: str = DARK,
) -> Path:
    """Draw `panels` in the order of the `grid` (as matplotlib's subplot_mosaic reads it), under a `title` in `colour`.

    `size`: of the figure, in inches of 110 pixels. `heights`: of the grid's rows, in shares; None:
    all the same.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    style = {
        "font.size": 9.5, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#8b949e",
        "axes.titlesize": 11, "axes.titlelocation": "left", "axes.titleweight": "bold", "text.color": DARK,
        "axes.labelcolor": DARK, "xtick.color": DARK, "ytick.color": DARK, "legend.frameon": False,
        "text.parse_math": False,
    }  # fmt: skip
    with rc_context(style), warnings.catch_warnings():
        # A name in another script shows boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure: Figure = Figure(
            figsize=size, dpi=110, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        )
        figure.suptitle(title, fontsize=13, x=0.01, ha="left", color=colour)
        places = list(figure.subplot_mosaic(grid, height_ratios=heights).values())
        for axes, panel in zip(places, panels, strict=False):
            panel(axes)
        for axes in places[len(panels) :]:
            axes.set_visible(False)
        write_whole(path, lambda part: figure.savefig(part, format="png"))
    return path


def _against_baselines(axes: Axes, evaluation: Evaluation) -> None:
    models = [name for name in (MODEL, "linear", "constant") if name in evaluation.estimates]
    metrics = list(evaluation.estimates[MODEL])
    for row, metric in enumerate(metrics):
        values = {name: evaluation.estimates[name][metric] for name in models}
        edges = [
            edge
            for one in values.values()
            for edge in (one.low, one.high, one.value)
            if np.isfinite(edge)
        ]
        if not edges:
            continue
        low, width = min(edges), (max(edges) - min(edges)) or 1.0
        for step, (name, one) in enumerate(values.items()):
            y = row + (step - 1) * 0.22
            x = [(edge - low) / width for edge in (one.low, one.value, one.high)]
            draw_interval(axes, y, x, COLOURS[name], name if row == 0 else None)
            axes.annotate(f"{one.value:.3f}", (1.06, y), fontsize=8, va="center", color=TEXTS[name])
    axes.set(xlim=(-0.05, 1.22), ylim=(len(metrics) - 0.5, -0.6), xticks=[])
    arrows = ["← better" if name in LOWER_IS_BETTER else "better →" for name in metrics]
    axes.set_yticks(
        range(len(metrics)),
        [f"{name}\n{arrow}" for name, arrow in zip(metrics, arrows, strict=True)],
    )
    axes.set_title(f"Holdout, {evaluation.rows:,} rows, with bootstrap intervals")
    axes.spines["bottom"].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, 0.0), ncols=3, fontsize=8.5)


def draw_interval(
    axes: Axes, y: float, edges: Sequence[float], colour: str, label: str | None = None
) -> None:
    """Draw low, value and high of `edges` as a dot on a line, at the height `y`."""
    low, value, high = edges
    axes.plot([low, high], [y, y], color=colour, lw=2, solid_capstyle="round")
    axes.plot(value, y, "o", color=colour, ms=6, label=label)


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
    for one in trained:
        axes.plot(one.history["validation"], color=LEAF, lw=0.8, alpha=0.8)
        axes.plot(one.history["train"], color=GREY, lw=0.8, alpha=0.8)
    for one in chosen[:1]:
        axes.plot(one.history["validation"], color=GREEN, lw=1.8, label="validation")
        axes.plot(one.history["train"], color="#6e7681", lw=1.8, label="training")
        lowest = one.validation_loss or 0.0
        axes.plot(one.rounds - 1, lowest, "o", color=GREEN, ms=7)
        axes.annotate(
            f"kept: {one.rounds} rounds",
            (one.rounds - 1, lowest),
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
        axes.set_title("Features: this learner does not tell what each gains")


def _binary_panels(evaluation: Evaluation) -> list[Panel]:
    return [
        lambda axes: draw_roc(axes, evaluation.y, _ranked(evaluation, "roc")),
        lambda axes: draw_precision_recall(
            axes, evaluation.y, _ranked(evaluation, "precision_recall")
        ),
        lambda axes: draw_calibration(axes, evaluation.y, [_grouped(evaluation)]),
        lambda axes: _scores(axes, evaluation),
    ]


def _ranked(evaluation: Evaluation, curve: str) -> list[Seen]:
    found = {name: evaluation.estimates[name].get(OF_CURVES[curve]) for name in ("linear", MODEL)}
    told = {
        name: f": {one.value:.3f} ({one.low:.3f} to {one.high:.3f})" if one else ""
        for name, one in found.items()
    }
    return [Seen(name + told[name], COLOURS[name], evaluation.predictions[name]) for name in found]


def _grouped(evaluation: Evaluation) -> Seen:
    return Seen("model, 15 equal groups", GREEN, evaluation.predictions[MODEL])


def draw_roc(axes: Axes, y: Array, models: Sequence[Seen]) -> None:
    """Draw how many of the positives each model finds at each rate of false alarms; `y`: 0 or 1, shape (rows,)."""
    from sklearn.metrics import roc_curve

    for one in models:
        false, true, _ = roc_curve(y, one.p)
        axes.plot(false, true, color=one.colour, lw=2, label=one.label)
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.set_title("ROC")
    axes.legend(fontsize=8.5, loc="lower right")


def draw_precision_recall(axes: Axes, y: Array, models: Sequence[Seen]) -> None:
    """Draw how many of each model's alarms are right, at each share of positives found; `y`: 0 or 1, shape (rows,)."""
    from sklearn.metrics import precision_recall_curve

    for one in models:
        precision, recall, _ = precision_recall_curve(y, one.p)
        axes.plot(recall, precision, color=one.colour, lw=2, label=one.label)
    axes.axhline(float(np.mean(y)), color=GREY, lw=1, ls="--")
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    axes.set_title("Precision and recall")
    axes.legend(fontsize=8.5, loc="upper right")


def draw_calibration(axes: Axes, y: Array, models: Sequence[Seen]) -> None:
    """Draw how often what each model says happens, by 15 groups of equal size.

    Predictions of shape (rows,) are of the event `y` == 1; of shape (rows, classes), the predicted
    class counts.
    """
    curves = [(_reliability(y, one.p), one) for one in models]
    top = (
        max(float(max(observed.max(), predicted.max())) for (observed, predicted), _ in curves)
        * 1.05
    )
    axes.plot([0, top], [0, top], color=GREY, lw=1, ls="--", label="perfect")
    for (observed, predicted), one in curves:
        axes.plot(predicted, observed, "o-", color=one.colour, lw=1.8, ms=5, label=one.label)
    axes.set(xlabel="predicted", ylabel="observed")
    axes.set_title("Calibration")
    axes.legend(fontsize=8.5, loc="upper left")


def _reliability(y: Array, p: Array) -> tuple[Array, Array]:
    from sklearn.calibration import calibration_curve

    happened, said = (
        (y, p) if p.ndim == 1 else ((p.argmax(axis=1) == y).astype(float), p.max(axis=1))
    )
    observed, predicted = calibration_curve(happened, said, n_bins=15, strategy="quantile")
    return np.asarray(observed), np.asarray(predicted)


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
        Seen(name, COLOURS[name], evaluation.predictions[name])
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


def draw_errors(axes: Axes, y: Array, models: Sequence[Seen]) -> None:
    """Draw for each model the share of rows whose absolute error is at most so much; `y`: labels, shape (rows,)."""
    for one in models:
        errors = np.sort(np.abs(y - one.p))
        axes.plot(errors, np.linspace(0, 1, len(errors)), color=one.colour, lw=2, label=one.label)
    axes.set(xlabel="absolute error", ylabel="share of rows at most that")
    axes.set_title("Errors")
    axes.legend(fontsize=8.5, loc="lower right")


def _few(evaluation: Evaluation) -> tuple[Any, Any]:
    step = max(1, evaluation.rows // MOST_POINTS)
    return evaluation.y[::step], evaluation.predictions[MODEL][::step]
