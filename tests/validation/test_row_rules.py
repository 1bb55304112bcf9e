"""Row rules: for any rows they say what Great Expectations says, or that only it knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import great_expectations.expectations as gxe
import numpy as np
import polars as pl
import pytest
from conftest import month
from great_expectations.expectations.row_conditions import Column

from evergreen.dataset import Dataset
from evergreen.params import Validate
from evergreen.validation.contract import Contract
from evergreen.validation.report import QUARANTINE_ROW, REASONS
from evergreen.validation.row_rules import BATCH, Broken, RowRules, make_rule
from late_flights.dataset import dataset as flights
from late_flights.expectations import expectations

pytestmark = pytest.mark.slow

ANY = Validate(max_bad_rows=1)
START = datetime(2020, 1, 1)  # noqa: DTZ001
MADE = Dataset(
    columns={
        "id": pl.Int64(),
        "when": pl.Datetime("us"),
        "size": pl.Float64(),
        "width": pl.Int32(),
        "word": pl.String(),
        "told": pl.Float64(),
    },
    key=("id",),
    time="when",
    label=pl.col("told") > 0,
    known_later=("told",),
    features={"size": pl.col("size")},
)
RULES = [
    gxe.ExpectColumnValuesToNotBeNull(column="size"),
    gxe.ExpectColumnValuesToNotBeNull(column="told"),
    gxe.ExpectColumnValuesToBeBetween(column="size", min_value=0.5),
    gxe.ExpectColumnValuesToBeBetween(column="size", min_value=-1, max_value=1, strict_max=True),
    gxe.ExpectColumnValuesToBeBetween(column="width", min_value=0, max_value=2, strict_min=True),
    gxe.ExpectColumnValuesToBeBetween(
        column="when", min_value=START, max_value=START + timedelta(9999)
    ),
    gxe.ExpectColumnValuesToBeInSet(column="word", value_set=["a", "bb", "é"]),
    gxe.ExpectColumnValuesToBeInSet(column="width", value_set=[1, 2]),
    gxe.ExpectColumnValuesToMatchRegex(column="word", regex=r"^[a-z]{1,2}$"),
    gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A="size", column_B="width", ignore_row_if="either_value_is_missing"
    ),
    gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A="size", column_B="width", or_equal=True, ignore_row_if="either_value_is_missing"
    ),
]


def rows_of_engine(contract, rows):
    """Row, from 0 on -> the rules that it breaks, by Great Expectations."""
    bad = contract.check(rows, BATCH, labelled=False).quarantined
    return {
        at - 1: sorted(rules) for at, rules in zip(bad[QUARANTINE_ROW], bad[REASONS], strict=True)
    }


def rows_of_rules(found):
    said = {}
    for broken in found:
        said.setdefault(broken.row, []).append(broken.rule)
    return {row: sorted(rules) for row, rules in said.items()}


@pytest.mark.parametrize("seed", [0, 1])
def test_any_rows_break_the_rules_that_the_engine_says(seed):
    contract, draw = Contract(MADE, lambda _: RULES, ANY), np.random.default_rng(seed)
    now = datetime.now(UTC).replace(tzinfo=None)
    pools = {
        "id": [None, *range(60)],
        "when": [None, START, START - timedelta(1), now + timedelta(3), START + timedelta(400)],
        "size": [None, 0.5, -1.0, 1.0, 2.0, 0.0, 1e300],
        "width": [None, 0, 1, 2, 3, -1],
        "word": [None, "a", "bb", "é", "ccc", "", "A", "a b"] if seed else [None, "a", "B", ""],
    }
    if seed:  # then a text is not plain, and the engine has the word
        pools["word"].remove("é")
    rows = pl.DataFrame(
        [
            pl.Series(
                name, [pool[at] for at in draw.integers(0, len(pool), 80)], MADE.columns[name]
            )
            for name, pool in pools.items()
        ]
    )
    typed = rows.with_columns(told=pl.lit(None, pl.Float64)).select(*MADE.columns)
    found = RowRules(contract).check(typed, {})
    assert found is not None
    assert rows_of_rules(found[0]) == rows_of_engine(contract, rows)


def test_the_examples_rules_hold_of_its_rows_and_break_as_the_engine_says():
    contract = Contract(flights, expectations, ANY)
    rules = RowRules(contract)
    assert rules.engine == ()
    real = (
        month("2013-04")
        .head(60)
        .with_columns(
            pl.lit(None, flights.columns[name]).alias(name) for name in flights.known_later
        )
    )
    assert rules.check(real, {}) == ([], [])
    at = pl.int_range(60)
    odd = real.with_columns(
        origin=pl.when(at % 7 == 0).then(pl.lit("XXX")).otherwise("origin"),
        carrier=pl.when(at % 5 == 0).then(pl.lit("late")).otherwise("carrier"),
        distance=pl.when(at % 11 == 0).then(7000).otherwise("distance"),
        flight=pl.when(at % 13 == 0).then(None).otherwise("flight"),
        temp=pl.when(at % 17 == 0).then(-41.0).otherwise("temp"),
        tailnum=pl.lit(None, pl.String),
    )
    found, hoped = rules.check(odd, {})
    assert rows_of_rules(found) == rows_of_engine(contract, odd.drop(flights.known_later))
    assert {broken.rule for broken in hoped} == {"tailnum: not missing in at least 95% of rows"}
    assert len(hoped) == 60


def test_what_does_not_fit_its_type_is_told_and_is_not_missing():
    contract = Contract(MADE, lambda _: RULES[:1], ANY)
    rows = pl.DataFrame({"id": [1, 2], "when": [START] * 2, "size": ["1.5", "many"]})
    rows = rows.with_columns(width=pl.lit(1), word=pl.lit("a"))
    typed = rows.with_columns(
        pl.col("size").cast(pl.Float64, strict=False), told=pl.lit(None, pl.Float64)
    ).select(*MADE.columns)
    found, _ = RowRules(contract).check(typed, {"size": {1: "many"}})
    assert found == [Broken(1, "size: is a number", "many")]
    assert rows_of_rules(found) == rows_of_engine(contract, rows)


@pytest.mark.parametrize(
    "rule",
    [
        gxe.ExpectColumnValueLengthsToEqual(column="word", value=2),
        gxe.ExpectColumnValuesToBeBetween(column="word", min_value=1),
        gxe.ExpectColumnValuesToMatchRegex(column="word", regex="é"),
        gxe.ExpectColumnValuesToMatchRegex(column="word", regex="("),
        gxe.ExpectColumnValuesToBeInSet(column="word", value_set=[1]),
        gxe.ExpectColumnValuesToBeInSet(column="word", value_set=[]),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="word", column_B="size"),
        gxe.ExpectColumnValuesToNotBeNull(column="size", row_condition=Column("width") > 1),
        gxe.ExpectColumnValuesToNotBeNull(column="of another table"),
    ],
)
def test_what_only_the_engine_knows_is_left_to_it(rule):
    assert make_rule(MADE, rule) is None
    rules = RowRules(Contract(MADE, lambda _: [rule], ANY))
    assert len(rules.engine) == 1
    assert rules.check(pl.DataFrame(schema=dict(MADE.columns)), {}) is None


@pytest.mark.parametrize("word", ["a\n", "é", "\x00"])
def test_a_text_that_is_not_plain_is_left_to_the_engine(word):
    rules = RowRules(Contract(MADE, lambda _: RULES[8:9], ANY))
    row = {"id": [1], "when": [START], "size": [1.0], "width": [1], "word": [word], "told": [None]}
    assert rules.check(pl.DataFrame(row, dict(MADE.columns)), {}) is None


def test_the_age_of_a_batch_is_left_to_the_engine():
    params = Validate(max_bad_rows=1, max_age_days=3)
    assert "max_age_days" in RowRules(Contract(MADE, lambda _: [], params)).engine[0]
