"""The databases below stores/: MLflow's is made whole, and each is checked before it is opened.

MLflow makes its tables in many steps that SQLite does not undo, so that a kill would leave a
database which nobody can open: it is made under another name, and moved when it is complete.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from evergreen.errors import BusyError, InputError

# In paths, which it handles as addresses and puts into conditions between quotes
MISREAD = re.compile(r"""\?|%[0-9a-fA-F]{2}|'.*"|".*'""")
PATIENCE = 20.0  # seconds for another process that holds a database


def check_place(folder: Path) -> None:
    """Raise InputError where MLflow would read the name of the folder as that of another one."""
    if MISREAD.search(str(folder)):
        raise InputError(
            f"MLflow cannot work in {folder}: it takes `?`, `%` with two digits, and quotes of "
            "both kinds for something else: move the project into a folder without them"
        )


def prepare(database: Path, artifacts: Path) -> None:
    """Make MLflow's database where there is none yet.

    Raises InputError where one is there that cannot be used, or is gone while what it knew of still
    lies in `artifacts`.
    """
    check_place(database.parent)
    if database.is_file() and database.stat().st_size:
        check(
            database,
            "restore it from a backup; or start over, without models and history: "
            f"`mv {artifacts.parent} OLD`",
        )
        if not holds_files(artifacts) and is_half_made(database):
            _remove(database)
            make(database, artifacts)
    else:
        if holds_files(artifacts):
            what = "empty (0 bytes)" if database.exists() else "missing"
            raise InputError(
                f"{database} is {what}, but {artifacts} holds what earlier runs made: restore the "
                "database from a backup; or start over, without models and history: "
                f"`mv {artifacts} {artifacts}.old`"
            )
        make(database, artifacts)


def make(database: Path, artifacts: Path) -> None:
    """Make an empty database of MLflow, complete or not at all; a second process finds it made."""
    from filelock import FileLock
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_suffix(".lock")):
        if database.is_file() and database.stat().st_size:
            return
        part = database.with_name(f".part-{database.name}")
        _remove(part)
        _remove(database)  # an empty one, or the journal of one that is gone
        with _unsynced(part):
            SqlAlchemyStore(f"sqlite:///{part}", str(artifacts)).engine.dispose()
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(database)


@contextmanager
def _unsynced(database: Path) -> Iterator[None]:
    """Let SQLite not wait for the disk at each step; who calls it syncs the whole file at the end.

    A migration waits some hundred times, which is most of a first run's start.
    """
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    def connect(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            (_, _, path), *_ = connection.execute("PRAGMA database_list").fetchall()
            if path == str(database.resolve()):
                connection.execute("PRAGMA synchronous = OFF")

    event.listen(Pool, "connect", connect)
    try:
        yield
    finally:
        event.remove(Pool, "connect", connect)


def is_half_made(database: Path) -> bool:
    """Return whether MLflow was interrupted while it made a database.

    Then it holds no run and no model, and not all its tables.
    """
    with closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
        tables = {
            str(name)
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        for table in tables & {"runs", "registered_models", "logged_models"}:
            if connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0]:
                return False
        found = (
            connection.execute("SELECT version_num FROM alembic_version")
            if "alembic_version" in tables
            else ()
        )
        revisions = [str(revision) for (revision,) in found]
    from mlflow.store.db.utils import _get_latest_schema_revision

    return revisions != [_get_latest_schema_revision()]


def check(database: Path, remedy: str) -> None:
    """Raise InputError where a database of SQLite is damaged, truncated, or held for long."""
    try:
        with closing(
            sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=PATIENCE)
        ) as connection:
            connection.execute("BEGIN")
            # Locks it against writers
            connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            pages, size = (
                connection.execute(f"PRAGMA {what}").fetchone()[0]
                for what in ("page_count", "page_size")
            )
            whole = Path(f"{database}-wal").exists() or database.stat().st_size >= pages * size
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise BusyError(busy_message(database)) from None
    except sqlite3.DatabaseError as error:
        raise InputError(f"{database} is damaged ({error}): {remedy}") from None
    if not whole:
        raise InputError(f"{database} is damaged (it is truncated): {remedy}")


def move(database: Path, old: str, new: str) -> None:
    """Let a database name the folder `new`, and what is below it, wherever it names `old`."""
    with closing(sqlite3.connect(database)) as store, store:
        for table, column in _texts(store):
            store.execute(
                f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) '
                f'WHERE "{column}" = ? OR substr("{column}", 1, ?) = ?',
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )


def _texts(store: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return table and column of every text in a database."""
    tables = store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [
        (table, column)
        for (table,) in tables
        for _, column, kind, *_ in store.execute(f'PRAGMA table_info("{table}")').fetchall()
        if "CHAR" in kind.upper() or "TEXT" in kind.upper()
    ]


def busy_message(database: Path | str) -> str:
    """Return what a user reads of a database that another process holds."""
    return (
        f"{database} is held by another process: wait until that is done, or stop it "
        f"(`fuser {database}` names it), then run again"
    )


def holds_files(folder: Path) -> bool:
    """Return whether there is a file anywhere below `folder`."""
    return any(files for _, _, files in os.walk(folder))


def _remove(database: Path) -> None:
    for end in ("", "-journal", "-wal", "-shm"):
        Path(f"{database}{end}").unlink(missing_ok=True)
