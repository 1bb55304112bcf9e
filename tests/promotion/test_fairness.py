"""Fairness: the differences are what counting by hand gives, and too small a group says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.metrics.metric import TASKS
from evergreen.promotion.fairness import find_group_differences

Array = Any


def differences(*args: Any) -> dict[str, float]:
    return {kind: gap.value for kind, gap in find_group_differences(*args).items()}


def rate(said: Array, where: Array) -> float:
    return float(said[where].mean())


def spread(values: list[float]) -> float:
    return max(values) - min(values)


def by_hand(task: str, y: Array, p: Array, group: Array, threshold: float) -> float:
    """The largest difference between groups, counted."""
    names = sorted(set(group.tolist()))
    if task == "binary":
        yes = p >= threshold
        return max(
            spread([rate(yes, (group == name) & (y == label)) for name in names])
            for label in (0, 1)
        )
    if task == "multiclass":
        return spread([rate(p.argmax(axis=1) == y, group == name) for name in names])
    return spread([rate(abs(p - y), group == name) for name in names]) / y.std()


def draw(task: str, rows: int, groups: int, seed: int) -> tuple[Array, Array, Array]:
    """Labels, predictions and groups, all groups alike; each group has both labels."""
    generator = np.random.default_rng(seed)
    group = np.array(["ash", "bay", "cove", "dell"])[np.arange(rows) % groups]
    if task == "regression":
        y = generator.normal(3, 2, rows)
        return y, y + generator.normal(size=rows), group
    classes = 2 if task == "binary" else 3
    y = (np.arange(rows) // groups % classes).astype(np.float32)  # codes as the encoder gives them
    p = generator.random(rows) if task == "binary" else generator.dirichlet(np.ones(3), rows)
    return y, p.astype(np.float32), group


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [
        "binary",
        *(pytest.param(task, marks=pytest.mark.long) for task in ("multiclass", "regression")),
    ],
)
def test_the_difference_is_what_counting_gives(task):
    @settings(deadline=None, max_examples=8)
    @given(groups=st.integers(2, 4), threshold=st.floats(0.1, 0.9), seed=st.integers(0, 999))
    def check(groups, threshold, seed):
        y, p, group = draw(task, 200, groups, seed)
        found = differences(task, y, p, {"place": group}, threshold)
        assert found == {"place": pytest.approx(by_hand(task, y, p, group, threshold), rel=1e-5)}

    check()


def forty(*counts: int) -> Array:
    """Groups of 40 rows, the first n of each marked."""
    return np.concatenate([np.arange(40) < count for count in counts])


@pytest.mark.parametrize(
    ("hit", "called", "expected"),
    [
        ((10, 10), (5, 5), 0.0),
        ((10, 4), (5, 5), 0.3),  # 10 and 4 of 20 yes are found
        ((10, 10), (5, 11), 0.3),  # 5 and 11 of 20 no are called yes
        ((10, 4), (5, 15), 0.5),  # the larger of the two
        ((20, 0), (0, 0), 1.0),
    ],
)
def test_binary_is_the_larger_of_two_differences_in_rates(hit, called, expected):
    y = forty(20, 20)
    p = np.concatenate(
        [
            np.r_[np.arange(20) < found, np.arange(20) < wrong]
            for found, wrong in zip(hit, called, strict=True)
        ]
    )
    group = np.repeat(["ash", "bay"], 40)
    found = differences("binary", y.astype(np.float32), p.astype(np.float32), {"place": group}, 0.5)
    assert found == {"place": pytest.approx(expected)}


def test_multiclass_is_a_difference_in_accuracy():
    y = np.arange(80) % 3
    right = forty(30, 18)
    p = np.eye(3)[np.where(right, y, (y + 1) % 3)]
    found = differences("multiclass", y, p, {"place": np.repeat(["ash", "bay"], 40)}, 0.5)
    assert found == {"place": pytest.approx(0.3)}


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_regression_is_a_difference_in_errors_in_standard_deviations_of_the_label(unit):
    y = np.tile([-2.0, 2.0], 40) * unit  # standard deviation of 2
    p = y + np.repeat([0.5, -1.5], 40) * unit
    found = differences("regression", y, p, {"place": np.repeat(["ash", "bay"], 40)}, 0.5)
    assert found == {"place": pytest.approx(0.5)}


@pytest.mark.parametrize(("threshold", "expected"), [(0.3, 0.0), (0.5, 1.0), (0.51, 0.0)])
def test_a_prediction_at_the_threshold_counts_as_yes(threshold, expected):
    y, group = forty(20, 20).astype(float), np.repeat(["ash", "bay"], 40)
    p = np.where(group == "ash", 0.5, 0.4)
    assert differences("binary", y, p, {"place": group}, threshold) == {"place": expected}


@pytest.mark.parametrize(
    ("sizes", "known"),
    [
        ((30, 30), True),
        ((29, 200), False),
        ((30, 29, 200), True),
        ((29, 29, 29), False),
        ((200,), False),
    ],
)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_only_groups_of_at_least_30_rows_are_compared(task, sizes, known):
    rows = sum(sizes)
    y, p, _ = draw(task, rows, 1, 0)
    group = np.repeat(["ash", "bay", "cove"][: len(sizes)], sizes)
    found = differences(task, y, p, {"place": group}, 0.5)
    large = np.isin(
        group,
        [name for name, size in zip(["ash", "bay", "cove"], sizes, strict=False) if size >= 30],
    )
    assert found == (
        {"place": pytest.approx(by_hand(task, y[large], p[large], group[large], 0.5), rel=1e-5)}
        if known
        else {}
    )


def test_a_small_group_that_is_treated_badly_says_nothing():
    y = np.tile([0.0, 1.0], 64)
    group = np.r_[np.repeat(["ash", "bay"], 50), ["cove"] * 28]
    p = np.where(group == "cove", 1 - y, y)
    assert differences("binary", y, p, {"place": group}, 0.5) == {"place": 0.0}


@pytest.mark.slow
def test_each_kind_of_group_has_its_own_difference():
    y = forty(20, 20).astype(float)
    place, age = np.repeat(["ash", "bay"], 40), np.tile(["old", "young"], 40)
    p = np.where(place == "ash", y, 0.0)
    found = differences(
        "binary", y, p, {"place": place, "age": age, "all": np.full(80, "one")}, 0.5
    )
    assert found == {"place": 1.0, "age": 0.0}


def test_without_groups_there_are_no_differences():
    assert differences("binary", np.zeros(80), np.zeros(80), {}, 0.5) == {}


def test_a_group_without_a_yes_cannot_have_its_yes_found():
    """A perfect model treats nobody differently, whoever has no yes among the rows."""
    y, group = forty(20, 0).astype(float), np.repeat(["ash", "bay"], 40)
    assert differences("binary", y, y, {"place": group}, 0.5) in ({"place": 0.0}, {})


def gap_of(p: Array, y: Array, group: Array, task: str = "binary") -> Any:
    return find_group_differences(task, y, p, {"place": group}, 0.5)["place"]


def two_groups(task: str, rows: int, seed: int, worse: float = 0.0) -> tuple[Array, Array, Array]:
    """Two groups of `rows`; in the second a share `worse` is predicted against its label."""
    generator = np.random.default_rng(seed)
    group = np.repeat(["ash", "bay"], rows)
    if task == "regression":
        y = generator.normal(size=2 * rows)
        return y + generator.normal(size=2 * rows) * (1 + worse * (group == "bay")), y, group
    y = generator.integers(0, 2, 2 * rows).astype(float)
    wrong = generator.random(2 * rows) < 0.2 + worse * (group == "bay")
    said = np.where(wrong, 1 - y, y)
    return (said if task == "binary" else np.column_stack([1 - said, said])), y, group


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "trials"),
    [
        ("binary", 60),
        *(pytest.param(task, 200, marks=pytest.mark.long) for task in TASKS),
    ],
)
def test_noise_is_no_difference_between_groups(task, trials):
    """Two small groups treated alike: a difference is sure in at most one trial of twenty."""
    sure = [gap_of(*two_groups(task, 60, seed), task).low > 0 for seed in range(trials)]
    assert np.mean(sure) <= 0.05


@pytest.mark.slow
def test_noise_is_no_difference_between_any_two_of_many_groups():
    """Of 190 pairs some look far apart by chance: the bound allows for each of them."""
    group = np.repeat([f"group {at:02}" for at in range(20)], 40)

    def draw(seed: int) -> Any:
        wrong = np.random.default_rng(seed).random(800) < 0.2
        y = np.tile([0.0, 1.0], 400)
        return gap_of(np.where(wrong, 1 - y, y), y, group)

    assert np.mean([draw(seed).low > 0 for seed in range(10)]) <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [
        "binary",
        *(pytest.param(task, marks=pytest.mark.long) for task in ("multiclass", "regression")),
    ],
)
def test_a_real_difference_between_groups_is_sure_where_there_are_rows(task):
    found = gap_of(*two_groups(task, 4000, 1, worse=0.4), task)
    assert 0.25 < found.low < {"regression": 0.32}.get(task, 0.4)  # below the true difference
    few = [gap_of(*two_groups(task, 40, seed, worse=0.1), task).low > 0.1 for seed in range(100)]
    assert np.mean(few) <= 0.05


def test_groups_that_differ_in_all_they_have_are_not_sure_beyond_their_number():
    """Rates of 0 and 1 have no variance by themselves: 30 rows are still only 30 rows."""
    y, group = np.ones(60), np.repeat(["ash", "bay"], 30)
    found = gap_of((group == "ash").astype(float), y, group)
    assert found.value == 1.0
    assert 0.7 < found.low < 0.95
