"""Linear models: a class that no row had, no numbers, no categories."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest

from evergreen.export.graph import OUTPUT, Graph
from evergreen.export.linear import add_linear
from evergreen.training.linear import load

NUMBER = {"fill": 0.5, "mean": 1.0, "scale": 2.0}
TABLE = [[0.1], [0.2], [-3.0]]
MADE = {
    "a class is absent": {
        "task": "multiclass", "classes": 3, "present": [0, 2], "intercept": [0.3, -0.2],
        "levels": {"0": [[0.1, 0.2], [1.0, -1.0]]},
        "numbers": {"1": NUMBER | {"weight": [0.4, -0.5]}},
    },
    "one class only": {
        "task": "multiclass", "classes": 3, "present": [1], "intercept": [2.0],
        "levels": {}, "numbers": {},
    },
    "no numbers": {
        "task": "binary", "classes": 2, "present": [0, 1], "intercept": [0.1],
        "levels": {"0": TABLE}, "numbers": {},
    },
    "no categories, far": {
        "task": "binary", "classes": 2, "present": [0, 1], "intercept": [1000.0],
        "levels": {}, "numbers": {"0": NUMBER | {"weight": [-900.0]}},
    },
    "a number": {
        "task": "regression", "classes": 0, "present": [], "intercept": [50.0],
        "levels": {"0": TABLE}, "numbers": {"1": NUMBER | {"weight": [3.5]}},
    },
}  # fmt: skip


@pytest.mark.parametrize("what", MADE)
def test_the_graph_computes_what_the_learner_does(what):
    made = MADE[what] | {"names": ["place", "size"]}
    content, columns = json.dumps(made).encode(), 3 if made["task"] == "multiclass" else 1
    graph = Graph()
    names = [graph.take(name, text=False) for name in made["names"]]
    x = graph.add("Concat", *names, axis=1)
    graph.add("Identity", add_linear(graph, x, content, columns), name=OUTPUT)
    session = onnxruntime.InferenceSession(graph.finish(["rows", columns]).SerializeToString())
    rows = np.array([[0, 0.25], [1, np.nan], [2, -7], [40, 1e6]], np.float32)
    found = session.run(None, {"place": rows[:, :1], "size": rows[:, 1:]})[0]
    expected = load(content).predict(rows).reshape(found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-30)
