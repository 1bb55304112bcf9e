"""Schema: each column by its type, a row of the data as the example."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl

from evergreen.dataset import Dataset
from evergreen.serving.body import JSON
from evergreen.serving.schema import describe_labels, describe_rows, example_of

MADE = Dataset(
    columns={
        "id": pl.Int32(), "when": pl.Datetime("us"), "size": pl.Float64(), "told": pl.Boolean(),
        "word": pl.String(),
    },
    key=("id",), label=pl.col("told"), known_later=("told",), features={},
)  # fmt: skip


def test_rows_and_labels_are_described_by_what_they_need():
    example = {"id": 1, "when": "2020-01-02T00:00:00", "size": None, "told": True, "word": "a"}
    said = describe_rows(MADE, example)["content"][JSON]
    row, rows = said["schema"]["anyOf"]
    assert row["required"] == ["id", "when", "size", "word"]
    small = {"type": ["integer", "null"], "minimum": -(2**31), "maximum": 2**31 - 1}
    assert row["properties"]["id"] == small
    assert row["properties"]["when"] == {"type": ["string", "null"], "format": "date-time"}
    assert rows["properties"]["rows"]["items"] == row
    assert said["examples"]["a row"]["value"] == {n: v for n, v in example.items() if n != "told"}
    labels = describe_labels(MADE, None)["content"][JSON]
    assert labels["schema"]["anyOf"][0]["properties"] == {
        "id": small,
        "told": {"type": ["boolean", "null"]},
    }
    assert "examples" not in labels


def test_an_example_is_what_json_holds():
    row = {"a": datetime(2020, 1, 2), "b": date(2020, 1, 2), "c": None, "d": [1]}  # noqa: DTZ001
    assert example_of(row) == {"a": "2020-01-02T00:00:00", "b": "2020-01-02", "c": None, "d": "[1]"}


def test_what_is_personal_is_described_as_it_is_sent_with_a_made_up_example():
    personal = {"id": "hash", "word": "hash", "size": "drop"}
    made = Dataset(columns=MADE.columns, key=("id",), label=pl.col("told"),
                   known_later=("told",), features={}, personal=personal)  # fmt: skip
    example = {"id": "hash_1", "when": "2020-01-02T00:00:00", "word": "hash_2", "told": True}
    said = describe_rows(made, example)["content"][JSON]
    row = said["schema"]["anyOf"][0]
    assert row["required"] == ["id", "when", "word"]
    assert row["properties"]["id"]["type"] == ["integer", "null"]
    assert "hashed" in row["properties"]["id"]["description"]
    shown = {"id": 1, "when": "2020-01-02T00:00:00", "word": "made up"}
    assert said["examples"]["a row"]["value"] == shown
    labels = describe_labels(made, example)["content"][JSON]
    assert labels["examples"]["a row"]["value"] == {"id": 1, "told": True}
