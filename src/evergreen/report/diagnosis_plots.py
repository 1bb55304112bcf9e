"""The pictures of a diagnosis: learning curves, paths of knobs, SHAP values."""

from __future__ import annotations

from typing import Any

import numpy as np

from evergreen.diagnosis.diagnose import Diagnosis
from evergreen.diagnosis.learning import Path
from evergreen.diagnosis.rows import value_of
from evergreen.report.gains import one_line
from evergreen.report.plot import Dot, Line, Plot
from evergreen.training.learner import find_learner

Array = np.ndarray[Any, np.dtype[Any]]
MOST_ROUNDS = 200  # points of a curve
SUMMARIZED, DOTS = 10, 250  # features of the summary, and dots of each
DEPENDENT, POINTS = 4, 500  # features whose dependence is drawn, and points of each
SHADES = 5  # of a feature's value, from low to high


def draw_rounds(found: Diagnosis) -> Plot:
    """Return the loss by round, a line for each seed: of rows learnt from, of those that stop."""
    lab = found.lab
    loss = find_learner(lab.params.learner).LOSSES[lab.tables.task]
    lines = [
        Line(kind, _thin(trained.history[part]), name=name if at == 0 else "")
        for part, kind, name in (
            ("train", "fitted", "rows learnt from"),
            ("validation", "judged", "rows that stop"),
        )
        for at, trained in enumerate(lab.base.trained)
        if trained.history.get(part)
    ]
    return Plot("Loss by round", "round", loss, tuple(lines), marked=float(lab.base.rounds))


def _thin(curve: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    places = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), MOST_ROUNDS)).astype(int))
    return tuple((float(at + 1), curve[at]) for at in places)


def draw_sizes(found: Diagnosis) -> Plot:
    """Return the skill by how many rows are learnt from, with the band of the seeds."""
    lab, sizes = found.lab, found.sizes
    by_seed = [1 - trial.losses.mean(axis=1) / lab.constant for trial in sizes.trials]
    judged = Line(
        "judged",
        tuple(
            (float(rows), float(skill.mean()))
            for rows, skill in zip(sizes.rows, by_seed, strict=True)
        ),
        tuple(
            (float(rows), float(skill.min()), float(skill.max()))
            for rows, skill in zip(sizes.rows, by_seed, strict=True)
        ),
        "rows that judge (band: seeds)",
    )
    fitted = Line(
        "fitted",
        tuple(
            (float(rows), 1 - trial.fitted / lab.constant)
            for rows, trial in zip(sizes.rows, sizes.trials, strict=True)
        ),
        name="rows learnt from",
    )
    return Plot("Skill by number of rows", "rows learnt from", "skill", (judged, fitted), log=True)


def draw_path(found: Diagnosis, path: Path) -> Plot:
    """Return the skill by the value of a knob; the value that it has is marked."""
    lab = found.lab
    places = [float(at) for at in range(len(path.values))]
    by_seed = [1 - trial.losses.mean(axis=1) / lab.constant for trial in path.trials]
    judged = Line(
        "judged",
        tuple((at, float(skill.mean())) for at, skill in zip(places, by_seed, strict=True)),
        tuple(
            (at, float(skill.min()), float(skill.max()))
            for at, skill in zip(places, by_seed, strict=True)
        ),
        "rows that judge (band: seeds)",
    )
    fitted = Line(
        "fitted",
        tuple(
            (at, 1 - trial.fitted / lab.constant)
            for at, trial in zip(places, path.trials, strict=True)
        ),
        name="rows learnt from",
    )
    names = tuple((at, f"{value:g}") for at, value in zip(places, path.values, strict=True))
    now = float(path.values.index(path.now))
    return Plot(
        f"Skill by {path.knob}", path.knob, "skill", (judged, fitted), columns=names, marked=now
    )


def draw_summary(found: Diagnosis) -> Plot | None:
    """Return the SHAP values of the strongest features, a dot for each row, shaded by its value."""
    explained, tables = found.explained, found.lab.tables
    if explained is None:
        return None
    chosen, dots = explained.order[:SUMMARIZED], []
    for height, at in enumerate(chosen):
        values, x = explained.values[:DOTS, at], tables.holdout.x[explained.rows[:DOTS], at]
        shades = _shades(x, category=tables.features[at] in tables.categories)
        dots += [
            Dot(float(value), height + lift, shade)
            for value, lift, shade in zip(values, _spread(values), shades, strict=True)
        ]
    names = tuple(one_line(tables.features[at], 22) for at in chosen)
    return Plot(
        "What each feature adds to a prediction", "SHAP value, on the scale of the margin",
        dots=tuple(dots), rows=names, marked=0.0, wide=True,
    )  # fmt: skip


def draw_dependence(found: Diagnosis) -> list[Plot]:
    """Return how what a feature adds depends on its value, for the strongest."""
    explained, tables = found.explained, found.lab.tables
    if explained is None:
        return []
    plots = []
    for at in explained.order[:DEPENDENT]:
        x, values = tables.holdout.x[explained.rows[:POINTS], at], explained.values[:POINTS, at]
        known = ~np.isnan(x)
        names: tuple[tuple[float, str], ...] = ()
        if tables.features[at] in tables.categories:
            x, names = _ordered(tables, at, x, values)
        dots = tuple(
            Dot(float(a), float(b), "point") for a, b in zip(x[known], values[known], strict=True)
        )
        name = one_line(tables.features[at], 40)
        plots.append(Plot(f"What {name} adds", name, "SHAP value", dots=dots, columns=names))
    return plots


def _ordered(
    tables: Any, at: int, x: Array, values: Array
) -> tuple[Array, tuple[tuple[float, str], ...]]:
    """Return categories as places by what they add, spread a little, and the names of some."""
    codes = np.unique(x)
    ranked = sorted(codes, key=lambda code: float(values[x == code].mean()))
    place = {code: float(rank) for rank, code in enumerate(ranked)}
    draw = np.random.default_rng(0)
    spread = np.array([place[code] for code in x]) + draw.uniform(-0.25, 0.25, len(x))
    every = max(1, -(-len(ranked) // 8))
    names = tuple(
        (place[code], one_line(value_of(tables, at, float(code)), 7)) for code in ranked[::every]
    )
    return spread, names


def _shades(x: Array, *, category: bool) -> list[str]:
    """Return the look of each value: by its place among the others; grey where it has none."""
    if category:
        return ["shade-none"] * len(x)
    ranks = np.searchsorted(np.sort(x[~np.isnan(x)]), x) / max(1, len(x))
    return [
        "shade-none" if np.isnan(value) else f"shade-{min(SHADES - 1, int(rank * SHADES))}"
        for value, rank in zip(x, ranks, strict=True)
    ]


def _spread(values: Array) -> Array:
    """Return how far each dot is lifted so that few lie on one another, within ±0.38."""
    bins = np.round((values - values.min()) / (np.ptp(values) or 1.0) * 60).astype(int)
    lift, met = np.zeros(len(values)), dict[int, int]()
    most = max(1, int(np.bincount(bins).max()))
    for at, cell in enumerate(bins.tolist()):
        count = met[cell] = met.get(cell, 0) + 1
        lift[at] = (count // 2) * (1 if count % 2 else -1) / most * 0.76
    return lift
