"""Batching: which rows of the table become which batch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from evergreen.adopt.columns import MOMENT, Inferred
from evergreen.adopt.plan import Plan
from evergreen.adopt.read import Table
from evergreen.adopt.warning import ColumnWarning, shown
from evergreen.errors import InputError
from evergreen.features.split import cut_times
from evergreen.ingest.listing import RESERVED
from evergreen.ingest.sources import PERIODS
from evergreen.params import Split
from evergreen.promotion.compare import FEWEST_ROWS as TO_JUDGE

FEWEST_BATCHES, FEWEST_ROWS = 5, 50  # at least so many, of so many rows in the median
# Labelled rows that judge a model, as many as are needed at least where chance says which they are
SURELY = 45
EXAMPLES = 3
COLUMNS_SHOWN = 5


@dataclass(frozen=True)
class Batches:
    """The rows of each batch, as positions in the table, and those that will be quarantined.

    `period`: what one batch spans, None where there is only one. `until`: the last batch to take
    for now, None: all.
    """

    period: str | None
    rows: Mapping[str, pl.Series] = field(repr=False)
    bad: pl.Series = field(repr=False)
    until: str | None = None
    warnings: tuple[ColumnWarning, ...] = ()


def cut_into_batches(
    table: Table, found: Inferred, plan: Plan, allowed: float, wished: str | None = None
) -> Batches:
    """Return the batches: one for each period, or a single one where nothing says when.

    The period is the one `wished`, or the coarsest that gives enough batches. Raises InputError
    where more rows of a batch are broken than `allowed`, or where no split by time is possible.
    """
    bad = pl.Series([False] * table.rows.height)
    for name in plan.declared:
        bad = bad | found.columns[name].broken
    when = found.columns.get(plan.time)
    if when is not None and when.dtype != MOMENT:
        bad = bad | when.values.is_null()
        _check_split(when.values, plan)
    times = when.values if when is not None and when.dtype == MOMENT else None
    if times is None and table.kind == "sql":
        raise InputError(
            "rows of a database are cut into batches by time: name the column that says when with "
            "--time, or export the table as CSV or Parquet, and adopt the file"
        )
    if times is not None:
        bad = bad | times.is_null()
    if times is None and wished:
        raise InputError(
            f"--period {wished}: no column of dates says when a row happened; name one with --time"
        )
    period = wished or (_find_period(times.filter(~bad)) if times is not None else None)
    rows = (
        _cut_by_period(times, period)
        if times is not None and period
        else {_name(table.name): _positions(table.rows.height)}
    )
    _check_broken(table, found, plan, rows, bad, allowed)
    if times is not None and not period:
        _check_split(times, plan)
    until, warnings = _find_until(rows, plan) if period else (None, _warn_few_rows(plan))
    return Batches(period, rows, bad, until, tuple(warnings))


def _find_period(times: pl.Series) -> str | None:
    for period, (every, _) in reversed(PERIODS.items()):
        counts = times.dt.truncate(every).value_counts()["count"]
        if len(counts) >= FEWEST_BATCHES and float(counts.median() or 0) >= FEWEST_ROWS:  # type: ignore[arg-type]
            return period
    return None


def _cut_by_period(times: pl.Series, period: str) -> dict[str, pl.Series]:
    """Return the rows of each period.

    A row without a time goes with the row before it, and is quarantined there.
    """
    every, form = PERIODS[period]
    names = (
        times.dt.truncate(every)
        .dt.strftime(form)
        .fill_null(strategy="forward")
        .fill_null(strategy="backward")
    )
    rows = pl.DataFrame({"name": names, "row": _positions(len(times))})
    parts = rows.sort("name", "row").partition_by("name", as_dict=True, maintain_order=True)
    return {str(name): part["row"] for (name,), part in parts.items()}


def has_few_rows(plan: Plan) -> bool:
    """Return whether cross-validation will judge what is learnt from the table."""
    return len(plan.target.known) < (Split().cross_validate_below or 0)


def _find_until(
    rows: Mapping[str, pl.Series], plan: Plan
) -> tuple[str | None, list[ColumnWarning]]:
    """Return the last batch that can judge a model, where the newest is not complete yet."""
    names = list(rows)
    if has_few_rows(plan):  # no batch judges by itself
        return None, []
    last = next((name for name in reversed(names[2:]) if _can_judge(rows[name], plan)), names[-1])
    if last == names[-1]:
        return None, []
    later = names[names.index(last) + 1 :]
    count = sum(len(rows[name]) for name in later)
    says = (
        f"the newest {'batch holds' if len(later) == 1 else 'batches hold'} only {count} rows "
        f"({', '.join(later)}), too few to judge by: source.until is {last}; set it to null in "
        "params.yaml once there are more"
    )
    return last, [ColumnWarning("", "newest batch", says)]


def _warn_few_rows(plan: Plan) -> list[ColumnWarning]:
    """Return a warning where the rows that judge a model by cross-validation may be too few."""
    rows = len(plan.target.known)
    judging = rows // 2 if plan.time else rows
    if judging >= SURELY:
        return []
    says = (
        f"few rows: about {judging} of {rows:,} will judge, and {TO_JUDGE} are needed for a "
        "champion; more rows help"
    )
    return [ColumnWarning("", "few rows", says)]


def _can_judge(rows: pl.Series, plan: Plan) -> bool:
    labels = plan.target.values.gather(rows).drop_nulls()
    return len(labels) >= TO_JUDGE and labels.n_unique() > 1


def _check_split(times: pl.Series, plan: Plan) -> None:
    """Raise InputError where one batch cannot be cut by time into three parts, as it will be."""
    known = times.drop_nulls().sort()
    first, second = cut_times(known)
    if not known[0] < first < second:
        raise InputError(
            f"{plan.time!r}: {len(known):,} rows at {known.n_unique():,} moments cannot be split "
            "by time, too many share one: use --no-time, or another column with --time"
        )


def _check_broken(
    table: Table,
    found: Inferred,
    plan: Plan,
    rows: Mapping[str, pl.Series],
    bad: pl.Series,
    allowed: float,
) -> None:
    shares: dict[str, float] = {
        name: float(bad.gather(places).sum()) / len(places) for name, places in rows.items()
    }
    worst = max(shares, key=shares.__getitem__)
    if shares[worst] <= allowed:
        return
    whole = (
        f"{table.origin}: {bad.sum():,} of {len(bad):,} rows ({bad.sum() / len(bad):.1%}) cannot "
        "be read"
    )
    where = f", in {worst} {shares[worst]:.1%}" if len(rows) > 1 else ""
    told = [
        line for name in plan.declared if (line := _describe_broken(table, found, name, plan.time))
    ]
    more = [f"and {len(told) - COLUMNS_SHOWN} more columns"] if len(told) > COLUMNS_SHOWN else []
    least = math.ceil(shares[worst] * 100 + 0.5) / 100
    listing = "\n".join(f"  {line}" for line in (*told[:COLUMNS_SHOWN], *more))
    raise InputError(
        f"{whole}{where}, more than validate.max_bad_rows ({allowed:.1%}):\n"
        f"{listing}\n"
        "correct the file; or name a text that says that there is no value with --null TEXT "
        "(source.nulls in params.yaml); or put such rows aside with --max-bad-rows "
        f"{min(1.0, least):g}"
    )


def _describe_broken(table: Table, found: Inferred, name: str, time: str) -> str:
    column = found.columns[name]
    broken: list[Any] = column.broken.arg_true().to_list()
    what = "dates" if column.dtype.is_temporal() else "numbers"
    said = []
    if broken:
        text = table.rows[name]
        examples = ", ".join(
            f"{shown(str(text[row]))} ({table.place(row)})" for row in broken[:EXAMPLES]
        )
        said.append(f"{len(broken):,} values are no {what}, such as {examples}")
    lacking: list[int] = (
        (column.values.is_null() & ~column.broken).arg_true().to_list() if name == time else []
    )
    if lacking:
        said.append(f"{len(lacking):,} rows have none, such as {table.place(lacking[0])}")
    return f"{shown(name)}: {'; '.join(said)}" if said else ""


def _name(table: str) -> str:
    """Return a name that a batch may have."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", table).strip("-._") or "table"
    return f"{name}-1" if name in RESERVED else name


def _positions(rows: int) -> pl.Series:
    return pl.int_range(rows, dtype=pl.UInt32, eager=True)
