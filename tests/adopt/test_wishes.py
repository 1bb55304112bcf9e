"""Wishes: a column that a person names is found, or others are suggested."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from evergreen.adopt.wishes import find_column, show_few
from evergreen.errors import InputError

COLUMNS: dict[str, Any] = dict.fromkeys(("Age", "days on file", "place"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("age", "did you mean 'Age'?"),
        ("day on file", "did you mean 'days on file'?"),
        ("zzz", "there are 'Age', 'days on file', 'place'"),
    ],
)
def test_a_column_that_is_not_there_is_refused_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        find_column(COLUMNS, name, "--target")
    assert str(caught.value) == f"--target: there is no column {name!r}; {hint}"


def test_a_column_that_is_there_is_found() -> None:
    assert find_column(COLUMNS, "place", "--target") == "place"


def test_a_few_values_stand_for_all() -> None:
    assert show_few(pl.Series(["b", "a", "b", "c", "d"])) == "'b', 'a', 'c'"
