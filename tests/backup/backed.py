"""What stands for a registry in these tests: a table of versions, and a file for each."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from evergreen.project import Project


def register(project: Project, version: int) -> Path:
    """Write a model's file, then the row that names it, as the registry does."""
    place = project.stores / "mlflow" / "models" / f"m-{version}" / "model.ubj"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"%d" % version * 1000)
    with closing(sqlite3.connect(project.stores / "mlflow.db", timeout=60)) as db, db:
        db.execute("CREATE TABLE IF NOT EXISTS versions (number INTEGER, place VARCHAR(99))")
        db.execute("INSERT INTO versions VALUES (?, ?)", (version, str(place.parent)))
    return place


def registered(root: Path) -> dict[int, str]:
    """Return number -> folder of the versions that the database below `root` knows."""
    with closing(sqlite3.connect(root / "stores" / "mlflow.db")) as db:
        return dict(db.execute("SELECT * FROM versions"))
