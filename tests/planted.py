"""Planted: people whose personal values are found wherever a run leaves them."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl

PERSONAL = '{"email": "hash", "phone": "hash", "adviser": "hash", "name": "drop"}'
DATASET = """
import polars as pl

from evergreen import Dataset

dataset = Dataset(
    columns={
        "day": pl.Date(),
        "email": pl.String(),
        "phone": pl.Int64(),
        "name": pl.String(),
        "adviser": pl.String(),
        "plan": pl.String(),
        "spend": pl.Float64(),
        "visits": pl.Int64(),
        "left": pl.Boolean(),
    },
    key=("email", "phone"),
    time="day",
    label=pl.col("left"),
    known_later=("left",),
    left_out={"no telephone": pl.col("phone").is_null()},
    features={
        "plan": pl.col("plan"),
        "spend": pl.col("spend"),
        "visits": pl.col("visits"),
        "adviser": pl.col("adviser"),
    },
    slices={"adviser": pl.col("adviser")},
    personal=@PERSONAL@,
)
"""
EXPECTATIONS = """
import great_expectations.expectations as gxe


def expectations(batch):
    return [
        gxe.ExpectColumnValuesToNotBeNull(column="email"),
        gxe.ExpectColumnValueLengthsToBeBetween(column="email", min_value=5, max_value=40),
        gxe.ExpectColumnValuesToBeBetween(column="spend", min_value=0, max_value=5000),
    ]
"""
ADVISERS = ("planted-adviser-ash", "planted-adviser-bay", "planted-adviser-cove")


def people(batch: int, rows: int = 220) -> pl.DataFrame:
    """A batch of people, 60 days, and whether each left; some rows break a rule."""
    draw = np.random.default_rng(batch)
    spend, visits = draw.normal(500, 120, rows).round(2), draw.poisson(4, rows)
    adviser = draw.choice(ADVISERS, rows)
    score = (spend - 500) / 80 - (visits - 4) / 2 + 2 * (adviser == ADVISERS[1])
    spend[[3, 4]] = -1.0  # which breaks a rule
    first, numbers = date(2024, 1, 1) + timedelta(days=60 * batch), range(rows)
    frame = pl.DataFrame(
        {
            "day": [first + timedelta(days=60 * at // rows) for at in numbers],
            "email": [f"planted-{batch}-{at:04}@example.org" for at in numbers],
            "phone": [49_170_000_000_000 + 10_000 * batch + at for at in numbers],
            "name": [f"Planted Name {batch} {at:04}" for at in numbers],
            "note": [f"planted note {batch} {at:04}" for at in numbers],  # is not declared
            "adviser": adviser,
            "plan": draw.choice(["gold", "plain"], rows),
            "spend": spend,
            "visits": visits,
            "left": score + draw.normal(size=rows) > 0.5,
        }
    )
    doubled = frame[7:8].with_columns(
        email=pl.lit(frame["email"][8]), phone=pl.lit(frame["phone"][8])
    )
    return pl.concat([frame[:7], doubled, frame[8:]])


def spoilt(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows as text, some values of which do not fit their type."""
    texts = frame.with_columns(pl.all().cast(pl.String))
    at = pl.int_range(frame.height)
    return texts.with_columns(
        phone=pl.when(at == 11).then(pl.lit("planted-phone-none")).otherwise("phone"),
        visits=pl.when(at == 12).then(pl.lit("many")).otherwise("visits"),
        left=pl.when(at == 13).then(pl.lit("perhaps")).otherwise("left"),
    )


def values_of(frames: Iterable[pl.DataFrame], columns: Iterable[str]) -> list[str]:
    """The different values of some columns, as text."""
    return sorted(
        {
            str(value)
            for frame in frames
            for name in columns
            if name in frame.columns
            for value in frame[name].drop_nulls()
        }
    )


def find(folder: Path, values: Iterable[str], besides: Iterable[Path] = ()) -> list[str]:
    """Where below `folder` a value is, in any of the forms a file may have: "path: value"."""
    wanted = {form: value for value in values for form in forms_of(value)}
    search = Search(wanted)
    found = []
    for path in sorted(folder.rglob("*")):
        if any(path.is_relative_to(skipped) for skipped in besides):
            continue
        found += [f"{path}: its name"] if search.in_bytes(str(path).encode()) else []
        if path.is_file() and not path.is_symlink():
            found += [f"{path}: {value}" for value in sorted(search.in_file(path.read_bytes()))]
    return found


def forms_of(value: str) -> Iterator[bytes]:
    """Yield the bytes that tell of a value: itself, encoded, or an unkeyed hash of it."""
    plain = value.encode()
    yield from (plain, plain.lower(), value.encode("utf-16-le"), quote(value, safe="").encode())
    yield plain.hex().encode()
    for offset in range(3):  # of the value in what was encoded
        coded = base64.b64encode(b"\0" * offset + plain)
        yield coded[-(-offset * 4 // 3) + (offset > 0) : -4]
    for name in ("md5", "sha1", "sha256"):
        digest = hashlib.new(name, plain, usedforsecurity=False)
        yield from (digest.hexdigest().encode(), digest.digest())
    if value.isdigit():
        yield from (struct.pack("<q", int(value)), struct.pack("<d", int(value)))


class Search:
    """Many byte strings, looked for at once by what they begin with."""

    def __init__(self, wanted: dict[bytes, str]) -> None:
        self._wanted = wanted
        self._size = min(map(len, wanted))
        self._starts: dict[bytes, list[bytes]] = {}
        for form in wanted:
            self._starts.setdefault(form[: self._size], []).append(form)
        starts = sorted(self._starts)
        self._known = np.zeros(2**24, bool)
        self._known[_short(np.array([np.frombuffer(start[:8], "<u8")[0] for start in starts]))] = (
            True
        )

    def in_file(self, content: bytes, depth: int = 3) -> set[str]:
        """The values in a file, and in what is packed in it."""
        found = self.in_bytes(content)
        if depth:
            for part in unpacked(content):
                found |= self.in_file(part, depth - 1)
        return found

    def in_bytes(self, content: bytes) -> set[str]:
        """The values in plain bytes."""
        if len(content) < self._size:
            return set()
        found = set()
        for shift in range(8):
            words = np.frombuffer(content[shift:], "<u8", count=(len(content) - shift) // 8)
            for at in np.flatnonzero(self._known[_short(words)]).tolist():
                place = shift + 8 * at
                for form in self._starts.get(content[place : place + self._size], ()):
                    if content.startswith(form, place):
                        found.add(self._wanted[form])
        return found


def _short(words: Any) -> Any:
    """Return 24 bits of each eight bytes, which are looked up at once."""
    with np.errstate(over="ignore"):
        return (words * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)


def unpacked(content: bytes) -> Iterator[bytes]:
    """Yield what is in a file that is packed: archives, streams, Parquet by value."""
    if content[:2] == b"\x1f\x8b":
        with suppress(OSError, EOFError, zlib.error):
            yield gzip.decompress(content)
    if content[:3] == b"BZh":
        with suppress(OSError, ValueError):
            yield bz2.decompress(content)
    if content[:6] == b"\xfd7zXZ\0":
        with suppress(lzma.LZMAError):
            yield lzma.decompress(content)
    if content[:2] == b"PK":
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if content[:1] == b"x":
        with suppress(zlib.error):
            yield zlib.decompress(content)
    if content[:4] == b"PAR1" == content[-4:]:
        yield pl.read_parquet(content).write_ndjson().encode()
