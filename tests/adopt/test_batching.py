"""Batching: as many batches as rows allow, none too small, none with too many broken rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evergreen.adopt.batching import cut_into_batches
from evergreen.errors import InputError

Through = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "days", "period", "first", "batches"),
    [
        (6000, 2900, "year", "2023", 8),
        (1200, 360, "month", "2023-01", 12),
        (600, 60, "week", "2022-W52", 10),
        (600, 7, "day", "2023-01-01", 7),
        (300, 300, None, "customers", 1),
    ],
)
def test_the_coarsest_period_that_gives_enough_batches(
    rows: int, days: int, period: str | None, first: str, batches: int, work: Through
) -> None:
    found = work(rows, days).batches
    assert (found.period, next(iter(found.rows)), len(found.rows)) == (period, first, batches)
    assert sorted(row for places in found.rows.values() for row in places) == list(range(rows))


@pytest.mark.slow
def test_a_wished_period_comes_first(work: Through) -> None:
    assert len(work(300, 300, period="month").batches.rows) == 10


@pytest.mark.slow
def test_without_a_time_there_is_one_batch(work: Through) -> None:
    found = work(1200, 360, timeless=True).batches
    assert (found.period, list(found.rows)) == (None, ["customers"])


@pytest.mark.slow
@pytest.mark.parametrize("time", ["visits", "order"])
def test_numbers_and_the_order_of_rows_cut_no_batches(time: str, work: Through) -> None:
    found = work(1200, 360, time=time).batches
    assert (found.period, list(found.rows)) == (None, ["customers"])
    with pytest.raises(InputError, match=r"--period month: no column of dates"):
        work(1200, 360, time=time, period="month")


@pytest.mark.slow
def test_a_number_that_most_rows_share_cannot_split_them(work: Through) -> None:
    with pytest.raises(InputError, match=r"cannot be split by time"):
        work(time="visits", columns={"visits": ["3"] * 280 + ["4", "5"] * 10})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "batch"),
    [
        ("Kunden März 2024", "Kunden-M-rz-2024"),
        ("_.x", "x"),
        ("客户", "table"),
        ("split", "split-1"),
    ],
)
def test_a_batch_is_called_like_the_file_as_far_as_it_may(
    name: str, batch: str, work: Through
) -> None:
    assert list(work(timeless=True, name=name).batches.rows) == [batch]


@pytest.mark.slow
def test_a_newest_batch_that_cannot_judge_waits(work: Through) -> None:
    whole = work(6000, 360)
    assert whole.batches.until is None
    days = [*whole.table.rows["day"].head(5995), *["2024-01-02"] * 5]
    found = work(6000, 360, columns={"day": days}).batches
    assert (found.until, list(found.rows)[-1]) == ("2023-12", "2024-01")
    assert "holds only 5 rows (2024-01)" in found.warnings[0].says
    few = work(1200, 360, columns={"day": days[::5]}).batches
    assert (few.until, list(few.rows)[-1]) == (None, "2024-01")  # cross-validation judges


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "few"), [(40, True), (60, False)])
def test_few_rows_to_judge_by_are_told_of(rows: int, few: bool, work: Through) -> None:
    assert [warning.kind for warning in work(rows, timeless=True).batches.warnings] == [
        "few rows"
    ] * few


@pytest.mark.slow
def test_a_row_without_a_time_goes_with_its_neighbour_and_is_put_aside(work: Through) -> None:
    whole = work(1200, 360)
    days = whole.table.rows["day"].to_list()
    days[500] = None
    found = work(1200, 360, columns={"day": days}).batches
    assert found.bad.arg_true().to_list() == [500]
    assert next(name for name, rows in found.rows.items() if 500 in rows) == str(days[499])[:7]


SPOILT = {"visits": [("many" if at % 20 == 3 else str(at % 9)) for at in range(300)]}


@pytest.mark.slow
def test_too_many_broken_rows_are_refused_with_places_and_a_remedy(work: Through) -> None:
    with pytest.raises(InputError) as caught:
        work(columns=SPOILT)
    said = str(caught.value)
    for part in (
        (
            "customers.csv: 15 of 300 rows (5.0%) cannot be read, more than validate.max_bad_rows "
            "(2.0%)"
        ),
        (
            "'visits': 15 values are no numbers, such as 'many' (line 5), 'many' (line 25), 'many' "
            "(line 45)"
        ),
        "--max-bad-rows 0.06",
    ):
        assert part in said
    assert work(columns=SPOILT, allowed=0.06).batches.bad.sum() == 15


@pytest.mark.slow
def test_one_bad_batch_is_enough(work: Through) -> None:
    visits = work(1200, 360).table.rows["visits"].to_list()
    visits[600:604] = ["many"] * 4
    with pytest.raises(
        InputError, match=r"4 of 1,200 rows \(0.3%\) cannot be read, in 2023-0\d \d\.\d%"
    ):
        work(1200, 360, columns={"visits": visits})


@pytest.mark.slow
def test_moments_too_few_to_split_by_are_refused(work: Through) -> None:
    days = ["2023-01-01"] * 290 + [f"2023-01-{at:02}" for at in range(2, 12)]
    with pytest.raises(InputError, match="cannot be split by time, too many share one"):
        work(columns={"day": days})


@pytest.mark.slow
def test_a_database_needs_a_time(work: Through) -> None:
    with pytest.raises(InputError, match="rows of a database are cut into batches by time"):
        work(kind="sql", timeless=True)
    found = work(
        kind="sql", columns={"the day": work().table.rows["day"].to_list()}, time="the day"
    )
    assert found.plan.time == "the day"


@pytest.mark.slow
def test_a_period_needs_a_time(work: Through) -> None:
    found = work(timeless=True)
    with pytest.raises(InputError, match="--period week: no column of dates says when"):
        cut_into_batches(found.table, found.found, found.plan, 0.02, "week")
