"""Keys: equal keys have equal hashes and others have others, whatever the library's release."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.features.keys import hash_keys

# These keep the parts of a key apart
LETTERS = st.characters(codec="utf-8", exclude_characters="\x1e\x1f")
PARTS = {
    "text": st.none()
    | st.sampled_from(["", " ", "a", "b", "ab", "ba", "null", "None"])
    | st.text(LETTERS, max_size=3),
    "number": st.none() | st.integers(-2, 11),
    "date": st.none() | st.dates(date(2013, 1, 1), date(2013, 1, 4)),
}
TYPES: dict[str, pl.DataType] = {"text": pl.String(), "number": pl.Int64(), "date": pl.Date()}


def hashes(*rows: tuple[Any, ...], **types: pl.DataType) -> list[int]:
    """The hashes of rows of text, or of columns of `types`."""
    schema = types or {f"part {at}": pl.String() for at in range(len(rows[0]))}
    frame = pl.DataFrame(list(rows), schema=schema, orient="row")
    return [int(key) for key in hash_keys(frame, frame.columns)]


@pytest.mark.parametrize(
    ("row", "types", "expected"),
    [
        (("UA",), {"carrier": pl.String()}, 1969961979824733034),
        (
            (datetime.fromisoformat("2013-01-31T23:59"), "UA", 1545, "EWR"),
            {
                "time": pl.Datetime("us"),
                "carrier": pl.String(),
                "flight": pl.Int32(),
                "origin": pl.String(),
            },
            5009384234892826346,
        ),
        (
            (date(2013, 1, 31), 0.1, None, "Zürich ✈", True),
            {
                "day": pl.Date(),
                "size": pl.Float64(),
                "gap": pl.Int64(),
                "place": pl.String(),
                "late": pl.Boolean(),
            },
            14854217463232405574,
        ),
    ],
    ids=["text", "a flight", "every type"],
)
def test_known_keys_keep_their_hashes(
    row: tuple[Any, ...], types: dict[str, pl.DataType], expected: int
) -> None:
    assert hashes(row, **types) == [expected]


@pytest.mark.parametrize(
    ("key", "other"),
    [
        (("a", "bc"), ("ab", "c")),
        (("a", "b"), ("b", "a")),
        (("a", ""), ("", "a")),
        ((None, "a"), ("", "a")),
        ((None, "a"), ("a", None)),
        ((None, ""), ("", None)),
        ((None, None), ("", "")),
        ((None, None), (None, "")),
        ((None, "a"), ("null", "a")),
        ((None, "a"), ("None", "a")),
        (("a", "b"), ("a", "B")),
        (("a", "b"), ("a ", "b")),
        (("é", "b"), ("e\u0301", "b")),
    ],
)
def test_other_keys_have_other_hashes(
    key: tuple[str | None, ...], other: tuple[str | None, ...]
) -> None:
    first, second = hashes(key, other)
    assert first != second


def test_each_row_has_a_hash_of_its_own_key() -> None:
    frame = pl.DataFrame(
        {"one": ["a", None, "b", "a"], "two": [1, 2, 3, 1], "no key": [1.0, 2.0, 3.0, 4.0]}
    )
    found = hash_keys(frame, ["one", "two"])
    assert (found.dtype, found.shape) == (np.uint64, (4,))
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 3
    for at in range(4):
        assert hash_keys(frame[at], ["one", "two"]).tolist() == [found[at]]
    np.testing.assert_array_equal(
        hash_keys(frame[::-1], (name for name in ("one", "two"))), found[::-1]
    )
    assert not np.isin(hash_keys(frame, ["two", "one"]), found).any()  # the order of parts matters


def test_no_rows_have_no_hashes() -> None:
    found = hash_keys(pl.DataFrame(schema={"one": pl.String}), ["one"])
    assert (found.dtype, found.shape) == (np.uint64, (0,))


@pytest.mark.slow
@given(st.data())
def test_equal_keys_and_no_others_have_equal_hashes(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3))
    rows = data.draw(st.lists(st.tuples(*(PARTS[kind] for kind in kinds)), min_size=1, max_size=8))
    found = hashes(*rows, **{f"{at} {kind}": TYPES[kind] for at, kind in enumerate(kinds)})
    assert [found.index(key) for key in found] == [rows.index(row) for row in rows]
