"""A thousand recorded decisions and runs: what a person waits for is still there at once."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest

from evergreen.stores.outside import warnings
from evergreen.stores.registry import Registry

pytestmark = pytest.mark.slow  # real stores
MANY = 1000
KEEPS = ("params", "tags")


def multiply(database, run_id, times):
    """Copy a run with its parameters and tags, one millisecond older each time."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        (run,) = map(dict, connection.execute("SELECT * FROM runs WHERE run_uuid = ?", [run_id]))
        rows = {
            table: [
                dict(row)
                for row in connection.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", [run_id])
            ]
            for table in KEEPS
        }
        for at in range(times):
            new = {"run_uuid": f"{at:032x}", "start_time": run["start_time"] - at - 1}
            copies = {"runs": [run | new]} | {
                table: [row | {"run_uuid": new["run_uuid"]} for row in rows[table]]
                for table in KEEPS
            }
            for table, copied in copies.items():
                for row in copied:
                    names, marks = ", ".join(row), ", ".join("?" * len(row))
                    connection.execute(
                        f"INSERT INTO {table} ({names}) VALUES ({marks})", [*row.values()]
                    )
        connection.commit()


def test_a_thousand_decisions_are_read_within_seconds(open_tracker, stores, capsys):
    tracker = open_tracker(store=stores.lived)
    first = Registry(tracker).events.history()[0]
    multiply(tracker.project.stores / "mlflow.db", first.run_id, MANY)
    registry = Registry(tracker)
    took = {}
    for name, act in {
        "history": registry.events.history,
        "champion": registry.champion,
        "aliases": registry.aliases,
        "warnings": lambda: warnings(registry),
    }.items():
        began = time.process_time()
        found = act()
        took[name] = time.process_time() - began
        if name == "history":
            assert len(found) == MANY + 3
    with capsys.disabled():
        print(f"\n{MANY} decisions:", ", ".join(f"{name} {s:.2f} s" for name, s in took.items()))
    assert registry.champion() == "3"
    assert max(took.values()) < 10, took
