"""Range test: on a quadratic it finds the largest stable rate, 2 / L, and starts a step below."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evergreen.training.range_test import RangeTest, Tried, find_start


def quadratic(curvatures: list[float], rounds: int = 30, noise: float = 0.0):
    """The losses of gradient descent on a sum of curvature * x ** 2 / 2, from all ones.

    Stable below 2 / L, L being the largest curvature (Nesterov, Lectures on convex optimization,
    2018, section 1.2.3).
    """
    draw, of = np.random.default_rng(0), np.array(curvatures)

    def losses(rate: float) -> list[float]:
        x, found = np.ones(len(of)), []
        for _ in range(rounds + 1):
            found.append(float(of @ x**2) / 2)
            x = x - rate * (of * x + noise * draw.normal(size=len(of)))
        return found

    return losses


@pytest.mark.parametrize("factor", [2.0, 1.3, 1.05])
@pytest.mark.parametrize(
    "curvatures", [[1.0], [4.0], [0.01], [300.0], [1, 10, 100], [0.001, 7], [5, 5, 4.9]]
)
def test_the_largest_stable_rate_of_a_quadratic_is_found(curvatures, factor):
    edge = 2 / max(curvatures)
    found = find_start(quadratic(curvatures), smallest=edge / 117, factor=factor, largest=edge * 50)
    assert found.start <= edge
    assert edge < found.diverges_at < edge * factor * 1.001
    assert found.diverges_at == pytest.approx(found.start * factor)
    assert found.tried[-1].rate == found.diverges_at
    rates = [tried.rate for tried in found.tried]
    assert rates == sorted(rates)


def test_a_direction_that_is_nearly_done_does_not_hide_that_it_diverges():
    """Of two curvatures the large one has a thousandth of the loss at first."""
    slow, fast = 1.0, 100.0
    weights = np.array([1.0, 1e-5])

    def losses(rate: float) -> list[float]:
        left = np.array([1 - rate * slow, 1 - rate * fast])
        return [float(weights @ (np.array([slow, fast]) * left ** (2 * t))) for t in range(121)]

    found = find_start(losses, smallest=0.001, factor=1.1)
    assert found.start < 2 / fast < found.diverges_at < 1.15 * 2 / fast


def test_noise_in_the_gradient_moves_it_by_a_step_at_most():
    found = find_start(quadratic([4.0], rounds=60, noise=0.05), smallest=0.01, factor=1.5)
    assert found.start <= 0.5
    assert found.diverges_at / 1.5**2 < 0.5 < found.diverges_at


@pytest.mark.parametrize(
    ("losses", "diverges"),
    [
        ((4, 3, 2, 1, 0.5), False),
        ((4, 9, 8, 3, 2), False),  # only the first rounds rose
        ((4, 2, 1, 3, 9), True),
        ((4, 2, 1, 1, 1), False),
        ((4, 2, 1, 1, 1 + 1e-9), False),  # rounding
        ((4, 2, 1, 1, math.inf), True),
        ((4, 2, math.nan, 1, 1), True),
        ((0, 0, 0, 0, 0), False),
    ],
)
def test_what_diverges(losses, diverges):
    assert Tried(0.1, losses).diverges == diverges


def test_what_it_says():
    fine, bad = Tried(0.2, (4, 3, 2)), Tried(0.4, (4, 5, 9))
    both = RangeTest((Tried(0.1, (4, 3.5, 3)), fine, bad))
    assert (both.start, both.diverges_at, both.fastest) == (0.2, 0.4, 0.2)
    assert both.says() == "the loss rises over 2 rounds at 0.4: start a step below, at 0.2"
    assert (RangeTest((bad,)).start, RangeTest((bad,)).diverges_at) == (None, 0.4)
    assert "even at 0.4" in RangeTest((bad,)).says()
    assert (RangeTest((fine,)).start, RangeTest((fine,)).diverges_at) == (0.2, None)
    assert "still falls over 2 rounds at 0.2" in RangeTest((fine,)).says()
