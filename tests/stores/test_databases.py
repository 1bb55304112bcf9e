"""Databases: there whole or not at all; one that cannot be used is named with what to do."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import refusal
from empty_stores import forget_mlflow

from evergreen.errors import BusyError, InputError, explain
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores import databases
from evergreen.stores.databases import check, is_half_made, prepare
from evergreen.stores.tracking import Tracker

ROWS = [(f"run {number}", "x" * 200) for number in range(2000)]


def database(path, rows=ROWS):
    """A database with a table of runs, of some hundred pages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE runs (run_uuid TEXT, name TEXT)")
        connection.executemany("INSERT INTO runs VALUES (?, ?)", rows)
    return path


def cut(share):
    def act(path):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return act


DAMAGED = {
    "cut in half": cut(0.5),
    "without its last page": lambda path: path.write_bytes(path.read_bytes()[:-4096]),
    "cut after its header": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "no database": lambda path: path.write_bytes(
        b"no database at all, whatever its name says" * 30
    ),
    "its header gone": lambda path: path.write_bytes(bytes(100) + path.read_bytes()[100:]),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_database_is_named_with_the_remedy(how, tmp_path):
    path = database(tmp_path / "a folder" / "mlflow.db")
    check(path, "bring it back")
    DAMAGED[how](path)
    with pytest.raises(InputError, match=r"mlflow.db is damaged .*: bring it back"):
        check(path, "bring it back")


@pytest.mark.parametrize("name", ["what?", "a%20b", """it's "so\"""", """"so" isn't"""])
def test_a_folder_that_mlflow_would_misread_is_refused(name, tmp_path):
    refusal(lambda: databases.check_place(tmp_path / name), name, "move the project")


@pytest.mark.parametrize("name", ["it's so", 'the "so" one', "50% off", "a $HOME p\xf6"])
def test_a_folder_with_another_odd_name_is_not(name, tmp_path):
    databases.check_place(tmp_path / name)


def test_a_database_in_use_is_whole(tmp_path):
    """With what was written since in its log beside it, and while somebody writes."""
    path = database(tmp_path / "prefect.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executemany("INSERT INTO runs VALUES (?, ?)", ROWS)
        check(path, "bring it back")


def test_a_database_that_is_held_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "PATIENCE", 0.01)
    path = database(tmp_path / "mlflow.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(
            BusyError, match=r"mlflow.db is held by another process: wait .* run again"
        ):
            check(path, "bring it back")
    check(path, "bring it back")


@pytest.mark.parametrize(("there", "said"), [(None, "is missing"), (b"", r"is empty \(0 bytes\)")])
def test_artifacts_without_their_database_are_no_new_store(there, said, tmp_path):
    path, artifacts = tmp_path / "mlflow.db", tmp_path / "mlflow"
    (artifacts / "1" / "models").mkdir(parents=True)
    (artifacts / "1" / "models" / "MLmodel").write_text("flavors:")
    if there is not None:
        path.write_bytes(there)
    with pytest.raises(
        InputError,
        match=rf"mlflow.db {said}, but .*mlflow holds what earlier runs made: .*backup.*`mv",
    ):
        prepare(path, artifacts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "files", "kept"), [([], [], False), (ROWS, [], True), ([], ["a model"], True)]
)
def test_only_a_database_that_holds_nothing_is_made_anew(rows, files, kept, tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "make", lambda path, _: path.write_bytes(b"made anew"))
    path, artifacts = database(tmp_path / "mlflow.db", rows), tmp_path / "mlflow"
    for name in files:
        artifacts.mkdir()
        (artifacts / name).write_text("")
    prepare(path, artifacts)
    assert (path.read_bytes() != b"made anew") is kept


@pytest.mark.slow
def test_a_whole_database_without_runs_is_left_alone(empty_store):
    assert not is_half_made(empty_store)


def test_a_locked_database_met_later_is_explained():
    error = explain(sqlite3.OperationalError("database is locked"))
    assert isinstance(error, BusyError)
    assert "held by another process" in str(error)
    damaged = explain(sqlite3.DatabaseError("database disk image is malformed"))
    assert "is damaged" in str(damaged)
    assert "evergreen doctor" in str(damaged)


# --- MLflow's own


def half_made(path):
    """What a kill of a first start used to leave: some tables, and one of a later step."""
    from mlflow.store.db.utils import create_sqlalchemy_engine
    from mlflow.store.tracking.dbmodels.initial_models import Base

    path.parent.mkdir(parents=True)
    engine = create_sqlalchemy_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE registered_models (name TEXT)")


@pytest.fixture
def tracker(tmp_path, monkeypatch):
    forget_mlflow(monkeypatch)
    return Tracker(Project(tmp_path / "project"), Params())


@pytest.mark.slow
def test_a_first_start_that_was_cut_is_finished(tracker):
    half_made(tracker._database)
    assert tracker.client.get_experiment_by_name(tracker.params.tracking.experiment) is None
    assert tracker.experiment
    assert sorted(path.name for path in tracker.project.stores.iterdir()) == [
        "mlflow.db",
        "mlflow.lock",
    ]


@pytest.mark.slow
def test_a_database_that_mlflow_cannot_open_is_kept_where_it_holds_runs(tracker):
    half_made(tracker._database)
    with closing(sqlite3.connect(tracker._database)) as connection, connection:
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage) "
            "VALUES (1, 'x', 'active')"
        )
        connection.execute("INSERT INTO runs (run_uuid, experiment_id) VALUES ('a', 1)")
    with pytest.raises(
        InputError,
        match=r"MLflow cannot open .*mlflow.db .*already exists.*: keep a copy.*mlflow db upgrade",
    ):
        _ = tracker.client
    assert tracker._database.exists()


@pytest.mark.slow
def test_a_kill_while_the_database_is_made_leaves_none(tracker, monkeypatch, empty_store):
    class Killed(BaseException):
        pass

    def die(engine):
        engine.raw_connection().execute("CREATE TABLE half (made TEXT)")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("mlflow.store.db.utils._initialize_tables", die)
        with pytest.raises(Killed):
            _ = tracker.client
    assert not tracker._database.exists()
    assert not tracker.is_there
    shutil.copy2(empty_store, tracker._database)  # as the next start makes it
    assert tracker.experiment


def test_a_database_that_moved_names_its_new_folder(tmp_path: Path) -> None:
    told = {
        "/home/a b": "/new/p",
        "/home/a b/stores/m-1": "/new/p/stores/m-1",
        "/home/a bc/stores": "/home/a bc/stores",
        "of /home/a b": "of /home/a b",
    }
    with closing(sqlite3.connect(tmp_path / "store.db")) as store, store:
        store.execute("CREATE TABLE runs (place VARCHAR(99), number INTEGER)")
        store.executemany("INSERT INTO runs VALUES (?, 7)", [(place,) for place in told])
    databases.move(tmp_path / "store.db", "/home/a b", "/new/p")
    with closing(sqlite3.connect(tmp_path / "store.db")) as store:
        assert store.execute("SELECT place, number FROM runs").fetchall() == [
            (place, 7) for place in told.values()
        ]


@pytest.mark.slow  # loads SQLAlchemy
def test_only_the_database_that_is_being_made_is_not_synced_at_each_step(tmp_path):
    import sqlalchemy

    def synced(name):
        engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / name}")
        with engine.connect() as connection:
            found = connection.execute(sqlalchemy.text("PRAGMA synchronous")).scalar()
        engine.dispose()
        return bool(found)

    with databases._unsynced(tmp_path / "made.db"):
        assert (synced("made.db"), synced("other.db")) == (False, True)
    assert synced("made.db")
