"""The engine: rules of every kind find their rows, and a rule that cannot be evaluated is named."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from checking import JANUARY, check_batch
from conftest import month
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.params import Validate
from evergreen.validation.report import QUARANTINE_ROW, REASONS, BadBatchError
from late_flights.dataset import dataset

pytestmark = [pytest.mark.usefixtures("great_expectations"), pytest.mark.slow]  # the real engine


def rule(kind: str, **options: Any) -> Any:
    import great_expectations.expectations as gxe

    return getattr(gxe, f"Expect{kind}")(**options)


BROKEN: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "unknown column": ("ColumnValuesToNotBeNull", {"column": "nope"}, ("nope",)),
    "unknown column of the batch": (
        "ColumnMeanToBeBetween",
        {"column": "nope", "min_value": 1},
        ("nope",),
    ),
    "unknown column of a pair": (
        "ColumnPairValuesAToBeGreaterThanB",
        {"column_A": "distance", "column_B": "nope"},
        ("nope",),
    ),
    "no regular expression": (
        "ColumnValuesToMatchRegex",
        {"column": "carrier", "regex": "("},
        ("carrier", "("),
    ),
    "number for text": (
        "ColumnValuesToBeBetween",
        {"column": "carrier", "min_value": 1},
        ("carrier",),
    ),
}


@pytest.mark.parametrize(("kind", "options", "parts"), BROKEN.values(), ids=BROKEN)
def test_broken_expectation_is_named(
    kind: str, options: dict[str, Any], parts: tuple[str, ...]
) -> None:
    expected = [rule(kind, **options)]
    with pytest.raises(InputError) as caught:
        check_batch(month(JANUARY), JANUARY, Validate(), expected=expected)
    said = str(caught.value)
    assert not isinstance(caught.value, BadBatchError)
    assert [
        part for part in ("expectations.py", "cannot be evaluated", *parts) if part not in said
    ] == [], said


ROW_RULES: dict[str, tuple[str, dict[str, Any], pl.Expr]] = {
    "lengths": (
        "ColumnValueLengthsToBeBetween",
        {"column": "tailnum", "min_value": 6},
        pl.col("tailnum").str.len_chars() < 6,
    ),
    "not in a set": (
        "ColumnValuesToNotBeInSet",
        {"column": "origin", "value_set": ["JFK"]},
        pl.col("origin") == "JFK",
    ),
    "not a pattern": (
        "ColumnValuesToNotMatchRegex",
        {"column": "dest", "regex": "^A"},
        pl.col("dest").str.starts_with("A"),
    ),
    "null": ("ColumnValuesToBeNull", {"column": "wind_gust"}, pl.col("wind_gust").is_not_null()),
    "unique": ("ColumnValuesToBeUnique", {"column": "flight"}, pl.col("flight").is_duplicated()),
    "two columns": (
        "ColumnPairValuesAToBeGreaterThanB",
        {
            "column_A": "temp",
            "column_B": "dewp",
            "or_equal": True,
            "ignore_row_if": "either_value_is_missing",
        },
        pl.col("temp") < pl.col("dewp"),
    ),
    "an open end": (
        "ColumnValuesToBeBetween",
        {"column": "distance", "min_value": 500},
        pl.col("distance") < 500,
    ),
    "an end left out": (
        "ColumnValuesToBeBetween",
        {"column": "distance", "min_value": 502, "strict_min": True},
        pl.col("distance") <= 502,
    ),
}


@pytest.mark.parametrize(("kind", "options", "breaks"), ROW_RULES.values(), ids=ROW_RULES)
def test_any_rule_about_rows_finds_its_rows(
    kind: str, options: dict[str, Any], breaks: pl.Expr
) -> None:
    expected = [rule(kind, **options)]
    outcome = check_batch(month(JANUARY), JANUARY, Validate(max_bad_rows=1), expected=expected)
    expected = month(JANUARY).filter(breaks.fill_null(value=False))
    if not expected.is_empty():
        assert_frame_equal(outcome.quarantined.drop(REASONS, QUARANTINE_ROW), expected)
    assert_frame_equal(outcome.valid, month(JANUARY).filter(~breaks.fill_null(value=False)))


def test_rule_on_a_condition_finds_its_rows() -> None:
    from great_expectations.expectations.row_conditions import Column

    condition = Column("origin") == "JFK"
    expected = [
        rule("ColumnValuesToBeBetween", column="distance", min_value=500, row_condition=condition)
    ]
    breaks = (pl.col("origin") == "JFK") & (pl.col("distance") < 500)
    outcome = check_batch(month(JANUARY), JANUARY, Validate(max_bad_rows=1), expected=expected)
    assert_frame_equal(outcome.valid, month(JANUARY).filter(~breaks))
    assert_frame_equal(
        outcome.quarantined.drop(REASONS, QUARANTINE_ROW), month(JANUARY).filter(breaks)
    )


def test_two_rules_of_one_description_both_count() -> None:
    """Rows that break only the first must not pass as valid."""
    expected = [
        rule(
            "ColumnValuesToNotBeInSet",
            column="origin",
            value_set=["JFK"],
            description="known place",
        ),
        rule(
            "ColumnValuesToNotBeInSet", column="dest", value_set=["ATL"], description="known place"
        ),
    ]
    valid = check_batch(month(JANUARY), JANUARY, Validate(max_bad_rows=1), expected=expected).valid
    assert valid.filter((pl.col("origin") == "JFK") | (pl.col("dest") == "ATL")).is_empty()


@pytest.mark.parametrize(
    ("kind", "options", "passes"),
    [
        ("ColumnValuesToBeOfType", {"column": "carrier", "type_": "int"}, False),
        ("ColumnMeanToBeBetween", {"column": "distance", "min_value": 1, "max_value": 9000}, True),
        ("ColumnMeanToBeBetween", {"column": "distance", "min_value": 9000}, False),
        (
            "ColumnDistinctValuesToBeInSet",
            {"column": "origin", "value_set": ["EWR", "JFK", "LGA"]},
            True,
        ),
        ("ColumnDistinctValuesToBeInSet", {"column": "origin", "value_set": ["JFK"]}, False),
        ("TableColumnCountToEqual", {"value": len(dataset.columns)}, True),
        ("TableColumnCountToEqual", {"value": len(dataset.columns) + 1}, False),
        ("TableColumnsToMatchOrderedList", {"column_list": list(dataset.columns)}, True),
        ("TableColumnsToMatchSet", {"column_set": ["carrier"], "exact_match": True}, False),
        ("TableRowCountToEqual", {"value": 1501}, True),
    ],
)
def test_any_rule_about_the_batch_is_judged(
    kind: str, options: dict[str, Any], passes: bool
) -> None:
    expected = [rule(kind, **options)]
    report = check_batch(month(JANUARY), JANUARY, Validate(), expected=expected).report
    assert (report.faults == ()) is passes
