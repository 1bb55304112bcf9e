"""Plan: label, time, key and features are found or refused in one sentence; wishes come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evergreen.adopt.plan import Plan
from evergreen.errors import InputError

Planner = Callable[..., Plan]
N = 300


def cycle(*values: str | None) -> list[str | None]:
    return [values[at % len(values)] for at in range(N)]


@pytest.mark.slow
def test_a_plain_table(planned: Planner) -> None:
    found = planned()
    assert (found.task, found.positive, found.time, found.key) == (
        "binary",
        "yes",
        "day",
        ("customer_id",),
    )
    assert list(found.features) == ["spend", "visits", "place"]
    assert (found.later, found.left_out, found.rare) == (("churn",), {}, ())
    assert found.declared == ("customer_id", "day", "spend", "visits", "place", "churn")


# --- the label

LABELS: dict[str, tuple[list[str | None], dict[str, Any], tuple[Any, ...]]] = {
    "yes": (cycle("yes", "no", "no"), {}, ("binary", "yes")),
    "yes is not the rarer": (cycle("yes", "yes", "no"), {}, ("binary", "yes")),
    "else the rarer": (cycle("left", "right", "right"), {}, ("binary", "left")),
    "one and zero": (cycle("1", "1", "0"), {}, ("binary", 1)),
    "truth": (cycle("True", "False", "False"), {}, ("binary", True)),
    "classes": (cycle("a", "b", "c"), {}, ("multiclass", None)),
    "few whole numbers": (cycle("1", "2", "3"), {}, ("multiclass", None)),
    "unless wished": (cycle("1", "2", "3"), {"task": "regression"}, ("regression", None)),
    "many whole numbers": ([str(at) for at in range(N)], {}, ("regression", None)),
    "fractions": (cycle("1.5", "2.5", "3.5", "1"), {}, ("regression", None)),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LABELS)
def test_the_task_follows_from_the_label(case: str, planned: Planner) -> None:
    values, wishes, expected = LABELS[case]
    found = planned({"churn": values}, **wishes)
    assert (found.task, found.positive) == expected


@pytest.mark.slow
def test_what_is_odd_about_the_label_is_said(planned: Planner) -> None:
    rare = planned({"churn": [*["a", "b"] * 145, *["c"] * 9, None]})
    assert rare.rare == ("c",)
    assert [warning.kind for warning in rare.warnings if warning.column == "churn"] == [
        "unlabelled",
        "rare classes",
    ]
    skewed = planned({"churn": [*["no"] * 290, *["yes"] * 10]})
    assert "is 'yes' in only 10 of 300 rows (3.3%)" in [warning.says for warning in skewed.warnings]


@pytest.mark.slow
def test_what_a_person_knows_to_be_late_is_no_feature(planned: Planner) -> None:
    found = planned(known_later=("spend",))
    assert list(found.features) == ["visits", "place"]
    assert found.later == ("churn", "spend")


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another name": ({}, {"target": "Churn"}, "there is no column 'Churn'; did you mean 'churn'?"),
    "a slip": ({}, {"target": "chrun"}, "did you mean 'churn'?"),
    "no such": ({}, {"target": "zzz"}, "there are 'customer_id', 'day'"),
    "empty": ({"churn": [None] * N}, {}, "is empty in every row"),
    "constant": ({"churn": ["yes"] * N}, {}, "is 'yes' in every row: there is nothing to learn"),
    "dates": ({"churn": cycle("2024-01-05", "2024-01-06")}, {}, "holds dates"),
    "not two": (
        {"churn": cycle("a", "b", "c")},
        {"task": "binary"},
        "has 3 values, not two, such as 'a', 'b', 'c'",
    ),
    "no numbers": (
        {"churn": cycle("a", "b")},
        {"task": "regression"},
        "holds no numbers, but 'a', 'b'",
    ),
    "too many classes": ({"churn": [f"c{at}" for at in range(N)]}, {}, "too many for classes"),
    "fractions": (
        {"churn": cycle("1.5", "2", "3")},
        {"task": "multiclass"},
        "holds fractions such as 1.5",
    ),
    "too few of each": (
        {"churn": [*["a"] * 292, *["b"] * 4, *["c"] * 4]},
        {},
        "fewer than two have 10 rows",
    ),
    "time of words": ({}, {"time": "place"}, "--time 'place' holds no dates, but"),
    "time of few": (
        {"day": cycle("2024-01-05", "2024-01-06")},
        {"time": "day"},
        "holds 2 moments: rows cannot be split by so few",
    ),
    "time that is the target": ({}, {"time": "churn"}, "is the target"),
    "no such time": ({}, {"time": "dya"}, "--time: there is no column 'dya'; did you mean 'day'?"),
    "key not unique": (
        {},
        {"key": ("place",)},
        "--key place: 300 rows share it with another, such as",
    ),
    "key that is the target": ({}, {"key": ("churn",)}, "is the target"),
    "no such key": ({}, {"key": ("customer",)}, "--key: there is no column 'customer'"),
    "late that is the target": (
        {},
        {"known_later": ("churn",)},
        "--known-later churn: label, time and key",
    ),
    "no such late": (
        {},
        {"known_later": ("spent",)},
        "--known-later: there is no column 'spent'; did you mean 'spend'?",
    ),
    "no feature": (
        {name: ["1"] * N for name in ("spend", "visits", "place")},
        {},
        "no column is left to predict 'churn' from: 'spend' is 1 in every row",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_a_wish_that_cannot_be_met_is_refused(case: str, planned: Planner) -> None:
    columns, wishes, says = REFUSED[case]
    with pytest.raises(InputError) as caught:
        planned(columns, **wishes)
    assert says in str(caught.value)


# --- features


@pytest.mark.slow
def test_names_are_such_as_xgboost_and_the_features_files_take(planned: Planner) -> None:
    odd = ["size [m2]", "size (m2)", "a<b", "event_time", "label", "key_x", "two\nlines", " ends "]
    found = planned(
        {name: [str(at % 7 + place) for at in range(N)] for place, name in enumerate(odd)}
    )
    names = [name for name, feature in found.features.items() if feature.name in odd]
    assert names == [
        "size (m2)",
        "size (m2)_",
        "a less b",
        "event_time_",
        "label_",
        "_key_x",
        "two lines",
        "ends",
    ]


@pytest.mark.slow
def test_what_is_left_out_is_declared_unless_it_is_empty_or_personal(planned: Planner) -> None:
    found = planned(
        {
            "nothing": [None] * N,
            "constant": ["1"] * N,
            "mail": [f"u{at}@mail.org" for at in range(N)],
            "refund": ["5" if label == "yes" else "0" for label in LABELS["yes"][0]],
            "churn": LABELS["yes"][0],
        }
    )
    assert list(found.left_out) == ["nothing", "constant", "mail", "refund"]
    assert found.later == ("churn", "refund")
    assert {"nothing", "mail"}.isdisjoint(found.declared)
    assert {"constant", "refund"} <= {*found.declared}
