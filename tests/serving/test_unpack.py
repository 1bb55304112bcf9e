"""Unpack: rows as JSON would have them; and hostile bytes cost one request, and nobody else."""

from __future__ import annotations

import io
import json
import random
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.serving.unpack import ARROW, PARQUET, UnfitError, rows_of

KINDS = (ARROW, PARQUET)
TABLE = pa.table(
    {
        "n": pa.array([1, None, 2**40]),
        "small": pa.array([1, 2, None], pa.uint8()),
        "x": pa.array([1.5, float("nan"), float("inf")]),
        "exact": pa.array([Decimal("1.50"), None, Decimal("-2.25")]),
        "yes": pa.array([True, None, False]),
        "word": pa.array(["a", "é\0", None]),
        "level": pa.array(["u", "v", "u"]).dictionary_encode(),
        "day": pa.array([date(2020, 1, 2), None, date(1900, 1, 1)]),
        "when": pa.array([datetime(2020, 1, 2, 3, 4, 5, 6), None, datetime(1960, 1, 1)]),  # noqa: DTZ001
        "fine": pa.array([1_577_934_245_000_006_000, None, 0], pa.timestamp("ns")),
        "zone": pa.array([datetime(2020, 1, 2, tzinfo=UTC), None, None]),
        "clock": pa.array([time(1, 2, 3), None, None]),
        "nothing": pa.nulls(3),
        "nested": pa.array([[1], None, []]),
    }
)
FLAT = [name for name in TABLE.column_names if name != "nested"]


def pack(table, kind, **options):
    content = io.BytesIO()
    if kind == PARQUET:
        pq.write_table(table, content, **options)
    else:
        with pa.ipc.new_stream(content, table.schema) as stream:
            stream.write_table(table)
    return content.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_that_json_has(kind):
    first, second, third = rows_of(kind, pack(TABLE, kind), FLAT, 3)
    assert json.loads(json.dumps(first, allow_nan=False)) == {
        "n": 1, "small": 1, "x": 1.5, "exact": "1.50", "yes": True, "word": "a", "level": "u",
        "day": "2020-01-02", "when": "2020-01-02T03:04:05.000006",
        "fine": "2020-01-02T03:04:05.000006", "zone": "2020-01-02T00:00:00+00:00",
        "clock": "01:02:03", "nothing": None,
    }  # fmt: skip
    assert second == dict.fromkeys(FLAT) | {"small": 2, "word": "é\0", "level": "v"}
    assert (third["n"], third["x"], third["exact"]) == (2**40, "inf", "-2.25")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("names", "most", "table", "status", "says"),
    [
        (["nested"], 3, TABLE, 422, "nested is "),
        (["n", "gone", "away"], 3, TABLE, 422, "missing column(s) 'gone', 'away'"),
        (["n"], 2, TABLE, 413, "more than 2 rows"),
        (["n"], 3, pa.table([[1], [2]], ["n", "n"]), 422, "n is there 2 times"),
        (["b"], 3, pa.table({"b": [b"\xff"]}), 422, "b is binary"),
        (["0"], 3, pa.table({str(at): [1] for at in range(10_001)}), 413, "10,001 columns"),
    ],
)
def test_what_is_no_table_of_plain_rows_is_one_sentence(kind, names, most, table, status, says):
    with pytest.raises(UnfitError) as refused:
        rows_of(kind, pack(table, kind), names, most)
    assert refused.value.status == status
    assert str(refused.value).startswith(says) or says in str(refused.value)


def test_a_file_without_rows_has_none():
    for kind in KINDS:
        assert rows_of(kind, pack(TABLE[:0], kind), FLAT, 3) == []


def flipped(content, seed):
    """Some bits of `content` changed."""
    drawn, changed = random.Random(seed), bytearray(content)
    for _ in range(drawn.choice((1, 1, 2, 8))):
        changed[drawn.randrange(len(changed))] ^= 1 << drawn.randrange(8)
    return bytes(changed)
