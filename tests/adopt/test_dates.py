"""Dates: formats are found by the values that fit one way only, and what is assumed is said."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest

from evergreen.adopt.dates import find_dates, in_words

FOUND = [
    (["2024-01-05", "2024-01-06 08:30"], [], ""),
    (["05.01.2024", "06.01.2024"], ["%d.%m.%Y"], ""),
    (["05.01.24", "06.01.24"], ["%d.%m.%y"], ""),
    (["05/01/2024", "25/01/2024"], ["%d/%m/%Y"], ""),
    (["01/05/2024", "01/25/2024"], ["%m/%d/%Y"], ""),
    (["01/05/2024 1:30 PM", "01/25/2024 2:00 AM"], ["%m/%d/%Y %I:%M %p"], ""),
    (["05/01/2024", "06/01/2024"], ["%d/%m/%Y"], "day first or month first: taken for DD/MM/YYYY"),
    (["25/01/2024", "26/01/2024", "01/25/2024", "05/01/2024"], ["%d/%m/%Y", "%m/%d/%Y"], "which fits both"),
    (["2024/01/05", "5 Jan 2024", "2024-01-07"], ["%Y/%m/%d", "%d %b %Y"], ""),
    (["Jan 5, 2024", "Mar 6, 2024"], ["%b %d, %Y"], ""),
    (["5 January 2024", "6 March 2024"], ["%d %B %Y"], ""),
    (["a", "b 12"], [], ""),
    ([None, "x" * 50], [], ""),
]


@pytest.mark.slow
@pytest.mark.parametrize(("values", "formats", "says"), FOUND, ids=[str(one[0])[:40] for one in FOUND])
def test_formats_are_found(values: Sequence[str | None], formats: list[str], says: str) -> None:
    found, doubts = find_dates(pl.Series("day", values, pl.String))
    assert sorted(found) == sorted(formats)
    assert [says in one.says for one in doubts] == ([True] if says else [])


def test_a_seldom_slip_is_no_format() -> None:
    values = [f"{1 + at % 28:02}.01.2024" for at in range(1000)]
    assert find_dates(pl.Series(["2024/01/05", *values]))[0] == ["%d.%m.%Y"]


def test_formats_are_told_in_words() -> None:
    assert in_words("%d.%m.%Y %H:%M") == "DD.MM.YYYY hh:mm"
