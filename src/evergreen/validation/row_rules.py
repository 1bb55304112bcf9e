"""Row rules: what a contract says of single rows, asked of a few at once in microseconds.

Great Expectations takes a tenth of a second, however few the rows. The kinds of rules that people
use most are plain comparisons, and are made here, so that each says what the engine would say
(`tests/validation/test_row_rules.py`). Any other rule, and any value of which that is not sure,
needs the engine: `check` then returns None, and `Contract.check` has the word.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from evergreen.validation.contract import Contract, kind_of
from evergreen.validation.engine import describe

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

    from evergreen.dataset import Dataset

BATCH = "served"  # what expectations.py is told that such rows are called
PLAIN = re.compile(r"[\x20-\x7e]*")  # text that all engines of regular expressions see alike
Test = Callable[[Any], bool | None]  # whether a value keeps the rule; None: only the engine knows


@dataclass(frozen=True)
class Broken:
    """Which row, from 0 on, breaks which rule with which value."""

    row: int
    rule: str
    value: Any


@dataclass(frozen=True)
class Rule:
    """A rule about the values of a column, or of two that are compared."""

    says: str
    columns: tuple[str, ...]
    keeps: Test
    of_nothing: bool | None = True  # whether a missing value keeps it; None: only the engine knows

    def broken(self, values: Mapping[str, Sequence[Any]]) -> Iterator[Broken | None]:
        """Yield each row that breaks it; None where only the engine knows."""
        first = values[self.columns[0]]
        given: Iterable[Any] = (
            first
            if len(self.columns) == 1
            else zip(*(values[c] for c in self.columns), strict=True)
        )
        for row, value in enumerate(given):
            nothing = value is None or value != value or (len(self.columns) > 1 and None in value)
            kept = self.of_nothing if nothing else self.keeps(value)
            if kept is None:
                yield None
            elif not kept:
                yield Broken(row, self.says, value)


class RowRules:
    """The rules of a contract about single rows.

    `engine`: those that only Great Expectations evaluates, in words; where there are any, it is
    asked about every row.
    """

    def __init__(self, contract: Contract, batch: str = BATCH) -> None:
        self._contract, dataset = contract, contract.dataset
        own = [(rule, make_rule(dataset, rule)) for rule in contract.in_time(batch)]
        hoped = [make_rule(dataset, rule) for rule in contract.hoped(batch)]
        self.engine = tuple(describe(rule) for rule, made in own if made is None)
        if contract.params.max_age_days is not None:
            self.engine += ("the age of the newest row (validate.max_age_days)",)
        self._rules = [*self._declared(), *(made for _, made in own if made)]
        self._hoped = [made for made in hoped if made]
        named = [name for rule in (*self._rules, *self._hoped) for name in rule.columns]
        self._columns = list(dict.fromkeys([*named, *dataset.key]))

    def check(
        self, rows: pl.DataFrame, unfit: Mapping[str, Mapping[int, Any]]
    ) -> tuple[list[Broken], list[Broken]] | None:
        """Return what breaks a rule, and what breaks one that only most rows need to keep.

        `rows`: in declared types. `unfit`: column -> row -> the value that does not fit its type,
        null in `rows`. None where only the engine knows.
        """
        if self.engine:
            return None
        values = {name: rows[name].to_list() for name in self._columns}
        found = [broken for rule in self._rules for broken in rule.broken(values)]
        found += self._doubled(values, rows.height)
        hoped = [broken for rule in self._hoped for broken in rule.broken(values)]
        dtypes = self._contract.dataset.columns
        odd = [
            Broken(row, f"{name}: is {kind_of(dtypes[name])}", value)
            for name, its in unfit.items()
            for row, value in its.items()
        ]
        sure = [broken for broken in found if broken]
        likely = [broken for broken in hoped if broken]
        if len(sure) < len(found) or len(likely) < len(hoped):
            return None
        # What is there and does not fit is not missing
        there = {(name, row) for name, its in unfit.items() for row in its}
        sure, likely = (
            [
                broken
                for broken in many
                if broken.value is not None
                or (broken.rule.partition(":")[0], broken.row) not in there
            ]
            for many in (sure, likely)
        )
        return [*odd, *sure], likely

    def _declared(self) -> Iterator[Rule]:
        """Yield what `dataset.py` and `params.yaml` imply of single rows."""
        dataset, ahead = self._contract.dataset, self._contract.params.max_future_days
        there = [dataset.time] if dataset.has_time_column else []
        if len(dataset.key) == 1:
            there += [name for name in dataset.key if name not in there]
        for name in there:
            yield Rule(f"{name}: is there", (name,), lambda _: True, of_nothing=False)
        if dataset.has_dates and ahead is not None:
            says = f"{dataset.time}: at most {ahead:g} day(s) ahead of the clock"
            yield Rule(says, (dataset.time,), lambda when: not _is_ahead(when, ahead))

    def _doubled(self, values: Mapping[str, Sequence[Any]], rows: int) -> Iterator[Broken]:
        """Yield the rows that share a key with another."""
        key = self._contract.dataset.key
        if not key or rows < 2:
            return
        seen: dict[Any, list[int]] = {}
        for row, names in enumerate(zip(*(values[name] for name in key), strict=True)):
            seen.setdefault(names, []).append(row)
        alone = len(key) == 1
        for names, places in seen.items():
            if len(places) > 1 and not (alone and names[0] is None):
                says = f"{', '.join(key)}: unique together"
                yield from (Broken(row, says, ", ".join(map(str, names))) for row in places)


def make_rule(dataset: Dataset, expectation: Expectation) -> Rule | None:
    """Return a rule of Great Expectations as one of these; None where only the engine knows it."""
    kwargs = dict(expectation.configuration.kwargs)
    make = MAKERS.get(type(expectation).__name__)
    if make is None or kwargs.get("row_condition") is not None:
        return None
    names = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
    if any(name not in dataset.columns for name in names):
        return None
    return make(describe(expectation), kwargs, [dataset.columns[name] for name in names])


def _not_null(says: str, kwargs: Mapping[str, Any], _: list[pl.DataType]) -> Rule:
    return Rule(says, (kwargs["column"],), lambda value: True, of_nothing=False)


def _between(says: str, kwargs: Mapping[str, Any], dtypes: list[pl.DataType]) -> Rule | None:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    edges = [edge for edge in (low, high) if edge is not None]
    fits = bool(edges) and all(_is_like(edge, dtypes[0]) for edge in edges)
    if not fits or (low is not None and high is not None and low > high):
        return None
    above = operator.gt if kwargs.get("strict_min") else operator.ge
    below = operator.lt if kwargs.get("strict_max") else operator.le
    return Rule(
        says,
        (kwargs["column"],),
        lambda value: (low is None or above(value, low)) and (high is None or below(value, high)),
    )


def _in_set(says: str, kwargs: Mapping[str, Any], dtypes: list[pl.DataType]) -> Rule | None:
    values = kwargs.get("value_set")
    if not isinstance(values, (list, tuple, set)) or not values:
        return None
    if not all(_is_like(value, dtypes[0]) for value in values):
        return None
    known = frozenset(values)
    return Rule(says, (kwargs["column"],), lambda value: value in known)


def _regex(says: str, kwargs: Mapping[str, Any], dtypes: list[pl.DataType]) -> Rule | None:
    pattern = kwargs.get("regex")
    if dtypes[0] != pl.String() or not isinstance(pattern, str) or not PLAIN.fullmatch(pattern):
        return None
    try:
        find = re.compile(pattern).search
    except re.error:
        return None

    def keeps(value: str) -> bool | None:
        return bool(find(value)) if PLAIN.fullmatch(value) else None

    return Rule(says, (kwargs["column"],), keeps)


def _greater(says: str, kwargs: Mapping[str, Any], dtypes: list[pl.DataType]) -> Rule | None:
    if not all(_is_like(0, dtype) for dtype in dtypes):
        return None
    compare = operator.ge if kwargs.get("or_equal") else operator.gt
    ignored = kwargs.get("ignore_row_if") == "either_value_is_missing"
    return Rule(
        says,
        (kwargs["column_A"], kwargs["column_B"]),
        lambda pair: compare(*pair),
        of_nothing=True if ignored else None,
    )


MAKERS: Mapping[str, Callable[[str, Mapping[str, Any], list[pl.DataType]], Rule | None]] = {
    "ExpectColumnValuesToNotBeNull": _not_null,
    "ExpectColumnValuesToBeBetween": _between,
    "ExpectColumnValuesToBeInSet": _in_set,
    "ExpectColumnValuesToMatchRegex": _regex,
    "ExpectColumnPairValuesAToBeGreaterThanB": _greater,
}


def _is_like(value: Any, dtype: pl.DataType) -> bool:
    """Return whether values of a column can be compared with `value` as they are."""
    if isinstance(value, bool):
        return False
    if isinstance(value, (int, float)):
        return dtype.is_integer() or dtype == pl.Float64()
    if isinstance(value, str):
        return dtype == pl.String()
    same = isinstance(dtype, pl.Datetime) and dtype.time_zone is None
    return isinstance(value, datetime) and value.tzinfo is None and same


def _is_ahead(when: Any, days: float) -> bool:
    now = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=days)
    return bool(when > (now if isinstance(when, datetime) else now.date()))
