"""Package: what is read back predicts bit for bit what was written, or is refused by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scoring.packages import KEYS, LEARNT, LEVELS, names, rows_of

from evergreen.errors import InputError
from evergreen.evaluation.evaluate import predict
from evergreen.features.definition import Definition, Written
from evergreen.files import sha256_of_file, write_json
from evergreen.scoring.package import Learnt, Model, read_package, write_package
from evergreen.training import xgboost
from evergreen.training.tables import Table

TASKS = ("binary", "multiclass", "regression")
SRC = Path(__file__).resolve().parents[2] / "src"


@pytest.mark.parametrize("seeds", [(0,), (0, 2, 11)])
@pytest.mark.parametrize("task", TASKS)
def test_what_is_read_back_predicts_the_same_bits(task, seeds, packaged):
    folder, encoder, boosters = packaged(task, seeds)
    model, rows = read_package(folder), rows_of()
    expected = np.mean([predict(boosters[seed], encoder.transform(rows)) for seed in seeds], axis=0)
    assert (model.seeds, model.encoder) == (seeds, encoder)
    assert model.predict_rows(rows).tobytes() == expected.tobytes()
    assert model.predict_rows(rows).shape == ((100, 3) if task == "multiclass" else (100,))
    backwards = Model(encoder, dict(reversed(boosters.items())), LEARNT)
    assert backwards.predict_rows(rows).tobytes() == expected.tobytes()


@pytest.mark.parametrize("at_once", [1, 7, 99, 100])
@pytest.mark.parametrize("task", TASKS)
def test_rows_that_are_encoded_some_at_a_time_get_the_same_bits(
    task, at_once, packaged, monkeypatch
):
    model, rows = read_package(packaged(task)[0]), rows_of()
    expected = model.predict_rows(rows)
    monkeypatch.setattr("evergreen.scoring.package.AT_ONCE", at_once)
    found = model.predict_rows(rows)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


def test_a_model_is_told_from_another_by_what_predicts(make_tables, packaged):
    folder, encoder, boosters = packaged()
    model = read_package(folder)
    assert model.predicts_same(
        Model(replace(encoder, fitted_on=("2013-03",)), boosters, Learnt(KEYS[:1], "2014-01-01"))
    )
    assert not model.predicts_same(Model(encoder, {0: boosters[0]}, LEARNT))
    assert not model.predicts_same(Model(encoder, boosters | {0: boosters[2]}, LEARNT))
    assert not model.predicts_same(
        Model(replace(encoder, levels={"place": LEVELS[::-1]}), boosters, LEARNT)
    )


@pytest.mark.parametrize("task", TASKS)
def test_a_pandas_frame_predicts_the_same_bits(task, packaged):
    model, rows = read_package(packaged(task)[0]), rows_of()
    expected = model.predict_rows(rows).tobytes()
    frame = rows.to_pandas()
    assert model.predict(frame).tobytes() == expected
    assert model.predict(frame[frame.columns[::-1]], params={}).tobytes() == expected
    assert (
        model.predict(frame.astype({"place": "category", "first": "float64"})).tobytes() == expected
    )
    assert (
        model.predict(frame.astype({"place": object}).set_index(pd.Index(range(7, 107)))).tobytes()
        == expected
    )


def test_rows_are_predicted_one_by_one_as_together(packaged):
    model, rows = read_package(packaged()[0]), rows_of(20)
    single = np.concatenate([model.predict_rows(rows[at]) for at in range(20)])
    assert single.tobytes() == model.predict_rows(rows).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_row_alone_is_predicted_as_among_many(task, packaged):
    seeds = tuple(range(10))  # from eight on NumPy adds those of one row in another order
    folder = packaged(task, seeds)[0]
    rows, alone, ready = rows_of(), read_package(folder), read_package(folder)
    many = read_package(folder).predict_rows(rows)
    ready.expect_few()
    assert many.tobytes() == np.mean([b.predict(ready.encoder.transform(rows)) for b in
                                      ready._boosters], axis=0).tobytes()  # fmt: skip
    for model in (alone, ready):
        found = np.concatenate([model.predict_rows(rows[at : at + 1]) for at in range(100)])
        assert found.tobytes() == many[:100].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_few_rows_are_predicted_together_once_that_is_worth_it(task, packaged, monkeypatch):
    model, rows = read_package(packaged(task, (0, 2, 11))[0]), rows_of()
    expected = model.predict_rows(rows)
    monkeypatch.setattr("evergreen.scoring.package.OFTEN", 2)
    for times in range(4):
        assert ("_joined" in vars(model)) == (times > 2)
        assert model.predict_rows(rows[times]).tobytes() == expected[times : times + 1].tobytes()
    ready = read_package(packaged(task, (0, 2, 11))[0])
    ready.expect_few()
    found = np.concatenate([ready.predict_rows(rows[at : at + 4]) for at in range(0, 100, 4)])
    assert found.tobytes() == expected.tobytes()


def test_a_learner_that_lays_nothing_out_is_asked_as_ever(packaged, monkeypatch):
    monkeypatch.delattr(xgboost, "join")
    model, rows = read_package(packaged()[0]), rows_of()
    expected = model.predict_rows(rows[:2]).tobytes()
    model.expect_few()
    assert model.predict_rows(rows[:2]).tobytes() == expected


@pytest.mark.slow
def test_the_package_predicts_the_same_bits_in_another_process(packaged, tmp_path):
    folder, _, _ = packaged("multiclass")
    rows = rows_of()
    rows.write_parquet(tmp_path / "rows.parquet")
    code = """
import sys, numpy, polars
from pathlib import Path
from types import SimpleNamespace
from evergreen.scoring.package import read_package
folder, rows, out = map(Path, sys.argv[1:])
numpy.save(out, read_package(folder).predict_rows(polars.read_parquet(rows)))
"""
    run_python(code, folder, tmp_path / "rows.parquet", tmp_path / "out.npy", OMP_NUM_THREADS="1")
    assert (
        np.load(tmp_path / "out.npy").tobytes() == read_package(folder).predict_rows(rows).tobytes()
    )


def run_python(code, *args, **env):
    command = [sys.executable, "-W", "error", "-c", code, *map(str, args)]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(SRC), **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_models_code_needs_no_orchestrator_and_no_store():
    code = """
import sys, importlib, pkgutil
for room in ("training", "evaluation", "scoring"):
    for module in pkgutil.iter_modules(importlib.import_module("evergreen." + room).__path__):
        importlib.import_module(f"evergreen.{room}.{module.name}")
heavy = {"prefect", "mlflow", "dvc", "great_expectations", "matplotlib"}
loaded = {name.split(".")[0] for name in sys.modules}
print(sorted(heavy & loaded), "evergreen.scoring.package" in sys.modules)
"""
    assert run_python(code).strip() == "[] True"


# --- what was learnt from


def test_what_was_learnt_from_comes_back(packaged):
    learnt = read_package(packaged()[0]).learnt
    # No bit is rounded away
    assert (learnt.keys.dtype, learnt.keys.tolist()) == (np.uint64, sorted(KEYS.tolist()))
    assert learnt.newest == LEARNT.newest


def test_a_model_learns_from_training_rows_and_from_those_that_stop_it(make_tables):
    keys = dict(
        zip(
            ("train", "validation", "holdout"),
            np.split(np.arange(9, dtype=np.uint64), [4, 7]),
            strict=True,
        )
    )
    x, y = np.zeros((4, 4), np.float32), np.zeros(4, np.float32)
    parts = {role: Table(x[: len(key)], y[: len(key)], key) for role, key in keys.items()}
    learnt = Learnt.of(replace(make_tables("binary"), **parts), "2013-03-31")
    assert (learnt.keys.tolist(), learnt.newest) == ([0, 1, 2, 3, 4, 5, 6], "2013-03-31")


class Bomb:
    """What goes off where a pickle is read."""

    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was read')",)


def test_a_pickle_in_place_of_what_was_learnt_is_not_read(packaged):
    folder, _, _ = packaged()
    np.save(folder / "learnt.npy", np.array([Bomb()], object), allow_pickle=True)
    seal(folder)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_package(folder)
    with pytest.raises(SystemExit):
        np.load(folder / "learnt.npy", allow_pickle=True)  # it would have gone off


# --- what made it


def seal(folder):
    """Write the checksums anew, as if the files had always been so."""
    sums = {
        path.name: sha256_of_file(path)
        for path in folder.iterdir()
        if path.name != "checksums.json"
    }
    write_json(folder / "checksums.json", sums)


def test_a_package_names_its_learner_and_its_seeds(packaged):
    folder, _, _ = packaged(seeds=(2, 0))
    assert json.loads((folder / "made.json").read_text()) == {
        "learner": "xgboost",
        "seeds": [0, 2],
        "way": "",
        "refit": False,
        "rounds": 1,
    }
    assert read_package(folder).learner == "xgboost"


def test_a_package_is_loaded_by_the_learner_that_made_it(packaged, monkeypatch):
    class Other:
        SUFFIX = ".other"

        @staticmethod
        def load(content):
            return SimpleNamespace(predict=lambda x: np.full(len(x), float(content)))

    known = {"other": Other, "xgboost": xgboost}
    monkeypatch.setattr("evergreen.scoring.package.find_learner", known.__getitem__)
    folder, encoder, _ = packaged()
    other = write_package(
        folder.with_name("other"), Model(encoder, {0: b"1", 4: b"3"}, LEARNT, "other")
    )
    assert read_package(other).predict_rows(rows_of(3)).tolist() == [2.0, 2.0, 2.0]
    assert read_package(folder).predict_rows(rows_of()).shape == (100,)  # the one before it as well
    write_package(folder, Model(encoder, {0: b"1"}, LEARNT, "other"))
    assert "seed-0.ubj" not in names(folder)


def test_a_package_of_old_that_names_no_learner_is_xgboosts(packaged):
    folder, _, _ = packaged()
    said = read_package(folder).predict_rows(rows_of()).tobytes()
    (folder / "made.json").unlink()
    seal(folder)
    assert read_package(folder).predict_rows(rows_of()).tobytes() == said
    for path in folder.glob("seed-*"):
        path.rename(path.with_suffix(".skops"))
    seal(folder)
    with pytest.raises(InputError, match="does not say which learner made it"):
        read_package(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"learner": "lost"}, "there is no learner 'lost'"),
        ({"seeds": [0, 2]}, r"holds seeds \[0, 2, 11\], not \[0, 2\]"),
        ({"seeds": []}, r"holds seeds \[0, 2, 11\], not \[\]"),
    ],
)
def test_a_package_that_nothing_can_load_is_refused(change, says, packaged):
    folder, _, _ = packaged()
    write_json(folder / "made.json", json.loads((folder / "made.json").read_text()) | change)
    seal(folder)
    with pytest.raises(InputError, match=says):
        read_package(folder)


def test_what_dataset_py_said_comes_back(packaged):
    folder, encoder, boosters = packaged(seeds=(0,))
    old = read_package(folder).definition  # of a package that does not say
    assert (old.label, old.key, dict(old.features)) == (None, None, dict.fromkeys(encoder.features))
    said = Definition(
        "binary",
        Written.of(pl.col("late") > 15),
        {"first": Written.of(pl.col("a") + 1)},
        ("id",),
        "day",
    )
    write_package(folder, Model(encoder, boosters, LEARNT, definition=said))
    assert read_package(folder).definition == said


@pytest.mark.parametrize("named", [True, False])
def test_a_package_without_a_booster_is_refused(named, packaged):
    folder, encoder, _ = packaged()
    for path in folder.glob("seed-*"):
        path.unlink()
    write_json(folder / "made.json", {"learner": "xgboost", "seeds": []})
    if not named:
        (folder / "made.json").unlink()
    seal(folder)
    with pytest.raises(InputError, match=r"without a booster|does not say"):
        read_package(folder)
    with pytest.raises(InputError, match="without a booster"):
        Model(encoder, {}, LEARNT)


# --- rows that are not as the training rows were


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(pl.col("place").str.to_uppercase(), id="unseen categories"),
        pytest.param(pl.lit(None, pl.String).alias("place"), id="no category"),
        pytest.param(pl.lit(None).alias("place"), id="no category, no type"),
        pytest.param(pl.lit(None, pl.Float64).alias("first"), id="no number"),
        pytest.param(pl.lit(None).alias("first"), id="no number, no type"),
        pytest.param(pl.lit(float("nan")).alias("second"), id="not a number"),
        pytest.param(pl.lit(value=True).alias("noise"), id="true and false"),
        pytest.param(pl.lit(7).alias("place"), id="a number as category"),
    ],
)
def test_rows_with_surprises_are_predicted(change, packaged):
    p = read_package(packaged()[0]).predict_rows(rows_of().with_columns(change))
    assert np.isfinite(p).all()
    assert ((p > 0) & (p < 1)).all()


def test_an_unseen_category_counts_as_other_and_not_as_missing(packaged):
    model, rows = read_package(packaged("regression")[0]), rows_of()
    unseen, odd, none = (
        model.predict_rows(rows.with_columns(pl.lit(value, pl.String).alias("place")))
        for value in ("never seen", "something else", None)
    )
    assert unseen.tobytes() == odd.tobytes() != none.tobytes()


def test_no_rows_give_no_predictions(packaged):
    assert read_package(packaged()[0]).predict_rows(rows_of().clear()).shape == (0,)


@pytest.mark.parametrize("name", ["first", "place"])
def test_a_missing_feature_is_an_error(name, packaged):
    model = read_package(packaged()[0])
    with pytest.raises(InputError, match=f"lack the feature.* {name}"):
        model.predict_rows(rows_of().drop(name))
    with pytest.raises(InputError, match=f"lack the feature.* {name}"):
        model.predict(rows_of().to_pandas().drop(columns=name))


def test_text_in_place_of_a_number_is_an_error(packaged):
    with pytest.raises(InputError, match="'first' must be a number"):
        read_package(packaged()[0]).predict_rows(rows_of().with_columns(pl.lit("7").alias("first")))
