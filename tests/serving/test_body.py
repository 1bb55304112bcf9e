"""Body: what JSON says becomes what the same text in a file would be."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.personal import Key
from evergreen.ingest.values import parse
from evergreen.serving.body import JSON, BodyError, read_rows

KINDS = {
    "when": pl.Datetime("us"),
    "size": pl.Float64(),
    "width": pl.Int32(),
    "small": pl.Float32(),
    "told": pl.Boolean(),
    "word": pl.String(),
    "day": pl.Date(),
}
MADE = Dataset(columns=KINDS, label=pl.col("size"), features={})
texts = st.sampled_from(
    ["2020-01-02T03:04:05", "2020-01-02 03:04:05.5", "2020-02-31T00:00:00", "2020-01-02", "12",
     "12.0", "1e3", "true", "no", "", "NA", "x"]
)  # fmt: skip
anything = (
    st.none() | texts | st.integers(-(2**40), 2**40) | st.booleans() | st.floats(allow_nan=False)
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(anything, min_size=1, max_size=4), st.sampled_from(list(KINDS)))
def test_a_column_is_parsed_as_its_text_would_be(values, name):
    values = [v for v in values if not isinstance(v, float) or abs(v) < 1e300] or [None]
    row = dict.fromkeys(KINDS)
    body = json.dumps([row | {name: value} for value in values]).encode()
    rows = read_rows(MADE, tuple(KINDS), JSON, body, 10)
    assert dict(rows.typed.schema) == KINDS
    said = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
    expected = parse(pl.Series(name, said, pl.String), KINDS[name])
    assert rows.typed[name].to_list() == expected.to_list()
    lost = [at for at, value in enumerate(values) if value is not None and expected[at] is None]
    assert sorted(rows.unfit.get(name, {})) == lost


def test_what_is_known_later_is_nothing_yet():
    body = json.dumps({"size": 1, "word": "a", "more": 2}).encode()
    rows = read_rows(MADE, ("size", "word"), JSON, body, 10)
    assert rows.typed.row(0, named=True) == dict.fromkeys(KINDS) | {"size": 1.0, "word": "a"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ('{"word": "\\ud800"}', "half a character"),
        ('{"\\uDC00": 1, "word": "a"}', "half a character"),
    ],
)
def test_what_no_table_holds_is_refused(values, says):
    with pytest.raises(BodyError) as refused:
        read_rows(MADE, ("word",), JSON, values.encode(), 10)
    assert refused.value.status == 422
    assert says in refused.value.says


def test_a_whole_character_of_two_halves_is_taken():
    rows = read_rows(MADE, ("word",), JSON, b'{"word": "\\ud83d\\ude00"}', 10)
    assert rows.typed["word"].to_list() == ["\N{GRINNING FACE}"]


@pytest.mark.parametrize("inside", ["", r'"\ud83d\ude00"'])
@pytest.mark.parametrize("depth", [900, *range(930, 960), 2000])
def test_lists_in_lists_are_no_fault_of_ours(depth, inside):
    body = ('{"when": ' + "[" * depth + inside + "]" * depth + "}").encode()
    statuses = []
    try:
        statuses += [422 for _ in read_rows(MADE, ("when",), JSON, body, 10).unfit["when"]]
    except BodyError as error:
        statuses.append(error.status)
    assert statuses in ([400], [422])


@pytest.mark.parametrize("said", ["0000-01-01T00:00:00", "0000-12-31T00:00:00"])
def test_a_year_that_python_cannot_hold_is_refused(said):
    body = json.dumps([dict.fromkeys(KINDS) | {"when": said}]).encode()
    with pytest.raises(BodyError, match="row 0: when has no year from 1 to 9999") as refused:
        read_rows(MADE, tuple(KINDS), JSON, body, 10)
    assert refused.value.status == 422


def test_what_is_neither_json_nor_unpacked_is_refused():
    with pytest.raises(BodyError, match="'text/csv' is not known: use application/json") as refused:
        read_rows(MADE, ("word",), "text/csv", b"a,b", 10)
    assert refused.value.status == 415


PEOPLE = Dataset(
    columns={"id": pl.Int64(), "email": pl.String(), "name": pl.String(), "size": pl.Float64()},
    label=pl.col("size") > 1,
    features={},
    personal={"id": "hash", "email": "hash", "name": "drop"},
)
KEY = Key("k" * 32)


@pytest.mark.parametrize("number", [7, 7.0, "7", "7.0", [7]])
@pytest.mark.parametrize("size", [2.5, "many"])  # which takes another way
def test_what_is_personal_is_hashed_before_anything_else(number, size):
    sent = {"id": number, "email": "ann@x.org", "name": "Ann", "size": size, "note": "tall"}
    body = json.dumps([sent, sent | {"email": None}]).encode()
    rows = read_rows(PEOPLE, PEOPLE.known_in_time, JSON, body, 10, KEY)
    said = KEY.hash("[7]" if number == [7] else "7")
    assert rows.delivered.columns == ["id", "email", "size"]
    for found in (rows.delivered, rows.typed):
        assert found["id"].to_list() == [said, said]
        assert found["email"].to_list() == [KEY.hash("ann@x.org"), None]
    assert [*rows.unfit] == ([] if size == 2.5 else ["size"])


def test_without_a_key_no_row_of_people_is_read_and_no_unknown_name_is_repeated():
    body = b'{"id": 1, "email": "ann@x.org", "size": 1}'
    with pytest.raises(InputError, match="no key"):
        read_rows(PEOPLE, PEOPLE.known_in_time, JSON, body, 10)
    with pytest.raises(BodyError) as refused:
        read_rows(PEOPLE, PEOPLE.known_in_time, JSON, b'{"ann@x.org": 1, "id": 1}', 10, KEY)
    assert refused.value.says == "missing column(s) 'email', 'size'; row 0 has id"
