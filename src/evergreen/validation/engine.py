"""Engine: the rules of a batch, evaluated by Great Expectations.

Great Expectations is imported where a batch is checked and nowhere else: the import costs more than
checking a million rows. Its `BASIC` results are twice as fast as `COMPLETE`; what failed is asked
again for the positions of its rows.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import polars as pl

from evergreen.errors import InputError
from evergreen.validation.report import Check

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation

PHRASES = {  # the rules people use most, in words; any other rule is called by its own name
    "ExpectColumnValuesToBeBetween": "{min_value} to {max_value}",
    "ExpectColumnValuesToNotBeNull": "not missing",
    "ExpectColumnValuesToBeInSet": "one of {value_set}",
    "ExpectColumnValuesToMatchRegex": "looks like {regex}",
    "ExpectColumnValuesToBeUnique": "unique",
    "ExpectColumnPairValuesAToBeGreaterThanB": "greater than {column_B}",
    "ExpectColumnMinToBeBetween": "smallest is {min_value} to {max_value}",
    "ExpectColumnMaxToBeBetween": "largest is {min_value} to {max_value}",
    "ExpectTableRowCountToBeBetween": "{min_value} to {max_value} rows",
}


def run(
    expected: Iterable[Expectation], frame: pl.DataFrame, rows: int
) -> tuple[list[Check], dict[str, list[int]]]:
    """Return a check per expectation, and broken rule about rows -> positions of the bad rows."""
    expected = list(expected)
    checks: list[Check] = []
    broken: dict[str, list[int]] = {}
    results = _ask(expected, frame, "BASIC")
    again = [
        rule
        for rule, result in zip(expected, results, strict=True)
        if not result.success and is_about_rows(rule)
    ]
    positions = iter(_ask(again, frame, "COMPLETE")) if again else iter(())
    for rule, result in zip(expected, results, strict=True):
        raised = result.exception_info or {}
        if raised.get("raised_exception") or any(
            isinstance(v, dict) and v.get("raised_exception") for v in raised.values()
        ):
            raise InputError(
                f"expectations.py: {describe(rule)}: cannot be evaluated ({_why(raised)})"
            )
        if not result.success and is_about_rows(rule):
            found = next(positions).result.get("unexpected_index_list")
            if found is not None:
                broken.setdefault(describe(rule), []).extend(int(at) for at in found)
            checks.append(_check(rule, result, rows, "batch" if found is None else "rows"))
        else:
            checks.append(_check(rule, result, rows, "rows" if is_about_rows(rule) else "batch"))
    return checks, broken


def _ask(
    expected: list[Expectation], frame: pl.DataFrame, result_format: str
) -> list[ExpectationValidationResult]:
    import great_expectations as gx

    logging.getLogger("great_expectations.data_context.types.base").setLevel(
        logging.WARNING
    )  # it logs each temporary folder
    # Only the columns that are named, and text as categories: the engine copies the whole frame for
    # every rule.
    named = {
        name
        for rule in expected
        for value in rule.configuration.kwargs.values()
        for name in texts_of(value)
    }
    columns = [name for name in frame.columns if name in named] or frame.columns[:1]
    if any(_needs_all_columns(rule) for rule in expected):
        columns = frame.columns
    table = frame.select(columns).with_columns(pl.col(pl.String).cast(pl.Categorical)).to_pandas()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("batches").add_dataframe_asset("batch")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
    marked = [rule.copy(update={"meta": {"place": place}}) for place, rule in enumerate(expected)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the engine's own, about pandas
        found = batch.validate(
            gx.ExpectationSuite("contract", expectations=marked), result_format=result_format
        )
    return sorted(found.results, key=lambda result: int(result.expectation_config.meta["place"]))


def _needs_all_columns(expectation: Expectation) -> bool:
    conditional = expectation.configuration.kwargs.get("row_condition") is not None
    return conditional or type(expectation).__name__.startswith("ExpectTableColumn")


def texts_of(value: object) -> list[str]:
    """Return the texts in the value of a rule's parameter: itself, or those of a list."""
    values = value if isinstance(value, (list, tuple, set)) else [value]
    return [text for text in values if isinstance(text, str)]


def is_about_rows(expectation: Expectation) -> bool:
    """Return whether single rows break a rule; with `mostly` below 1 it is about the batch."""
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )

    kinds = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
    return (
        isinstance(expectation, kinds)
        and float(expectation.configuration.kwargs.get("mostly", 1)) >= 1
    )


def describe(expectation: Expectation) -> str:
    """Return the rule in words: its own description, or one made of its name and values."""
    if expectation.description:
        return str(expectation.description)
    kwargs = {key: _short(value) for key, value in expectation.configuration.kwargs.items()}
    kind = type(expectation).__name__
    words = (
        PHRASES.get(kind) or re.sub(r"(?<!^)(?=[A-Z])", " ", kind.removeprefix("Expect")).lower()
    )
    about = kwargs.get("column") or kwargs.get("column_A") or "batch"
    share = float(expectation.configuration.kwargs.get("mostly", 1))
    return f"{about}: {words.format_map(_Blank(kwargs))}" + (
        f" in at least {share:.0%} of rows" if share < 1 else ""
    )


class _Blank(dict[str, str]):
    """Values for a phrase; an end that is not given is open."""

    def __missing__(self, key: str) -> str:
        return "any"


def _short(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text.removesuffix(" 00:00:00") if len(text) <= 60 else text[:57] + "..."


def _check(
    expectation: Expectation, result: ExpectationValidationResult, rows: int, scope: str
) -> Check:
    found = result.result
    unexpected = [
        value for value in found.get("partial_unexpected_list") or [] if value == value
    ]  # a missing value shows nothing
    examples = tuple(dict.fromkeys(_short(_plain(value)) for value in unexpected))[:3]
    broken = int(found.get("unexpected_count") or 0)
    observed = (
        None
        if "column_set" in expectation.configuration.kwargs and result.success
        else found.get("observed_value")
    )
    if observed is None and broken:
        observed = f"{broken / rows:.2%} of rows"
    return Check(
        says=describe(expectation),
        scope=scope,
        passed=bool(result.success),
        broken=broken,
        examples=examples,
        observed="" if observed is None else _short(observed),
    )


def _plain(example: object) -> object:
    if isinstance(example, dict):
        return ", ".join(f"{key} {value}" for key, value in example.items())
    return example


def _why(raised: dict[str, Any]) -> str:
    details = [raised, *(value for value in raised.values() if isinstance(value, dict))]
    return next(
        (str(info["exception_message"]) for info in details if info.get("exception_message")),
        "no reason given",
    )
