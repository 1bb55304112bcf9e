"""Blocks: rows of the split are the same wherever they lie, and leave no file behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evergreen.features.encoder import Encoder
from evergreen.features.keys import KEY, hash_rows
from evergreen.features.split import LABEL, TIME, Part, read_part
from evergreen.project import Project
from evergreen.training import blocks
from evergreen.training.blocks import encode_parts

ENCODER = Encoder("binary", ("n", "c"), {"c": ("a", "b")}, ("false", "true"), ("one", "two"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose features are two batches of 50 rows."""
    found = Project(tmp_path)
    found.features.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for batch, name in enumerate(("one", "two")):
        start = datetime(2026, 1, 1 + batch)  # noqa: DTZ001
        pl.DataFrame(
            {
                KEY + "id": np.arange(50) + 50 * batch,
                "n": draw.normal(size=50),
                "c": draw.choice(["a", "b", "z"], 50),
                LABEL: draw.choice(["false", "true"], 50),
                "_slice_unused": ["x"] * 50,
            }
        ).with_columns(
            pl.Series(TIME, [start + timedelta(minutes=10 * row) for row in range(50)])
        ).write_parquet(found.features / f"{name}.parquet")
    return found


PARTS = {
    "all": [Part(("one", "two"), None, None)],
    "from a moment on": [Part(("one", "two"), "2026-01-01 05:00:00", None)],
    "by key": [Part(("one", "two"), None, None, (0.0, 0.7))],
    "one after the other": [Part(("two",), None, None), Part(("one",), None, None)],
    "no row": [Part(("one",), "2027-01-01 00:00:00", None)],
    "no part": [],
}


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("parts", PARTS.values(), ids=list(PARTS))
def test_rows_are_those_of_the_whole_table(
    parts: list[Part], on_disk: bool, project: Project
) -> None:
    found = encode_parts(project, parts, ENCODER, on_disk=on_disk)
    whole = [read_part(project, part) for part in parts]
    rows = pl.concat(whole) if whole else pl.DataFrame()
    assert len(found) == rows.height
    assert found.x.shape == (rows.height, 2)
    assert found.on_disk == (on_disk and rows.height > 0)
    assert isinstance(found.keys.base, np.memmap) == found.on_disk  # they are not in memory either
    if rows.height:
        np.testing.assert_array_equal(found.x, ENCODER.transform(rows))
        np.testing.assert_array_equal(found.y, ENCODER.transform_label(rows[LABEL]))
        np.testing.assert_array_equal(found.keys, hash_rows(rows))
    assert not list(project.stores.glob(".*")) + list(project.stores.glob("*"))


def test_what_fails_in_the_middle_leaves_no_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blocks, "_append", fail)
    with pytest.raises(OSError, match="No space left"):
        encode_parts(project, PARTS["all"], ENCODER, on_disk=True)
    assert not list(project.stores.glob(".*"))


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from evergreen.params import Train
from evergreen.training import xgboost
from evergreen.training.blocks import _write
from evergreen.training.tables import Table, Tables
import xgboost as xgb

x = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
table = Table(_write(iter([x]), 3, Path(sys.argv[1])), (x[:, 0] > 0).astype(np.float32))
tables = Tables("binary", ("a", "b", "c"), (), ("no", "yes"), table, table.none(), table.none())
matrix = xgboost.build_matrix(tables, Train(), 1)

class Kill(xgb.callback.TrainingCallback):
    def after_iteration(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)

xgb.train({"max_bin": 256}, matrix.train, 5, callbacks=[Kill()])
"""


@pytest.mark.slow
def test_the_run_after_a_killed_one_finds_nothing_of_it(tmp_path: Path) -> None:
    project = Project(tmp_path)
    command = [sys.executable, "-c", KILLED, str(project.stores)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = project.stores.glob(".part-*")  # what was binned; the rows have no name
    assert left.is_dir()
    assert left.suffix == ".bins"
    assert list(left.iterdir())
    with project.lock():
        assert not list(project.stores.glob(".part-*"))
    assert os.path.exists(project.stores)  # noqa: PTH110
