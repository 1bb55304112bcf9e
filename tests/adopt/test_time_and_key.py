"""Time and key: the column that says when is found or asked for, and so is the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from evergreen.adopt.plan import Plan
from evergreen.ingest.moments import ORDER

Planner = Callable[..., Plan]
N = 300


def cycle(*values: str | None) -> list[str | None]:
    return [values[at % len(values)] for at in range(N)]


def days(step: int) -> list[str]:
    start = pl.datetime(2020, 1, 1)
    return [
        str(moment)[:10]
        for moment in pl.select(start + pl.duration(days=pl.int_range(N) * step)).to_series()
    ]


@pytest.mark.slow
def test_the_only_date_is_the_time_unless_it_is_not_wished(planned: Planner) -> None:
    assert [warning.kind for warning in planned().warnings if warning.column == "day"] == ["time"]
    without = planned(timeless=True)
    assert without.time == ""
    assert "day" in without.left_out


@pytest.mark.slow
def test_of_two_dates_none_is_taken_unless_named(planned: Planner) -> None:
    two = planned({"other_day": days(1)})
    assert two.time == ""
    assert any("name the one that says when" in warning.says for warning in two.warnings)
    named = planned({"before": days(-5)}, time="day")
    assert (named.time, "days since before" in named.features) == ("day", True)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("case", TIMES)
def test_the_time_is_found_or_asked_for(case: str, planned: Planner) -> None:
    columns, wishes, time, says = TIMES[case]
    found = planned(columns, **wishes)
    told = [str(warning) for warning in found.warnings if warning.kind == "time"]
    assert found.time == time
    assert any(says in text for text in told) if says else not told
    assert time not in [feature.name for feature in found.features.values()]


@pytest.mark.slow
def test_a_date_of_birth_is_never_asked_about(planned: Planner) -> None:
    found = planned(
        {"day": cycle("a", "b"), "birth_date": [f"{1 + at % 28}. März 1984" for at in range(N)]}
    )
    assert "1984" not in " ".join(
        str(warning) for warning in found.warnings if warning.kind == "time"
    )


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


@pytest.mark.slow
@pytest.mark.parametrize("case", KEYS)
def test_the_key(case: str, planned: Planner) -> None:
    columns, wishes, key = KEYS[case]
    found = planned(columns, **wishes)
    assert found.key == key
    assert not set(key) & {feature.name for feature in found.features.values()}
