"""Metric: what a project may define, and what it chooses from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evergreen.errors import InputError
from evergreen.metrics.metric import Form, Metric
from evergreen.metrics.table import LIBRARY

Y, P = np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 3.0])


def distances(y: Any, p: Any) -> Any:
    return np.abs(y - p)


def metric(name: Any = "cost", **given: Any) -> Metric:
    return Metric(name, **{"tasks": ("regression",), "losses": distances} | given)


def test_a_mean_over_rows_needs_its_losses_only() -> None:
    cost = metric()
    assert cost.measure(Y, P) == pytest.approx(2 / 3)
    assert cost.weighted(Y, P)(np.array([1.0, 3.0, 0.0])) == pytest.approx(6 / 4)
    assert metric(value=lambda y, p: 7).measure(Y, P) == 7


WRONG = [
    ({"name": "Cost of all"}, "its name must be letters, digits and _"),
    ({"name": "rounds"}, "a run records something else by that name"),
    ({"tasks": "regression"}, "tasks must be a tuple, such as"),
    ({"tasks": ()}, "tasks must be a tuple, such as"),
    ({"tasks": ("regresion",)}, "no task 'regresion': did you mean 'regression'?"),
    ({"losses": None}, "give either losses"),
    ({"form": lambda y, p: Form(y[:, None], lambda s: s[:, 0])}, "give either losses"),
    ({"value": "mean"}, "value must be a function"),
    ({"expect": lambda p, said: None}, "leave out expect"),
    ({"low": 1, "high": 1}, "must be less than high"),
]


@pytest.mark.parametrize(("given", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_cannot_be_a_metric_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=r"the metric '.*'") as said:
        metric(**given)
    assert told in str(said.value)


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        (LIBRARY["roc_auc"], 1.0),
        (LIBRARY["r2"], 1.0),
        (LIBRARY["rmse"], 40.0),
        (metric(lower_is_better=True), 40.0),
        (metric("profit"), 40.0),  # a tenth of a per cent of it, not a tenth of a cent
        (metric("share", low=0, high=1), 1.0),
    ],
    ids=lambda metric: getattr(metric, "name", ""),
)
def test_what_margins_count_in(metric: Metric, unit: float) -> None:
    assert metric.unit(40.0) == unit
    assert metric.is_relative == (unit != 1)


def test_a_project_adds_metrics_to_a_task_and_replaces_none() -> None:
    known = LIBRARY.add([metric()])
    assert [*known.of("regression")] == [*LIBRARY.of("regression"), "cost"]
    assert [*known.of("binary")] == [*LIBRARY.of("binary")]
    assert known.measure("regression", Y, P)["cost"] == pytest.approx(2 / 3)
    assert known.loss("regression") == "rmse"
    assert "cost" not in LIBRARY.of("regression")
    for taken in ([metric("rmse")], [metric(), metric()]):
        with pytest.raises(InputError, match=r"there is a metric '\w+' already"):
            LIBRARY.add(taken)


@pytest.mark.parametrize(("name", "expected"), [(None, "roc_auc"), ("brier", "brier")])
def test_the_metric_that_decides(name: str | None, expected: str) -> None:
    assert LIBRARY.pick(name, "binary") == expected


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("accuracy", "there is no metric 'accuracy' for task binary: there are roc_auc, "),
        ("brrier", "there is no metric 'brrier' for task binary: did you mean 'brier'? there are"),
        ("cost", "if it was one of your own, restore it in extensions.py"),
    ],
)
def test_a_metric_that_is_not_there_is_an_error(name: str, told: str) -> None:
    with pytest.raises(InputError, match=r"^gate\.metric: ") as said:
        LIBRARY.pick(name, "binary")
    assert told in str(said.value)
    if name != "accuracy":
        with pytest.raises(InputError, match="extensions"):
            LIBRARY[name]
