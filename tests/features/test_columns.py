"""Columns: rows of which a few columns are read at a time say the same as all of them."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from evergreen.features import columns
from evergreen.features.columns import Columns
from evergreen.features.featurize import summarize, summarize_columns
from evergreen.features.split import Split, read_part


@pytest.mark.parametrize(("at_once", "widths"), [(100, [5]), (8, [2, 2, 1]), (1, [1] * 5)])
def test_as_many_columns_as_fit_are_read_at_a_time(
    at_once: int, widths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pl.DataFrame({name: range(4) for name in "abcde"})
    monkeypatch.setattr(columns, "AT_ONCE", at_once)
    found = Columns.of(frame)
    assert (found.names, found.height) == (tuple("abcde"), 4)
    parts = list(found.some(["e", "d", "c", "b", "a"]))
    assert [part.width for part in parts] == widths
    assert_frame_equal(pl.concat(parts, how="horizontal"), frame.select(*"edcba"))


@pytest.mark.parametrize("role", ["train", "holdout"])
@pytest.mark.parametrize("at_once", [columns.AT_ONCE, 1], ids=["together", "column by column"])
@pytest.mark.parametrize("groups", [True, False])
def test_the_profile_is_that_of_the_whole_rows(
    groups: bool, at_once: int, role: str, built: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, and in the same order."""
    monkeypatch.setattr(columns, "AT_ONCE", at_once)
    part = getattr(Split.of(built.project), role)
    whole, some = read_part(built.project, part), Columns.of_part(built.project, part)
    if not groups:  # as of a dataset that names none
        whole = whole.select(~pl.selectors.starts_with("slice_", "group_"))
        some = Columns.of(whole)
    assert (some.names, some.height) == (tuple(whole.columns), whole.height)
    found, expected = summarize_columns(built.dataset, some), summarize(built.dataset, whole, {})
    assert found == expected
    assert repr(found) == repr(expected)
