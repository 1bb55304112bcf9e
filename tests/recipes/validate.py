"""VALIDATE: which rows and batches are bad, by declaration and by expectations of every kind."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl
from recipes.ingest import SHOP
from recipes.plain import (
    FLIGHTS,
    month,
    plain,
)

from evergreen.dataset import ORDER, Dataset
from evergreen.params import Validate
from evergreen.validation.contract import Contract
from evergreen.validation.report import REASONS


def spoilt() -> pl.DataFrame:
    """A month of flights as text, a few of its rows spoilt in every way."""
    rows = month("2013-02", 300)
    texts = rows.with_columns(pl.col("scheduled_departure").dt.to_string("%Y-%m-%d %H:%M:%S")).cast(
        pl.String
    )
    cells = [
        ("distance", 1, "far"), ("scheduled_departure", 2, None), ("carrier", 3, None),
        ("temp", 4, "1e9"), ("scheduled_departure", 5, "2999-01-01 00:00:00"), ("origin", 6, "XXX"),
        ("humid", 7, "-5"), ("flight", 8, "12.5"), ("dest", 9, ""), ("wind_gust", 10, "none"),
        ("arr_delay", 11, "2e1"),
    ]  # fmt: skip
    for name, at, value in cells:
        texts = texts.with_columns(
            pl.when(pl.int_range(pl.len()) == at).then(pl.lit(value)).otherwise(name).alias(name)
        )
    return pl.concat([texts, texts[20:22]]).with_columns(extra=pl.lit("more"))


def checked(
    contract: Contract,
    frame: pl.DataFrame,
    *,
    labelled: bool = True,
    batch: str = "2013-02",
) -> Any:
    """Return a batch taken apart, rules by what broke them: words may be mended."""
    found = contract.check(frame, batch, labelled=labelled)
    rules = [
        [check.scope, check.passed, check.broken, plain(check.examples), plain(check.observed)]
        for check in found.report.checks
    ]
    report = [
        found.report.rows,
        found.report.valid,
        found.report.quarantined,
        len(found.report.faults),
        rules,
    ]
    shown = found.quarantined
    if REASONS in shown.columns:
        shown = shown.with_columns(pl.col(REASONS).list.len())
    return [report, plain(found.valid), found.valid.height, plain(shown)]


def expectations() -> Any:
    """Great Expectations, which warns of what it imports itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("great_expectations.expectations")


def rules_of_flights(batch: str) -> list[Any]:
    gxe = expectations()
    first, last = (datetime.fromisoformat(f"{batch}-{day}") for day in ("01", "28"))
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=100, max_value=1000),
        gxe.ExpectColumnMinToBeBetween(
            column="scheduled_departure", min_value=first, max_value=last
        ),
        gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=["EWR", "JFK", "LGA"]),
        gxe.ExpectColumnValuesToNotBeNull(column="carrier"),
        gxe.ExpectColumnValueLengthsToEqual(column="dest", value=3),
        gxe.ExpectColumnValuesToBeBetween(column="temp", min_value=-30, max_value=120),
        gxe.ExpectColumnValuesToBeBetween(column="humid", min_value=0, max_value=100),
        gxe.ExpectColumnValuesToNotBeNull(column="wind_gust", mostly=0.05),
        gxe.ExpectColumnValuesToNotBeNull(column="dep_time", mostly=0.5),
    ]


def rules_of_a_shop(batch: str) -> list[Any]:
    gxe = expectations()
    only_a = (
        importlib.import_module("great_expectations.expectations.row_conditions").Column("kind")
        == "a"
    )
    return [
        gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0, max_value=9),
        gxe.ExpectColumnValuesToNotBeNull(column="amount", mostly=0.5),
        gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=["a", "b"], mostly=0.99),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="id", column_B="size", or_equal=True),
        gxe.ExpectTableRowCountToBeBetween(min_value=1, max_value=5),
        gxe.ExpectColumnMaxToBeBetween(column="amount", max_value=100),
        gxe.ExpectColumnValuesToMatchRegex(column="kind", regex="^[a-c]$"),
        gxe.ExpectColumnValuesToBeBetween(column="size", max_value=3, row_condition=only_a),
    ]


def flown(frame: pl.DataFrame, params: Validate, **how: Any) -> Any:
    return checked(Contract(FLIGHTS, rules_of_flights, params), frame, **how)


def sold(
    rows: int = 6,
    drop: tuple[str, ...] = (),
    rules: Any = rules_of_a_shop,
    dataset: Dataset = SHOP,
    **how: Any,
) -> Any:
    contract = Contract(dataset, rules, Validate(max_bad_rows=1.0))
    return checked(contract, goods()[:rows].drop(drop), **how)


def goods() -> pl.DataFrame:
    """A batch of a shop, in which much is wrong."""
    content = {
        "id": [1, 2, 2, None, 5, 6], "at": [f"2013-01-0{day}" for day in range(1, 7)],
        "day": ["x"] * 6, "amount": [1.0, -1.0, None, 200.0, 3.0, 4.0],
        "kind": ["a", "b", "c", "d", "a", None], "ok": ["yes", "no", "maybe", "1", "0", "t"],
        "clock": ["12:00"] * 6, "size": [1, 2, 3, 4, 5, 600],
    }  # fmt: skip
    return pl.DataFrame(content, strict=False)


def good() -> pl.DataFrame:
    return month("2013-02", 300)


LENIENT = Validate(max_bad_rows=0.5)
TWO_KEYS = replace(SHOP, key=("id", "kind"), time=ORDER)
CASES: dict[str, Callable[[], Any]] = {
    "a good batch": lambda: flown(good(), Validate()),
    "spoilt rows": lambda: flown(spoilt(), LENIENT),
    "too many of them": lambda: flown(spoilt(), Validate(max_bad_rows=0.001)),
    "the future is welcome": lambda: flown(
        spoilt(), Validate(max_bad_rows=0.5, max_future_days=None)
    ),
    "too old": lambda: flown(good(), Validate(max_age_days=5))[0][1:4],
    "a column is missing": lambda: flown(good().drop("carrier"), Validate()),
    "without labels": lambda: flown(
        spoilt().drop("arr_delay", "dep_time"), LENIENT, labelled=False
    ),
    "another month": lambda: flown(good(), Validate(), batch="2013-03"),
    "rules of every kind": sold,
    "and fewer rows": lambda: sold(4),
    "without labels, rules of every kind": lambda: sold(drop=("ok",), labelled=False),
    "two columns are the key": lambda: sold(rules=lambda batch: [], dataset=TWO_KEYS),
}
