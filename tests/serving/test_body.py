"""Body: what JSON says becomes what the same text in a file would be."""

from __future__ import annotations

import json
from datetime import datetime

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from evergreen.dataset import Dataset
from evergreen.ingest.values import parse
from evergreen.serving.body import ARROW, JSON, BodyError, read_rows

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


def test_arrow_brings_types_of_its_own(tmp_path):
    frame = pl.DataFrame({"when": [datetime(2020, 1, 2)], "width": ["7"]})  # noqa: DTZ001
    frame = frame.with_columns(pl.col("when").cast(pl.Datetime("ns")))
    frame.write_ipc_stream(tmp_path / "a", compat_level=pl.CompatLevel.oldest())
    rows = read_rows(MADE, ("when", "width"), ARROW, (tmp_path / "a").read_bytes(), 10)
    assert rows.typed.select("when", "width").row(0) == (datetime(2020, 1, 2), 7)  # noqa: DTZ001


def test_what_unpacks_to_far_more_is_refused(tmp_path):
    frame = pl.DataFrame({"size": [0.0] * 200_000})
    how = {"compat_level": pl.CompatLevel.oldest(), "compression": "zstd"}
    frame.write_ipc_stream(tmp_path / "a", **how)
    with pytest.raises(BodyError, match="grows over 20 times"):
        read_rows(MADE, ("size",), ARROW, (tmp_path / "a").read_bytes(), 10**6)
