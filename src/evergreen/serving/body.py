"""Body: rows out of a request, in the types that `dataset.py` declares."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
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
    if kind == JSON:
        rows = _read_json(names, body, most)
        if typed := _as_they_are(dataset, names, rows):
            return typed
        found = {n: _column(n, [row[n] for row in rows], dataset.columns[n]) for n in names}
    else:
        read = _read_arrow if kind == ARROW else _read_parquet
        found = read(names, body, most)
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


def _read_json(names: Sequence[str], body: bytes, most: int) -> list[dict[str, Any]]:
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
    return rows


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON: write null")


def _as_they_are(
    dataset: Dataset, names: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> Rows | None:
    """Return rows of which every value fits its column as JSON has it; None where one does not.

    In one call of Polars: a column at a time takes ten times as long.
    """
    kinds = _kinds(dataset)
    try:
        plain = [{n: None if (v := row[n]) is None else kinds[n](v) for n in names} for row in rows]
        typed = pl.from_dicts(plain, dict(dataset.columns))
    except (_OddError, ValueError, OverflowError, TypeError, pl.exceptions.PolarsError):
        return None
    return Rows(typed, typed, {})


class _OddError(Exception):
    """A value that does not fit its column as it is."""


@cache
def _kinds(dataset: Dataset) -> dict[str, Callable[[Any], Any]]:
    """Return what takes a value of each column as it is, or raises."""
    return {name: _kind(dtype) for name, dtype in dataset.columns.items()}


def _kind(dtype: pl.DataType) -> Callable[[Any], Any]:
    """Return what takes values of a type."""
    if dtype.is_integer():
        whole: Any = dtype
        low, high = pl.select(low=whole.min(), high=whole.max()).row(0)

        def take(value: Any) -> Any:
            if type(value) is not int or not low <= value <= high:
                raise _OddError
            return value

        return take
    if dtype == pl.Float64():
        return lambda value: float(value) if type(value) in (int, float) else _refuse_value()
    if dtype in (pl.String(), pl.Boolean()):
        wanted = str if dtype == pl.String() else bool
        return lambda value: value if type(value) is wanted else _refuse_value()
    if dtype == pl.Datetime("us"):
        return lambda value: (
            datetime.fromisoformat(value)
            if type(value) is str and WHOLE.fullmatch(value)
            else _refuse_value()
        )
    return lambda value: _refuse_value()


def _refuse_value() -> Any:
    raise _OddError


def _column(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    """Return a column of JSON: as it is where every value has its kind, else as text."""
    take = _kind(dtype)
    try:
        return pl.Series(name, [None if v is None else take(v) for v in values], dtype)
    except (_OddError, ValueError, OverflowError, TypeError, pl.exceptions.PolarsError):
        texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
        return pl.Series(name, texts, pl.String)


def _read_arrow(names: Sequence[str], body: bytes, most: int) -> dict[str, pl.Series]:
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


def _read_parquet(names: Sequence[str], body: bytes, most: int) -> dict[str, pl.Series]:
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
