"""Listing: which files of a folder are batches, and why others are passed over."""

from __future__ import annotations

import bz2
import csv
import errno
import gzip
import lzma
import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from evergreen.errors import InputError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".tab": "tsv",
    ".txt": "txt",
    ".parq": "parquet",
    ".pq": "parquet",
}
PACKED = (".gz", ".bz2", ".xz", ".zst")
READ = f"{', '.join(KINDS)}, or one of these and {', '.join(PACKED)}"
# Files of the project's own, beside those of batches
RESERVED = ("manifest", "split", "encoder", "held")
SEPARATORS = ("\t", ",", ";", "|")
HEAD = 2**16  # bytes that hold the header of a text file
UNFINISHED = (
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".filepart",
    ".tmp",
    ".temp",
    ".swp",
    ".swo",
    ".swx",
    "~",
)
NOISE = ("thumbs.db", "desktop.ini")
OTHERS = {
    "a spreadsheet: export it as CSV": (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"),
    "an archive: unpack it": (".zip", ".tar", ".tgz", ".tbz2", ".7z", ".rar"),
    "of another format: save it as CSV or Parquet": (
        ".json", ".jsonl", ".ndjson", ".xml", ".feather", ".arrow", ".ipc", ".orc", ".avro", ".sav",
        ".dta", ".sas7bdat", ".xpt", ".rds", ".rdata", ".pkl", ".pickle", ".h5", ".hdf5", ".db",
        ".sqlite", ".sqlite3", ".duckdb",
    ),
    f"packed, and its name does not say what is in it: rename it to NAME.csv{PACKED[0]}": PACKED,
}  # fmt: skip
SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


@dataclass(frozen=True)
class Form:
    """What the name of a file says."""

    batch: str  # what its batch is called
    kind: str  # csv, tsv, txt or parquet
    packed: str = ""  # the ending that says how


@dataclass(frozen=True)
class Listing:
    """The files of a folder, sorted out."""

    files: Mapping[str, str]  # batch -> path
    passed_over: tuple[str, ...] = ()  # "name (why)" for each file that is no batch


def form_of(path: str) -> Form | None:
    """Return what the name of a file says, whatever its case; None where it cannot be read."""
    name = path.rsplit("/", 1)[-1]
    packed = next((end for end in PACKED if name.lower().endswith(end)), "")
    bare = name.removesuffix(name[len(name) - len(packed) :]) if packed else name
    suffix = next((end for end in KINDS if bare.lower().endswith(end)), None)
    return Form(bare[: -len(suffix)], KINDS[suffix], packed) if suffix else None


def sort_out(
    filesystem: AbstractFileSystem,
    entries: Mapping[str, Mapping[str, Any]],
    encoding: str,
    columns: Collection[str],
) -> Listing:
    """Return which of a folder's `entries` are batches, and which are passed over.

    `entries`: as fsspec lists them. `columns`: those that the first line of a .txt file names where
    it is a table. Raises InputError for a name that no batch can have, and where two files would be
    the same batch.
    """
    files: dict[str, str] = {}
    passed = []
    for path in sorted(entries):
        name, form = path.rsplit("/", 1)[-1], form_of(path)
        why = _why_not(filesystem, path, form, entries[path].get("type") == "directory")
        if why is None and form and form.kind == "txt":
            why = _why_no_table(filesystem, path, form, encoding, columns)
        if why is None:
            assert form
            files[_checked(path, form.batch, files)] = path
        elif why:
            passed.append(f"{name} ({why})")
    return Listing(files, tuple(passed))


def separator_of(content: bytes, encoding: str, columns: Collection[str]) -> str | None:
    """Return what separates the fields of a text; None if its first line lacks most `columns`."""
    lines = content[:HEAD].decode(encoding, errors="replace").lstrip("\ufeff").splitlines()[:1]
    wanted = set(columns)
    for separator in SEPARATORS:
        fields = {
            field.strip() for line in csv.reader(lines, delimiter=separator) for field in line
        }
        if len(fields & wanted) > len(wanted) / 2:
            return separator
    return None


def open_packed(file: BinaryIO, packed: str) -> BinaryIO:
    """Return a stream of what is in a packed file."""
    if packed == ".gz":
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if packed == ".bz2":
        return cast("BinaryIO", bz2.BZ2File(file))
    if packed == ".xz":
        return cast("BinaryIO", lzma.LZMAFile(file))
    if packed == ".zst":
        from pyarrow import CompressedInputStream

        return cast("BinaryIO", CompressedInputStream(file, "zstd"))
    return file


def special(path: str) -> str | None:
    """Return what a local path is instead of a file; None for a file, "" for one that is gone."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)  # noqa: PTH116
    except FileNotFoundError:
        return "a link to nothing" if os.path.islink(path) else ""  # noqa: PTH114
    except OSError as error:
        return (
            "a link that leads in a circle" if error.errno == errno.ELOOP else str(error.strerror)
        )
    return None if kind == stat.S_IFREG else SPECIAL.get(kind, "no file")


def is_local(filesystem: AbstractFileSystem) -> bool:
    """Return whether the paths of a file system are those of this machine."""
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(filesystem, LocalFileSystem)


def few(passed: Iterable[str], room: int = 5) -> str:
    """Return the first files that are passed over, and how many more there are."""
    passed = list(passed)
    return ", ".join(passed[:room]) + (
        f" and {len(passed) - room} more" if len(passed) > room else ""
    )


def _why_not(
    filesystem: AbstractFileSystem, path: str, form: Form | None, folder: bool
) -> str | None:
    """Return why a file is no batch; None where it is one, "" where it is not worth a word."""
    name = path.rsplit("/", 1)[-1]
    if (
        name.startswith(("._", "~$"))
        or name.lower() in NOISE
        or (name.startswith((".", "_")) and not form)
    ):
        return ""  # files of the system, of an office suite, marks that other tools leave
    if name.startswith("."):
        return "hidden: its name begins with a dot"
    if folder:
        return "a folder: source.path can be a pattern, such as inbox/*/*.csv"
    if name.lower().endswith(UNFINISHED):
        return "not finished, or an editor's copy"
    if form is None:
        return next(
            (why for why, ends in OTHERS.items() if name.lower().endswith(ends)),
            "no CSV, TSV or Parquet file",
        )
    return special(path) if is_local(filesystem) else None


def _why_no_table(
    filesystem: AbstractFileSystem, path: str, form: Form, encoding: str, columns: Collection[str]
) -> str | None:
    """Return why a .txt file is no table: many a note is called so."""
    try:
        with filesystem.open(path, "rb") as file:
            head = open_packed(file, form.packed).read(HEAD)
        separator = separator_of(head, encoding, columns)
    except (OSError, EOFError, LookupError, lzma.LZMAError, csv.Error) as error:
        return f"cannot be read: {str(error).splitlines()[0]}"
    return None if separator else "its first line does not name the columns of dataset.py"


def _checked(path: str, batch: str, files: Mapping[str, str]) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", batch):
        raise InputError(
            f"{path}: a batch is named after its file: use only letters, digits, '.', '_' and '-'"
        )
    if batch in RESERVED:
        raise InputError(
            f"{path}: a batch cannot be called {batch!r}, which is reserved: rename the file"
        )
    if batch in files:
        raise InputError(
            f"{files[batch]} and {path} would both be the batch {batch!r}: rename one of them"
        )
    return batch
