"""Plan: label, time, key and features are found or refused in one sentence; wishes come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from evergreen.adopt.infer import infer
from evergreen.adopt.plan import Plan, Wishes, plan
from evergreen.errors import InputError
from evergreen.ingest.moments import ORDER
from evergreen.params import Leaks

Planner = Callable[..., Plan]
N = 300


@pytest.fixture
def planned(customers: Any, make_table: Any) -> Planner:
    def make(
        columns: dict[str, Any] | None = None,
        kind: str = "csv",
        target: str = "churn",
        **wishes: Any,
    ) -> Plan:
        table = make_table(customers(N) | (columns or {}), kind)
        return plan(infer(table), Wishes(target, **wishes), Leaks())

    return make


def cycle(*values: str | None) -> list[str | None]:
    return [values[at % len(values)] for at in range(N)]


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
# --------------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("case", LABELS)
def test_the_task_follows_from_the_label(case: str, planned: Planner) -> None:
    values, wishes, expected = LABELS[case]
    found = planned({"churn": values}, **wishes)
    assert (found.task, found.positive) == expected


def test_what_is_odd_about_the_label_is_said(planned: Planner) -> None:
    rare = planned({"churn": [*["a", "b"] * 145, *["c"] * 9, None]})
    assert rare.rare == ("c",)
    assert [one.kind for one in rare.doubts if one.column == "churn"] == [
        "unlabelled",
        "rare classes",
    ]
    skewed = planned({"churn": [*["no"] * 290, *["yes"] * 10]})
    assert "is 'yes' in only 10 of 300 rows (3.3%)" in [one.says for one in skewed.doubts]


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


@pytest.mark.parametrize("case", REFUSED)
def test_a_wish_that_cannot_be_met_is_refused(case: str, planned: Planner) -> None:
    columns, wishes, says = REFUSED[case]
    with pytest.raises(InputError) as caught:
        planned(columns, **wishes)
    assert says in str(caught.value)


# --- time and key
# --------------------------------------------------------------------------------------------------


def days(step: int) -> list[str]:
    start = pl.datetime(2020, 1, 1)
    return [
        str(one)[:10]
        for one in pl.select(start + pl.duration(days=pl.int_range(N) * step)).to_series()
    ]


def test_the_only_date_is_the_time_unless_it_is_not_wished(planned: Planner) -> None:
    assert [one.kind for one in planned().doubts if one.column == "day"] == ["time"]
    without = planned(timeless=True)
    assert without.time == ""
    assert "day" in without.left_out


def test_of_two_dates_none_is_taken_unless_named(planned: Planner) -> None:
    two = planned({"other_day": days(1)})
    assert two.time == ""
    assert any("name the one that says when" in one.says for one in two.doubts)
    named = planned({"before": days(-5)}, time="day")
    assert (named.time, "days since before" in named.features) == ("day", True)


@pytest.mark.parametrize(
    "values",
    [
        cycle("2024-01-05"),
        cycle("2024-01-05", None),
        ["2024-01-05 08:30", "2024-01-05 09:30"] * (N // 2),
    ],
    ids=["one day", "half missing", "two moments"],
)
def test_a_date_that_says_nothing_is_no_time(values: list[str | None], planned: Planner) -> None:
    assert planned({"day": values}).time == ""


# The time, and what is said of it
TIMES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "none": (
        {"day": cycle("a", "b")},
        {},
        "",
        "no column surely says when: where rows, and later files, come in the order",
    ),
    "a date with gaps": (
        {"day": [*days(1)[:150], *[None] * 150]},
        {},
        "",
        "holds dates, but 50.0% of the rows have none",
    ),
    "a few moments": (
        {"day": cycle("2024-01-05", "2024-03-05")},
        {},
        "",
        "but there are only 2 moments: --time 'day' takes",
    ),
    "one day": (
        {"day": [f"2024-01-05 08:{at % 60:02}" for at in range(N)]},
        {},
        "",
        "they span no more than a day",
    ),
    "a way unknown": (
        {"day": [f"{1 + at % 28}. März 2024" for at in range(N)]},
        {},
        "",
        "looks like a time that cannot be",
    ),
    "a number": (
        {"day": [str(at % 40) for at in range(N)]},
        {},
        "",
        "may say when: where its numbers grow with time",
    ),
    "a number, named": ({"day": [str(at % 40) for at in range(N)]}, {"time": "day"}, "day", ""),
    "the order": ({"day": cycle("a", "b")}, {"time": "order"}, ORDER, ""),
    "the order, as it is declared": ({}, {"time": ORDER}, ORDER, ""),
    "a column called so": ({"order": days(1)}, {"time": "order"}, "order", ""),
    "not wished": ({"day": cycle("a", "b")}, {"timeless": True}, "", ""),
}


@pytest.mark.parametrize("case", TIMES)
def test_the_time_is_found_or_asked_for(case: str, planned: Planner) -> None:
    columns, wishes, time, says = TIMES[case]
    found = planned(columns, **wishes)
    told = [str(one) for one in found.doubts if one.kind == "time"]
    assert found.time == time
    assert any(says in one for one in told) if says else not told
    assert time not in [one.name for one in found.features.values()]


def test_a_date_of_birth_is_never_asked_about(planned: Planner) -> None:
    found = planned(
        {"day": cycle("a", "b"), "birth_date": [f"{1 + at % 28}. März 1984" for at in range(N)]}
    )
    assert "1984" not in " ".join(str(one) for one in found.doubts if one.kind == "time")


KEYS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "by name": ({}, {}, ("customer_id",)),
    "by what it holds": (
        {"customer_id": cycle("a"), "code2": [f"x-{at}" for at in range(N)]},
        {},
        ("code2",),
    ),
    "with the time": (
        {"customer_id": [f"C{at % 150}" for at in range(N)], "day": days(1)},
        {},
        ("day", "customer_id"),
    ),
    "wished": (
        {"a": [str(at // 10) for at in range(N)], "b": cycle(*"0123456789")},
        {"key": ("a", "b")},
        ("a", "b"),
    ),
    "none": ({"customer_id": cycle("a", "b")}, {}, ()),
    "no row numbers": ({"customer_id": cycle("a"), "nr": [str(at) for at in range(N)]}, {}, ()),
    "no names": ({"customer_id": cycle("a"), "last_name": [f"N{at}" for at in range(N)]}, {}, ()),
}


@pytest.mark.parametrize("case", KEYS)
def test_the_key(case: str, planned: Planner) -> None:
    columns, wishes, key = KEYS[case]
    found = planned(columns, **wishes)
    assert found.key == key
    assert not set(key) & {one.name for one in found.features.values()}


# --- features
# --------------------------------------------------------------------------------------------------


def test_names_are_such_as_xgboost_and_the_features_files_take(planned: Planner) -> None:
    odd = ["size [m2]", "size (m2)", "a<b", "event_time", "label", "key_x", "two\nlines", " ends "]
    found = planned(
        {name: [str(at % 7 + place) for at in range(N)] for place, name in enumerate(odd)}
    )
    names = [name for name, one in found.features.items() if one.name in odd]
    assert names == [
        "size (m2)", "size (m2)_", "a less b", "event_time_", "label_", "_key_x", "two lines", "ends",
    ]  # fmt: skip


def test_what_is_left_out_is_declared_unless_it_is_empty_or_personal(planned: Planner) -> None:
    found = planned(
        {
            "nothing": [None] * N,
            "constant": ["1"] * N,
            "mail": [f"u{at}@mail.org" for at in range(N)],
            "refund": ["5" if one == "yes" else "0" for one in LABELS["yes"][0]],
            "churn": LABELS["yes"][0],
        }
    )
    assert list(found.left_out) == ["nothing", "constant", "mail", "refund"]
    assert found.later == ("churn", "refund")
    assert {"nothing", "mail"}.isdisjoint(found.declared)
    assert {"constant", "refund"} <= {*found.declared}
