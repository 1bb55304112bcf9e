"""Memory: rows go to disk where they would not fit, and what does not fit at all is one error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from evergreen.errors import InputError
from evergreen.params import Params
from evergreen.project import Project
from evergreen.training import memory
from evergreen.training.memory import Need, need_of, place_rows
from evergreen.training.seeds import Slots

SLOTS = Slots(4, 2)
NEED = Need(1_000_000, 30, in_memory=9e9, external=2e9, least=5e8)
ABSOLUTE = {"loss": "absolute"}


def place(
    monkeypatch: pytest.MonkeyPatch, free: float, wanted: str, device: str = "cpu", **train: Any
) -> tuple[Slots, str]:
    monkeypatch.setattr(memory, "need_of", lambda *_: NEED)
    monkeypatch.setattr("evergreen.ingest.memory.free_memory", lambda: free)
    params = Params(task="regression", compute={"memory": wanted}, train={"subsample": 0.8} | train)
    return place_rows(Project(Path()), params, SLOTS, device)


@pytest.mark.parametrize(
    ("free", "wanted", "on_disk"),
    [
        (10e9, "auto", False),
        (9e9, "auto", False),
        (8e9, "auto", True),
        (2e9, "auto", True),
        (8e9, "in-memory", False),  # as a person wants it
        (10e9, "external", True),
        (1e9, "external", True),
    ],
)
def test_rows_lie_on_disk_where_they_do_not_fit(
    free: float, wanted: str, on_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots, said = place(monkeypatch, free, wanted)
    assert slots == (Slots(1, 8, on_disk=True) if on_disk else SLOTS)
    told = f"external: 1,000,000 rows of 30 features take about 9.0 GB in memory, and {free / 1e9}"
    assert said.startswith(told if on_disk else "in-memory")


@pytest.mark.parametrize(
    ("free", "wanted", "changes", "parts"),
    [
        (1e9, "auto", {}, ("about 2,000 MB", "1,000 MB are free", "split.train_batches", "external",
                           "more memory")),
        (4e8, "external", {}, ("at least 500 MB", "400 MB are free", "split.train_batches",
                               "smaller ones", "more memory")),
        (8e9, "auto", ABSOLUTE, ("train.loss absolute", "set train.subsample to 1")),
        (10e9, "external", {"device": "cuda"}, ("the device is cuda", "train.device to cpu")),
        (8e9, "auto", {"device": "cuda"}, ("the device is cuda",)),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_on_is_one_clear_error(
    free: float,
    wanted: str,
    changes: dict[str, Any],
    parts: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = changes.pop("device", "cpu")
    monkeypatch.setattr("evergreen.training.xgboost.takes_wrong_leaves", lambda: True)
    with pytest.raises(InputError) as caught:
        place(monkeypatch, free, wanted, device, **changes)
    assert [part for part in parts if part not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


def test_another_learner_takes_rows_on_disk_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    slots, _ = place(monkeypatch, 8e9, "auto", learner="linear", loss="auto")
    assert slots.on_disk


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ((10_000, 1000, 10, 1), (20_000, 1000, 10, 1)),
        ((10_000, 1000, 10, 1), (10_000, 2000, 10, 1)),
        ((10_000, 1000, 10, 1), (10_000, 1000, 20, 1)),
        ((10_000, 1000, 10, 1, 2), (10_000, 1000, 10, 1, 5)),
    ],
)
def test_more_of_anything_needs_more(less: tuple[int, ...], more: tuple[int, ...]) -> None:
    a, b = Need.of(*less), Need.of(*more)
    assert a.in_memory < b.in_memory
    assert a.external < b.external
    assert a.least <= a.external <= a.in_memory


def test_many_models_at_once_need_more_in_memory_alone() -> None:
    few, many = (Need.of(1_000_000, 1000, 10, models) for models in (1, 8))
    assert few.in_memory < many.in_memory
    assert few.external == many.external  # they take turns


def prepared(root: Path, task: str = "binary") -> Project:
    """Return a project of which only what is counted is there."""
    project = Project(root)
    project.features.mkdir(parents=True)
    part = {"batches": ["a", "b"], "start": None, "end": None}
    split = {"train": part, "validation": part, "holdout": {**part, "batches": ["c"]}}
    encoder = {"task": task, "features": ["x", "y"], "levels": {}, "classes": ["1", "2", "3"],
               "fitted_on": ["a"]}  # fmt: skip
    for name, content in (("split", split), ("encoder", encoder)):
        (project.features / f"{name}.json").write_text(json.dumps({"format": 1, **content}))
    entries = {name: {"rows": rows} for name, rows in {"a": 5, "b": 70, "c": 9, "d": 500}.items()}
    (project.features / "manifest.json").write_text(json.dumps(entries))
    return project


@pytest.mark.parametrize(("task", "classes"), [("binary", 1), ("multiclass", 3)])
def test_the_need_is_of_what_is_prepared(task: str, classes: int, tmp_path: Path) -> None:
    project = prepared(tmp_path, task)
    assert need_of(project, Params(task=task), SLOTS) == Need.of(84, 70, 2, 4, classes)


def test_a_run_that_would_be_killed_after_its_training_says_so_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few rows under a control group that leaves no room for the process that loads the model."""
    project, groups = prepared(tmp_path), tmp_path / "groups"
    groups.mkdir()
    monkeypatch.setattr("evergreen.ingest.memory.GROUPS", groups)
    monkeypatch.setattr("evergreen.ingest.memory.OWN", tmp_path / "none")
    (groups / "memory.stat").write_text("inactive_file 5000000\n")
    (groups / "memory.current").write_text("700000000\n")
    params = Params(task="binary", compute={"memory": "external"})
    for limit, fits in ((1_000_000_000, True), (760_000_000, False)):
        (groups / "memory.max").write_text(f"{limit}\n")
        if fits:
            assert place_rows(project, params, SLOTS, "cpu")[0].on_disk
            continue
        with pytest.raises(InputError, match=r"at least 100 MB .*, and 65 MB are free: .*fewer"):
            place_rows(project, params, SLOTS, "cpu")


@pytest.mark.parametrize("error", [OSError, TypeError, AttributeError])
def test_another_system_keeps_freed_memory_as_it_does(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctypes.CDLL", Mock(side_effect=error))
    memory.hold_less()


HELD = """
import re, sys, threading
from pathlib import Path
import numpy as np
from evergreen.training.memory import hold_less

def held():
    return int(re.findall(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[0]) / 1e3

def work():
    for size in range(1, 9):  # glibc takes from its heap what was freed once
        np.ones(size * 2**20)
    kept.append([np.ones(2**17) for _ in range(200)])

kept = []
if sys.argv[1:]:
    hold_less()
threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
before = held()
kept = [rows[-1:] for rows in kept]  # what was taken last
print(before - held())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_freed_memory_goes_back_at_once() -> None:
    """400 arrays of 1 MiB of two threads, of which two stay."""
    back = [
        float(
            subprocess.run(
                [sys.executable, "-c", HELD, *how], capture_output=True, check=True
            ).stdout
        )
        for how in ([], ["hold less"])
    ]
    assert back[0] < 100
    assert back[1] > 390


TOO_SMALL = """
import resource
import numpy as np, psutil, xgboost
from evergreen.errors import explain
from evergreen.params import Train
from evergreen.training.tables import Table, Tables
from evergreen.training.xgboost import build_matrix

x = np.random.default_rng(0).normal(size=(2_000_000, 20)).astype(np.float32)
table = Table(x, x[:, 0].copy())
names = tuple(f"n{at}" for at in range(20))
tables = Tables("regression", names, (), (), table, table.none(), table.none())
room = psutil.Process().memory_info().vms + 30_000_000
resource.setrlimit(resource.RLIMIT_AS, (room, room))
for work in (lambda: build_matrix(tables, Train(), 1), lambda: np.ones((2_000_000, 20))):
    try:
        work()
        print("fits")
    except Exception as error:
        print(explain(error))
"""


@pytest.mark.slow
def test_where_the_estimate_was_too_small_one_sentence_says_so() -> None:
    """By XGBoost and by numpy, with less memory than either asks for."""
    done = subprocess.run(
        [sys.executable, "-c", TOO_SMALL], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 2
    for line in said:
        assert line.startswith("not enough memory: close other programs, keep rows on disk")
