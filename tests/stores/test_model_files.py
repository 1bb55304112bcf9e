"""Files of versions: no pickle, loadable by MLflow, and nothing beside them makes code run."""

from __future__ import annotations

import pickle
import pickletools
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from conftest import FEATURES, fit
from registries import (
    ROWS,
    YES,
    add,
    encoder_of,
    in_this_process,
    package,
    stored,
    train,
)

from evergreen import __version__
from evergreen.errors import InputError
from evergreen.scoring.package import read_package
from evergreen.stores.model_files import BESIDE
from evergreen.stores.seeds import Seeds

pytestmark = pytest.mark.slow  # real stores


def is_pickle(content):
    try:
        return bool(list(pickletools.genops(content)))
    except Exception:
        return False


def test_a_pickle_would_be_noticed():
    assert is_pickle(pickle.dumps({"a": 1}))


def test_the_artifacts_of_a_version(registry, tmp_path):
    import mlflow.artifacts

    run_id = train(registry, "print")
    Seeds(registry.tracker).record(run_id, fit("binary"), {"roc_auc": 0.7}, "seed print")
    registry.register(run_id, "print", package(tmp_path / "package"), encoder_of())
    mlflow.set_tracking_uri(registry.tracker.uri)
    place = Path(mlflow.artifacts.download_artifacts("models:/evergreen/1"))
    files = {path.name for path in place.rglob("*") if path.is_file()}
    assert {
        "MLmodel",
        "requirements.txt",
        "encoder.json",
        "learnt.npy",
        "seed-0.ubj",
        "checksums.json",
    } <= files
    stored = [
        path
        for path in registry.tracker.project.stores.rglob("*")
        if path.is_file() and path.name != "mlflow.db"
    ]
    assert len(stored) > len(files)
    for path in stored:
        assert path.suffix not in {".pkl", ".pickle", ".joblib", ".cloudpickle", ".pt"}
        assert not is_pickle(path.read_bytes()), path
    lines = (place / "requirements.txt").read_text().split()
    wheel = f"evergreen-{__version__}-py3-none-any.whl"
    wanted = {"xgboost", "numpy", "polars", "pandas", f"./{wheel}"}
    assert wanted <= {line.split("==")[0] for line in lines} <= wanted | {"mlflow"}
    assert zipfile.ZipFile(place / wheel).testzip() is None


def test_a_wheel_that_was_changed_makes_the_version_unusable(registry, tmp_path):
    add(registry, "print", package(tmp_path / "package"))
    (wheel,) = stored(registry, "1").parents[1].glob("*.whl")
    wheel.write_bytes(wheel.read_bytes().replace(b"Summary", b"Summery"))
    with pytest.raises(InputError, match=r"evergreen-.*\.whl of version 1 .*was changed"):
        registry.versions.open("1")


def test_a_file_beside_a_package_is_of_the_version(registry, tmp_path):
    about = (train(registry, "print"), "print", package(tmp_path / "package"), encoder_of())
    registry.register(*about, {"model.onnx": b"a graph"})
    file = stored(registry, "1").parents[1] / "model.onnx"
    assert file.read_bytes() == b"a graph"
    registry.versions.open("1")
    file.write_bytes(b"another")
    with pytest.raises(InputError, match=r"model.onnx of version 1 .*was changed"):
        registry.versions.open("1")


@pytest.mark.long
def test_a_model_loads_in_an_environment_made_from_what_it_declares(registry, tmp_path):
    """Needs packages from an index, or from what pip has kept."""
    packaged = read_package(add_and_read(registry, tmp_path))
    place = stored(registry, "1").parents[1]
    ROWS.write_parquet(tmp_path / "rows.parquet")
    python = tmp_path / "env" / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", tmp_path / "env"],
        [python, "-m", "pip", "install", "-q", "-r", "requirements.txt"],
    ):
        subprocess.run(command, cwd=place, check=True)
    script = """
import sys, numpy, pandas, mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
numpy.save(sys.argv[3], model.predict(pandas.read_parquet(sys.argv[2])))
import evergreen
print(evergreen.__file__)
"""
    done = subprocess.run(
        [python, "-c", script, place, tmp_path / "rows.parquet", tmp_path / "out.npy"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().startswith(str(tmp_path / "env"))
    assert np.load(tmp_path / "out.npy").tobytes() == packaged.predict_rows(ROWS).tobytes()


def add_and_read(registry, tmp_path):
    folder = package(tmp_path / "package", seeds=(0, 1))
    add(registry, "print", folder)
    return folder


@pytest.fixture
def loaded(registry, tmp_path):
    """A registered model as MLflow loads it, and the package that it was made from."""
    import mlflow.pyfunc

    folder = package(tmp_path / "package", seeds=(0, 1))
    add(registry, "print", folder)
    mlflow.set_tracking_uri(registry.tracker.uri)
    return mlflow.pyfunc.load_model("models:/evergreen@challenger"), read_package(folder)


def test_a_registered_model_predicts_what_the_package_predicts(loaded):
    model, packaged = loaded
    frame, expected = ROWS.to_pandas(), packaged.predict_rows(ROWS).tobytes()
    doubles = frame.astype(dict.fromkeys(("first", "second", "noise"), "float64"))
    assert np.asarray(model.predict(frame)).tobytes() == expected
    assert (
        np.asarray(model.predict(frame.assign(other=1)[["other", *FEATURES[::-1]]])).tobytes()
        == expected
    )
    assert np.asarray(model.predict(doubles)).tobytes() == expected  # as pandas holds numbers


def test_a_registered_model_has_a_signature(loaded):
    signature = loaded[0].metadata.signature
    assert tuple(signature.inputs.input_names()) == FEATURES
    assert [column.type.name for column in signature.inputs] == [
        "double",
        "double",
        "string",
        "double",
    ]
    assert signature.outputs is not None
    assert all(column.required for column in signature.inputs)


@pytest.mark.parametrize("name", ["first", "place"])
def test_a_registered_model_misses_a_feature(name, loaded):
    from mlflow.exceptions import MlflowException

    # Else whoever serves it sends a stack trace
    with pytest.raises(MlflowException, match=rf"Model is missing inputs \['{name}'\]"):
        loaded[0].predict(ROWS.to_pandas().drop(columns=name))


@pytest.mark.parametrize("name", FEATURES)
def test_a_registered_model_takes_a_feature_without_a_value(name, loaded):
    model, packaged = loaded
    rows = ROWS.with_columns(pl.lit(None, ROWS.schema[name]).alias(name))
    expected = packaged.predict_rows(rows).tobytes()
    assert np.asarray(model.predict(rows.to_pandas())).tobytes() == expected
    # As a row of JSON that says null
    alone = rows.head(1).to_pandas().astype({name: object}).assign(**{name: None})
    assert np.asarray(model.predict(alone)).tobytes() == packaged.predict_rows(rows[:1]).tobytes()


MLMODEL = """
flavors:
  python_function:
    data: {data}
    env: {{conda: conda.yaml, virtualenv: python_env.yaml}}
    loader_module: {loader}
    python_version: 3.12.0
{more}
model_id: {model}
"""


@pytest.mark.parametrize(
    ("data", "loader", "more"),
    [
        ("model.pkl", "mlflow.sklearn", ""),
        ("../../outside/model.pkl", "mlflow.sklearn", ""),
        ("data/package", "mine", "    code: code"),
        (
            "data/package",
            "mlflow.pyfunc.model",
            "    python_model: model.pkl\n    cloudpickle_version: 3.0.0",
        ),
    ],
)
@pytest.mark.parametrize("age", ["new", "older"])
def test_nothing_beside_a_model_makes_the_project_run_code(
    age, data, loader, more, registry, tmp_path, monkeypatch
):
    """A version from before MLflow's own files were recorded is used by its package alone."""
    if data != "model.pkl":  # a process of its own takes seconds, and has been asked then
        monkeypatch.setattr(
            "evergreen.stores.reload.subprocess", SimpleNamespace(run=in_this_process)
        )
    folder, ran = package(tmp_path / "package"), tmp_path / "ran"
    add(registry, "one", folder)
    if age == "older":
        registry.tracker.client.delete_model_version_tag(registry.name, "1", BESIDE)
    beside = stored(registry, "1").parents[1]
    attack = f"import pathlib; pathlib.Path({str(ran)!r}).touch()"
    (beside / "model.pkl").write_bytes(f"c__builtin__\nexec\n(V{attack}\ntR.".encode())
    (beside / "code").mkdir()
    (beside / "code" / "mine.py").write_text(attack)
    (beside / "aaa").mkdir()
    shutil.copy2(
        beside / "data" / "package" / "checksums.json", beside / "aaa"
    )  # a list that comes first, without its files
    (beside / "MLmodel").write_text(
        MLMODEL.format(data=data, loader=loader, more=more, model=beside.parent.name)
    )
    if age == "new":
        with pytest.raises(InputError, match="MLmodel of version 1 of 'evergreen' was changed"):
            registry.versions.predict_reloaded("1", ROWS)
        assert registry.champion() is None
        assert not ran.exists()
        return
    shutil.rmtree(beside / "aaa")
    assert (
        registry.versions.predict_reloaded("1", ROWS).tobytes()
        == read_package(folder).predict_rows(ROWS).tobytes()
    )
    registry.promote("1", None, YES)
    assert (registry.champion(), registry.versions.open("1").seeds, ran.exists()) == (
        "1",
        (0,),
        False,
    )
