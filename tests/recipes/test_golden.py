"""Golden outputs: what a step gives is what its number stands for, and a rule that is changed does not go unseen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import copy_tracked
from recipes import golden
from recipes.plain import plain

from evergreen import recipes
from evergreen.evaluation import evaluate
from evergreen.features import featurize, prepare
from evergreen.ingest import batches, folder
from evergreen.monitoring import monitor, performance, retrain
from evergreen.promotion import evidence, simplest
from evergreen.quality import held_batches, label_noise, leaks, univariate
from evergreen.training import linear, xgboost
from evergreen.validation.contract import Contract

# Great Expectations takes seconds to load, a gate for each task as well
SLOW = {"VALIDATE", "JUDGE"}
STEPS = [
    pytest.param(step, marks=pytest.mark.slow) if step in SLOW else step for step in golden.STEPS
]


@pytest.mark.parametrize("step", STEPS)
def test_outputs_are_those_of_the_number(step: str) -> None:
    said = golden.fault(step, golden.read().get(step), golden.digests(step))
    assert not said, said


def test_every_number_is_guarded() -> None:
    numbers = {name for name in vars(recipes) if name.isupper()}
    assert set(golden.STEPS) == set(golden.read()) == numbers


# --- what is told
# --------------------------------------------------------------------------------------------------

STORED = {"recipe": recipes.PREPARE, "digest": {"a": "1", "b": "2"}}


@pytest.mark.parametrize(
    ("stored", "found", "parts"),
    [
        (STORED, {"a": "1", "b": "2"}, None),
        (
            STORED,
            {"a": "1", "b": "3"},
            ("outputs of PREPARE changed (b)", "raise evergreen.recipes.PREPARE and run `python"),
        ),
        (STORED, {"a": "1"}, ("outputs of PREPARE changed (b)",)),
        (STORED, {"a": "1", "b": "2", "c": "3"}, ("outputs of PREPARE changed (c)",)),
        (
            STORED | {"recipe": recipes.PREPARE - 1},
            {"a": "1", "b": "2"},
            ("PREPARE is", "golden.py PREPARE` to store"),
        ),
        (
            STORED | {"recipe": recipes.PREPARE + 1},
            {"a": "1", "b": "3"},
            ("PREPARE is", "golden.py PREPARE` to store"),
        ),
        (None, {"a": "1"}, ("golden.json holds None",)),
    ],
)
def test_what_is_wrong_is_said(
    stored: Any, found: dict[str, str], parts: tuple[str, ...] | None
) -> None:
    said = golden.fault("PREPARE", stored, found)
    assert bool(said) == (parts is not None)
    assert [part for part in parts or () if part not in said] == []


def test_the_command_stores_what_a_step_gives_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = golden.read()
    monkeypatch.setattr(golden, "STORED", tmp_path / "golden.json")
    golden.STORED.write_text(json.dumps({"WATCH": {"recipe": 0, "digest": {}}, "GONE": {}}))
    monkeypatch.setattr(golden, "digests", lambda step: {"a": step})
    golden.store(["INGEST"])
    assert golden.read() == {
        "INGEST": {"recipe": recipes.INGEST, "digest": {"a": "INGEST"}},
        "WATCH": {"recipe": 0, "digest": {}},
    }
    assert set(stored) == set(golden.STEPS)


@pytest.mark.slow
def test_the_command_runs_as_the_message_says(tmp_path: Path) -> None:
    copy_tracked(tmp_path, "tests/recipes/", "tests/conftest.py", "tests/forking.py")
    script = golden.COMMAND.split()[1]
    stored = tmp_path / script.replace("golden.py", "golden.json")
    stored.unlink()
    done = subprocess.run(
        [sys.executable, script, "INGEST"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(stored.read_text()) == {"INGEST": golden.read()["INGEST"]}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (0.1 + 0.2, 0.3, True),
        (0.30001, 0.3, False),
        ([1.0, float("nan")], [1.0, float("nan")], True),
        (0.0, -0.0, True),
        (1, 1.5, False),
        ("moved by 0.25 since then", "shifted by 0.25 since that", True),
        ("moved by 0.25 since then", "moved by 0.26 since then", False),
        ("first", "second", False),
        (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1.0]}), False),
        (pl.DataFrame({"a": ["b c d e"]}), pl.DataFrame({"a": ["b c d f"]}), False),
    ],
)
def test_what_counts_of_an_output(one: Any, other: Any, same: bool) -> None:
    assert (golden.digest(plain(one)) == golden.digest(plain(other))) is same


# --- a rule that was changed
# ------------------------------------------------------------------------------------------

# Step, case, where a rule is, its name, what stands there instead
ATTACKS: dict[str, tuple[str, str, Any, str, Any]] = {
    "what says true": ("INGEST", "a query", batches, "typed", lambda frame, columns: frame),
    "what says nothing": ("INGEST", "files", folder, "NULLS", ["", "-"]),
    "rows to come": ("VALIDATE", "spoilt rows", Contract, "_with_times_to_come", lambda contract, parsed: parsed),
    "what is known later": ("VALIDATE", "without labels, rules of every kind", Contract, "_holds_in_time", lambda *_: True),
    "rare levels": (
        "PREPARE", "binary", prepare, "fit_encoder", lambda *given, real=prepare.fit_encoder: real(*given[:4], 1, given[5]),
    ),
    "rows left out": ("PREPARE", "no key", featurize, "_leave_out_for", lambda rows, reasons: (rows, {})),
    "two alike": ("HOLD", "the world has changed", held_batches, "is_same_anomaly", lambda *_: False),
    "a short batch": ("HOLD", "a few days", held_batches, "_is_short", lambda entry: False),
    "a loss": ("TRAIN", "multiclass", xgboost, "LOSSES", xgboost.LOSSES | {"multiclass": "merror"}),
    "a penalty": ("TRAIN", "regression", linear, "PENALTIES", [1e4]),
    "groups": ("JUDGE", "binary: gate", evidence, "find_group_differences", lambda *_: {}),
    "near copies": ("JUDGE", "regression: leaks", leaks, "find_near_copies", lambda tables: (0, 0.0)),
    "a feature by itself": ("JUDGE", "binary: leaks", univariate, "FEWEST", 10_000),
    "several together": ("JUDGE", "binary: leaks", leaks, "find_joint", lambda *_: None),
    "odd labels": ("JUDGE", "regression: label noise", label_noise, "DEVIATIONS", 50),
    "who is simplest": ("JUDGE", "binary: pick", simplest, "_only_trees_learn", lambda *_: True),
    "an interval": ("JUDGE", "multiclass: metrics", evaluate, "bootstrap", lambda *_, **__: {}),
    "a brake": ("WATCH", "policies", retrain, "_brakes", lambda case: iter(())),
    "trust": ("WATCH", "binary: seen", monitor, "adjust", lambda one, past, confidence: one),
    "a calibration": ("WATCH", "binary: seen", performance, "BINS", 3),
}  # fmt: skip


def test_each_step_is_attacked() -> None:
    assert {attack[0] for attack in ATTACKS.values()} == set(golden.STEPS)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if one[0] in SLOW else name
        for name, one in ATTACKS.items()
    ],
)
def test_a_changed_rule_turns_the_check_red(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step, case, place, rule, instead = ATTACKS[name]
    stored = golden.read()[step]
    monkeypatch.setattr(place, rule, instead)
    found = stored["digest"] | golden.digests(step, case)
    said = golden.fault(step, stored, found)
    assert said.startswith(f"outputs of {step} changed ({case}): raise evergreen.recipes.{step}")
