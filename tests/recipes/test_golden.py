"""Golden outputs: a step gives what its recipe's number stands for; a changed rule is noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import copy_tracked
from recipes import golden
from recipes.plain import differences, plain, within

from evergreen import recipes
from evergreen.evaluation import evaluate
from evergreen.features import featurize, prepare
from evergreen.ingest import batches, folder
from evergreen.monitoring import monitor, performance, retrain
from evergreen.promotion import judge, simplest
from evergreen.quality import held_batches, label_noise, leaks, univariate
from evergreen.training import linear, losses
from evergreen.validation.contract import Contract

pytestmark = pytest.mark.slow  # farms, people and gates of each task: seconds a step


@pytest.mark.parametrize("step", golden.STEPS)
def test_outputs_are_those_of_the_number(step: str) -> None:
    said = golden.fault(step, golden.read(step), golden.outputs(step))
    assert not said, said


def test_every_number_is_guarded() -> None:
    numbers = {name for name in vars(recipes) if name.isupper()}
    stored = {path.name.removesuffix(".json.xz") for path in golden.STORED.iterdir()}
    assert set(golden.STEPS) == stored == numbers


# --- what is told

STORED = {"recipe": recipes.PREPARE, "outputs": {"a": "1", "b": [1, 2]}}


@pytest.mark.parametrize(
    ("stored", "found", "parts"),
    [
        (STORED, {"a": "1", "b": [1, 2]}, None),
        (
            STORED,
            {"a": "1", "b": [1, 3]},
            (
                "outputs of PREPARE changed (b)",
                "raise evergreen.recipes.PREPARE and run `python",
                "/1 is 3 and was 2",
            ),
        ),
        (STORED, {"a": "1"}, ("outputs of PREPARE changed (b)",)),
        (STORED, {"a": "1", "b": [1, 2], "c": "3"}, ("outputs of PREPARE changed (c)",)),
        (
            STORED | {"recipe": recipes.PREPARE - 1},
            {"a": "1", "b": [1, 2]},
            ("PREPARE is", "golden.py PREPARE` to store"),
        ),
        (
            STORED | {"recipe": recipes.PREPARE + 1},
            {"a": "1", "b": [1, 3]},
            ("PREPARE is", "golden.py PREPARE` to store"),
        ),
        (None, {"a": "1"}, ("what is stored is of None",)),
    ],
)
def test_what_is_wrong_is_said(
    stored: Any, found: dict[str, Any], parts: tuple[str, ...] | None
) -> None:
    said = golden.fault("PREPARE", stored, found)
    assert bool(said) == (parts is not None)
    assert [part for part in parts or () if part not in said] == []


def test_the_command_stores_what_a_step_gives_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "STORED", tmp_path / "golden")
    monkeypatch.setattr(golden, "outputs", lambda step: {"a": [step, 0.25]})
    golden.store(["INGEST"])
    assert golden.read("INGEST") == {"recipe": recipes.INGEST, "outputs": {"a": ["INGEST", 0.25]}}
    assert golden.read("WATCH") is None


def test_the_command_runs_as_the_message_says(tmp_path: Path) -> None:
    copy_tracked(tmp_path, "tests/recipes/", "tests/conftest.py", "tests/forking.py")
    script = golden.COMMAND.split()[1]
    stored = tmp_path / "tests" / "recipes" / "golden" / "INGEST.json.xz"
    stored.unlink()
    done = subprocess.run(
        [sys.executable, script, "INGEST"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert stored.read_bytes() == (golden.STORED / stored.name).read_bytes()


@pytest.mark.parametrize(
    ("stored", "found", "same"),
    [
        (0.1 + 0.2, 0.3, True),
        (0.300001, 0.3, True),
        (0.30001, 0.3, False),
        (1e-8, -1e-8, True),
        (0.0, 1e-5, False),
        (123456, 123457, False),
        ([1.0, float("nan")], [1.0, float("nan")], True),
        ([1.0, 2.0], [1.0], False),
        (0.0, -0.0, True),
        (1, 1.5, False),
        (1, 1.0, False),
        (True, 1, False),
        (within(0.05, [0.5, None]), within(0.05, [0.53, None]), True),
        (within(0.05, [0.5, "a"]), within(0.05, [0.56, "a"]), False),
        (within(0.05, 30.0), within(0.05, 31.0), True),
        ("moved by 0.25 since then", "shifted by 0.25 since that", True),
        ("moved by 0.25 since then", "moved by 0.26 since then", True),  # on an edge
        ("moved by 0.25 since then", "moved by 0.27 since then", False),
        ("the same in 0.1 of all", "the same in 0.0999 of all", True),
        ("the same in 0.1 of all", "the same in 0.08 of all", False),
        ("a value of 3.1e-05 by chance", "a value of 3.2e-05 by chance", True),
        ("a value of 3.1e-05 by chance", "a value of 3.1e-04 by chance", False),
        ("seen in 1,250 of 2,000 rows", "seen in 1,251 of 2,000 rows", False),
        ("seen in 12% of all rows", "seen in 13% of all rows", True),
        ("seen in 12% of all rows", "seen in 14% of all rows", False),
        ("seen in 12 of all rows", "seen in all of all rows", False),
        ("first", "second", False),
        ({"a": 1}, {"b": 1}, False),
        (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1.0]}), False),
        (pl.DataFrame({"a": ["b c d e"]}), pl.DataFrame({"a": ["b c d f"]}), False),
    ],
)
def test_what_counts_of_an_output(stored: Any, found: Any, same: bool) -> None:
    assert (not [*differences(plain(stored), plain(found))]) is same


# --- a rule that was changed

# Step, case, where a rule is, its name, what stands there instead
ATTACKS: dict[str, tuple[str, str, Any, str, Any]] = {
    "what says true": ("INGEST", "a query", batches, "typed", lambda frame, columns: frame),
    "what says nothing": ("INGEST", "files", folder, "NULLS", ["", "-"]),
    "rows to come": ("VALIDATE", "spoilt rows", Contract, "_with_times_to_come",
                     lambda contract, parsed: parsed),
    "what is known later": ("VALIDATE", "without labels, rules of every kind", Contract,
                            "_holds_in_time", lambda *_: True),
    "rare levels": (
        "PREPARE", "binary", prepare, "fit_encoder",
        lambda *given, real=prepare.fit_encoder: real(*given[:4], 1, given[5]),
    ),
    "rows left out": ("PREPARE", "no key", featurize, "_leave_out_for",
                      lambda rows, reasons: (rows, {})),
    "two alike": ("HOLD", "the world has changed", held_batches, "is_same_anomaly",
                  lambda *_: False),
    "a short batch": ("HOLD", "a few days", held_batches, "_is_short", lambda entry: False),
    "a loss": ("TRAIN", "multiclass", losses, "OF_CLASSES", ("multi:softprob", "merror")),
    "a penalty": ("TRAIN", "regression", linear, "PENALTIES", [1e4]),
    "groups": ("JUDGE", "binary: gate", judge, "find_group_differences", lambda *_: {}),
    "near copies": ("JUDGE", "regression: leaks", leaks, "find_near_copies",
                    lambda tables: (0, 0.0)),
    "a feature by itself": ("JUDGE", "binary: leaks", univariate, "FEWEST", 10_000),
    "several together": ("JUDGE", "binary: leaks", leaks, "find_joint", lambda *_: None),
    "odd labels": ("JUDGE", "regression: label noise", label_noise, "DEVIATIONS", 50),
    "who is simplest": ("JUDGE", "binary: pick", simplest, "_only_trees_learn", lambda *_: True),
    "an interval": ("JUDGE", "multiclass: metrics", evaluate, "bootstrap", lambda *_, **__: {}),
    "a brake": ("WATCH", "policies", retrain, "find_brakes", lambda case: iter(())),
    "trust": ("WATCH", "binary: seen", monitor, "adjust",
              lambda estimate, past, confidence: estimate),
    "a calibration": ("WATCH", "binary: seen", performance, "BINS", 3),
}  # fmt: skip


def test_each_step_is_attacked() -> None:
    assert {attack[0] for attack in ATTACKS.values()} == set(golden.STEPS)


FIRST = {attack[0]: name for name, attack in reversed(ATTACKS.items())}.values()  # one of each step


@pytest.mark.parametrize(
    "name",
    [name if name in FIRST else pytest.param(name, marks=pytest.mark.long) for name in ATTACKS],
)
def test_a_changed_rule_turns_the_check_red(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step, case, place, rule, instead = ATTACKS[name]
    stored = golden.read(step)
    assert stored
    monkeypatch.setattr(place, rule, instead)
    found = stored["outputs"] | golden.outputs(step, case)
    said = golden.fault(step, stored, found)
    assert said.startswith(f"outputs of {step} changed ({case}): raise evergreen.recipes.{step}")
