"""Expected: what is said of unknown labels is the mean over labels drawn by the probabilities."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from evergreen.metrics.expected import Expected
from evergreen.metrics.table import LIBRARY

ROWS, DRAWS = 200, 150


def draw(task: str) -> tuple[Any, Any, list[Any]]:
    """Predictions, what they are worth by class, and labels drawn by that, many times."""
    rng = np.random.default_rng(0)
    if task == "binary":
        p = rng.uniform(0.05, 0.95, ROWS)
        chance = 0.2 + 0.6 * p
        return p, chance[:, None], [(rng.random(ROWS) < chance).astype(int) for _ in range(DRAWS)]
    p = rng.dirichlet([2, 3, 4], ROWS)
    chance = 0.5 * p + 1 / 6
    edges = chance.cumsum(axis=1)[:, :2]
    return p, chance, [(rng.random((ROWS, 1)) > edges).sum(axis=1) for _ in range(DRAWS)]


@cache
def measured(task: str) -> list[dict[str, float]]:
    """The metrics of these predictions by each of the labels."""
    p, _, labels = draw(task)
    return [LIBRARY.measure(task, y, p) for y in labels]


def value_of(found: Expected) -> float:
    return float(found.of(found.columns.sum(axis=0)[None])[0])


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_it_is_the_mean_over_drawn_labels(task: str) -> None:
    p, chance, _ = draw(task)
    drawn = measured(task)
    for name, metric in LIBRARY.of(task).items():
        found = metric.expected(p, chance)
        assert (found is None) == (name == "balanced_accuracy")
        if found:
            values = [metrics[name] for metrics in drawn]
            assert value_of(found) == pytest.approx(
                np.mean(values), abs=0.003 + 5 * np.std(values) / DRAWS**0.5
            )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["log_loss", "brier"])
def test_its_noise_is_that_of_the_labels(name: str) -> None:
    p, chance, _ = draw("binary")
    found = LIBRARY[name].expected(p, chance)
    assert found
    spread = np.std([metrics[name] for metrics in measured("binary")])
    assert np.sqrt(found.noise[0, 0]) / ROWS == pytest.approx(spread, rel=0.2)


def test_a_class_that_was_never_seen_to_happen_goes_by_its_own_probability() -> None:
    p, chance, _ = draw("multiclass")
    found = LIBRARY["accuracy"].expected(p, np.zeros_like(chance))
    assert found
    assert value_of(found) == pytest.approx(p.max(axis=1).mean())
