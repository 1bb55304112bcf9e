"""Nulls: what means "no value" is found among numbers and dates, and a name is left a name."""

from __future__ import annotations

import polars as pl
import pytest

from evergreen.adopt.nulls import find_nulls, warn_of_nulls

NUMBERS = [str(at) for at in range(40)]
DAYS = [f"2024-01-{at + 1:02} 10:00" for at in range(20)]
FOUND: dict[str, tuple[dict[str, list[str | None]], list[str]]] = {
    "MySQL": ({"x": ["\\N", *NUMBERS]}, ["\\N"]),
    "MySQL, in text as well": (
        {"x": [*NUMBERS, "\\N"], "name": ["a", "\\N", *["b"] * 39]},
        ["\\N"],
    ),
    "MySQL, in text alone": ({"name": ["a", "\\N", "b"]}, ["\\N"]),
    "SAS": ({"x": [".", " . ", *NUMBERS]}, ["."]),
    "two marks": ({"x": ["n.a.", "..", *NUMBERS]}, ["..", "n.a."]),
    "dates": ({"x": ["--", *DAYS]}, ["--"]),
    "spreadsheets": ({"x": ["#NUM!", "#NAME?", *NUMBERS]}, ["#NUM!", "#NAME?"]),
    "C of old": ({"x": ["-1.#IND", "1.#QNAN", *NUMBERS]}, ["-1.#IND", "1.#QNAN"]),
    "dates of MySQL": ({"x": ["0000-00-00", *DAYS]}, ["0000-00-00"]),
    "mostly missing": ({"x": ["."] * 400 + ["1"]}, ["."]),
    "an empty column beside": ({"x": [".", *NUMBERS], "y": ["."] * 41}, ["."]),
    "nothing else": ({"x": ["."] * 41}, []),
    "German numbers": ({"x": ["k.A.", *["1.234,5"] * 40]}, ["k.A."]),
    "a point that is a category elsewhere": (
        {"x": [".", *NUMBERS], "kind": [".", *["a", "b"] * 20]},
        [],
    ),
    # Numbers take it for none anyway
    "Namibia": ({"country": ["NA", "DE", "FR"], "x": ["NA", "1", "2"]}, []),
    "a number that may stand for none": ({"x": ["-999", *NUMBERS]}, []),
    "any other text": ({"x": ["unknown", *NUMBERS]}, []),
    "nothing": ({"x": [None, None]}, []),
}


@pytest.mark.parametrize(("columns", "marks"), FOUND.values(), ids=FOUND)
def test_marks_are_found(columns: dict[str, list[str | None]], marks: list[str]) -> None:
    assert (
        find_nulls(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String), strict=False))
        == marks
    )


def test_what_was_taken_out_is_told() -> None:
    before = pl.DataFrame({"x": [".", "1"], "y": ["a", "b"]})
    (warning,) = warn_of_nulls(before, before.with_columns(x=pl.Series([None, "1"])), (".",))
    assert str(warning) == "'.' says that there is no value, in 'x': source.nulls in params.yaml"
    assert "in no column" in str(warn_of_nulls(before, before, (".",))[0])
    assert warn_of_nulls(before, before, ()) == []
