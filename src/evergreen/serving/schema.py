"""Schema: what the page of the API says of bodies, with a row of the project's own data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from evergreen.dataset import Dataset
from evergreen.serving.body import JSON, PACKED, ROWS

MADE_UP = {
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "string": "made up",
}  # in place of a person


def describe_rows(dataset: Dataset, example: dict[str, Any] | None) -> dict[str, Any]:
    """Return what OpenAPI says of rows to be predicted."""
    return _body(dataset, dataset.known_in_time, example)


def describe_labels(dataset: Dataset, example: dict[str, Any] | None) -> dict[str, Any]:
    """Return what OpenAPI says of rows with labels."""
    return _body(dataset, (*dataset.key, *dataset.known_later), example)


def _told(**properties: dict[str, Any]) -> dict[str, Any]:
    """Return what OpenAPI says of an answer; a property that is not `always` there says so."""
    required = [name for name, kind in properties.items() if kind.pop("always", True)]
    schema = {"type": "object", "required": required, "properties": properties}
    return {"content": {JSON: {"schema": schema}}}


def answers() -> dict[str, dict[str, Any]]:
    """Return what OpenAPI says of each answer, by its name."""
    word, odd = {"type": "string"}, {"type": "array", "items": {"type": "object"}}
    maybe = {"always": False}
    predictions = {"type": "array", "items": {"type": ["number", "array", "null"]}}
    return {
        "predictions": _told(
            version={**word},
            predictions=predictions,
            classes={"type": "array", **maybe},
            not_predicted={**odd, **maybe},
            warnings={**odd, **maybe},
        ),
        "taken": _told(taken={"type": "integer"}),
        "version": _told(version={**word}),
        "fault": _told(
            error={**word},
            faults={**odd, **maybe},
            faults_in_all={"type": "integer", **maybe},
        ),
    }


def _body(dataset: Dataset, names: Sequence[str], example: dict[str, Any] | None) -> dict[str, Any]:
    row = {
        "type": "object",
        "required": list(names),
        "properties": {name: _describe(dataset, name) for name in names},
    }
    rows = {
        "type": "object",
        "required": [ROWS],
        "properties": {ROWS: {"type": "array", "items": row, "minItems": 1}},
    }
    content: dict[str, Any] = {"schema": {"anyOf": [row, rows]}}
    if example:
        shown = {
            name: MADE_UP[_type_of(dataset.delivered[name])["type"][0]]
            if name in dataset.personal
            else example.get(name)
            for name in names
        }
        content["examples"] = {"a row": {"value": shown}, "rows": {"value": {ROWS: [shown]}}}
    packed = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PACKED}
    return {"required": True, "content": {JSON: content, **packed}}


def _describe(dataset: Dataset, name: str) -> dict[str, Any]:
    kind = _type_of(dataset.delivered[name])
    if name not in dataset.personal:
        return kind
    return kind | {"description": "personal: hashed before anything is kept"}


def _type_of(dtype: pl.DataType) -> dict[str, Any]:
    if dtype.is_integer():
        whole: Any = dtype
        low, high = pl.select(low=whole.min(), high=whole.max()).row(0)
        return {"type": ["integer", "null"], "minimum": low, "maximum": high}
    if dtype.is_numeric():
        return {"type": ["number", "null"]}
    if dtype == pl.Boolean():
        return {"type": ["boolean", "null"]}
    form = {"format": "date-time"} if isinstance(dtype, pl.Datetime) else {}
    return {"type": ["string", "null"], **form}


def example_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as JSON can hold it."""
    plain = (int, float, str, bool, type(None))
    return {
        name: value
        if isinstance(value, plain)
        else value.isoformat()
        if hasattr(value, "isoformat")
        else str(value)
        for name, value in row.items()
    }
