"""Doubts as sentences."""

from __future__ import annotations

import pytest

from evergreen.adopt.warning import ColumnWarning, listed, shown


@pytest.mark.parametrize(
    ("warning", "says"),
    [
        (ColumnWarning("age", "constant", "is 3 in every row"), "'age' is 3 in every row"),
        (ColumnWarning("", "encoding", "the file is not UTF-8"), "the file is not UTF-8"),
        (ColumnWarning("a\nb", "ID", "names the row"), r"'a\nb' names the row"),
    ],
)
def test_a_doubt_is_one_line(warning: ColumnWarning, says: str) -> None:
    assert str(warning) == says


def test_long_names_and_lists_are_cut() -> None:
    assert len(shown("x" * 500)) == 60
    assert shown("x" * 500).endswith("...'")
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
