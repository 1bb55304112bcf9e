"""Multivariate leaks: the parts that a label is made of are named; honest features are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evergreen.params import Leaks
from evergreen.quality.leaks import find_leaks
from evergreen.training.tables import Table, Tables

CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
ROWS = (1500, 500, 500)  # training, validation, holdout
NAN = float("nan")


def with_parts(task: str, label: Callable[[Any, Any], Any], missing: float = 0.0) -> Tables:
    """Rows whose label is made of two features, `first` and `second`, beside honest ones."""
    draw, total = np.random.default_rng(2), sum(ROWS)
    first, second = np.exp(draw.normal(3, 0.6, total)), np.exp(draw.normal(2, 0.8, total))
    y = label(first, second).astype(np.float32)
    x = np.column_stack(
        [first, second, np.log(first) + draw.normal(size=total), draw.normal(size=(total, 2))]
    )
    x[draw.random(total) < missing, 0] = NAN
    cuts = np.cumsum(ROWS)[:-1]
    parts = zip(
        np.split(x.astype(np.float32), cuts),
        np.split(y, cuts),
        np.split(np.arange(total), cuts),
        strict=True,
    )
    tables = [Table(x, y, key.astype(np.uint64)) for x, y, key in parts]
    return Tables(task, ("first", "second", "honest", "noise", "more"), (), CLASSES[task], *tables)


FORMULAS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "a sum": ("regression", lambda a, b: a + b),
    "a difference": ("regression", lambda a, b: a - b),
    "a product": ("regression", lambda a, b: a * b),
    "a ratio": ("regression", lambda a, b: a / b),
    "a change": ("regression", lambda a, b: (a - b) / b),
    "a share": ("regression", lambda a, b: a / (a + b)),
    "a rounded sum": ("regression", lambda a, b: np.round(a + b)),
    "a sum beyond a bound": ("binary", lambda a, b: a + b > 30),
    "a product beyond a bound": ("binary", lambda a, b: a * b > 150),
    "classes of a sum": ("multiclass", lambda a, b: np.digitize(a + b, [22, 35])),
}
# More of a kind
ALIKE = ("a difference", "a change", "a share", "a rounded sum", "a product beyond a bound")


@pytest.mark.slow
@pytest.mark.parametrize(
    "what",
    [pytest.param(what, marks=pytest.mark.long) if what in ALIKE else what for what in FORMULAS],
)
def test_features_that_tell_the_label_only_together_are_named(what):
    task, label = FORMULAS[what]
    (leak,) = find_leaks(with_parts(task, label), Leaks())
    assert leak.columns == ("first", "second")
    for part in ("'first' and 'second'", "together predict", "known_later", "leaks.trusted"):
        assert part in leak.says
    assert find_leaks(with_parts(task, label), Leaks(trusted=("first", "second"))) == ()
    # The other is known by it
    (still,) = find_leaks(with_parts(task, label), Leaks(trusted=("first",)))
    assert still.columns == ("first", "second")


@pytest.mark.slow
def test_what_is_missing_now_and_then_hides_no_formula():
    (leak,) = find_leaks(with_parts("regression", lambda a, b: a + b, missing=0.1), Leaks())
    assert leak.columns == ("first", "second")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_features_that_are_merely_good_together_are_no_leak(task):
    draw = np.random.default_rng(3)

    def noisy(first: Any, second: Any) -> Any:
        total = first + second + 3 * draw.normal(size=len(first))
        return total > 30 if task == "binary" else total

    assert find_leaks(with_parts(task, noisy), Leaks()) == ()
