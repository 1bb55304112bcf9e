"""Declare: the text of `dataset.py`, as a colleague would have written it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from evergreen.adopt.code import column, group, keep, literal, section, spread
from evergreen.adopt.columns import MOMENT, Column, Inferred
from evergreen.adopt.plan import Plan, suspected
from evergreen.adopt.read import Table
from evergreen.adopt.warning import ColumnWarning, shown
from evergreen.dataset import ORDER

TYPES = {
    pl.Int64(): "pl.Int64()",
    pl.Float64(): "pl.Float64()",
    pl.Boolean(): "pl.Boolean()",
    MOMENT: 'pl.Datetime("us")',
    pl.String(): "pl.String()",
}
OPENING = '''"""YOURS: what a row is, what is predicted, and from what.

Written by `evergreen adopt` from {name} ({rows:,} rows), to be edited from here on;
reports/adopt.md says what was seen and what was doubted.
"""

from __future__ import annotations

import polars as pl

from evergreen import Dataset

'''
CLOSING = (
    "    slices={},  # no value of these may get a much worse model, whatever the whole gains",
    (
        "    groups={},  # groups of people, say: predictions may differ between them only within "
        "bounds"
    ),
)
TIMELESS = (
    'time="",  # no column says when: batches are in order of arrival, '
    "rows split by a hash of their key"
)
IN_ORDER = (
    f'time="{ORDER}",  # no column says when, '
    "but rows and batches come in the order of time: the newest judge"
)
FROM_WHAT = "from what: expressions over one row; text becomes a category, the rest numbers"
PROTECTED = "who must not suffer: each an expression over one row, read as text"
INDENT = "    "
LONGEST = 105  # characters of a reason


def declare(table: Table, found: Inferred, plan: Plan) -> str:
    """Return the text of `dataset.py`."""
    lines = [
        "dataset = Dataset(",
        section("what a row holds", INDENT), *_columns(found, plan), *_identity(plan),
        section("what is predicted", INDENT), *_label(table, plan),
        section(FROM_WHAT, INDENT),
        *_features(plan), *_left_out(plan),
        section(PROTECTED, INDENT), *CLOSING, *_personal(plan),
        ")",
    ]  # fmt: skip
    name = re.sub(r"[^A-Za-z0-9._ -]", "_", table.name if table.kind == "sql" else table.origin)[
        :30
    ]
    text = OPENING.format(name=name, rows=table.rows.height) + "\n".join(keep(lines)) + "\n"
    comments = "".join(line for line in lines if line.lstrip().startswith("#"))
    # Of signs that look like others
    return text if comments.isascii() else f"# ruff: noqa: RUF003\n{text}"


def _columns(found: Inferred, plan: Plan) -> Iterator[str]:
    yield f"{INDENT}columns={{"
    yield from (
        f"{INDENT * 2}{literal(name)}: {TYPES[found.columns[name].dtype]},"
        for name in plan.declared
    )
    yield f"{INDENT}}},"


def _identity(plan: Plan) -> Iterator[str]:
    names = [literal(name) for name in plan.key]
    why = (
        "names a row; no two share it"
        if names
        else "no column names a row: rows are known by what they hold"
    )
    yield from spread("key=(", names, "),", indent=INDENT, comment=f"  # {why}")
    when = f"time={literal(plan.time)},  # when the event happened; orders rows and batches"
    yield INDENT + (IN_ORDER if plan.time == ORDER else when if plan.time else TIMELESS)


def _label(table: Table, plan: Plan) -> Iterator[str]:
    target = column(plan.target.name)
    if plan.target.dtype == pl.Float64() and table.kind in ("parquet", "sql"):
        target += ".fill_nan(None)"
    plain = plan.task != "binary" or plan.target.dtype == pl.Boolean()
    yield f"{INDENT}label={target if plain else f'{target} == {literal(plan.positive)}'},"
    comment = "  # the label may use these, no feature may"
    yield from spread(
        "known_later=(",
        [literal(name) for name in plan.later],
        "),",
        indent=INDENT,
        comment=comment,
    )
    comment = "  # rows that cannot be learnt from, and why"
    if not plan.rare:
        yield f"{INDENT}left_out={{}},{comment}"
        return
    rare = group([literal(value) for value in plan.rare], "[]")
    yield f"{INDENT}left_out={{{comment}"
    yield f'{INDENT * 2}"too few rows of the class": {column(plan.target.name)}.is_in({rare}),'
    yield f"{INDENT}}},"


def _features(plan: Plan) -> Iterator[str]:
    yield f"{INDENT}features={{"
    yield from (
        f"{INDENT * 2}{literal(name)}: {_expression(feature, plan)},"
        for name, feature in plan.features.items()
    )
    yield f"{INDENT}}},"


def _expression(source: Column, plan: Plan) -> str:
    if source.dtype != MOMENT:
        return column(source.name)
    return f"({column(plan.time)} - {column(source.name)}).dt.total_days()"


def _left_out(plan: Plan) -> Iterator[str]:
    """Yield a comment for each column that is no feature, except key, time and label."""
    told = [warning for warning in plan.warnings if warning.out]
    if not told:
        return
    yield (
        f"{INDENT}# Left out, and why (empty columns and personal data are not in columns either):"
    )
    yield from (f"{INDENT}# - {_reason(warning)}" for warning in told)


def _personal(plan: Plan) -> Iterator[str]:
    """Yield a comment about columns that seem personal: a person decides."""
    if names := suspected(plan):
        yield f"{INDENT}# Personal, it seems, and data/raw holds it as delivered. To change that:"
        yield f"{INDENT}# personal={{column: what is done}}, such as"
        yield from (f"{INDENT}# - {shown(name, 50)}: {literal(to)}" for name, to in names.items())


def _reason(warning: ColumnWarning) -> str:
    text = f"{shown(warning.column, 50)} {warning.says}"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
