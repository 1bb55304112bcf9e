"""The ONNX file: it agrees with the package, says by how much, and a wrong one is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from conftest import ROOT, refusal
from export.models import LINEAR, TREES, model_of
from hypothesis import given, settings
from scoring.packages import LEVELS, rows_of

from evergreen.export import graph, onnx_file
from evergreen.export.onnx_file import NEAR, NEAR_SHARE, OnnxModel, build, compare, make_onnx, spoil
from evergreen.scoring.package import Model

pytestmark = pytest.mark.slow

ABOUT = {"model": "late", "version": "3", "run": "abc"}
MODELS = [("binary", "log_loss"), ("multiclass", "linear"), ("regression", "gamma")]


@pytest.mark.parametrize(("task", "loss"), [*TREES, *LINEAR])
def test_every_link_agrees_with_the_package(task, loss):
    model, rows = model_of(task, loss), rows_of(300)
    content, agreement = make_onnx(model, rows, ABOUT)
    assert agreement.rows == 600
    exported = OnnxModel(content)
    assert exported.predict_rows(rows).shape == model.predict_rows(rows).shape
    scale = np.abs(model.predict_rows(rows)).max() * NEAR_SHARE if task == "regression" else NEAR
    assert agreement.largest <= scale
    assert exported.facts["largest_difference"] == f"{agreement.largest:.3g}"
    assert make_onnx(model, rows, ABOUT)[0] == content


numbers = st.none() | st.floats(width=32) | st.floats()
words = st.none() | st.sampled_from([*LEVELS, "", "Amber", "<missing>x"]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
)  # fmt: skip
GRAPHS = {}


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(numbers, numbers, numbers, words), min_size=1, max_size=8))
@pytest.mark.parametrize(("task", "loss"), MODELS)
def test_any_rows_are_predicted_as_by_the_package(task, loss, rows):
    model = model_of(task, loss)
    exported = GRAPHS.setdefault(loss, OnnxModel(build(model).SerializeToString()))
    first, second, noise, place = zip(*rows, strict=True)
    given = {"first": first, "second": second, "noise": noise}
    frame = pl.DataFrame({name: pl.Series(name, v, pl.Float64) for name, v in given.items()})
    frame = frame.with_columns(pl.Series("place", place, pl.String))
    assert compare(model, exported, frame).rows == len(rows)


def test_it_says_what_it_is():
    facts = OnnxModel(make_onnx(model_of("multiclass", "log_loss"), rows_of(), ABOUT)[0]).facts
    known = {name: facts[name] for name in (*ABOUT, "task", "missing_text", "checked_rows")}
    assert known == {
        **ABOUT, "task": "multiclass", "missing_text": "<missing>", "checked_rows": "200",
    }  # fmt: skip
    assert json.loads(facts["features"])[-1] in ("place", "noise")
    assert set(json.loads(facts["libraries"])) == {"xgboost", "onnx", "evergreen-pipeline"}


def test_a_level_that_is_the_missing_text_gets_another():
    model = model_of("binary", "log_loss")
    encoder = replace(model.encoder, levels={"place": ("<missing>", "blue")})
    other = Model(encoder, model.boosters, model.learnt)
    content, _ = make_onnx(other, rows_of(), ABOUT)
    assert OnnxModel(content).facts["missing_text"] == "<<missing>>"


def test_no_text_and_an_empty_text_are_two_things():
    model = model_of("binary", "log_loss")
    frame = rows_of(1).with_columns(place=pl.lit(""))
    both = pl.concat([frame, frame.with_columns(place=pl.lit(None, pl.String))])
    exported = OnnxModel(build(model).SerializeToString())
    assert compare(model, exported, both).rows == 2


@pytest.mark.parametrize("by", [1e-4, np.nan, np.inf])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_graph_that_differs_is_refused(task, by, monkeypatch):
    loss = "log_loss" if task == "binary" else "squared"
    right = onnx_file.PARTS["xgboost"]

    def wrong(made, x, content, columns):
        return made.add("Add", right(made, x, content, columns), made.hold(by))

    monkeypatch.setitem(onnx_file.PARTS, "xgboost", wrong)
    refusal(lambda: make_onnx(model_of(task, loss), rows_of(), ABOUT), "was not written")


def test_a_graph_of_another_shape_is_refused():
    other = OnnxModel(build(model_of("multiclass", "log_loss")).SerializeToString())
    refusal(
        lambda: compare(model_of("binary", "log_loss"), other, rows_of()), "predicts something else"
    )


def test_what_has_no_graph_is_refused():
    model = model_of("binary", "log_loss")
    own = Model(model.encoder, model.boosters, model.learnt)
    own.learner = "my_pipeline.forest"
    refusal(lambda: build(own), "my_pipeline.forest has no ONNX form")
    refusal(lambda: make_onnx(model, rows_of().head(0), ABOUT), "no rows to compare")
    exported = OnnxModel(build(model).SerializeToString())
    refusal(lambda: exported.predict_rows(rows_of().drop("noise")), "lack the feature(s) noise")


def test_a_library_that_is_not_there_is_asked_for():
    refusal(lambda: graph.load_library("onnx_of_nobody"), "requirements/onnx.txt")


def test_spoilt_rows_hold_what_is_missing_unseen_and_infinite():
    rows = spoil(rows_of(50), model_of("binary", "log_loss").encoder)
    assert rows.height == 100
    worse = rows.tail(50)
    assert worse["first"].is_infinite().any()
    assert worse["first"].is_null().any()
    assert {None, "", "\u2603 seen by none"} <= set(worse["place"])


WITHOUT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("xgboost", "mlflow", "sklearn"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np, polars as pl
from pathlib import Path
from evergreen.export.onnx_file import OnnxModel
model = OnnxModel(Path(sys.argv[1]).read_bytes())
np.save(sys.argv[3], model.predict_rows(pl.read_parquet(sys.argv[2])))
assert "xgboost" not in sys.modules
"""


def test_it_scores_where_xgboost_is_not_installed(tmp_path):
    model, rows = model_of("binary", "log_loss"), rows_of()
    content, _ = make_onnx(model, rows, ABOUT)
    (tmp_path / "model.onnx").write_bytes(content)
    rows.write_parquet(tmp_path / "rows.parquet")
    words = [str(tmp_path / name) for name in ("model.onnx", "rows.parquet", "found.npy")]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, "-c", WITHOUT, *words], check=True, env=env)
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, model.predict_rows(rows), rtol=0, atol=NEAR)
