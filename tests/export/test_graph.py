"""Graph: the encoder's part gives the very codes of the package."""

from __future__ import annotations

import numpy as np
import onnxruntime
import polars as pl
import pytest
from scoring.packages import LEVELS

from evergreen.export.graph import OUTPUT, Graph, add_encoder, missing_text
from evergreen.features.encoder import Encoder

ENCODER = Encoder("binary", ("place", "size", "kind"), {"place": LEVELS, "kind": ()}, (), ())


def test_rows_are_encoded_bit_for_bit():
    graph = Graph()
    graph.add("Identity", add_encoder(graph, ENCODER), name=OUTPUT)
    session = onnxruntime.InferenceSession(graph.finish(["rows", 3]).SerializeToString())
    place = ["amber", "délavé", "Amber", "", None]
    size = [1.5, None, float("inf"), float("-inf"), 1e-42]
    rows = pl.DataFrame({"place": place, "size": size, "kind": [None, *"abcd"]})
    rows = rows.with_columns(pl.col("size").cast(pl.Float32))
    texts = {
        name: np.array(rows[name].fill_null(missing_text(ENCODER)).to_list(), object)[:, None]
        for name in ENCODER.levels
    }
    numbers = rows["size"].fill_null(float("nan")).to_numpy()[:, None]
    found = session.run(None, {**texts, "size": numbers})[0]
    assert found.tobytes() == ENCODER.transform(rows).tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_shares_stay_exact(dtype):
    graph = Graph()
    x = graph.take("x", text=False)
    x = graph.add("Cast", x, to=1 if dtype == np.float32 else 11)
    graph.add("Cast", graph.logistic(x, dtype), to=1, name=OUTPUT)
    session = onnxruntime.InferenceSession(graph.finish(["rows", 1]).SerializeToString())
    margins = np.array([[-80.0], [-20.0], [0.0], [20.0], [80.0]], np.float32)
    exact = 1 / (1 + np.exp(-margins.astype(np.float64)))
    np.testing.assert_allclose(session.run(None, {"x": margins})[0], exact, rtol=3e-6)
