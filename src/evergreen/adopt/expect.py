"""Expect: the text of `expectations.py`, what held of every batch with room for honest data.

Numbers may go beyond what was seen, new texts may come, a value may be missing now and then: a rule
is there to find a unit that changed, a column that broke or a label that is spelt otherwise.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import polars as pl

from evergreen.adopt.batching import Batches
from evergreen.adopt.code import keep, literal, spread
from evergreen.adopt.columns import Column, Inferred
from evergreen.adopt.plan import Plan

LEVELS = 12  # texts of a category, at most, that are named one by one
OFTEN = 5  # rows that each of them must have
TRENDING = 0.8  # rank correlation with time, beyond which a number grows out of any range
MANY = 20  # columns that are never null, beyond which the others are named
OPENING = '''"""YOURS: what must hold of a batch, as Great Expectations.

Three kinds, told apart by what they are:
- about rows (`ExpectColumnValues…`, pairs, unique keys): a row that breaks one goes to quarantine,
  with the reason;
- about rows with `mostly` below 1: a share may break it and no row is quarantined; the batch is bad
  beyond it;
- about the batch (row count, newest row, set of columns): the batch is bad when one fails, and the
  flow stops.

Schema, types and the uniqueness of `key` follow from `dataset.py` and need no line here. Written by
`evergreen adopt` from what it saw, with room: whoever knows the data can say more.
"""

from __future__ import annotations

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation
'''


def expect(found: Inferred, plan: Plan, batches: Batches, package: str) -> str:
    """Return the text of `expectations.py` of the project's `package`."""
    good = {
        name: places.filter(~batches.bad.gather(places)) for name, places in batches.rows.items()
    }
    columns = [found.columns[name] for name in plan.declared]
    parts = {
        "_size": _size(batches),
        "_presence": _presence(columns, plan, good),
        "_numbers": _numbers(columns, found, plan, batches),
        "_values": _values(columns, plan, batches),
    }
    parts = {name: lines for name, lines in parts.items() if lines}
    called = ", ".join(f"*{name}()" for name in parts)
    begin = (
        "def expectations(batch: str) -> list[Expectation]:",
        '    """Return what must hold of the batch called `batch`."""',
        f"    return [{called}]",
    )
    texts = ["\n".join(begin)]
    texts += [
        "\n".join([f"def {name}() -> list[Expectation]:", *lines]) for name, lines in parts.items()
    ]
    imported = (
        f"\nfrom {package}.dataset import dataset\n"
        if any("dataset." in text for text in texts)
        else ""
    )
    return OPENING + imported + "\n\n" + "\n\n\n".join(texts) + "\n"


def _size(batches: Batches) -> list[str]:
    """Return a rule for the number of rows: a third to three times what was seen."""
    counts = [len(places) for places in batches.rows.values()]
    low = _figure(min(counts) / 3, up=False) if batches.period else 1
    high = _figure(max(counts) * (3 if batches.period else 10), up=True)
    rule = f"gxe.ExpectTableRowCountToBeBetween(min_value={low}, max_value={_grouped(high)})"
    return [f"    return [{rule}]"]


def _presence(columns: list[Column], plan: Plan, good: dict[str, pl.Series]) -> list[str]:
    """Return rules for columns that are never null, or in every batch nearly never."""
    least = {
        column.name: min(1 - _nulls(column.values.gather(rows)) for rows in good.values())
        for column in columns
    }
    # That a time is there follows from dataset.py; labels may come later
    apart = {plan.time, *plan.later}
    never = [name for name, share in least.items() if name not in apart and share == 1]
    others = [name for name in least if name not in never]
    rarely = {
        name: math.floor(least[name] * 20 - 1) / 20
        for name in others
        if name not in apart and least[name] >= 0.9
    }
    rarely |= {name: 0.5 for name in plan.later if least[name] >= 0.9}
    lines, listed = list[str](), list[str]()
    if len(never) > max(MANY, len(others)):
        lines += _named("may_be_null", others)
        lines.append(
            "    never_null = [name for name in dataset.columns if name not in may_be_null]"
        )
    elif never:
        lines += _named("never_null", never)
    if never:
        listed.append(
            "        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in never_null),"
        )
    if rarely:
        entries = [f"        {literal(name)}: {share:g}," for name, share in rarely.items()]
        lines += keep(
            ["    rarely_null = {  # the share of rows that must have a value", *entries, "    }"]
        )
        rule = "gxe.ExpectColumnValuesToNotBeNull(column=name, mostly=share)"
        listed += [
            "        *(",
            f"            {rule}",
            "            for name, share in rarely_null.items()",
            "        ),",
        ]
    return [*lines, "    return [", *listed, "    ]"] if listed else []


def _named(name: str, columns: list[str]) -> list[str]:
    return keep(spread(f"{name} = (", [literal(column) for column in columns], ")", indent="    "))


def _numbers(columns: list[Column], found: Inferred, plan: Plan, batches: Batches) -> list[str]:
    """Return ranges for numbers: what was seen, widened to round figures."""
    time = found.columns[plan.time].values if plan.time in found.columns else None
    entries = []
    counted = {*plan.key, *(warning.column for warning in plan.warnings if warning.kind == "ID")}
    for column in columns:
        classes = column.name == plan.target.name and plan.task != "regression"
        if (
            column.is_number
            and not classes
            and column.name not in counted
            and not _trends(column, time)
        ):
            known = column.values.filter(~batches.bad).drop_nulls().cast(pl.Float64)
            if known.n_unique() > 1:
                low, high = widen(known)
                entries.append(
                    f"        {literal(column.name)}: ({_grouped(low)}, {_grouped(high)}),"
                )
    if not entries:
        return []
    rule = "gxe.ExpectColumnValuesToBeBetween(column=name, min_value=a, max_value=b)"
    return [
        *keep(["    ranges = {  # what was seen, and room", *entries, "    }"]),
        "    return [",
        f"        {rule}",
        "        for name, (a, b) in ranges.items()",
        "    ]",
    ]


def _values(columns: list[Column], plan: Plan, batches: Batches) -> list[str]:
    """Return the values of the label, and the texts of categories that have few."""
    entries, lines, listed = list[str](), list[str](), list[str]()
    target, features = plan.target, {feature.name for feature in plan.features.values()}
    if plan.task != "regression" and target.dtype != pl.Boolean():
        values = [literal(value) for value in sorted(target.known.unique().to_list())]
        lines += keep(spread("labels = [", values, "]", indent="    "))
        listed.append(
            f"        gxe.ExpectColumnValuesToBeInSet(column={literal(target.name)}, "
            "value_set=labels),"
        )
    for column in columns:
        if column.dtype == pl.String() and column.name in features:
            counts = column.values.filter(~batches.bad).drop_nulls().value_counts()
            if 1 < len(counts) <= LEVELS and int(counts["count"].min() or 0) >= OFTEN:  # type: ignore[arg-type, call-overload]
                values = [literal(text) for text in sorted(counts[column.name].to_list())]
                entries += spread(f"{literal(column.name)}: [", values, "],", indent="        ")
    if entries:
        lines += keep(["    known = {", *entries, "    }"])
        rule = "gxe.ExpectColumnValuesToBeInSet(column=name, value_set=values, mostly=0.9)"
        listed += [
            "        *(",
            f"            {rule}",
            "            for name, values in known.items()",
            "        ),",
        ]
    return [*lines, *keep(["    return [", *listed, "    ]"])] if listed else []


# --- figures


def widen(known: pl.Series) -> tuple[float, float]:
    """Return a range around numbers: half of what they span more on each side, in round figures.

    Numbers that are never negative stay so. Where few are far greater than the rest, far more room.
    """
    low, high = _number(known.min()), _number(known.max())
    if {low, high} <= {0.0, 1.0} and known.n_unique() == 2:
        return 0.0, 1.0
    middle, upper, lower = (_number(known.quantile(share)) for share in (0.5, 0.95, 0.05))
    span = high - low
    above = span * (2.0 if high - middle > 3 * (upper - middle) else 0.5)
    below = span * (2.0 if middle - low > 3 * (middle - lower) else 0.5)
    step = 10.0 ** math.floor(math.log10(span))
    floor = 0.0 if low >= 0 and low - below < 0 else math.floor((low - below) / step) * step
    ceiling = 0.0 if high <= 0 and high + above > 0 else math.ceil((high + above) / step) * step
    return _round(floor, step), _round(ceiling, step)


def _trends(column: Column, time: pl.Series | None) -> bool:
    """Return whether a number grows or falls with time, as counters do."""
    if time is None:
        return False
    found = pl.select(pl.corr(column.values, time.to_physical(), method="spearman")).item()
    return found is not None and abs(found) > TRENDING


def _nulls(values: pl.Series) -> float:
    return values.null_count() / len(values) if len(values) else 0.0


def _figure(value: float, *, up: bool) -> int:
    """Return a number of rows as 1, 2 or 5 with zeros: the next one up or down."""
    figures = [digit * 10**power for power in range(13) for digit in (1, 2, 5)]
    return (
        next((figure for figure in figures if figure >= value), figures[-1])
        if up
        else max((figure for figure in figures if figure <= value), default=1)
    )


def _grouped(value: float) -> str:
    """Return a number as Python, with underscores between thousands from ten thousand on."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):_}" if abs(value) >= 10_000 else str(int(value))
    return repr(value)


def _round(value: float, step: float) -> float:
    return (
        float(Decimal(repr(value)).quantize(Decimal(repr(step))))
        if 1e-12 < step < 1
        else float(round(value))
    )


def _number(value: Any) -> float:
    return float(value)
