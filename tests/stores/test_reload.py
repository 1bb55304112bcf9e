"""Reloading: a new process predicts the same bits, and refuses an altered model."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from registries import (
    ROWS,
    TASKS,
    add,
    alter,
    in_this_process,
    package,
    stored,
)

from evergreen.errors import InputError
from evergreen.scoring.package import read_package
from evergreen.stores.reload import without_sklearn

pytestmark = pytest.mark.slow  # real stores


@pytest.mark.parametrize(("task", "at_once"), [*((task, 50_000) for task in TASKS), ("binary", 7)])
def test_a_reloaded_model_predicts_the_same_bits(task, at_once, registry, tmp_path, monkeypatch):
    monkeypatch.setattr("evergreen.stores.reload.AT_ONCE", at_once)
    monkeypatch.setattr("evergreen.stores.reload.subprocess", SimpleNamespace(run=in_this_process))
    folder = package(tmp_path / "package", task, seeds=(0, 1))
    add(registry, "print", folder, task)
    found, expected = (
        registry.versions.predict_reloaded("1", ROWS),
        read_package(folder).predict_rows(ROWS),
    )
    assert found.dtype == expected.dtype == np.float32
    assert (found.shape, found.tobytes()) == (expected.shape, expected.tobytes())
    with pytest.raises(
        InputError, match=r"version 1 of 'evergreen': a new process cannot load it: .*first"
    ):
        registry.versions.predict_reloaded("1", ROWS.drop("first"))


def test_a_new_process_predicts_the_same_bits_and_refuses_an_altered_model(registry, tmp_path):
    folder = package(tmp_path / "package", "multiclass", seeds=(0, 1))
    for fingerprint in ("one", "two"):
        add(registry, fingerprint, folder, "multiclass")
    alter(stored(registry, "2"), "a byte of a booster")
    with ThreadPoolExecutor() as pool:  # each process imports for seconds
        whole, altered = (
            pool.submit(registry.versions.predict_reloaded, number, ROWS) for number in "12"
        )
        assert whole.result().tobytes() == read_package(folder).predict_rows(ROWS).tobytes()
        with pytest.raises(
            InputError, match=r"version 2 .* cannot load it: .*seed-0.ubj .* do not use this model"
        ):
            altered.result()


LOADED = """
import sys
from pathlib import Path
from evergreen.stores import reload

rows, predictions = f"{sys.argv[1]}.parquet", f"{sys.argv[1]}.npy"
reload.main(sys.argv[1], rows, predictions)
there = {"xgboost", "sklearn", "pandas", "matplotlib", "prefect", "mlflow"} & sys.modules.keys()
import sklearn
print(*sorted(there))
"""


def test_the_new_process_loads_what_the_model_needs_alone(tmp_path):
    folder = package(tmp_path / "package", "binary", seeds=(0,))
    ROWS.write_parquet(f"{folder}.parquet")
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["xgboost"]
    expected = read_package(folder).predict_rows(ROWS)
    assert np.load(f"{folder}.npy").tobytes() == expected.tobytes()


@pytest.mark.parametrize(("learner", "kept"), [("xgboost", True), ("my_pipeline.forest", False)])
def test_a_learner_of_ones_own_gets_scikit_learn(learner, kept, tmp_path, monkeypatch):
    for name in ("xgboost", "sklearn"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "made.json").write_text(json.dumps({"learner": learner}))
    with without_sklearn(tmp_path):
        assert ("sklearn" in sys.modules) == kept
    assert "sklearn" not in sys.modules
