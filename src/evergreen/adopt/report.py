"""Report: what was found and what to check, for a person; kept as `reports/adopt.md`."""

from __future__ import annotations

from collections.abc import Iterator

from evergreen.adopt.batching import Batches, has_few_rows
from evergreen.adopt.columns import MOMENT, Column, Inferred
from evergreen.adopt.plan import Plan, suspected
from evergreen.adopt.read import Table
from evergreen.adopt.warning import listed, shown
from evergreen.dataset import ORDER
from evergreen.finding import span


def make_report(
    table: Table, found: Inferred, plan: Plan, batches: Batches, changes: list[str]
) -> str:
    """Return the report: what a run will do, what to check, what was set in params.yaml."""
    warnings = (*plan.warnings, *batches.warnings)
    parts = [
        (
            f"# {table.origin if table.kind != 'sql' else table.name}: {len(batches.bad):,} rows, "
            f"{len(found.columns):,} columns"
        ),
        "\n".join(f"- {line}" for line in _facts(table, plan, batches)),
    ]
    for title, told in (
        (
            "Left out of the features, and why",
            [str(warning) for warning in warnings if warning.out],
        ),
        ("Look at these", [str(warning) for warning in warnings if not warning.out]),
        ("Set in params.yaml, besides source and task", changes),
    ):
        if told:
            parts.append(f"## {title}\n\n" + "\n".join(f"- {line}" for line in told))
    return "\n\n".join(parts) + "\n"


def describe_columns(found: Inferred, plan: Plan) -> str:
    """Return a table of every column: type, values, use. It shows no personal data."""
    rows = [
        "| column | type | missing | different | values | used as |",
        "|---|---|---|---|---|---|",
    ]
    hidden = {
        warning.column
        for warning in plan.warnings
        if warning.kind in ("personal data", "ID", "free text")
    } | {*plan.key}
    for name, column in found.columns.items():
        cells = [
            shown(name), _type(column), f"{column.missing:.1%}", f"{column.levels:,}",
            "" if name in hidden or not column.levels else _values(column), _use(name, plan),
        ]  # fmt: skip
        rows.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "## Every column\n\n" + "\n".join(rows) + "\n"


def _facts(table: Table, plan: Plan, batches: Batches) -> Iterator[str]:
    target = shown(plan.target.name)
    labelled = len(plan.target.known)
    if plan.task == "binary":
        share = (plan.target.known == plan.positive).sum() / labelled
        yield f"predicted: {target}, yes or no ({share:.1%} yes)"
    else:
        kind = (
            f"{plan.target.levels - len(plan.rare)} classes"
            if plan.task == "multiclass"
            else "a number"
        )
        yield f"predicted: {target}, {kind} (task: {plan.task})"
    features = listed([shown(name) for name in plan.features], 8)
    yield f"from: {len(plan.features)} features: {features}"
    key = listed([shown(name) for name in plan.key])
    yield f"key: {key or 'none, so a row is told by its number in the file'}"
    if personal := suspected(plan):
        told = listed([shown(name) for name in personal])
        yield f"personal, it seems: {told}; data/raw holds it, unless dataset.py says `personal`"
    names = list(batches.rows)
    few = has_few_rows(plan)
    judging = (
        "the newer half judges, by models of what came before"
        if few
        else "the newest rows judge the model"
    )
    if plan.time == ORDER:
        yield f"time: the order of rows, and of later files; {judging}"
    elif plan.time:
        yield f"time: {shown(plan.time)}; {judging}"
    elif few:
        yield (
            "time: none, so cross-validation judges: all rows, in five folds by a hash of their key"
        )
    else:
        yield (
            "time: none, so chance splits the rows (by a hash of their key): 85% train, and 15% "
            "judge the model"
        )
    if batches.period:
        yield f"batches: {len(names)}, one for each {batches.period}, {span(names)}"
    else:
        yield f"batches: one, {names[0]}" + (
            "" if table.kind == "sql" else "; each later file in inbox/ is another"
        )
    if table.kind in ("csv", "tsv"):
        separator = {"\t": "tab"}.get(table.separator, table.separator)
        yield f"file: {table.encoding}, fields separated by {separator!r}"
    if bad := int(batches.bad.sum()):
        yield (
            f"{bad:,} rows ({bad / len(batches.bad):.1%}) cannot be read: validation puts them "
            "aside"
        )


def _type(column: Column) -> str:
    return (
        "date"
        if column.dtype == MOMENT
        else {"String": "text", "Boolean": "true or false"}.get(
            str(column.dtype), str(column.dtype)
        )
    )


def _values(column: Column) -> str:
    known = column.known
    if column.is_number or column.dtype == MOMENT:
        return " to ".join(str(edge) for edge in (known.min(), known.max()))
    levels = known.value_counts(sort=True)[column.name]
    return listed([shown(str(value), 25) for value in levels.head(4)], 3)


def _use(name: str, plan: Plan) -> str:
    if name == plan.target.name:
        return "label"
    if name == plan.time:
        return "time"
    if name in plan.key:
        return "key"
    if any(feature.name == name for feature in plan.features.values()):
        return "feature"
    return next(
        (warning.kind for warning in plan.warnings if warning.column == name and warning.out), ""
    )
