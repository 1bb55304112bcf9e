"""Values: what fits its type is read, what does not stays as delivered, nothing is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from evergreen.ingest.values import parse, typed
from late_flights.dataset import dataset

MOMENT = pl.Datetime("us")
NOON = datetime.fromisoformat("2013-01-05 12:30")
MIDNIGHT = datetime.fromisoformat("2013-01-05")
FITTING = [
    ("12", pl.Int32(), 12),
    ("-7", pl.Int32(), -7),
    ("1.5", pl.Float64(), 1.5),
    ("1e3", pl.Float64(), 1000.0),
    ("2013-01-05 12:30:00", MOMENT, NOON),
    ("2013-01-05T12:30:00", MOMENT, NOON),
    ("2013-01-05 12:30", MOMENT, NOON),
    ("2013-01-05T12:30:00.000000", MOMENT, NOON),
    ("2013-01-05T12:30:00Z", MOMENT, NOON),
    ("2013-01-05T14:30:00+02:00", MOMENT, NOON),
    ("2013-01-05", MOMENT, MIDNIGHT),
    ("2013-01-05", pl.Date(), date(2013, 1, 5)),
    ("12:30:00", pl.Time(), time(12, 30)),
    ("True", pl.Boolean(), True),
    ("23.0", pl.Int32(), 23),
    ("23.", pl.Int32(), 23),
    ("-7.00", pl.Int32(), -7),
    ("+5", pl.Int32(), 5),
    (" 5 ", pl.Int32(), 5),
    ("2.3e1", pl.Int32(), 23),
    ("1E+03", pl.Int32(), 1000),
    ("9007199254740993.0", pl.Int64(), 9007199254740993),
    ("TRUE", pl.Boolean(), True),
    ("1.0", pl.Boolean(), True),
    ("0.0", pl.Boolean(), False),
    ("t", pl.Boolean(), True),
    ("F", pl.Boolean(), False),
    ("yes", pl.Boolean(), True),
    ("No", pl.Boolean(), False),
    ("0", pl.Boolean(), False),
    (3.0, pl.Int32(), 3),
    (3, pl.Float64(), 3.0),
    (1, pl.Boolean(), True),
    (12, pl.String(), "12"),
    (date(2013, 1, 5), MOMENT, MIDNIGHT),
    (datetime(2013, 1, 5, 12, 30, tzinfo=UTC), MOMENT, NOON),
    (Decimal("1.5"), pl.Float64(), 1.5),
    (Decimal("2.00"), pl.Int32(), 2),
]
UNFIT = [
    ("abc", pl.Int32()),
    ("2.5", pl.Int32()),
    ("99999999999", pl.Int32()),
    ("", pl.Int32()),
    ("1,5", pl.Float64()),
    ("maybe", pl.Boolean()),
    ("2", pl.Boolean()),
    ("0.5", pl.Boolean()),
    ("23.5", pl.Int32()),
    ("1e-3", pl.Int32()),
    ("1e10", pl.Int32()),
    ("1e20", pl.Int64()),
    ("9007199254740993e0", pl.Int64()),  # beyond what a float tells apart
    ("1.000.000", pl.Int32()),
    ("23.0.0", pl.Int32()),
    (".", pl.Int32()),
    ("inf", pl.Int32()),
    ("0x10", pl.Int32()),
    ("yesterday", MOMENT),
    ("2013-02-30 00:00:00", MOMENT),
    ("2013-01-05 25:00:00", MOMENT),
    (2.5, pl.Int32()),
    (3e9, pl.Int32()),
    (float("nan"), pl.Int32()),
    (float("inf"), pl.Int32()),
    (2**40, pl.Int32()),
    (Decimal("1.5"), pl.Int32()),
    (2, pl.Boolean()),
    (0.5, pl.Boolean()),
    (1372636800, MOMENT),
    (True, MOMENT),
    (NOON, pl.Float64()),
    (NOON, pl.Int64()),
    (NOON, pl.Date()),
    ("2013-01-05 12:30:00", pl.Date()),
    (time(12, 30), MOMENT),
    (timedelta(hours=1), MOMENT),
    ([1, 2], pl.Int32()),
    ([1, 2], pl.String()),
    ([1.5], pl.Float64()),
    ({"a": 1}, pl.Float64()),
    (b"\xff", pl.String()),
]


@pytest.mark.parametrize(("value", "dtype", "expected"), FITTING, ids=lambda value: str(value))
def test_value_that_fits_is_read(value: object, dtype: pl.DataType, expected: object) -> None:
    frame = pl.DataFrame({"x": [None, value]})
    found = typed(frame, {"x": dtype})
    assert found.schema == {"x": dtype}
    assert found["x"].to_list() == [None, expected]


@pytest.mark.parametrize(("value", "dtype"), UNFIT, ids=lambda value: str(value))
def test_value_that_does_not_fit_stays_as_delivered(value: object, dtype: pl.DataType) -> None:
    frame = pl.DataFrame({"x": [None, value]})
    assert_frame_equal(typed(frame, {"x": dtype}), frame)
    assert parse(frame["x"], dtype).to_list() == [None, None]


def test_one_value_that_does_not_fit_keeps_its_column_and_no_other() -> None:
    frame = pl.DataFrame({"x": ["1", "2", "three"], "y": ["1", "2", "3"], "z": ["a", "b", "c"]})
    found = typed(frame, {"x": pl.Int32(), "y": pl.Int32(), "absent": pl.Int32()})
    assert found["x"].to_list() == ["1", "2", "three"]
    assert found["y"].to_list() == [1, 2, 3]
    assert found.columns == ["x", "y", "z"]
    assert parse(frame["x"], pl.Int32()).to_list() == [1, 2, None]


@pytest.mark.parametrize("dtype", dataset.columns.values(), ids=list(dataset.columns))
@pytest.mark.parametrize(
    "column", [pl.Series("x", [], dtype=pl.String), pl.Series("x", [None, None], dtype=pl.Null)]
)
def test_nothing_fits_any_type(column: pl.Series, dtype: pl.DataType) -> None:
    assert typed(column.to_frame(), {"x": dtype}).schema == {"x": dtype}


def test_dictionary_encoded_text_for_a_number_stays() -> None:
    frame = pl.DataFrame({"x": pl.Series(["1", "abc"], dtype=pl.Categorical)})
    assert typed(frame, {"x": pl.Int32()})["x"].cast(pl.String).to_list() == ["1", "abc"]


ANY_VALUES = st.one_of(
    st.lists(st.none() | st.text(max_size=6), max_size=6).map(
        lambda v: pl.Series("x", v, dtype=pl.String)
    ),
    st.lists(st.none() | st.integers(-(2**40), 2**40).map(str), max_size=6).map(
        lambda v: pl.Series("x", v, dtype=pl.String)
    ),
    st.lists(st.none() | st.integers(-(2**40), 2**40), max_size=6).map(
        lambda v: pl.Series("x", v, dtype=pl.Int64)
    ),
    st.lists(st.none() | st.floats(), max_size=6).map(
        lambda v: pl.Series("x", v, dtype=pl.Float64)
    ),
    st.lists(st.none() | st.booleans(), max_size=6).map(
        lambda v: pl.Series("x", v, dtype=pl.Boolean)
    ),
)


@pytest.mark.slow
@given(column=ANY_VALUES, dtype=st.sampled_from([pl.Int32(), pl.Float64(), pl.String(), MOMENT]))
def test_typed_loses_no_value(column: pl.Series, dtype: pl.DataType) -> None:
    found = typed(column.to_frame(), {"x": dtype})["x"]
    assert_series_equal(found.is_null(), column.is_null())
    if found.dtype != dtype:
        assert_series_equal(found, column)


@pytest.mark.slow
@given(st.lists(st.none() | st.floats() | st.integers(-(2**33), 2**33).map(float), max_size=8))
def test_a_number_becomes_an_integer_only_when_it_is_one(values: list[float | None]) -> None:
    found = parse(pl.Series("x", values, dtype=pl.Float64), pl.Int32())
    for before, after in zip(values, found, strict=True):
        fits = (
            before is not None
            and before == before
            and -(2**31) <= before < 2**31
            and before == int(before)
        )
        assert after == (int(before) if fits else None)


@pytest.mark.slow
@given(
    st.lists(
        st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2200-01-01")),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from("T "),
)
def test_iso_times_are_read_to_the_microsecond(moments: list[datetime], sign: str) -> None:
    written = pl.Series("x", [moment.isoformat(sign) for moment in moments])
    assert parse(written, MOMENT).to_list() == moments
