"""Duplicates: rows that come again under another key, exactly or nearly; by columns."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_rows import ROWS, evidence, only, profiled, rows

from evergreen.features import columns
from evergreen.features.keys import KEY
from evergreen.features.split import LABEL, SLICE, TIME
from evergreen.quality.bias import find_bias
from evergreen.quality.duplicates import BINS


@pytest.mark.parametrize(
    ("count", "key", "changes", "exact", "near"),
    [
        (0, "again", {}, 0, 0),
        (100, "again", {}, 200, 200),
        (100, "", {}, 0, 0),
        (100, "again", {LABEL: pl.lit("another")}, 0, 0),
        (100, "again", {"place": pl.lit("z")}, 0, 0),
        (100, "again", {TIME: pl.lit(-1, dtype=pl.Int64), SLICE + "team": pl.lit("z")}, 200, 200),
        (100, "again", {"warm": pl.lit(None, dtype=pl.Float32)}, 0, 0),
        (2, "again", {"warm": pl.col("warm") * 1.0001}, 0, 4),
    ],
    ids=[
        "none",
        "some",
        "same key",
        "other label",
        "other category",
        "other time",
        "missing",
        "nearly",
    ],
)
@pytest.mark.parametrize("at_once", [columns.AT_ONCE, 1], ids=["together", "column by column"])
def test_duplicates(
    count: int,
    key: str,
    changes: dict[str, pl.Expr],
    exact: int,
    near: int,
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows of which the first `count` come again under another key, changed."""
    monkeypatch.setattr(columns, "AT_ONCE", at_once)
    more = {
        f"n{place}": pl.Series(np.random.default_rng(place).normal(size=ROWS)) for place in range(4)
    }
    # So many numbers that chance alone makes no row nearly equal
    wide = rows().with_columns(**more)
    again = wide.head(count).with_columns(
        (pl.lit(key) + pl.col(KEY + "id")).alias(KEY + "id"), **changes
    )
    report = find_bias(evidence(pl.concat([wide, again]), window=profiled(rows())))
    assert only(report, "duplicates", "exact").value == exact / (ROWS + count)
    assert only(report, "duplicates", "near").value == near / (ROWS + count)
    assert only(report, "duplicates", "exact").bound == "max_duplicates"


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.integers(0, 5)),
        min_size=2,
        max_size=30,
    )
)
def test_duplicates_are_those_of_the_definition(drawn: list[tuple[int, str, int]]) -> None:
    frame = rows(len(drawn)).with_columns(
        pl.Series("warm", [float(row[0]) for row in drawn], dtype=pl.Float32),
        pl.Series("place", [row[1] for row in drawn]),
        pl.Series(KEY + "id", [str(row[2]) for row in drawn]),
        pl.lit("late").alias(LABEL),
    )
    twins = sum(
        any(finding[:2] == other[:2] and finding[2] != other[2] for other in drawn)
        for finding in drawn
    )
    assert only(find_bias(evidence(frame)), "duplicates", "exact").value == twins / len(drawn)


def test_near_duplicates_have_numbers_in_the_same_bin() -> None:
    train = rows(BINS * 10).with_columns(
        pl.Series("warm", np.arange(BINS * 10) / 7, dtype=pl.Float32),
        place=pl.lit("x"),
        label=pl.lit("late"),
    )
    report = find_bias(evidence(train))
    assert only(report, "duplicates", "near").value == 1.0
    # One row in each bin and place
    apart = train.with_columns(place=(pl.int_range(pl.len()) % 10).cast(pl.String))
    assert only(find_bias(evidence(apart)), "duplicates", "near").value == pytest.approx(
        0, abs=0.05
    )
