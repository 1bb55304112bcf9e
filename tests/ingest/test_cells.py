"""Cells: what a driver returns becomes a column that can be kept, or one clear refusal."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evergreen.errors import InputError
from evergreen.ingest.cells import to_frame

UID = uuid.UUID("89326063-e55d-4982-9130-159593b66ed5")
DAY = datetime(2024, 1, 5, 12, 30)  # noqa: DTZ001


class Span:
    """As drivers have for ranges and other types of their own."""

    def __str__(self) -> str:
        return "[1, 5)"


KEPT: dict[str, tuple[list[Any], pl.DataType, list[Any]]] = {
    "UUID": ([UID, None], pl.String(), [str(UID), None]),
    "address": ([ip_address("10.0.0.1")], pl.String(), ["10.0.0.1"]),
    "network": ([ip_network("10.0.0.0/8"), None], pl.String(), ["10.0.0.0/8", None]),
    "range": ([Span(), None], pl.String(), ["[1, 5)", None]),
    "UUID and text": ([UID, "none"], pl.String(), [str(UID), "none"]),
    "UUIDs in lists": ([[UID], None], pl.List(pl.String()), [[str(UID)], None]),
    "a set": ([{"b", "a"}], pl.List(pl.String()), [["a", "b"]]),
    "bytes": ([memoryview(b"\0a"), bytearray(b"b")], pl.Binary(), [b"\0a", b"b"]),
    "decimals": ([Decimal("1.5"), None], pl.Decimal(38, 1), [Decimal("1.5"), None]),
    "decimals, one no number": (
        [Decimal("NaN"), Decimal("2.5")],
        pl.Float64(),
        [pytest.approx(float("nan"), nan_ok=True), 2.5],
    ),
    "infinite decimals": ([Decimal("-Infinity"), None], pl.Float64(), [float("-inf"), None]),
    "decimals and floats": ([Decimal("1.5"), 2.0], pl.Float64(), [1.5, 2.0]),
    "huge decimals": ([Decimal("1e60")], pl.String(), ["1E+60"]),
    "fine decimals": ([Decimal("1e-60"), None], pl.String(), ["1E-60", None]),
    "times with a zone": (
        [datetime(2024, 1, 5, 12, 30, tzinfo=UTC)],
        pl.Datetime("us", "UTC"),
        [DAY.replace(tzinfo=UTC)],
    ),
    "durations": ([timedelta(hours=1)], pl.Duration("us"), [timedelta(hours=1)]),
    "clock": ([time(12, 30)], pl.Time(), [time(12, 30)]),
    "dates and times": ([DAY, date(2024, 1, 6)], pl.Datetime("us"), [DAY, datetime(2024, 1, 6)]),  # noqa: DTZ001
    "numbers and text": ([1, "abc"], pl.String(), ["1", "abc"]),
    "numbers and dates": ([1, date(2024, 1, 5)], pl.String(), ["1", "2024-01-05"]),
    "whole and not": ([1, 2.5], pl.Float64(), [1.0, 2.5]),
    "nothing": ([None, None], pl.Null(), [None, None]),
}


@pytest.mark.parametrize(("values", "dtype", "kept"), KEPT.values(), ids=KEPT)
def test_values_of_a_driver_become_a_column(
    values: list[Any], dtype: pl.DataType, kept: list[Any], tmp_path: Path
) -> None:
    frame = to_frame(["x"], [(value,) for value in values])
    assert (frame["x"].dtype, frame["x"].to_list()) == (dtype, kept)
    frame.write_parquet(tmp_path / "x.parquet")
    assert pl.read_parquet(tmp_path / "x.parquet").equals(frame)


def test_no_rows_keep_their_columns() -> None:
    assert to_frame(["x", "y"], []).columns == ["x", "y"]


@pytest.mark.parametrize(
    ("names", "rows", "says"),
    [
        (["id", "id"], [(1, 2)], "two columns called 'id'"),
        (["x"], [(b"a",), ("a",)], "column 'x' mixes bytes with other values"),
        (["x"], [([1],), (2,)], "column 'x' mixes kinds of values"),
    ],
)
def test_what_no_column_can_hold_is_named(
    names: list[str], rows: list[tuple[Any, ...]], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        to_frame(names, rows)
