"""Contract: what is expected of any batch, and how a batch is split by it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.personal_key import find_key
from evergreen.ingest.values import parse
from evergreen.params import Params
from evergreen.params import Validate as ValidateParams
from evergreen.project import Project
from evergreen.validation.engine import describe, is_about_rows, run, texts_of
from evergreen.validation.report import QUARANTINE_ROW, REASONS, BatchReport, Check, Outcome

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

TYPE_NAMES = {
    "temporal": "a date or time",
    "integer": "a whole number",
    "numeric": "a number",
    "other": "a true or false",
}
UNPARSED, AHEAD = " (text that is not {kind})", " (to come)"  # of columns that must be empty
DELIVERED = " (as delivered)"  # of a column of which some values do not fit: those are not missing
ABOUT_COLUMNS = ("ExpectTableColumn", "ExpectColumnToExist", "ExpectColumnTypeToBe")


@dataclass(frozen=True)
class Contract:
    """What is expected of any batch.

    `dataset`: declares columns and types. `expectations`: batch name -> the user's own rules.
    `params`: section validate of params.yaml.
    """

    dataset: Dataset
    expectations: Callable[[str], list[Expectation]] = field(repr=False)
    params: ValidateParams

    @classmethod
    def of(cls, project: Project, params: Params) -> Contract:
        """Return the contract of a project.

        Raises InputError where `data/raw/` is not as `personal` in `dataset.py` says.
        """
        find_key(project, project.dataset)
        return cls(project.dataset, project.expectations, params.validation)

    def check(self, frame: pl.DataFrame, batch: str, *, labelled: bool = True) -> Outcome:
        """Return one raw batch, shape (rows, columns as delivered), split into valid and bad rows.

        Not `labelled`: rows to be scored, perhaps a few. Columns known only later are ignored, and
        null in the valid rows; of expectations.py only the rules about rows or columns apply, and
        none that names a column known only later.
        """
        from great_expectations.expectations import ExpectTableColumnsToMatchSet

        dataset = self.dataset
        later = () if labelled else dataset.known_later
        columns = [name for name in dataset.columns if name not in later]
        schema = ExpectTableColumnsToMatchSet(
            column_set=columns,
            exact_match=False,
            description="every column that dataset.py declares is there",
        )
        checks, _ = run([schema], frame.head(1), frame.height)
        if not checks[0].passed:
            missing = ", ".join(repr(name) for name in columns if name not in frame.columns)
            fault = f"missing column(s) {missing}; it has {', '.join(frame.columns)}"
            return _bad(batch, frame, checks, [fault])
        parsed = _parsed(
            dataset,
            frame.with_columns(pl.lit(None, dataset.columns[name]).alias(name) for name in later),
        )
        parsed = self._with_times_to_come(parsed)
        own = self.expectations(batch) if labelled else self.in_time(batch)
        expected = [_of_delivered(rule, parsed) for rule in (*self._declared(parsed), *own)]
        found, broken = run(expected, parsed, frame.height)
        checks += found
        reasons = _reasons(broken, frame.height)
        rows_bad = sum(1 for row in reasons if row)
        faults = [
            _fault(check, frame.height)
            for check in checks
            if check.scope == "batch" and not check.passed
        ]
        if rows_bad > self.params.max_bad_rows * frame.height:
            faults += _too_many(checks, rows_bad, frame.height, self.params.max_bad_rows)
        good = pl.Series([not row for row in reasons])
        quarantined = frame.with_columns(
            pl.Series(REASONS, reasons, dtype=pl.List(pl.String)),
            pl.int_range(1, frame.height + 1, dtype=pl.UInt32, eager=True).alias(QUARANTINE_ROW),
        ).filter(~good)
        if faults:
            return _bad(batch, frame, checks, faults, quarantined)
        report = BatchReport(batch, frame.height, frame.height - rows_bad, rows_bad, tuple(checks))
        return Outcome(
            report,
            parsed.filter(good).select(*dataset.columns),
            quarantined,
        )

    def in_time(self, batch: str) -> list[Expectation]:
        """Return the user's own rules that rows to be scored must keep."""
        return [rule for rule in self.expectations(batch) if self._holds_in_time(rule)]

    def hoped(self, batch: str) -> list[Expectation]:
        """Return those about rows that a share of a batch may break, as of each row."""
        strict = (
            rule.copy(update={"mostly": 1, "description": describe(rule)})
            for rule in self.expectations(batch)
            if float(rule.configuration.kwargs.get("mostly", 1)) < 1
        )
        return [rule for rule in strict if is_about_rows(rule) and self._holds_in_time(rule)]

    def _with_times_to_come(self, parsed: pl.DataFrame) -> pl.DataFrame:
        """Return `parsed`; where rows are ahead of the clock, with a column of their times.

        That column must be empty: one such row would make every later batch an old one.
        """
        if not self.dataset.has_dates or self.params.max_future_days is None:
            return parsed
        time = self.dataset.time
        ahead = parsed[time].cast(pl.Datetime("us")) > _now() + timedelta(
            days=self.params.max_future_days
        )
        if not ahead.any():
            return parsed
        times = pl.when(ahead).then(pl.col(time).cast(pl.String)).alias(time + AHEAD)
        return parsed.with_columns(times)

    def _declared(self, parsed: pl.DataFrame) -> Iterable[Expectation]:
        """Yield what `dataset.py` and `params.yaml` imply."""
        import great_expectations.expectations as gxe

        dataset, params = self.dataset, self.params
        for column, dtype in dataset.columns.items():
            name = column + UNPARSED.format(kind=kind_of(dtype))
            if name in parsed.columns:
                yield gxe.ExpectColumnValuesToBeNull(
                    column=name, description=f"{column}: is {kind_of(dtype)}"
                )
        if dataset.has_time_column:
            yield gxe.ExpectColumnValuesToNotBeNull(
                column=dataset.time, description=f"{dataset.time}: is there"
            )
        unique = f"{', '.join(dataset.key)}: unique together"
        if len(dataset.key) == 1:
            # That it is unique is asked of the rows that have it
            there = f"{dataset.key[0]}: is there"
            yield gxe.ExpectColumnValuesToNotBeNull(column=dataset.key[0], description=there)
            yield gxe.ExpectColumnValuesToBeUnique(column=dataset.key[0], description=unique)
        elif dataset.key:
            yield gxe.ExpectCompoundColumnsToBeUnique(
                column_list=list(dataset.key), ignore_row_if="never", description=unique
            )
        if dataset.time + AHEAD in parsed.columns:
            ahead = f"{dataset.time}: at most {params.max_future_days:g} day(s) ahead of the clock"
            yield gxe.ExpectColumnValuesToBeNull(column=dataset.time + AHEAD, description=ahead)
        if params.max_age_days is not None and not dataset.has_dates:
            raise InputError(
                "validate.max_age_days needs a column of times: name one as time in dataset.py"
            )
        if params.max_age_days is not None:
            oldest = _now() - timedelta(days=params.max_age_days)
            fresh = f"newest {dataset.time}: at most {params.max_age_days:g} days old"
            yield gxe.ExpectColumnMaxToBeBetween(
                column=dataset.time, min_value=oldest, description=fresh
            )

    def _holds_in_time(self, expectation: Expectation) -> bool:
        """Return whether a rule is about rows or columns, and none of them known only later."""
        kwargs = expectation.configuration.kwargs
        named = {
            name
            for key, value in kwargs.items()
            if key.startswith("column")
            for name in texts_of(value)
        }
        condition = json.dumps(kwargs.get("row_condition"), default=str)
        if any(
            name in named or re.search(rf"\b{re.escape(name)}\b", condition)
            for name in self.dataset.known_later
        ):
            return False
        return is_about_rows(expectation) or type(expectation).__name__.startswith(ABOUT_COLUMNS)


def _parsed(dataset: Dataset, frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` in declared types.

    Text that does not fit its type moves to a column of its own, which must be empty.
    """
    columns = []
    for name, dtype in dataset.columns.items():
        columns.append(parse(frame[name], dtype))
        if columns[-1].null_count() > frame[name].null_count():
            unfit = pl.select(
                pl.when(columns[-1].is_null()).then(_as_text(frame[name]))
            ).to_series()
            columns.append(unfit.alias(name + UNPARSED.format(kind=kind_of(dtype))))
            columns.append(_as_text(frame[name]).alias(name + DELIVERED))
    return pl.DataFrame(
        [*columns, *(frame[name] for name in frame.columns if name not in dataset.columns)]
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _as_text(column: pl.Series) -> pl.Series:
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:  # lists and other nested values
        return pl.Series(
            column.name,
            [None if value is None else str(value) for value in column],
            dtype=pl.String,
        )


def kind_of(dtype: pl.DataType) -> str:
    """Return what a value of a type is called."""
    group = "temporal" if dtype.is_temporal() else "integer" if dtype.is_integer() else "numeric"
    return TYPE_NAMES[group if dtype.is_temporal() or dtype.is_numeric() else "other"]


def _of_delivered(expectation: Expectation, parsed: pl.DataFrame) -> Expectation:
    """Return `expectation`; a rule "not missing" asks the column as delivered.

    A value that does not fit its type is there, if bad: it is not missing.
    """
    kwargs = expectation.configuration.kwargs
    name = f"{kwargs.get('column')}{DELIVERED}"
    if type(expectation).__name__ != "ExpectColumnValuesToNotBeNull" or name not in parsed.columns:
        return expectation
    return expectation.copy(update={"column": name, "description": describe(expectation)})


def _reasons(broken: dict[str, list[int]], rows: int) -> list[list[str]]:
    reasons: list[list[str]] = [[] for _ in range(rows)]
    for says, positions in broken.items():
        for position in positions:
            reasons[position].append(says)
    return reasons


def _fault(check: Check, rows: int) -> str:
    return f"{check.says}: found {check.observed or check.broken} in {rows:,} rows"


def _too_many(checks: list[Check], bad: int, rows: int, allowed: float) -> list[str]:
    share = min(bad / rows, 0.999) if bad < rows else 1.0  # not "100.0%" of a batch with good rows
    worst = sorted(
        (check for check in checks if check.scope == "rows" and check.broken),
        key=lambda check: -check.broken,
    )
    unfit = any(
        check.says.endswith(tuple(f": is {kind}" for kind in TYPE_NAMES.values()))
        for check in worst[:3]
    )
    summary = (
        f"{bad:,} of {rows:,} rows ({share:.1%}) are bad, more than validate.max_bad_rows "
        f"({allowed:.1%})"
    )
    return [
        summary,
        *(
            f"{check.says}: broken by {check.broken:,} rows"
            + (f", such as {check.examples[0]!r}" if check.examples else "")
            for check in worst[:3]
        ),
        *(
            ["if such a text means that there is no value, add it to source.nulls in params.yaml"]
            if unfit
            else []
        ),
    ]


def _bad(
    batch: str,
    frame: pl.DataFrame,
    checks: list[Check],
    faults: list[str],
    broken: pl.DataFrame | None = None,
) -> Outcome:
    report = BatchReport(batch, frame.height, 0, 0, tuple(checks), tuple(faults))
    return Outcome(report, frame.clear(), frame.clear(), broken)
