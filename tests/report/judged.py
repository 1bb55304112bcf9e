"""What is known of a challenger, and what a panel shows of it, for the tests of pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.colors import to_hex

from evergreen.metrics.table import LIBRARY
from evergreen.promotion.compare import Comparison, Difference
from evergreen.promotion.evidence import Evidence
from evergreen.promotion.judge import Judged


def lead(metric, gain, noise=0.002, champion=0.8):
    """The challenger's lead: `gain` and `noise` in what the gate's bounds count in."""
    down = LIBRARY[metric].lower_is_better
    value, wide = (gain * champion, noise * champion) if down else (gain, noise)
    chance = float(np.clip(0.5 + gain / noise / 4, 0, 1))
    return Difference(
        champion,
        champion - value if down else champion + value,
        value,
        value - wide,
        value + wide,
        chance,
        chance,
    )


def predictions(task, classes, draw):
    """Labels, and what a fair and a good model say of them."""
    if task == "regression":
        y = draw.normal(size=300)
        return y, [y + draw.normal(scale=scale, size=300) for scale in (1, 0.5)]
    codes = draw.integers(0, classes, 300)
    told = [
        s * np.eye(classes)[codes] + (1 - s) * draw.dirichlet(np.ones(classes), 300)
        for s in (0.2, 0.4)
    ]
    return codes.astype(float), [p[:, 1] for p in told] if task == "binary" else told


def judged_of(task="binary", gain=0.02, champion=True, slices=6, classes=None, seeds=4, **more):
    """What is known of a challenger that is better by `gain` in all, and differently in each of the
    slices.
    """
    y, (old, new) = predictions(
        task, classes or (2 if task == "binary" else 3), np.random.default_rng(1)
    )
    metric = LIBRARY.pick(None, task)
    names = [f"carrier={number}" for number in range(slices)] if isinstance(slices, int) else slices
    found = Comparison(
        task=task,
        metric=metric,
        rows=300,
        whole={name: lead(name, gain) for name in LIBRARY.of(task)} if champion else {},
        models=lead(metric, gain) if champion else None,
        slices={
            name: lead(metric, gain + 0.001 * at, 0.01) if champion else None
            for at, name in enumerate(names)
        },
        baselines={"constant": lead(metric, 0.2), "linear": lead(metric, 0.1)},
        by_seed={
            side: tuple(0.8 + gain * (side == "challenger") + 0.001 * seed for seed in range(seeds))
            for side in (["champion"] if champion else []) + ["challenger"]
        },
    )
    number, age, error = ("7", 31.0, 0.02) if champion else (None, None, None)
    evidence = Evidence(found, number, age, (error, 0.01), {}, 0.0, seeds, **more)
    return Judged(evidence, y, ({"champion": old} if champion else {}) | {"challenger": new})


def changed(judged, **found):
    """`judged` with other values in its comparison."""
    return replace(
        judged,
        evidence=replace(judged.evidence, comparison=replace(judged.evidence.comparison, **found)),
    )


def texts(axes):
    """All words in `axes`, those beside its ticks included."""
    legend = axes.get_legend()
    words = [
        *axes.texts,
        *axes.get_xticklabels(),
        *axes.get_yticklabels(),
        *(legend.get_texts() if legend else []),
    ]
    return [word.get_text() for word in words]


def told_by(axes):
    """The words of the list of rules, with their colours."""
    return [(text.get_text(), to_hex(text.get_color())) for text in axes.texts if text.get_text()]


def colours_of(axes):
    """The colours of the dots, from above."""
    dots = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    return [to_hex(line.get_color()) for line in sorted(dots, key=lambda line: line.get_ydata()[0])]


# The panels, where there is a champion
GAINS, SLICES, SEEDS, CURVE, CALIBRATION, RULES = 0, 1, 2, 3, -2, -1
