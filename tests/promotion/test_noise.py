"""Noise: an interval is as wide as rows and seeds make it, and covers the truth as it should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from promotion.sides import HOW, draw_labels, draw_side, hits, width
from scipy.stats import norm, t

from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.promotion.compare import (
    Array,
    Rows,
    Side,
    difference,
)
from evergreen.promotion.noise import Resampling

pytestmark = pytest.mark.usefixtures("same_resamples")


Case = tuple[str, str, Array, Side, Side]  # task, metric, labels, champion, challenger


def answers(rows: int, seeds: int, scatter: float, draw: np.random.Generator) -> Case:
    """Two ways of training that are right with 70% and 75%, give or take `scatter` by seed, on rows
    both find hard.
    """
    hard = draw.normal(size=rows)

    def side(share: float) -> Side:
        own = draw.normal(size=rows)
        edges = norm.ppf(np.clip(share + scatter * draw.normal(size=seeds), 0.001, 0.999))
        right = (0.7 * hard + np.sqrt(0.51) * own)[None, :] < edges[:, None]
        members = tuple(np.where(hit[:, None], [1.0, 0.0], [0.0, 1.0]) for hit in right)
        return Side(members[0], members)

    return "multiclass", "accuracy", np.zeros(rows), side(0.70), side(0.75)


def fickle(rows: int, seeds: int, scatter: float, draw: np.random.Generator) -> Case:
    """The same, but every seed finds other rows hard: most of what sets seeds apart is which rows
    there are.
    """
    hard = draw.normal(size=rows)

    def side(share: float) -> Side:
        edges = norm.ppf(np.clip(share + scatter * draw.normal(size=seeds), 0.001, 0.999))
        right = 0.84 * hard + np.sqrt(0.3) * draw.normal(size=(seeds, rows)) < edges[:, None]
        members = tuple(np.where(hit[:, None], [1.0, 0.0], [0.0, 1.0]) for hit in right)
        return Side(members[0], members)

    return "multiclass", "accuracy", np.zeros(rows), side(0.70), side(0.75)


def numbers(rows: int, seeds: int, scatter: float, draw: np.random.Generator) -> Case:
    """Two ways of training whose errors are normal around a bias that scatters by seed: squared
    error is known.
    """
    y, shared = draw.normal(size=rows), draw.normal(size=rows)

    def side(deviation: float) -> Side:
        error = deviation * (0.7 * shared + np.sqrt(0.51) * draw.normal(size=rows))
        members = tuple(y + error + scatter * draw.normal() for _ in range(seeds))
        return Side(members[0], members)

    return "regression", "rmse", y, side(1.0), side(0.9)


def ranks(rows: int, seeds: int, scatter: float, draw: np.random.Generator) -> Case:
    """Two ways of training whose scores are normal in both classes: AUC is known."""
    y, shared = (draw.random(rows) < 0.4).astype(float), draw.normal(size=rows)

    def side(apart: float) -> Side:
        noise = 0.7 * shared + np.sqrt(0.51) * draw.normal(size=rows)
        members = tuple((apart + scatter * draw.normal()) * y + noise for _ in range(seeds))
        return Side(members[0], members)

    return "binary", "roc_auc", y, side(1.0), side(1.3)


def truth(population: Any, scatter: float) -> float:
    """The mean over seeds for infinitely many rows, in closed form or by quadrature."""
    if population in (answers, fickle):
        return 0.05
    luck, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    if population is numbers:
        old, new = (
            weights @ np.sqrt(deviation**2 + (scatter * luck) ** 2) for deviation in (1.0, 0.9)
        )
        return float(old - new)
    old, new = (weights @ norm.cdf((apart + scatter * luck) / np.sqrt(2)) for apart in (1.0, 1.3))
    return float(new - old)


# Of 200 trials at 95%, 90% to 98% is -3.2 to +1.9 standard errors; the percentile bootstrap itself
# is some 1% short.
HONEST = (0.90, 0.98)


COVERAGE = [
    (answers, 300, 4, 0.0, HONEST),  # the noise of rows only
    (numbers, 200, 4, 0.0, HONEST),
    (ranks, 300, 4, 0.0, HONEST),
    (answers, 300, 10, 0.06, HONEST),  # the noise of seeds is as large
    (numbers, 300, 10, 0.4, HONEST),
    (ranks, 300, 10, 0.3, HONEST),
    # Three seeds that differ much: two draws of Student's t, added, are wider than their sum needs
    # (as Behrens and Fisher's interval is), so there is no upper bound to ask for.
    (answers, 300, 3, 0.06, (0.95, 1.0)),
    (ranks, 300, 3, 0.3, (0.95, 1.0)),
    (numbers, 300, 3, 0.005, HONEST),  # three that are much alike
    (fickle, 300, 10, 0.0, HONEST),
    (fickle, 300, 10, 0.04, HONEST),
    (fickle, 300, 4, 0.02, HONEST),
    (fickle, 300, 3, 0.02, HONEST),
]


@pytest.mark.slow
@pytest.mark.parametrize(("population", "rows", "seeds", "scatter", "bounds"), COVERAGE)
def test_the_interval_holds_the_truth_as_often_as_it_says(population, rows, seeds, scatter, bounds):
    aim, held = truth(population, scatter), []
    for trial in range(200):
        task, metric, y, *sides = population(
            rows, seeds, scatter, np.random.default_rng([7, trial])
        )
        found = difference(Rows(task, y), metric, *sides, HOW)
        assert found
        held.append(found.low <= aim <= found.high)
    assert bounds[0] <= np.mean(held) <= bounds[1]


@pytest.mark.slow
def test_the_interval_narrows_with_seeds_and_with_rows():
    def wide(rows: int, seeds: int) -> float:
        task, metric, y, *sides = answers(rows, seeds, 0.05, np.random.default_rng(3))
        return width(difference(Rows(task, y), metric, *sides, HOW))

    by_seeds, by_rows = (
        [wide(1000, seeds) for seeds in (2, 4, 32)],
        [wide(rows, 32) for rows in (50, 200, 1000)],
    )
    assert by_seeds == sorted(by_seeds, reverse=True)
    assert by_rows == sorted(by_rows, reverse=True)


@pytest.mark.slow
def test_the_luck_of_an_ensembles_seeds_is_in_its_interval():
    """Members that scatter by 0.05 in skill, on rows so many that these add nothing."""
    draw = np.random.default_rng(1)
    y = draw_labels("binary", 20_000, draw)
    champion = Side(draw_side("binary", y, 1.0, draw, seeds=1).prediction)
    skills = (0.7, 1.0, 1.3, 1.6)
    members = tuple(draw_side("binary", y, skill, draw, seeds=1).prediction for skill in skills)
    mean = np.mean(members, axis=0)
    rows = Rows("binary", y)
    known, unknown = (
        difference(rows, "roc_auc", champion, Side(mean, seeds, averaged=True), HOW)
        for seeds in (members, ())
    )
    deviation = np.std(
        [LIBRARY.measure("binary", y, member)["roc_auc"] for member in members], ddof=1
    )
    assert width(unknown) < 0.02
    # Student's t with 3 degrees of freedom reaches 3.18 standard errors; 200 draws leave its
    # quantiles some 20% loose
    assert width(known) == pytest.approx(2 * 3.18 * deviation / 2, rel=0.3)


@pytest.mark.slow
def test_the_luck_of_seeds_is_students_t_of_their_mean():
    """Four seeds that scatter so widely that the noise of 500 rows is a twentieth of theirs.

    3.18 standard errors on each side; of 4,000 draws each quantile is known to some 4%.
    """
    shares = (0.3, 0.5, 0.7, 0.9)
    members = tuple(hits(share, 500) for share in shares)
    rows, how = Rows("multiclass", np.zeros(500)), Resampling(4000, 0.95, 0)
    found = difference(rows, "accuracy", Side(hits(0.6, 500)), Side(members[1], members), how)
    error = np.std(shares, ddof=1) / 2
    assert width(found) == pytest.approx(2 * t.ppf(0.975, 3) * error, rel=0.1)


def sides_of(old: tuple[float, ...], new: tuple[float, ...], rows: int) -> tuple[Side, Side]:
    made = [tuple(hits(share, rows) for share in shares) for shares in (old, new)]
    return Side(made[0][0], made[0]), Side(made[1][0], made[1])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((0.70, 0.72, 0.74), (0.71, 0.73, 0.75), 6 / 9),
        ((0.70, 0.72, 0.74), (0.80, 0.81, 0.82), 1.0),
        ((0.70, 0.72, 0.74), (0.60, 0.61, 0.62), 0.0),
        ((0.70, 0.72, 0.74), (0.70, 0.72, 0.74), 0.5),  # ties count half
        ((0.70, 0.70), (0.60, 0.80), 0.5),
        ((0.70, 0.70, 0.70, 0.90), (0.80, 0.80), 0.75),
    ],
)
def test_the_probability_is_that_one_seed_beats_another(old, new, expected):
    """The same rows are right for all, so that resampling them moves no seed past another.

    1,000 draws of a pair of seeds: the standard error is at most 0.016, three of them 0.05.
    """
    y = np.zeros(5000)
    found = difference(
        Rows("multiclass", y), "accuracy", *sides_of(old, new, 5000), Resampling(1000, 0.95, 0)
    )
    assert found
    assert found.probability == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
def test_the_probability_knows_the_rows_as_well():
    """100 rows, of which each model has 20 right that the other has wrong, and ten more: z = 10 /
    sqrt(50) = 1.41.
    """
    y = np.zeros(100)
    old, new = hits(0.4, 100), hits(0.5, 100, start=20)
    found = difference(
        Rows("multiclass", y), "accuracy", Side(old), Side(new), Resampling(4000, 0.95, 0)
    )
    assert found
    assert found.value == pytest.approx(0.1)
    # variance of the difference: (0.5 - 0.1²) / 100, which counts ties half; 4,000 draws: 0.005
    # standard error
    assert found.probability == pytest.approx(norm.cdf(0.1 / np.sqrt(0.49 / 100)), abs=0.03)
    assert found.probability == pytest.approx(found.chance_better, abs=0.03)


@pytest.mark.parametrize("task", TASKS)
def test_the_chance_of_being_better_is_the_share_of_the_interval_above_zero(task):
    metric = LIBRARY.pick(None, task)
    draw, seen = np.random.default_rng(2), []
    for trial in range(12):
        y = draw_labels(task, 100, draw)
        sides = draw_side(task, y, 1.0, draw), draw_side(task, y, 0.8 + 0.05 * trial, draw)
        found = difference(Rows(task, y), metric, *sides, HOW)
        assert found
        assert 0 <= found.chance_better <= 1
        # of 200 draws, the quantiles lie between the fifth and the sixth from each end
        assert found.chance_better >= 0.975 if found.low > 0 else found.chance_better <= 0.975
        assert found.chance_better <= 0.025 if found.high < 0 else found.chance_better >= 0.025
        seen.append(found.chance_better)
    assert max(seen) - min(seen) > 0.5
