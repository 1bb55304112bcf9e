"""Suspect: what predicts the label nearly exactly is out, what is strong is asked about."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evergreen.adopt.columns import Column
from evergreen.adopt.suspect import warn_of_leaks
from evergreen.adopt.warning import ColumnWarning
from evergreen.metrics.metric import Task
from evergreen.params import Leaks

ROWS = 600


def column(name: str, values: object) -> Column:
    made = pl.Series(name, values)  # type: ignore[arg-type]
    return Column(name, made.dtype, made, pl.Series([False] * len(made)))


def search(task: Task, noise: float) -> tuple[ColumnWarning, ...]:
    draw = np.random.default_rng(0)
    hidden = draw.normal(size=ROWS)
    label = {
        "binary": np.where(hidden > 0, "yes", "no"),
        "multiclass": np.digitize(hidden, [-0.5, 0.5]),
        "regression": hidden,
    }[task]
    features = {
        "told": column("Told", hidden + noise * draw.normal(size=ROWS)),
        "half": column("Half", hidden + 0.6 * draw.normal(size=ROWS)),
        "other": column("Other", hidden + 0.7 * draw.normal(size=ROWS)),
        "text": column("Text", draw.choice(["a", "b"], ROWS)),
        "noise": column("Noise", draw.normal(size=ROWS)),
    }
    return warn_of_leaks(features, column("y", label), task, "yes", Leaks())


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_predicts_the_label_nearly_exactly_is_out(task: Task) -> None:
    assert [(warning.column, warning.kind, warning.out) for warning in search(task, noise=0.0)] == [
        ("Told", "suspected leak", True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_is_strong_stays_and_is_asked_about(task: Task) -> None:
    (warning,) = search(task, noise=0.1)
    assert (warning.column, warning.kind, warning.out) == ("Told", "strong", False)
    assert "LOOK AT THIS FIRST" in warning.says
    assert "`--known-later 'Told'` takes it out" in warning.says


@pytest.mark.slow
def test_what_is_merely_good_is_nothing_to_tell_of() -> None:
    assert search("binary", noise=0.6) == ()


@pytest.mark.slow
def test_what_stands_out_is_asked_about() -> None:
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, ROWS)
    features = {
        "told": column("told", y + 0.5 * draw.normal(size=ROWS)),
        "noise": column("noise", draw.normal(size=ROWS)),
    }
    (warning,) = warn_of_leaks(features, column("y", y), "binary", 1, Leaks())
    assert (warning.column, warning.out) == ("told", False)
    assert ", the next 0." in warning.says
    assert warn_of_leaks(features, column("y", y), "binary", 1, Leaks(stand_out=None)) == ()


@pytest.mark.parametrize("what", ["sum", "product"])
def test_columns_of_which_the_label_is_made_are_out(what: str) -> None:
    draw = np.random.default_rng(0)
    first, second = draw.lognormal(size=(2, ROWS))
    made = {
        "first": column("First", first),
        "second": column("Second", second),
        "noise": column("noise", draw.normal(size=ROWS)),
    }
    label = first + second if what == "sum" else first * second
    found = warn_of_leaks(made, column("y", label), "regression", None, Leaks())
    assert {
        (warning.column, warning.out) for warning in found if warning.kind == "suspected leak"
    } == {
        ("First", True),
        ("Second", True),
    }
    assert [warning.says.split(" predicts")[0] for warning in found] == [
        "together with 'Second'",
        "together with 'First'",
    ]


def test_unlabelled_rows_say_nothing() -> None:
    y = pl.Series("y", [1, 0, None] * 200)
    features = {
        "told": column("told", y.fill_null(7)),
        "noise": column("noise", np.random.default_rng(0).normal(size=ROWS)),
    }
    assert [
        warning.column for warning in warn_of_leaks(features, column("y", y), "binary", 1, Leaks())
    ] == ["told"]
