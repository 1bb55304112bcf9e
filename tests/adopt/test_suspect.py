"""Suspect: what gives the label away is found, what is only good is trusted, noise is neither."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evergreen.adopt.infer import Column
from evergreen.adopt.suspect import Suspected, suspect
from evergreen.params import Leaks, Task

ROWS = 600


def column(name: str, values: object) -> Column:
    made = pl.Series(name, values)  # type: ignore[arg-type]
    return Column(name, made.dtype, made, pl.Series([False] * len(made)))


def search(task: Task, noise: float, bound: float = 0.98) -> Suspected:
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
    return suspect(features, column("y", label), task, "yes", Leaks(max_single_score=bound))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_tells_the_label_is_suspected(task: Task) -> None:
    found = search(task, noise=0.0)
    assert [(one.column, one.kind, one.out) for one in found.doubts] == [("Told", "suspected leak", True)]
    assert found.trusted == ()


def test_what_is_near_the_bound_is_trusted_by_name() -> None:
    found = search("binary", noise=0.2)
    assert found.trusted == ("told",)
    assert [(one.column, one.kind, one.out) for one in found.doubts] == [("Told", "strong", False)]


def test_what_is_merely_good_is_nothing_to_tell_of() -> None:
    assert search("binary", noise=0.6) == Suspected((), ())


def test_what_stands_out_is_suspected_below_the_bound_too() -> None:
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, ROWS)
    features = {
        "told": column("told", y + 0.3 * draw.normal(size=ROWS)),
        "noise": column("noise", draw.normal(size=ROWS)),
    }
    found = suspect(features, column("y", y), "binary", 1, Leaks(max_single_score=1.0))
    assert [one.column for one in found.doubts if one.out] == ["told"]
    assert "far more of the label than any other" in found.doubts[0].says
    bold = suspect(features, column("y", y), "binary", 1, Leaks(max_single_score=1.0, stand_out=None))
    assert [one.column for one in bold.doubts if one.out] == []


def test_unlabelled_rows_say_nothing() -> None:
    y = pl.Series("y", [1, 0, None] * 200)
    features = {
        "told": column("told", y.fill_null(7)),
        "noise": column("noise", np.random.default_rng(0).normal(size=ROWS)),
    }
    assert [one.column for one in suspect(features, column("y", y), "binary", 1, Leaks()).doubts] == ["told"]
