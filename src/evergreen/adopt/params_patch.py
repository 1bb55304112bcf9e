"""Params patch: `params.yaml` with what a table and its size need changed, comments kept."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ruamel.yaml.comments import CommentedMap

from evergreen.adopt.batching import Batches
from evergreen.adopt.columns import Inferred
from evergreen.adopt.plan import Plan
from evergreen.adopt.read import Table
from evergreen.ingest.sources import PERIODS
from evergreen.params import Params, parse
from evergreen.params.edit import editor, in_line, put

# Rows below which trees are kept small and rare categories count (`python -m benchmarks.few_rows`)
SMALL = 5_000
MEDIUM = 100_000  # rows below which all of history trains
INBOX = "inbox"
ORDER = (
    "kind",
    "path",
    "encoding",
    "separator",
    "decimal",
    "thousands",
    "dates",
    "nulls",
    "url",
    "query",
    "period",
    "lag_hours",
    "until",
)
Changes = dict[str, dict[str, Any]]


def patch_params(
    text: str,
    table: Table,
    found: Inferred,
    plan: Plan,
    batches: Batches,
    max_bad_rows: float | None,
) -> tuple[str, list[str]]:
    """Return the text of `params.yaml`, and each change but the source's as `key: value`."""
    yaml = editor()
    content = yaml.load(text) or CommentedMap()
    before = parse(_plain(content), "params.yaml")
    content["task"] = plan.task
    _patch_source(content.setdefault("source", CommentedMap()), _source(table, found, batches))
    changes = _changes(before, plan, batches, max_bad_rows)
    for section, values in changes.items():
        put(content, section, values)
    parse(_plain(content), "params.yaml")
    written = io.StringIO()
    yaml.dump(content, written)
    return written.getvalue(), [
        f"{section}.{key}: {'null' if value is None else value}"
        for section, values in changes.items()
        for key, value in values.items()
    ]


def _source(table: Table, found: Inferred, batches: Batches) -> dict[str, Any]:
    source: dict[str, Any]
    if table.kind == "sql":
        source = {"kind": "sql", "url": table.origin, "query": f"SELECT * FROM {table.table}"}
        source |= {"nulls": list(table.nulls)} if table.nulls else {}
        return source | {"period": batches.period or "month", "until": batches.until}
    source = {"kind": "files", "path": INBOX}
    if table.kind != "parquet":
        source |= {"encoding": table.encoding} if table.encoding != "utf-8" else {}
        source |= (
            {"separator": table.separator} if table.kind == "csv" and table.separator != "," else {}
        )
        source |= {"decimal": found.dialect.decimal} if found.dialect.decimal != "." else {}
        source |= {"thousands": found.dialect.thousands} if found.dialect.thousands else {}
    source |= {"dates": list(found.dialect.dates)} if found.dialect.dates else {}
    source |= {"nulls": list(table.nulls)} if table.nulls else {}
    return source | {"until": batches.until}


def _patch_source(section: CommentedMap, wanted: Mapping[str, Any]) -> None:
    """Replace the keys of the section by the wanted ones, in a readable order, `until` last."""
    for key in [key for key in section if key not in wanted]:
        del section[key]
    for key in (key for key in ORDER if key in wanted):
        if key in section:
            section[key] = in_line(wanted[key])
        else:
            place = sum(1 for other in section if ORDER.index(other) < ORDER.index(key))
            section.insert(place, key, in_line(wanted[key]))


def _changes(before: Params, plan: Plan, batches: Batches, max_bad_rows: float | None) -> Changes:
    """Return section -> key -> value of what a table of this size needs changed."""
    sizes = [len(places) for places in batches.rows.values()]
    rows, changes = sum(sizes), Changes()

    def at_most(section: str, key: str, value: float) -> None:
        if getattr(getattr(before, section), key) > value:
            changes.setdefault(section, {})[key] = value

    if max_bad_rows is not None:
        changes["validate"] = {"max_bad_rows": max_bad_rows}
    if batches.period and max(batches.rows) > datetime.now(UTC).strftime(
        PERIODS[batches.period][1]
    ):
        # Times to come are what this table is about
        changes.setdefault("validate", {})["max_future_days"] = None
    if rows < SMALL:
        at_most("prepare", "min_level_rows", 5)
        at_most("train", "max_depth", 3)
        at_most("train", "min_child_weight", 1.0)
        if before.train.colsample_bytree < 0.8:  # columns are few as well
            changes.setdefault("train", {})["colsample_bytree"] = 0.8
    if (rows < MEDIUM or len(sizes) == 1) and before.split.train_batches is not None:
        # Else small files would push a first large one out
        changes["split"] = {"train_batches": None}
    if before.leaks.trusted:  # of another table: only a person vouches
        changes["leaks"] = {"trusted": []}
    if before.drift.columns or before.drift.accepted:  # of another table
        changes["drift"] = {"columns": {}, "accepted": []}
    at_most(
        "retrain",
        "min_new_rows",
        max(20, sorted(sizes)[len(sizes) // 2] // (1 if len(sizes) > 1 else 10)),
    )
    return changes


def _plain(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_plain(value) for value in content]
    return content
