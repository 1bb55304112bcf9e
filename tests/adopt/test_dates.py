"""Dates: formats are found by the values that fit one way only, and what is assumed is said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from evergreen.adopt.dates import (
    DIGITS,
    FORMATS,
    find_dates,
    find_number_format,
    in_words,
    looks_like_time,
)
from evergreen.ingest.dialect import Dialect
from evergreen.params import EPOCHS

FOUND = [
    (["2024-01-05", "2024-01-06 08:30"], [], ""),
    (["05.01.2024", "06.01.2024"], ["%d.%m.%Y"], ""),
    (["05.01.24", "06.01.24"], ["%d.%m.%y"], ""),
    (["05/01/2024", "25/01/2024"], ["%d/%m/%Y"], ""),
    (["01/05/2024", "01/25/2024"], ["%m/%d/%Y"], ""),
    (["01/05/2024 1:30 PM", "01/25/2024 2:00 AM"], ["%m/%d/%Y %I:%M %p"], ""),
    (["05/01/2024", "06/01/2024"], ["%d/%m/%Y"], "day first or month first: taken for DD/MM/YYYY"),
    (
        ["25/01/2024", "26/01/2024", "01/25/2024", "05/01/2024"],
        ["%d/%m/%Y", "%m/%d/%Y"],
        "which fits both",
    ),
    (["2024/01/05", "5 Jan 2024", "2024-01-07"], ["%Y/%m/%d", "%d %b %Y"], ""),
    (["Jan 5, 2024", "Mar 6, 2024"], ["%b %d, %Y"], ""),
    (["5 January 2024", "6 March 2024"], ["%d %B %Y"], ""),
    (["05JAN2024", "06MAR2024"], ["%d%b%Y"], ""),
    (["05JAN2024:08:30:00", "06MAR2024:08:30:00.5"], ["%d%b%Y:%H:%M:%S%.f"], ""),
    (["05JAN24:08:30", "06MAR24:08:30"], ["%d%b%y:%H:%M"], ""),
    (["2024-01-05-08.30.00.000000", "2024-03-06-08.30.00.000000"], ["%Y-%m-%d-%H.%M.%S%.f"], ""),
    (["20240105_083000", "20240306_083000"], ["%Y%m%d_%H%M%S"], ""),
    (["20240105 083000", "20240306 083000"], ["%Y%m%d %H%M%S"], ""),
    (["Jan-05-2024", "Mar-06-2024"], ["%b-%d-%Y"], ""),
    (["2024年1月5日", "2024年3月6日"], ["%Y年%m月%d日"], ""),
    (["a", "b 12"], [], ""),
    ([None, "x" * 50], [], ""),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "formats", "says"), FOUND, ids=[str(case[0])[:40] for case in FOUND]
)
def test_formats_are_found(values: Sequence[str | None], formats: list[str], says: str) -> None:
    found, warnings = find_dates(pl.Series("day", values, pl.String))
    assert sorted(found) == sorted(formats)
    assert [says in warning.says for warning in warnings] == ([True] if says else [])


def test_a_seldom_slip_is_no_format() -> None:
    values = [f"{1 + at % 28:02}.01.2024" for at in range(1000)]
    assert find_dates(pl.Series(["2024/01/05", *values]))[0] == ["%d.%m.%Y"]


def test_formats_are_told_in_words() -> None:
    assert in_words("%d.%m.%Y %H:%M") == "DD.MM.YYYY hh:mm"
    assert in_words("epoch_ms") == "milliseconds since 1970"
    assert all(in_words(form) for form in (*FORMATS, *DIGITS, *EPOCHS))


@pytest.mark.parametrize("form", [form for form in FORMATS if not form.startswith("%Y-%m-%d")][::6])
def test_what_is_written_in_a_format_is_found_in_it(form: str) -> None:
    days = [
        datetime(2024, 1, 17, 15, 4, 5, tzinfo=UTC) + timedelta(days=31 * at) for at in range(9)
    ]
    plain = form.replace("%.f", ".%f")
    values = [day.strftime(plain).replace("%q", str((day.month + 2) // 3)) for day in days]
    found, _ = find_dates(pl.Series("day", values, pl.String))
    assert len(found) == 1
    assert Dialect.parse(pl.Series(values), found[0]).equals(Dialect.parse(pl.Series(values), form))


START = 1_704_067_200  # 2024-01-01
HOURS = [START + 3_600 * at for at in range(100)]
DATES = [int(f"2024{1 + at // 28:02}{1 + at % 28:02}") for at in range(100)]
NUMBERS = {  # name, values -> format, and whether it is certain
    "seconds called so": ("created_at", HOURS, ("epoch_s", True)),
    "seconds called otherwise": ("x", HOURS, ("epoch_s", False)),
    "fractions of seconds": ("ts", [hour + 0.25 for hour in HOURS], ("epoch_s", True)),
    "round milliseconds": ("x", [hour * 1_000 for hour in HOURS], ("epoch_ms", True)),
    "milliseconds": ("x", [hour * 1_000 + 7 for hour in HOURS], ("epoch_ms", False)),
    "microseconds": ("x", [hour * 10**6 for hour in HOURS], ("epoch_us", True)),
    "nanoseconds": ("x", [hour * 10**9 for hour in HOURS], ("epoch_ns", True)),
    "a key": ("order_id", HOURS, ("", False)),
    "seconds of the far future": ("ts", [hour * 3 for hour in HOURS], ("", False)),
    "digits": ("x", DATES, ("%Y%m%d", True)),
    "digits with a point": ("x", [float(date) for date in DATES], ("%Y%m%d", True)),
    "digits that are no dates": ("x", [20_240_101 + at for at in range(100)], ("", False)),
    "months": ("x", [202_401 + at % 12 for at in range(100)], ("%Y%m", True)),
    "years": ("year", [1990 + at % 30 for at in range(100)], ("%Y", False)),
    "numbers like years": ("price", [1990 + at % 30 for at in range(100)], ("", False)),
    "few": ("ts", [START] * 100, ("", False)),
    "small": ("week", [*range(100)], ("", False)),
}


@pytest.mark.parametrize(("name", "values", "found"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_that_are_times(name: str, values: list[float], found: tuple[str, bool]) -> None:
    assert find_number_format(name, pl.Series(name, values)) == found


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("{}. März 2024", True),
        ("mardi {} mars 2024", True),
        ("January {}, 2024 at 03:00 PM", True),
        ("24-01-{}", True),
        ("2024-01-{} 08:30 CET", True),
        ("2024-01-{}T08:30:00.123456789Z", True),
        ("{}/01/2024 08h30", True),
        ("{}-JAN-24 08.30.00 AM", True),
        ("/Date(17040672{}000)/", True),
        ("KW{} 2024", True),
        ("Jan-{}", True),
        ("10.0.0.{}", False),
        ("INV-2024-00{}", False),
        ("555-12{}", False),
        ("Model 2024 X{}", False),
        ("{} Main Street", False),
        ("soon {}", False),
    ],
)
def test_texts_that_look_like_times_and_are_not_known(text: str, like: bool) -> None:
    column = pl.Series("x", [text.format(at) for at in range(10, 28)])
    assert find_dates(column)[0] == []
    assert looks_like_time(column) == (column[0] if like else "")
