"""The picture of one decision of the gate: the challenger beside the champion, and what each rule saw."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan, lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.decision import Decision
from evergreen.evaluation.metrics import LOWER_IS_BETTER, OF_CURVES, measure
from evergreen.promotion.compare import Comparison, Difference
from evergreen.promotion.evidence import Judged
from evergreen.report.plots import (
    AMBER,
    DARK,
    GREEN,
    GREY,
    LEAF,
    Panel,
    Seen,
    draw_calibration,
    draw_errors,
    draw_interval,
    draw_panels,
    draw_precision_recall,
    draw_roc,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, np.dtype[Any]]
Edges = tuple[float, float, float]  # low, value, high
LEAST = "least gain that matters"
RED, SLATE = "#c4342d", "#57606a"
ACTIONS = {"promote": GREEN, "refuse": RED, "ask": AMBER}
SIDES = {"champion": SLATE, "challenger": GREEN}
SLICES = {"beyond the margin": RED, "worse": AMBER, "within the noise": GREY, "better": GREEN}
MOST_SLICES = 24  # drawn; of more, as many of the lowest as of the highest
MOST_CLASSES = 16  # drawn; of more, those whose recall differs most
LETTERS, MOST_LINES = 165, 3  # of a sentence in the list of rules


@dataclass(frozen=True)
class Row:
    """A gain to be drawn: its name, its metric, the gate's rule that looks at it, and that rule's bound."""

    name: str
    metric: str
    gain: Difference
    rule: str
    bound: float = 0.0
    bound_name: str = ""


def draw_comparison(
    judged: Judged, decision: Decision, title: str, path: Path, classes: Sequence[str] = ()
) -> Path:
    """Draw what the gate saw, so that a person sees why it decided as it did; without a champion, what there is.

    `classes`: names of the classes, by code.
    """
    found, gate = judged.evidence.comparison, decision.evidence["gate"]
    packaged = {name: measure(found.task, judged.y, p) for name, p in judged.predictions.items()}
    top: list[Panel] = [
        lambda axes: _gains(axes, found, decision),
        lambda axes: _seeds(axes, found, packaged),
    ]
    if found.models:
        top.insert(1, lambda axes: _slices(axes, found, gate["slice_margin"]))
    bottom = [*_curves(judged, packaged, classes), lambda axes: _calibration(axes, judged)]
    lines = _lines(decision)
    heights = (4.9 if found.models else 3.6, 3.9, 0.19 * (len(lines) + 3))
    return draw_panels(
        [*top, *bottom, lambda axes: _rules(axes, decision, lines)],
        f"{decision.action.upper()}: {_plain(title, 150)}",
        path,
        grid=_grid(len(top), len(bottom)),
        size=(16, sum(heights) + 0.5),
        heights=heights,
        colour=ACTIONS[decision.action],
    )


def _grid(top: int, bottom: int) -> str:
    """Return the picture's rows: `top` panels, `bottom` panels, and one as wide as all."""
    wide, names = lcm(top, bottom), iter("ABCDEFG")
    rows = ["".join(next(names) * (wide // count) for _ in range(count)) for count in (top, bottom)]
    return ";".join([*rows, next(names) * wide])


def _plain(words: str, most: int) -> str:
    """Return `words` in one line of at most `most` letters, with a question mark for what cannot be printed."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in " ".join(words.split()))
    return (
        shown if len(shown) <= most else f"{shown[: most - most // 3 - 1]}…{shown[-(most // 3) :]}"
    )


# --- gains
# --------------------------------------------------------------------------------------------------


def _gains(axes: Axes, found: Comparison, decision: Decision) -> None:
    """Draw the gain in each metric beside the champion; without one, in the metric that decides beside baselines."""
    rows = [*(_beside_champion(found, decision) if found.models else _beside_baselines(found))]
    broken = {rule["name"] for rule in decision.rules if not rule["met"]}
    for at, row in enumerate(rows):
        _gain(axes, at, row, RED if row.rule in broken else GREEN)
    axes.axvline(0, color=DARK, lw=0.8, zorder=0)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set(
        ylim=(max(len(rows), 3) + 0.2, -0.8),
        xlabel=_unit({row.metric for row in rows}, bool(found.models)),
    )
    axes.set_title(f"Gain, {found.rows:,} rows: green passes, red does not")
    axes.locator_params(axis="x", nbins=6)
    handles, labels = axes.get_legend_handles_labels()
    if shown := dict(zip(labels, handles, strict=True)):  # each word once
        legend = axes.legend(
            list(shown.values()), list(shown), loc="lower left", ncols=2, fontsize=8.5, frameon=True
        )
        legend.get_frame().set(facecolor="white", edgecolor="none", alpha=1)


def _beside_champion(found: Comparison, decision: Decision) -> Iterator[Row]:
    gate, metric = decision.evidence["gate"], found.metric
    assert found.models
    yield Row(f"{metric}\ndecides", metric, found.whole[metric], "better", gate["min_gain"], LEAST)
    yield Row(f"{metric}\nas packaged", metric, found.models, "no worse", -gate["margin"], "margin")
    for name, one in found.whole.items():
        if name != metric:
            yield Row(name, name, one, f"no worse in {name}", -gate["margin"], "margin")


def _beside_baselines(found: Comparison) -> Iterator[Row]:
    for name, one in found.baselines.items():
        yield Row(f"{found.metric}\nbeside {name}", found.metric, one, f"baseline {name}")


def _gain(axes: Axes, at: int, row: Row, colour: str) -> None:
    edges, one = _hundredths(row.metric, row.gain), row.gain
    told = f"{_number(one.champion)} → {_number(one.challenger)}, {_number(one.value, '+')}"
    if isfinite(edges[1]):
        draw_interval(axes, at, edges, colour)
        told += f" ({_number(one.low, '+')} to {_number(one.high, '+')})"
    else:
        told = "not defined on these rows"
    if row.bound_name:
        mark: dict[str, Any] = (
            {"color": DARK, "ls": ":"} if row.bound_name == LEAST else {"color": AMBER}
        )
        axes.plot([100 * row.bound] * 2, [at - 0.16, at + 0.3], lw=2, label=row.bound_name, **mark)
    box = {"fc": "white", "ec": "none", "pad": 0.5}
    where = axes.get_yaxis_transform()
    axes.text(
        0.01, at - 0.3, told, transform=where, fontsize=8.5, color=colour, va="center", bbox=box
    )


def _hundredths(metric: str, one: Difference) -> Edges:
    """Return the gain in hundredths of what the gate's bounds count in; NaN where that is nothing."""
    unit = _counted_in(metric, one)
    low, value, high = (
        100 * edge / unit if unit else float("nan") for edge in (one.low, one.value, one.high)
    )
    return low, value, high


def _counted_in(metric: str, one: Difference) -> float:
    return one.champion if metric in LOWER_IS_BETTER else 1.0


def _unit(metrics: set[str], champion: bool = True) -> str:
    errors, other = metrics & set(LOWER_IS_BETTER), "champion" if champion else "baseline"
    told = [
        *(["points of 0.01"] if metrics - errors else []),
        *([f"errors in % of the {other}'s"] if errors else []),
    ]
    return f"gain, more is better\n({'; '.join(told)})" if told else "nothing to compare with"


def _number(value: float, sign: str = "") -> str:
    size = abs(value)
    kind = (
        ".3g"
        if 0 < size < 0.001 or size >= 1e7
        else ".4f"
        if size < 10
        else ".2f"
        if size < 1000
        else ",.0f"
    )
    return format(value, sign + kind)


# --- slices
# --------------------------------------------------------------------------------------------------


def _slices(axes: Axes, found: Comparison, margin: float | None) -> None:
    """Draw the gain in each slice that can be judged, the lowest first."""
    judged = {name: one for name, one in found.slices.items() if one and not isnan(one.champion)}
    gains = {name: _hundredths(found.metric, one) for name, one in judged.items()}
    known = sorted(gains, key=lambda name: gains[name][1] if isfinite(gains[name][1]) else -inf)
    shown = _outermost(known)
    for at, name in shown.items():
        _slice(axes, at, gains[name], judged[name], _slice_kind(found.metric, judged[name], margin))
    _slice_lines(axes, found, margin)
    names = {at: _plain(name, 24) for at, name in shown.items()}
    if len(shown) < len(known):
        names[MOST_SLICES // 2] = f"… {len(known) - len(shown)} between"
    axes.set_yticks(list(names), list(names.values()), fontsize=8)
    axes.set(ylim=(max([*names, 5]) + 0.6, -0.6), xlabel=_unit({found.metric}))
    axes.set_xlim(
        _narrow([gains[name] for name in shown.values()], axes.get_xlim(), 100 * (margin or 0))
    )
    axes.locator_params(axis="x", nbins=6)
    axes.set_title(_slice_title(len(known), len(shown), len(found.slices) - len(known)))


def _outermost(names: Sequence[str]) -> dict[int, str]:
    """Return the names to be drawn, by height; a gap stands for those in the middle that are left out."""
    if len(names) <= MOST_SLICES:
        return dict(enumerate(names))
    half = MOST_SLICES // 2
    return dict(enumerate(names[:half])) | dict(enumerate(names[-half:], half + 1))


def _slice_kind(metric: str, one: Difference, margin: float | None) -> str:
    """Return what the gate makes of a slice: what is not a number is beyond the margin."""
    if margin is not None and not (
        one.value >= -margin * _counted_in(metric, one) or one.high >= 0
    ):
        return "beyond the margin"
    return "worse" if one.high < 0 else "better" if one.low > 0 else "within the noise"


def _slice(axes: Axes, at: int, edges: Edges, one: Difference, kind: str) -> None:
    known = kind in axes.get_legend_handles_labels()[1]
    draw_interval(axes, at, edges, SLICES[kind], None if known else kind)
    told, where = f"{_number(one.champion)} → {_number(one.challenger)}", axes.get_yaxis_transform()
    axes.text(
        1.01,
        at,
        told,
        transform=where,
        fontsize=7.5,
        va="center",
        color=RED if SLICES[kind] == RED else DARK,
    )


def _slice_lines(axes: Axes, found: Comparison, margin: float | None) -> None:
    axes.axvline(0, color=DARK, lw=0.8, zorder=0)
    _, overall, _ = _hundredths(found.metric, found.whole[found.metric])
    axes.axvline(overall, color=LEAF, lw=1.5, zorder=0, label="all rows")
    if margin is not None:
        axes.axvline(-100 * margin, color=RED, lw=1.2, ls="--", zorder=0, label="margin")
    count = len(axes.get_legend_handles_labels()[0])
    columns = count if count < 4 else (count + 1) // 2
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.15), ncols=columns, fontsize=8.5)


def _narrow(
    gains: Sequence[Edges], limits: tuple[float, float], margin: float
) -> tuple[float, float]:
    """Return `limits` cut so that no single interval, wide for want of rows, presses the others together."""
    ends = np.abs([end for low, _, high in gains for end in (low, high) if isfinite(end)])
    if not len(ends):
        return limits
    reach, values = (
        3 * float(np.quantile(ends, 0.9)),
        [1.1 * value for _, value, _ in gains if isfinite(value)],
    )
    return max(limits[0], min(-reach, -1.1 * margin, *values)), min(limits[1], max(reach, *values))


def _slice_title(known: int, shown: int, small: int) -> str:
    told = f"Slices: {known}" if known else "Slices: none to compare"
    if shown < known:
        told = f"Slices: {shown // 2} lowest, {shown // 2} highest of {known}"
    return f"{told}; {small} too small" if small else told


# --- seeds
# --------------------------------------------------------------------------------------------------


def _seeds(axes: Axes, found: Comparison, packaged: Mapping[str, Mapping[str, float]]) -> None:
    """Draw each seed's model as a point, their mean as a line, and the packaged model as a diamond."""
    sides = [name for name in SIDES if name in found.by_seed]
    for at, name in enumerate(sides):
        values, one = found.by_seed[name], packaged[name][found.metric]
        places = at + np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else [at] * len(values)
        axes.plot(places, values, "o", color=SIDES[name], ms=6, alpha=0.45)
        if values:
            axes.plot([at - 0.25, at + 0.25], [np.mean(values)] * 2, color=SIDES[name], lw=1.5)
        axes.plot(at, one, "D", color=SIDES[name], ms=9, mec="white")
        axes.annotate(_number(one), (at + 0.29, one), va="center", fontsize=9, color=SIDES[name])
    axes.set_xticks(
        range(len(sides)), [f"{name}\nseeds: {len(found.by_seed[name])}" for name in sides]
    )
    axes.set(xlim=(-0.5, len(sides) - 0.3), ylabel=f"{found.metric}, better is up")
    if found.metric in LOWER_IS_BETTER:
        axes.invert_yaxis()
    axes.set_title("Seeds (●), packaged model (◆)")


# --- curves and calibration
# -------------------------------------------------------------------------------------------


def _seen(judged: Judged, told: Mapping[str, str]) -> list[Seen]:
    return [
        Seen(told[name], SIDES[name], judged.predictions[name])
        for name in SIDES
        if name in judged.predictions
    ]


def _curves(
    judged: Judged, packaged: Mapping[str, Mapping[str, float]], classes: Sequence[str]
) -> list[Panel]:
    def models(curve: str, called: str = "") -> list[Seen]:
        of = OF_CURVES[curve]
        told = {
            name: f": {called}{_number(one[of])}" if of in one else ""
            for name, one in packaged.items()
        }
        return _seen(judged, {name: name + text for name, text in told.items()})

    if judged.evidence.comparison.task == "binary":
        return [
            lambda axes: draw_roc(axes, judged.y, models("roc")),
            lambda axes: draw_precision_recall(axes, judged.y, models("precision_recall")),
        ]
    if judged.evidence.comparison.task == "multiclass":
        return [lambda axes: _recalls(axes, judged, classes)]
    return [lambda axes: draw_errors(axes, judged.y, models("errors", "mean "))]


def _recalls(axes: Axes, judged: Judged, classes: Sequence[str]) -> None:
    models, present = _seen(judged, {name: name for name in SIDES}), np.unique(judged.y).astype(int)
    hits = [one.p.argmax(axis=1) == judged.y for one in models]
    recalls = np.array([[hit[judged.y == code].mean() for code in present] for hit in hits])
    shown = np.sort(np.argsort(np.ptp(recalls, axis=0), kind="stable")[-MOST_CLASSES:])
    wide = 0.8 / len(models)
    for number, one in enumerate(models):
        places = np.arange(len(shown)) - 0.4 + (number + 0.5) * wide
        axes.bar(places, recalls[number, shown], wide * 0.9, color=one.colour, label=one.label)
    names = [classes[code] if code < len(classes) else f"class {code}" for code in present[shown]]
    axes.set_xticks(
        range(len(shown)),
        [_plain(name, 14) for name in names],
        rotation=30 if len(shown) > 6 else 0,
    )
    axes.set(ylim=(0, 1.15), ylabel="recall")
    cut = len(shown) < len(present)
    axes.set_title(
        "Recall by class"
        + (f": the {len(shown)} of {len(present)} that differ most" if cut else "")
    )
    axes.legend(fontsize=8.5, loc="upper right", ncols=2)


def _calibration(axes: Axes, judged: Judged) -> None:
    errors = dict(zip(SIDES, judged.evidence.calibration, strict=True))
    models = _seen(
        judged,
        {name: f"{name}: error {error:.4f}" for name, error in errors.items() if error is not None},
    )
    if judged.evidence.comparison.task != "regression":
        draw_calibration(axes, judged.y, models)
        return
    for one in models:
        parts = np.array_split(np.argsort(one.p, kind="stable"), min(10, len(one.p)))
        said = [float(one.p[part].mean()) for part in parts]
        axes.plot(said, [float((judged.y[part] - one.p[part]).mean()) for part in parts], "o-", color=one.colour,
                  lw=1.8, ms=5, label=one.label)  # fmt: skip
    axes.axhline(0, color=GREY, lw=1, ls="--")
    axes.set(
        xlabel="predicted, mean of each tenth of the rows", ylabel="mean of label minus prediction"
    )
    axes.set_title("Calibration")
    axes.legend(fontsize=8.5)


# --- rules
# --------------------------------------------------------------------------------------------------


def _lines(decision: Decision) -> list[tuple[str, str, str]]:
    """Return the list of rules as lines: whether it is met, its name, a line of what it saw."""
    said = {rule["says"] for rule in decision.rules}
    lines = [
        line
        for reason in decision.reasons
        if reason not in said
        for line in _wrap("", "decision", reason)
    ]
    for rule in decision.rules:
        lines += _wrap("met" if rule["met"] else "BROKEN", rule["name"], rule["says"])
    return lines


def _wrap(mark: str, name: str, says: str) -> list[tuple[str, str, str]]:
    wrapped = textwrap.wrap(
        _plain(says, 10_000), LETTERS, max_lines=MOST_LINES, placeholder=" …"
    ) or [""]
    return [(mark, name, wrapped[0]), *(("", "", line) for line in wrapped[1:])]


def _rules(axes: Axes, decision: Decision, lines: Sequence[tuple[str, str, str]]) -> None:
    broken = False
    for at, line in enumerate(lines):
        broken = line[0] == "BROKEN" or (broken and not line[1])  # a sentence goes on
        style: dict[str, Any] = {
            "fontsize": 9,
            "color": RED if broken else DARK,
            "va": "center",
            "in_layout": False,
        }
        axes.text(0, at + 0.5, line[0], weight="bold", **style)
        axes.text(0.05, at + 0.5, line[1], **style)
        axes.text(0.2, at + 0.5, line[2], **style)
    axes.set(xlim=(0, 1), ylim=(len(lines), 0))
    axes.set_axis_off()
    count = sum(not rule["met"] for rule in decision.rules)
    told = f"The gate: {decision.action}; {count} of {len(decision.rules)} rules broken"
    axes.set_title(told, color=ACTIONS[decision.action])
