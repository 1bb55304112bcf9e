"""Personal: what `personal` in `dataset.py` says, done before anything else sees a row.

Every reader of rows from outside hands them over here: sources, files to score, requests. What is
declared "hash" becomes `hash_` and 32 hexadecimal digits of a keyed hash (BLAKE2b) of its value,
null stays null; what is declared "drop" goes, as does every column that is not declared. Equal
values have equal hashes, in whatever file, request or column they come. A value that is such a hash
already stays: what was kept can be delivered again.
"""

from __future__ import annotations

import hashlib
import re

import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.values import parse

SIZE = 16  # bytes of a hash: of 1e9 values, two share one with a chance of 1e-21
START = "hash_"
DONE = re.compile(rf"{START}[0-9a-f]{{{2 * SIZE}}}")
FEW = 1000  # values that are hashed sooner than the different ones among them are found
QUOTED = re.compile(r"([\"'`])(.*?)\1")


class Key:
    """The key of a project's hashes. Nobody without it can tell what was hashed, by trying too."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(secret.encode()).digest()
        self._begun = self._begin(b"value")

    @property
    def check(self) -> str:
        """What tells this key from others, and nothing else of it."""
        return self._begin(b"check").hexdigest()

    def hash(self, value: str) -> str:
        """Return what is kept of a value; of what was kept, itself."""
        if value.startswith(START) and DONE.fullmatch(value):
            return value
        hashed = self._begun.copy()  # half the time of beginning anew
        hashed.update(value.encode())
        return START + hashed.hexdigest()

    def mark(self, origin: str) -> str:
        """Return what is kept of an origin: that may be a checksum of the file as it came."""
        hashed = self._begin(b"origin")
        hashed.update(origin.encode())
        return hashed.hexdigest()

    def _begin(self, use: bytes) -> hashlib.blake2b:
        return hashlib.blake2b(digest_size=SIZE, key=self._key, person=use)


def protect(
    rows: pl.DataFrame, dataset: Dataset, key: Key | None, where: str = "the table"
) -> pl.DataFrame:
    """Return `rows` as they may be kept: declared columns, personal ones hashed or gone.

    Rows of a dataset without personal columns as they are. Raises InputError where no column is
    declared, or there is no key.
    """
    if not dataset.personal:
        return rows
    kept = [name for name in rows.columns if name in dataset.columns]
    if not kept:
        # The first row of a file without a header would be its names: none is repeated
        raise InputError(
            f"{where}: none of its {rows.width} columns is declared in dataset.py: put a line with "
            "the names of columns first, and check source.separator in params.yaml"
        )
    hashed = [
        hash_column(rows[name], dataset.delivered[name], key)
        for name in kept
        if name in dataset.personal
    ]
    return rows.select(kept).with_columns(hashed)


def hash_column(column: pl.Series, dtype: pl.DataType, key: Key | None) -> pl.Series:
    """Return the hashes of a column's values, read as `dtype` where they can be.

    So 42, 42.0 and "42" of a whole number are one value. Raises InputError without a key.
    """
    if key is None:
        raise InputError(NO_KEY)
    texts = _as_texts(column, dtype)
    values = texts.drop_nulls().unique() if len(texts) > FEW else texts
    if 2 * len(values) > len(texts):
        hashes = [None if value is None else key.hash(value) for value in texts.to_list()]
        return pl.Series(texts.name, hashes, pl.String)
    hashed = pl.Series([key.hash(value) for value in values.to_list()], dtype=pl.String)
    return texts.replace_strict(values, hashed, default=None)


NO_KEY = (
    "there is no key to hash personal columns with: `evergreen ingest` makes one; on a server, set "
    "EVERGREEN_PERSONAL_KEY to what stores/personal.key of the project holds"
)


def without_values(text: str, known: str) -> str:
    """Return an error of a database without what it quotes, unless all of that is in `known`.

    Databases quote the value they stumble over, and names of the query.
    """
    quoted = list(QUOTED.finditer(text))
    words = {*re.findall(r"\w+", known)}
    if all(found[2] in words for found in quoted):
        return text
    return f"{text[: quoted[0].start()]}***"


def _as_texts(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    read = parse(column, dtype)
    if dtype.is_float():
        read = read.fill_nan(None)
    texts = read.cast(pl.String)
    if texts.null_count() == column.null_count():
        return texts
    try:
        given = column.cast(pl.String)
    except pl.exceptions.PolarsError:  # lists, say, or bytes that are no text
        given = pl.Series(
            [None if value is None else str(value) for value in column], dtype=pl.String
        )
    if column.dtype.is_float():
        given = pl.select(pl.when(column.is_not_nan()).then(given)).to_series()
    return pl.select(pl.coalesce(texts, given)).to_series().alias(column.name)
