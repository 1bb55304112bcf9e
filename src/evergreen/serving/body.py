"""Body: rows out of a request, in the types that `dataset.py` declares."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from evergreen.dataset import Dataset
from evergreen.ingest.values import parse

JSON, ARROW, PARQUET = (
    "application/json",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
)
TYPES = (JSON, ARROW, PARQUET)
ROWS = "rows"  # the key of many rows in JSON
GROWTH = 20  # times its size that a packed body may grow to
WHOLE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")  # moments as JSON mostly has them


class BodyError(Exception):
    """A body that cannot be taken: the status, and what is wrong with it."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status, self.says = status, says


@dataclass(frozen=True)
class Rows:
    """Rows of a request.

    `delivered`: as they came. `typed`: in declared types, what is known only later as null.
    `unfit`: column -> row -> the value that does not fit its type.
    """

    delivered: pl.DataFrame = field(repr=False)
    typed: pl.DataFrame = field(repr=False)
    unfit: Mapping[str, Mapping[int, Any]] = field(repr=False)


def read_rows(dataset: Dataset, names: Sequence[str], kind: str, body: bytes, most: int) -> Rows:
    """Return the rows of a body: the columns `names`, all others of `dataset` null.

    `kind`: its content type. Raises BodyError where it cannot be read, holds no row or more than
    `most`, or lacks a column.
    """
    if kind not in TYPES:
        raise BodyError(415, f"content-type {kind!r} is not known: use {', '.join(TYPES)}")
    read = {JSON: _read_json, ARROW: _read_arrow, PARQUET: _read_parquet}[kind]
    found = read(dataset, names, body, most)
    height = len(next(iter(found.values())))
    columns, unfit = [], {}
    for name, dtype in dataset.columns.items():
        if name not in found:
            columns.append(pl.Series(name, [None] * height, dtype))
            continue
        column = found[name]
        if column.dtype != dtype:
            column = parse(column, dtype)
            if column.null_count() > found[name].null_count():
                bad = column.is_null() & found[name].is_not_null()
                unfit[name] = {at: found[name][at] for at in bad.arg_true().to_list()}
        columns.append(column)
    return Rows(pl.DataFrame(list(found.values())), pl.DataFrame(columns), unfit)


def _read_json(
    dataset: Dataset, names: Sequence[str], body: bytes, most: int
) -> dict[str, pl.Series]:
    try:
        content = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BodyError(400, f"the body is no JSON: {error}") from None
    if isinstance(content, dict) and isinstance(content.get(ROWS), list):
        content = content[ROWS]
    rows = content if isinstance(content, list) else [content]
    _check_count(len(rows), most)
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise BodyError(422, f"row {at} is no object of names and values")
        if lacking := [name for name in names if name not in row]:
            raise BodyError(422, _lacks(lacking, row, f"row {at}"))
    return {
        name: _column(name, [row[name] for row in rows], dataset.columns[name]) for name in names
    }


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON: write null")


def _column(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    """Return a column of JSON; as text where it does not fit its type as it is."""
    kinds = {type(value) for value in values} - {type(None)}
    try:
        if dtype == pl.Datetime("us") and kinds == {str}:
            if all(value is None or WHOLE.fullmatch(value) for value in values):
                moments = [value and datetime.fromisoformat(value) for value in values]
                return pl.Series(name, moments, dtype)
        elif (
            not kinds
            or (kinds == {str} and dtype == pl.String())
            or (kinds == {int} and dtype.is_integer())
            or (kinds <= {int, float} and dtype == pl.Float64())
            or (kinds == {bool} and dtype == pl.Boolean())
        ):
            return pl.Series(name, values, dtype)
    except (OverflowError, TypeError, ValueError, pl.exceptions.PolarsError):
        pass  # too large, or no day of the calendar: as text
    texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
    return pl.Series(name, texts, pl.String)


def _read_arrow(
    dataset: Dataset, names: Sequence[str], body: bytes, most: int
) -> dict[str, pl.Series]:
    import pyarrow as pa

    try:
        stream, batches, rows, size = pa.ipc.open_stream(body), [], 0, 0
        for batch in stream:
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows > most or size > GROWTH * len(body):
                break
            batches.append(batch)
        table = pa.Table.from_batches(batches, stream.schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BodyError(400, f"the body is no Arrow stream: {error}") from None
    return _of_table(table, names, rows, size, len(body), most)


def _read_parquet(
    dataset: Dataset, names: Sequence[str], body: bytes, most: int
) -> dict[str, pl.Series]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(body))
        about = file.metadata
        size = sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups))
        rows = about.num_rows
        few = rows <= most and size <= GROWTH * len(body)
        table = file.read() if few else file.schema_arrow.empty_table()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BodyError(400, f"the body is no Parquet file: {error}") from None
    return _of_table(table, names, rows, size, len(body), most)


def _of_table(
    table: Any, names: Sequence[str], rows: int, size: int, given: int, most: int
) -> dict[str, pl.Series]:
    _check_count(rows, most)
    if size > GROWTH * given:
        raise BodyError(413, f"the body grows over {GROWTH} times when unpacked: send it otherwise")
    if lacking := [name for name in names if name not in table.column_names]:
        raise BodyError(422, _lacks(lacking, table.column_names, "it"))
    try:
        frame = pl.DataFrame(pl.from_arrow(table.select(list(names))))
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        raise BodyError(422, f"a column has a type that cannot be read: {error}") from None
    return {name: frame[name] for name in names}


def _check_count(rows: int, most: int) -> None:
    if not rows:
        raise BodyError(422, "there is no row: send one, or many")
    if rows > most:
        raise BodyError(413, f"more than {most:,} rows (serve.max_rows): send fewer at a time")


def _lacks(lacking: Sequence[str], given: Any, who: str) -> str:
    names = ", ".join(map(repr, lacking))
    return f"missing column(s) {names}; {who} has {', '.join(map(str, given)) or 'none'}"
