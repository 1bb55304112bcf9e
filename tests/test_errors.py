"""What a person is told: faults of the machine in words, faults of the program not at all."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from evergreen.code import keep
from evergreen.errors import LARGEST, LOG, InputError, explain, log_traceback
from evergreen.validation.report import BadBatchError, BatchReport


def raised(error: BaseException) -> BaseException:
    """Return `error` as it is after it was raised and caught."""
    try:
        raise error
    except BaseException as caught:
        return caught


def wrapped(*errors: BaseException, cause: bool = True) -> BaseException:
    """Return the last of `errors`, each raised from (or while handling) the one before."""
    before: BaseException | None = None
    for error in errors:
        try:
            if before is None:
                raise error
            try:
                raise before
            except BaseException as known:
                if cause:
                    raise error from known
                raise error
        except BaseException as caught:
            before = caught
    assert before is not None
    return before


FULL = ("no space left", "free some disk space and run again")
BARRED = ("no permission", "make it writable", "run again")


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        (errno.ENOSPC, FULL),
        (errno.EDQUOT, FULL),
        (errno.EFBIG, FULL),
        (errno.EROFS, BARRED),
        (errno.EACCES, BARRED),
        (errno.EPERM, BARRED),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)
@pytest.mark.parametrize("where", ["/data/raw/x.parquet", None])
def test_system_errors_say_where_and_what_to_do(
    number: int, parts: tuple[str, ...], where: str | None
) -> None:
    told = explain(raised(OSError(number, os.strerror(number), where)))
    assert isinstance(told, InputError)
    assert [
        part for part in (*parts, where or "a store of the project") if part not in str(told)
    ] == []


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        KeyError("x"),
        ZeroDivisionError(),
        AssertionError(),
        RuntimeError("the disk is fine"),
        FileNotFoundError(errno.ENOENT, "No such file", "/x"),
        IsADirectoryError(errno.EISDIR, "Is a directory", "/x"),
        BlockingIOError(errno.EAGAIN, "try again"),
        OSError("no number"),
        KeyboardInterrupt(),
        sqlite3.OperationalError("no such table: runs"),
    ],
    ids=repr,
)
def test_faults_of_the_program_are_not_explained(error: BaseException) -> None:
    assert explain(raised(error)) is None


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ("attempt to write a readonly database", ("stores/", "readonly", "make stores/ writable")),
        ("unable to open database file", ("stores/", "unable to open", "make stores/ writable")),
        ("database or disk is full", ("no space left", "stores/", "free some disk space")),
        ("[Errno 27] File too large: 'a' -> 'b'", ("no space left", "free some disk space")),
        ("disk I/O error", ("no space left", "stores/", "free some disk space")),
    ],
)
def test_sqlite_messages(message: str, parts: tuple[str, ...]) -> None:
    inner = sqlite3.OperationalError(message)
    for error in (
        inner,
        sa.exc.OperationalError("INSERT INTO runs", {}, inner),
        RuntimeError(f"store: {message}\nmore"),
    ):
        told = explain(raised(error))
        assert isinstance(told, InputError)
        assert [part for part in parts if part not in str(told)] == []
        assert "\n" not in str(told)


def test_a_server_of_mlflow_that_asks_for_a_login_is_named() -> None:
    told = explain(
        RuntimeError(
            "API request to endpoint /api/2.0/x failed with error code 401 != 200. Body: 'log in\n'"
        )
    )
    assert told is not None
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in str(told)
    assert (
        explain(
            RuntimeError("API request to endpoint /api/2.0/x failed with error code 404 != 200.")
        )
        is None
    )


@pytest.mark.parametrize(
    ("why", "part"),
    [
        ("Max retries exceeded (Caused by ResponseError('too many 500 error responses'))", "full"),
        ("Max retries exceeded (Caused by ResponseError('too many 503 error responses'))", "full"),
        ("Max retries exceeded (Caused by NewConnectionError('refused'))", "start it"),
        ("", "start it"),
    ],
)
def test_a_server_of_mlflow_that_is_away_or_has_no_room_is_named(why: str, part: str) -> None:
    """As MLflow's client says it, after some minutes of trying."""
    failed = (
        f"exception HTTPConnectionPool(host='x', port=5000): {why}" if why else "timeout exception"
    )
    told = explain(RuntimeError(f"API request to http://x:5000/api/2.0/y failed with {failed}"))
    assert str(told).startswith("the MLflow server of MLFLOW_TRACKING_URI ")
    assert part in str(told)
    assert str(told).endswith("then run again: finished work is kept")


def test_a_server_of_mlflow_that_refuses_a_login_a_right_is_named() -> None:
    told = explain(
        RuntimeError(
            "API request to endpoint /api/2.0/x failed with error code 403 != 200. Response body: "
            "'Permission denied'"
        )
    )
    assert "does not let this login do that: ask who manages it" in str(told)


def test_real_read_only_database_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    sqlite3.connect(path).close()
    engine = sa.create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(sa.exc.OperationalError) as caught, engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE runs (x)"))
    engine.dispose()
    told = explain(caught.value)
    assert told is not None
    assert "make stores/ writable" in str(told)


def test_real_missing_folder_of_a_database_is_explained(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/nowhere/store.db")
    with pytest.raises(sa.exc.OperationalError) as caught:
        engine.connect()
    told = explain(caught.value)
    assert told is not None
    assert "unable to open database file" in str(told)


def test_input_errors_are_their_own_explanation() -> None:
    error = InputError("give a name")
    assert explain(error) is error
    bad = BadBatchError(BatchReport("a", 1, 0, 0, (), ("too old",)))
    assert explain(bad) is bad


@pytest.mark.parametrize("cause", [True, False], ids=["cause", "context"])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_the_chain_of_causes_is_followed(cause: bool, layers: int) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/stores/x")
    outer = [RuntimeError(f"store failed {layer}") for layer in range(layers)]
    told = explain(wrapped(full, *outer, cause=cause))
    assert told is not None
    assert "/stores/x" in str(told)
    asked = InputError("give a name")
    assert (
        explain(
            wrapped(asked, *(RuntimeError(f"task {layer}") for layer in range(layers)), cause=cause)
        )
        is asked
    )
    assert (
        explain(
            wrapped(
                KeyError("x"), *(RuntimeError(f"{layer}") for layer in range(layers)), cause=cause
            )
        )
        is None
    )


def test_the_outermost_fault_that_can_be_told_is_told() -> None:
    asked = InputError("give a name")
    assert explain(wrapped(OSError(errno.ENOSPC, "full", "/x"), asked)) is asked


@pytest.mark.parametrize("name", ["dataset.py", "expectations.py", "helper.py"])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = (\n", "line 1: '(' was never closed"),
        ("\nx = y\n", "line 2: NameError: name 'y' is not defined"),
    ],
)
def test_a_file_of_ones_own_that_cannot_be_loaded_is_named_with_its_line(
    tmp_path, name, code, said
):
    path = tmp_path / name
    path.write_text(code)
    with pytest.raises((SyntaxError, NameError)) as caught:
        exec(compile(path.read_text(), str(path), "exec"), {})
    assert explain(caught.value) is None
    keep(tmp_path)  # as a project does with its package
    assert str(explain(caught.value)) == f"{name}, {said}: correct it"


def test_a_fault_of_the_program_inside_such_a_file_stays_one(tmp_path):
    path = tmp_path / "dataset.py"
    path.write_text("def read():\n    return {}['x']\n")
    keep(tmp_path)
    space: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    with pytest.raises(KeyError) as caught:
        space["read"]()
    assert explain(caught.value) is None


# --- where it came from


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((9, 9), np.dtype("f4")),
        RuntimeError("what(): std::bad_alloc"),
        RuntimeError("common/io.h:362: bad_malloc: Failed to allocate 8000 bytes"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OSError(errno.ENOMEM, "Cannot allocate memory", "stores/.part-1-x.rows"),
    ],
    ids=repr,
)
def test_too_little_memory_is_one_sentence(error: BaseException) -> None:
    told = explain(raised(error))
    assert isinstance(told, InputError)
    assert [
        part
        for part in ("not enough memory", "split.train_batches", "sweep.jobs")
        if part not in str(told)
    ] == []


def test_where_an_error_of_the_system_came_from_is_kept_once(tmp_path: Path) -> None:
    error = raised(PermissionError(errno.EACCES, "Permission denied", "/x"))
    assert log_traceback(error, tmp_path / "stores")
    assert log_traceback(error, tmp_path / "stores")
    text = (tmp_path / "stores" / LOG).read_text()
    assert text.count("Traceback (most recent call last)") == 1
    assert "in raised" in text


def test_a_mistake_is_not_kept(tmp_path: Path) -> None:
    assert not log_traceback(raised(InputError("params.yaml: wrong")), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_does_not_grow_for_ever(tmp_path: Path) -> None:
    (tmp_path / LOG).write_bytes(b"x" * (LARGEST + 1))
    assert log_traceback(raised(PermissionError()), tmp_path)
    assert (tmp_path / LOG).stat().st_size < LARGEST


def test_where_nothing_can_be_kept_the_error_is_told_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "stores").write_text("")
    assert not log_traceback(raised(PermissionError()), tmp_path / "stores")
