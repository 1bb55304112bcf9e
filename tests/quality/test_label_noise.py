"""Label noise: planted mistakes are found, those that cleanlab finds; uncertain labels are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.quality.label_noise import SHOWN, Predicted, find_label_noise, find_suspect_labels

ROWS = 4000


def labelled(classes: int, flipped: float, seed: int = 0) -> tuple[Any, Any, Any]:
    """Labels of which a share is wrong, a good model's probabilities, and which are wrong."""
    draw = np.random.default_rng(seed)
    true = draw.integers(0, classes, ROWS)
    score = np.exp(draw.normal(size=(ROWS, classes)) + 6 * np.eye(classes)[true])
    wrong = draw.random(ROWS) < flipped
    y = np.where(wrong, (true + draw.integers(1, classes, ROWS)) % classes, true)
    p = score / score.sum(axis=1, keepdims=True)
    return y.astype(np.float32), (p[:, 1] if classes == 2 else p).astype(np.float32), wrong


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("flipped", [0.03, 0.1])
def test_planted_mistakes_are_found(classes: int, flipped: float) -> None:
    y, p, wrong = labelled(classes, flipped)
    found = find_suspect_labels("multiclass" if classes > 2 else "binary", y, p)
    assert wrong[found.at].mean() > 0.9, "most suspects are mistakes"
    assert wrong[found.at].sum() > 0.8 * wrong.sum(), "most mistakes are suspects"
    assert len(found.at) / ROWS == pytest.approx(flipped, abs=0.02)
    assert found.foretold < flipped / 2
    assert (np.diff(found.surprise) >= 0).all()


@pytest.mark.parametrize("classes", [2, 4])
def test_without_mistakes_there_are_few_suspects(classes: int) -> None:
    y, p, _ = labelled(classes, 0.0)
    assert (
        len(find_suspect_labels("multiclass" if classes > 2 else "binary", y, p).at) / ROWS < 0.015
    )


def test_uncertain_labels_are_suspects_as_often_as_foretold() -> None:
    """A model that knows the true probabilities is contradicted just as often as it says."""
    draw = np.random.default_rng(5)
    p = draw.beta(2, 5, 20_000)
    y = draw.random(20_000) < p
    found = find_suspect_labels("binary", y.astype(np.float32), p)
    share = len(found.at) / len(y)
    assert share > 0.1
    assert found.foretold == pytest.approx(share, abs=0.01)


# What cleanlab 2.9.0 finds in `fixed(classes)`: the rows off the diagonal of its confident joint,
# and its label issues, which are these but for rows whose label is the likeliest class
CLEANLAB = {
    2: ([31], [31]),
    3: ([10, 31, 45, 52], [10, 31, 45, 52]),
    4: ([9, 17, 24, 31], [17, 24, 31]),
    5: ([3, 10, 17, 24, 31, 38, 52, 59], [3, 10, 17, 24, 31, 38, 52, 59]),
}


def fixed(classes: int) -> tuple[Any, Any]:
    """Sixty labels and probabilities made without a random number, one label in seven wrong."""
    row, kind = np.arange(60)[:, None], np.arange(classes)
    true = (row[:, 0] * 5 + row[:, 0] ** 2 // 7) % classes
    scrambled = (row * 37 + kind * 101 + row**2 * (kind + 1) * 13) % 97
    weights = scrambled + 1 + 80 * (kind == true[:, None])
    y = np.where(row[:, 0] % 7 == 3, (true + 1) % classes, true)
    return y, weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", CLEANLAB)
def test_suspects_are_those_of_cleanlab(classes: int) -> None:
    """The figures were made in an environment of its own (`pip install cleanlab==2.9.0`) by

    `compute_confident_joint(y, p, calibrate=False, return_indices_of_off_diagonals=True)[1]` of
    `cleanlab.count`, and `find_label_issues(y, p, filter_by="confident_learning")` of its `filter`.
    """
    y, p = fixed(classes)
    off_diagonal, issues = CLEANLAB[classes]
    given = p[:, 1] if classes == 2 else p
    found = find_suspect_labels("multiclass" if classes > 2 else "binary", y, given)
    assert sorted(found.at.tolist()) == off_diagonal
    assert sorted(at for at in found.at.tolist() if p[at].argmax() != y[at]) == issues


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, 2), *[st.integers(1, 20)] * 3), min_size=1, max_size=25),
)
def test_suspects_are_those_of_the_definition(rows: list[tuple[int, ...]]) -> None:
    """The confident joint of Northcutt et al., row by row; thresholds may round either way."""
    y = np.array([row[0] for row in rows])
    p = np.array([row[1:] for row in rows], dtype=float)
    p /= p.sum(axis=1, keepdims=True)
    threshold = {
        j: np.mean([p[i][j] for i in range(len(y)) if y[i] == j]) for j in range(3) if j in y
    }
    if any(abs(p[i][j] - edge) < 1e-9 for i in range(len(y)) for j, edge in threshold.items()):
        return
    expected = {}
    for i in range(len(y)):
        confident = [j for j, edge in threshold.items() if p[i][j] >= edge]
        if confident and (likeliest := max(confident, key=lambda j: p[i][j])) != y[i]:
            expected[i] = likeliest
    found = find_suspect_labels("multiclass", y.astype(np.float32), p)
    assert dict(zip(found.at.tolist(), found.instead.tolist(), strict=True)) == expected


def test_a_class_without_rows_is_never_believed() -> None:
    p = np.array([[0.1, 0.9, 0.0], [0.2, 0.1, 0.7], [0.9, 0.05, 0.05]])
    assert 2 not in find_suspect_labels("multiclass", np.array([1.0, 0.0, 0.0]), p).instead


# --- numbers


@pytest.mark.parametrize("planted", [0, 5])
def test_planted_outliers_are_found(planted: int) -> None:
    draw = np.random.default_rng(1)
    p = draw.normal(size=2000)
    y = p + 3 + 0.5 * draw.normal(size=2000)  # a bias of the model makes no row a suspect
    y[:planted] += 40 + np.arange(planted)
    found = find_suspect_labels("regression", y.astype(np.float32), p.astype(np.float32))
    assert found.at.tolist() == list(reversed(range(planted)))
    assert found.surprise == pytest.approx(43 + np.arange(planted)[::-1], abs=3)


@pytest.mark.parametrize(
    ("residuals", "suspects"),
    [([0.0] * 50, 0), ([0.0] * 50 + [9.0], 1), ([0.0] * 50 + [1.0] * 25, 0)],
    ids=["none", "one", "many"],
)
def test_outliers_where_most_residuals_are_equal(residuals: list[float], suspects: int) -> None:
    p = np.zeros(len(residuals))
    assert len(find_suspect_labels("regression", np.array(residuals), p).at) == suspects


# --- what is told


def test_what_is_told_of_classes() -> None:
    y, p, wrong = labelled(2, 0.05)
    keys = pl.DataFrame(
        {"at": pl.Series([f"2013-01-01 00:00:00.{n:06}" for n in range(ROWS)]), "who": ["x"] * ROWS}
    )
    share, named = find_label_noise("binary", Predicted(y, p, ("no", "yes"), keys, "June"))
    assert share.bound == "max_label_noise"
    assert share.value == pytest.approx(wrong.mean(), abs=0.02)
    assert f"of {ROWS:,} labels of June ({100 * share.value:.1f}%) are suspects" in share.says
    assert [row[:2] for row in share.rows] == [("no", "yes"), ("yes", "no")]
    assert sum(row[2] for row in share.rows) == pytest.approx(share.value * ROWS)
    assert all(row[3] == row[2] / (y == place).sum() for place, row in enumerate(share.rows))
    assert len(named.rows) == SHOWN
    assert named.value == named.rows[0][3] == min(row[3] for row in named.rows)
    assert all(len(row) == len(named.columns) for row in named.rows)
    assert named.rows[0][0].endswith(" · x")


def test_what_is_told_of_numbers() -> None:
    y, p = np.random.default_rng(0).normal(size=100), np.zeros(100)
    y[7] = -50
    share, named = find_label_noise("regression", Predicted(y, p))
    assert share.value == 0.01
    assert "1 of 100 labels of the holdout (1.0%) are suspects" in share.says
    assert named.rows == (("7", -50.0, 0.0, -50.0),)
    assert named.value == -50


def test_nothing_found_is_told_without_a_list() -> None:
    y, p = np.array([0.0, 0, 1, 1]), np.array([0.1, 0.1, 0.9, 0.9])
    (found,) = find_label_noise("binary", Predicted(y, p, ("no", "yes")))
    assert (found.value, found.rows) == (0, ())
