"""Dialect: what is written in it is read, and nothing else is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.ingest.dialect import Dialect, blank
from evergreen.ingest.sources import open_source
from evergreen.ingest.values import parse
from evergreen.params import Source
from late_flights.dataset import dataset

GERMAN, SWISS, FRENCH, ENGLISH = (
    Dialect(",", "."),
    Dialect(".", "'"),
    Dialect(",", " "),
    Dialect(".", ","),
)


def number(dialect: Dialect, text: str) -> float | None:
    found: float | None = parse(dialect.read_numbers(pl.Series("x", [text])), pl.Float64())[0]
    return found


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        (Dialect(), "1234.5", 1234.5),
        (Dialect(), "1,234.5", None),
        (Dialect(","), "1234,5", 1234.5),
        (Dialect(","), "1234.5", None),
        (Dialect(","), "-,5", -0.5),
        (GERMAN, "1.234,56", 1234.56),
        (GERMAN, "1.234", 1234.0),
        (GERMAN, "1234,56", 1234.56),
        (GERMAN, "1.5", None),
        (GERMAN, "12.34,5", None),
        (GERMAN, "1,5e3", 1500.0),
        (ENGLISH, "1,234.56", 1234.56),
        (ENGLISH, "1,5", None),
        (SWISS, "1'234.5", 1234.5),
        (FRENCH, "1 234,5", 1234.5),
        (FRENCH, "1\u00a0234\u202f567,5", 1234567.5),
        (FRENCH, "12 34", None),
        (GERMAN, "abc", None),
        (GERMAN, "", None),
    ],
)
def test_numbers_are_read_as_they_are_written(
    dialect: Dialect, text: str, expected: float | None
) -> None:
    assert number(dialect, text) == expected


def test_what_is_no_number_stays_as_it_is_or_says_why() -> None:
    assert GERMAN.read_numbers(pl.Series(["abc", "1.5", None])).to_list() == [
        "abc",
        "1.5 (decimal sign is ',')",
        None,
    ]


@pytest.mark.slow
@given(
    st.integers(-(10**12), 10**12),
    st.integers(0, 99),
    st.sampled_from([GERMAN, ENGLISH, SWISS, FRENCH]),
)
def test_any_number_survives_its_dialect(whole: int, cents: int, dialect: Dialect) -> None:
    plain = f"{whole:_}.{cents:02}"
    written = plain.replace(".", dialect.decimal).replace("_", str(dialect.thousands))
    assert number(dialect, written) == float(plain.replace("_", ""))


@pytest.mark.parametrize(
    ("dates", "text", "expected"),
    [
        ((), "03.04.2024", None),  # nothing is guessed
        ((), "03/04/2024", None),
        (("%d.%m.%Y",), "03.04.2024", "2024-04-03"),
        (("%d.%m.%Y",), "3.4.2024", "2024-04-03"),
        (("%d.%m.%Y",), "03.04.24", None),  # no year 24
        (("%d.%m.%y",), "03.04.24", "2024-04-03"),
        (("%d.%m.%Y",), "2024-04-03", "2024-04-03"),
        (("%d.%m.%Y",), "2024-04-03 08:30", "2024-04-03T08:30"),
        (("%m/%d/%Y", "%d/%m/%Y"), "03/04/2024", "2024-03-04"),
        (("%m/%d/%Y", "%d/%m/%Y"), "13/04/2024", "2024-04-13"),
        (("%d.%m.%Y %H:%M",), "03.04.2024 08:30", "2024-04-03T08:30"),
        (("%d.%m.%Y",), "31.02.2024", None),
        (("%d %b %Y",), "3 Apr 2024", "2024-04-03"),
        (("%m/%d/%Y %I:%M %p",), "04/03/2024 08:30 PM", "2024-04-03T20:30"),
    ],
)
def test_dates_are_read_by_the_first_format_that_fits(
    dates: tuple[str, ...], text: str, expected: str | None
) -> None:
    column = pl.Series("x", ["2020-01-01", text, None])
    found = parse(Dialect(dates=dates).read_times(column), pl.Datetime("us"))
    assert found.to_list() == [
        datetime.fromisoformat("2020-01-01"),
        expected and datetime.fromisoformat(expected),
        None,
    ]


NOON = "2024-03-05T12:30"
WRITTEN = [  # as systems do it
    ("%d %b %Y %H:%M:%S %z", "Tue, 05 Mar 2024 13:30:00 +0100", NOON),
    ("%d %b %Y %H:%M:%S %z", "Tue, 05 Mar 2024 12:30:00 GMT", NOON),
    ("%b %d %H:%M:%S %Y", "Tue Mar  5 12:30:00 2024", NOON),
    ("%b %d %H:%M:%S %z %Y", "Tue Mar  5 12:30:00 UTC 2024", NOON),
    ("%b %d %Y %H:%M:%S %z", "Tue Mar 05 2024 13:30:00 GMT+0100 (Central European Time)", NOON),
    ("%d/%b/%Y:%H:%M:%S %z", "05/Mar/2024:13:30:00 +0100", NOON),
    ("%m/%d/%Y %I:%M %p", "3/5/2024, 12:30pm", NOON),
    ("%m/%d/%Y %I:%M %p", "3/5/2024 12:30 p.m.", NOON),
    ("%Y-%m-%d %I:%M %p", "2024-03-05 12:30 PM", NOON),
    ("%d.%m.%Y %H:%M:%S%.f", "05.03.2024 12:30:00,000", NOON),
    ("%d %B %Y", "5th March 2024", "2024-03-05"),
    ("%Y%m%d", "20240305", "2024-03-05"),
    ("%Y%m%d", "2024305", None),
    ("%Y%m%d%H%M", "202403051230", NOON),
    ("%Y%m", "202403", "2024-03-01"),
    ("%Y-%m", "2024-03", "2024-03-01"),
    ("%m/%Y", "13/2024", None),
    ("%B %Y", "March 2024", "2024-03-01"),
    ("%YQ%q", "2024Q3", "2024-07-01"),
    ("Q%q %Y", "Q5 2024", None),
    ("%G-W%V", "2024-W05", "2024-01-29"),
    ("%G-W%V-%u", "2024-W05-3", "2024-01-31"),
    ("%Y-%j", "2024-065", "2024-03-05"),
    ("%Y", "2024", "2024-01-01"),
    ("epoch_s", "1709641800", NOON),
    ("epoch_s", "1709641800.0", NOON),
    ("epoch_s", "1.7096418e9", NOON),
    ("epoch_s", "1709641800000", None),  # of another unit
    ("epoch_ms", "1709641800000", NOON),
    ("epoch_us", "1709641800000000", NOON),
    ("epoch_ns", "1709641800000000999", NOON),
    ("epoch_s", "20240305", None),
]


@pytest.mark.parametrize(("form", "text", "expected"), WRITTEN)
def test_times_are_read_however_systems_write_them(
    form: str, text: str, expected: str | None
) -> None:
    column = pl.Series("x", ["2024-03-05 12:30", text, None])
    found = parse(Dialect(dates=(form,)).read_times(column), pl.Datetime("us"))
    assert found.to_list() == [
        datetime.fromisoformat(NOON),
        expected and datetime.fromisoformat(expected),
        None,
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-05 12:30:00 UTC", NOON),
        ("2024-03-05T12:30:00Z", NOON),
        ("2024-03-05T12:30Z", NOON),
        ("2024-03-05T13:30:00+01:00", NOON),
        ("2024-03-05T13:30:00+0100", NOON),
        ("2024-03-05 13:30:00.000+01", NOON),
        ("2024-03-05T13:30:00+01:00[Europe/Berlin]", NOON),
        ("2024-03-05 12:30:00,000", NOON),
        ("2024-03-05 12:30:00 CET", None),  # which of them?
        ("2024-03-05T12:30:00.123456789Z", None),  # would be cut
        ("2024-03-05 and more", None),
    ],
)
def test_what_says_its_zone_becomes_utc(text: str, expected: str | None) -> None:
    """Whatever the other values are: no value is read by what stands beside it."""
    for others in ([], ["2024-01-01"], ["2024-01-01T00:00:00+02:00"], ["soon"]):
        found = parse(pl.Series("x", [*others, text, None]), pl.Datetime("us"))
        assert found.to_list()[-2:] == [expected and datetime.fromisoformat(expected), None]


def test_parquet_files_are_read_in_the_formats_of_their_source(tmp_path: Path) -> None:
    pl.DataFrame(
        {"scheduled_departure": [1_709_641_800_000, None], "distance": [1, 2]}
    ).write_parquet(tmp_path / "a.parquet")
    frame = open_source(
        Source(kind="files", path=str(tmp_path), dates=("epoch_ms",)), dataset
    ).read("a")
    assert parse(frame["scheduled_departure"], pl.Datetime("us")).to_list() == [
        datetime.fromisoformat(NOON),
        None,
    ]
    plain = open_source(Source(kind="files", path=str(tmp_path)), dataset).read("a")
    assert plain["scheduled_departure"].dtype == pl.Int64()


def test_a_format_that_is_none_fits_nothing() -> None:
    assert Dialect.parse(pl.Series(["01-!", "01"]), "%d-%!").to_list() == [None, None]


@pytest.mark.parametrize(
    ("nulls", "values", "left"),
    [
        ((), ["\\N", "."], ["\\N", "."]),
        (("\\N", "."), ["\\N", " . ", "..", "a.b", None], [None, None, "..", "a.b", None]),
        (("*",), ["*", "**", "a"], [None, "**", "a"]),
        (
            ("-999",),
            ["-999", "-999.0", "-999.5", "999", "-9990"],
            [None, None, "-999.5", "999", "-9990"],
        ),
        (("NA",), ["NA", "Na", "NAM"], [None, "Na", "NAM"]),
        (("-999", "x"), [-999, 999, None], [None, 999, None]),
        (("-999",), [-999.0, 0.5], [None, 0.5]),
        (("\\N",), [1, 2], [1, 2]),
        (("1",), [True, False], [True, False]),
    ],
)
def test_what_says_that_there_is_no_value_is_none(
    nulls: tuple[str, ...], values: list[Any], left: list[Any]
) -> None:
    frame = pl.DataFrame({"x": values, "y": ["kept"] * len(values)})
    found = blank(frame, nulls)
    assert found["x"].to_list() == left
    assert found.schema == frame.schema
    assert found["y"].null_count() == 0


def test_files_are_read_without_the_texts_that_say_so(tmp_path: Path) -> None:
    # NA is a name where there is text
    rows = ["\\N,12,NA", "2013-01-05 06:30,-999.0,\\N", "NA,NA,EWR"]
    (tmp_path / "a.csv").write_text("\n".join(["scheduled_departure,distance,origin", *rows, ""]))
    frame = open_source(
        Source(kind="files", path=str(tmp_path), nulls=("\\N", "-999")), dataset
    ).read("a")
    assert frame.rows() == [
        (None, "12", "NA"),
        ("2013-01-05 06:30", None, None),
        (None, None, "EWR"),
    ]


def test_files_are_read_in_the_dialect_of_their_source(tmp_path: Path) -> None:
    rows = ["2013-01-05 06:30;1.400;12,5", "05.01.2013 07:30;229;-3", "?;far;1.5", "NA;-;"]
    (tmp_path / "a.csv").write_text("\n".join(["scheduled_departure;distance;temp", *rows, ""]))
    source = open_source(
        Source(
            kind="files",
            path=str(tmp_path),
            separator=";",
            decimal=",",
            thousands=".",
            dates=("%d.%m.%Y %H:%M",),
        ),
        dataset,
    )
    frame = source.read("a")
    assert parse(frame["scheduled_departure"], pl.Datetime("us")).dt.hour().to_list() == [
        6,
        7,
        None,
        None,
    ]
    assert frame["distance"].to_list() == ["1400", "229", "far", None]
    assert frame["temp"].to_list() == ["12.5", "-3", "1.5 (decimal sign is ',')", None]
