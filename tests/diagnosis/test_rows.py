"""Rows: copies, wrong labels, outliers; and what only looks like them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from diagnosis.sick import (
    LARGE,
    SOUND,
    flipped,
    lab_of,
    sound,
    with_copies,
    with_labels,
    with_tails,
)

from evergreen.diagnosis.fault import COPIES, LABEL_NOISE, WRONG_LOSS
from evergreen.diagnosis.lab import Lab
from evergreen.diagnosis.rows import (
    find_diversity,
    find_loss,
    find_noise,
    find_rows_copied,
    plateau,
    share_copied,
    share_of_tail,
    value_of,
    worst_rows,
    wrong_numbers,
)
from evergreen.features.encoder import Encoder
from evergreen.training.tables import Table

SMALL = (400, 100, 300)
QUICK = {"rounds": 60, "early_stopping_rounds": 5}


def test_copies_are_found_and_rows_that_meet_by_chance_are_not() -> None:
    assert find_rows_copied(sound(rows=SMALL)).faults == ()
    (fault,) = find_rows_copied(with_copies(sound(rows=SMALL))).faults
    assert fault.kind == COPIES
    assert fault.gain == pytest.approx(2 / 3, abs=0.01)
    draw = np.random.default_rng(0)  # few values: most rows have a twin, all by chance
    few = Table(
        draw.integers(0, 3, (3000, 5)).astype(np.float32),
        draw.integers(0, 2, 3000).astype(np.float32),
    )
    share, chance = share_copied(few)
    assert share > 0.9
    assert chance > 0.95


def test_how_rows_differ_is_answered() -> None:
    tables = sound(rows=SMALL)
    ((_, said),) = find_diversity(tables).answers
    assert said.startswith("100% of the rows have features that no earlier row has")
    x = np.tile(np.array([1, np.nan], np.float32), (4, 1))
    alike = replace(tables, features=("a", "b"), train=Table(x, np.zeros(4, np.float32)))
    ((_, said),) = find_diversity(alike).answers
    assert "constant: a, b" in said
    assert "'yes' is the rarest class, with 0 rows" in said


def test_a_missing_value_equals_a_missing_value() -> None:
    x = np.array([[np.nan, 1], [np.nan, 1], [2, 1], [3, 4]], np.float32)
    assert share_copied(Table(x, np.zeros(4, np.float32)))[0] == 0.5


def scores(shape: str, rows: int = 8000) -> Any:
    draw = np.random.default_rng(4)
    if shape == "even":
        return draw.uniform(-4, 4, rows)
    return draw.normal(size=rows) * {"weak": 0.4, "middling": 1.5, "sharp": 5.0}[shape]


@pytest.mark.parametrize("shape", ["weak", "middling", "sharp", "even"])
def test_labels_that_are_hard_to_tell_are_not_called_wrong(shape: str) -> None:
    p = 1 / (1 + np.exp(-scores(shape)))
    y = (np.random.default_rng(5).random(len(p)) < p).astype(int)
    assert plateau(y, p)[0] is None


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_flipped_labels_are_counted(share: float) -> None:
    p = share + (1 - 2 * share) / (1 + np.exp(-scores("sharp")))
    y = (np.random.default_rng(5).random(len(p)) < p).astype(int)
    assert plateau(y, p)[0] == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize("shape", ["normal", "laplace", "t", "skewed", "tails"])
def test_large_errors_of_the_thing_itself_are_no_wrong_labels(shape: str) -> None:
    draw = np.random.default_rng(6)
    p = draw.normal(size=5000)
    errors = {
        "normal": draw.normal(size=5000),
        "laplace": 0.2 * draw.laplace(size=5000),
        "t": 0.2 * draw.standard_t(3, 5000),
        "tails": 0.3 * draw.standard_t(1.2, 5000),
        "skewed": np.exp(p) * draw.normal(size=5000),
    }
    assert wrong_numbers(p + errors[shape], p)[0] is None


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_labels_of_other_rows_are_counted(share: float) -> None:
    draw = np.random.default_rng(6)
    p = draw.normal(size=5000)
    y = p + 0.2 * draw.normal(size=5000)
    at = draw.random(5000) < share
    y[at] = draw.permutation(y)[at]
    assert wrong_numbers(y, p)[0] == pytest.approx(share, abs=0.04)


def test_a_class_that_is_never_predicted_tells_nothing() -> None:
    y = np.zeros(500, int)
    assert plateau(y, np.full(500, 0.1))[0] is None


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_wrong_labels_are_found_by_a_model(task: str) -> None:
    tables = sound(task, sharp=6.0, rows=LARGE)
    assert find_noise(lab_of(tables, 1, **QUICK)).faults == ()
    (fault,) = find_noise(lab_of(with_labels(tables, flipped(task)), 1, **QUICK)).faults
    assert fault.kind == LABEL_NOISE
    assert fault.gain == pytest.approx(0.2, abs=0.06)


@pytest.mark.slow
def test_a_loss_that_outliers_rule_is_found_and_a_normal_error_is_not() -> None:
    tables = sound("regression")
    assert find_loss(lab_of(tables, **QUICK)).faults == ()
    (fault,) = find_loss(lab_of(with_labels(tables, with_tails), **QUICK)).faults
    assert fault.kind == WRONG_LOSS
    # Not asked: of classes, and where the loss is one that outliers do not rule
    assert find_loss(lab_of(sound("binary", rows=SMALL))).answers == ()
    calm = lab_of(with_labels(tables, with_tails), **QUICK, loss="absolute")
    assert (find_loss(calm).answers, find_loss(calm).faults) == ((), ())


def test_the_share_of_the_largest_residuals() -> None:
    assert share_of_tail(np.ones(200)) == pytest.approx(0.01)
    assert share_of_tail(np.r_[np.ones(99), 10.0]) == pytest.approx(100 / 199)
    assert share_of_tail(np.zeros(5)) == 0


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_worst_rows_come_first_with_their_values(task: str) -> None:
    lab = Lab(sound(task, rows=SMALL), SOUND.model_copy(update={"rounds": 10}), (0,))
    table = worst_rows(lab, {"first": 0, "place": 4})
    losses = [row[list(table.columns).index("loss")] for row in table.rows]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == pytest.approx(float(lab.base.losses.max()))
    assert [*table.columns][-2:] == ["first", "place"]


def test_an_encoded_value_in_words() -> None:
    tables = sound(rows=SMALL)
    encoder = Encoder("binary", tables.features, {"place": ("north", "south")}, ("no", "yes"), ())
    named = replace(tables, encoder=encoder)
    assert [value_of(named, 4, code) for code in (0, 1, 2, 3, 4)] == [
        "missing", "other", "north", "south", "level 4",
    ]  # fmt: skip
    assert [value_of(tables, 0, value) for value in (1.5, float("nan"))] == ["1.5", "missing"]
