"""Unpack: rows out of an Arrow stream or a Parquet file, in a process that may be lost.

It runs alone (`python -I unpack.py`), with an empty environment and none of this project's modules,
so that it holds nothing but libraries. For each body it forks a child with little memory and time,
which answers with JSON, as if the caller had sent that, or with what is wrong. A body that makes
the child crash, grow or show its memory has shown the caller a fresh process.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
END = b"\n"  # of an answer that is whole
MEMORY, SECONDS = 2 * 2**30, 10  # of a child; twice as long by the clock
COLUMNS = 10_000  # of a table, wanted or not
PLAIN = ("null", "bool", "int", "uint", "float", "double", "halffloat", "decimal", "string",
         "large_string", "string_view", "date", "timestamp", "time")  # fmt: skip


class UnfitError(Exception):
    """What is wrong with a body, and the status that says so."""

    def __init__(self, says: str, status: int = 422) -> None:
        super().__init__(says)
        self.status = status


def serve(control: socket.socket) -> None:
    """Fork for each socket that is sent, until nobody can send one any more."""
    import pyarrow.parquet  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        _, handles, _, _ = socket.recv_fds(control, 1, 1)
        if not handles:
            return
        if not os.fork():
            control.close()
            with suppress(BaseException):
                answer(socket.socket(fileno=handles[0]))
            os._exit(0)
        os.close(handles[0])


def answer(caller: socket.socket) -> None:
    """Read a body, and send the rows in it."""
    signal.alarm(2 * SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with caller.makefile("rb") as file:
        asked, body = json.loads(file.readline()), file.read()
    said: dict[str, Any]
    try:
        said = {"rows": rows_of(asked["kind"], body, asked["names"], asked["most"])}
    except UnfitError as error:
        said = {"error": str(error), "status": error.status}
    except (Exception, MemoryError) as error:  # whatever a reader of Arrow's raises
        said = {"error": f"it cannot be read: {' '.join(str(error).split())[:200]}", "status": 400}
    caller.sendall(json.dumps(said, allow_nan=False).encode() + END)


def rows_of(kind: str, body: bytes, names: Sequence[str], most: int) -> list[dict[str, Any]]:
    """Return the columns `names` of at most `most` rows, in values that JSON has.

    Raises UnfitError, and what pyarrow raises.
    """
    import pyarrow as pa
    from pyarrow import parquet

    parts = []
    if kind == ARROW:
        with pa.ipc.open_stream(body) as stream:
            wanted, height = fields(stream.schema, names), 0
            for batch in stream:
                height += batch.num_rows
                check_height(height, most)
                batch.validate(full=True)
                parts.append(batch.select(wanted))
        table = (
            pa.Table.from_batches(parts) if parts else stream.schema.empty_table().select(wanted)
        )
    else:
        with parquet.ParquetFile(pa.BufferReader(body), memory_map=False) as file:
            wanted = fields(file.schema_arrow, names)
            check_height(file.metadata.num_rows, most)
            table = file.read(columns=wanted, use_threads=False)
            check_height(table.num_rows, most)
            table.validate(full=True)
    columns = {name: [plain(value) for value in values(table[name])] for name in wanted}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def fields(schema: Any, names: Sequence[str]) -> list[str]:
    """Return those of `names` that a table has, of kinds that JSON can hold."""
    if len(schema) > COLUMNS:
        raise UnfitError(f"it has {len(schema):,} columns: send those that are asked for", 413)
    found = []
    for name in names:
        places = schema.get_all_field_indices(name)
        if len(places) > 1:
            raise UnfitError(f"{name} is there {len(places)} times: send each column once")
        for place in places:
            kind = str(schema.field(place).type)
            inner = kind.partition("values=")[2] if kind.startswith("dictionary<") else kind
            if not inner.startswith(PLAIN):
                raise UnfitError(
                    f"{name} is {kind[:100]}: send numbers, text, true or false, times"
                )
            found.append(name)
    if lacking := [name for name in names if name not in found]:
        raise UnfitError(f"missing column(s) {', '.join(map(repr, lacking))}")
    return found


def check_height(rows: int, most: int) -> None:
    """Raise UnfitError where there are more rows than may be."""
    if rows > most:
        raise UnfitError(f"more than {most:,} rows (serve.max_rows): send fewer at a time", 413)


def values(column: Any) -> list[Any]:
    """Return a column as Python has it; times in microseconds, which all of them fit."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz))
    if pa.types.is_time64(column.type):
        column = column.cast(pa.time64("us"))
    return list(column.to_pylist())


def plain(value: Any) -> Any:
    """Return a value as JSON has it: NaN, which it has not, is no value."""
    if isinstance(value, float):
        return None if math.isnan(value) else str(value) if math.isinf(value) else value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


if __name__ == "__main__":
    serve(socket.socket(fileno=0))
