"""Body: rows out of a request, in the types that `dataset.py` declares."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import polars as pl

from evergreen.dataset import Dataset
from evergreen.ingest.personal import Key, hash_column
from evergreen.ingest.values import parse
from evergreen.serving.unpack import ARROW, PARQUET

JSON = "application/json"
PACKED = (ARROW, PARQUET)
ROWS = "rows"  # the key of many rows in JSON
SHOWN = 100  # characters of a value that an answer repeats
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


def read_rows(
    dataset: Dataset,
    names: Sequence[str],
    kind: str,
    body: bytes,
    most: int,
    key: Key | None = None,
) -> Rows:
    """Return the rows of a body: the columns `names`, all others of `dataset` null.

    `kind`: its content type. `key`: that personal columns are hashed with. Raises BodyError where
    it cannot be read, holds no row or more than `most`, lacks a column, or has what is no value of
    a table.
    """
    if kind != JSON:
        raise BodyError(
            415, f"content-type {kind!r} is not known: use {', '.join((JSON, *PACKED))}"
        )
    rows = _read_json(names, body, most, dataset)
    if dataset.personal:
        rows = _hashed(dataset, names, rows, key)
    if typed := _as_they_are(dataset, names, rows):
        return typed
    found = {n: _column(n, [row[n] for row in rows], dataset.columns[n]) for n in names}
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
        if dtype.is_temporal() and dtype != pl.Duration():
            _check_years(column)
        columns.append(column)
    return Rows(pl.DataFrame(list(found.values())), pl.DataFrame(columns), unfit)


def _hashed(
    dataset: Dataset, names: Sequence[str], rows: Sequence[Mapping[str, Any]], key: Key | None
) -> list[dict[str, Any]]:
    """Return rows with hashes for what is personal, and nothing but `names`."""
    plain = [{name: row[name] for name in names} for row in rows]
    for name in (name for name in dataset.hashed if name in names):
        dtype = dataset.delivered[name]
        column = hash_column(_column(name, [row[name] for row in plain], dtype), dtype, key)
        for row, value in zip(plain, column.to_list(), strict=True):
            row[name] = value
    return plain


def _read_json(
    names: Sequence[str], body: bytes, most: int, dataset: Dataset
) -> list[dict[str, Any]]:
    try:
        content = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BodyError(400, f"the body is no JSON: {error}") from None
    if isinstance(content, dict) and isinstance(content.get(ROWS), list):
        content = content[ROWS]
    rows = content if isinstance(content, list) else [content]
    if b"\\ud" in body.lower():
        _check_characters(content)
    _check_count(len(rows), most)
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise BodyError(422, f"row {at} is no object of names and values")
        if lacking := [name for name in names if name not in row]:
            shown = [name for name in row if not dataset.personal or name in dataset.columns]
            raise BodyError(422, _lacks(lacking, shown, f"row {at}"))
    return rows


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON: write null")


def _check_characters(content: Any) -> None:
    """Raise BodyError where JSON holds one half of a character, which no table can hold."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start].encode("ascii", "backslashreplace").decode()
        raise BodyError(422, f"{half} is half a character: send the other half with it") from None
    except RecursionError:
        raise BodyError(422, "it holds a list in lists, and no value") from None


def _check_years(column: pl.Series) -> None:
    """Raise BodyError for a day or moment that Python cannot hold."""
    if column.dtype == pl.Time():
        return
    odd = ~column.dt.year().is_between(1, 9999)
    if odd.any():
        at = int(odd.arg_true()[0])
        raise BodyError(422, f"row {at}: {column.name} has no year from 1 to 9999")


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
        try:
            texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
        except RecursionError:
            raise BodyError(422, f"{name} holds a list in lists, and no value") from None
        return pl.Series(name, texts, pl.String)


def _check_count(rows: int, most: int) -> None:
    if not rows:
        raise BodyError(422, "there is no row: send one, or many")
    if rows > most:
        raise BodyError(413, f"more than {most:,} rows (serve.max_rows): send fewer at a time")


def _lacks(lacking: Sequence[str], given: Any, who: str) -> str:
    names = ", ".join(map(repr, lacking))
    return f"missing column(s) {names}; {who} has {', '.join(map(str, given)) or 'none'}"
