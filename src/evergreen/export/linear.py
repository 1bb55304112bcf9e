"""Linear: the weights of a linear model as ONNX, in double precision as the package computes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from evergreen.export.graph import Graph

FARTHEST = 500.0  # of a sum, where the package cuts it


def add_linear(graph: Graph, x: str, content: bytes, columns: int) -> str:
    """Add a linear model's prediction for encoded rows `x`, shape (rows, columns).

    Returns its name.
    """
    model = json.loads(content)
    total = _total(graph, x, model)
    if model["task"] == "binary":
        edges = (graph.hold(edge, np.float64) for edge in (-FARTHEST, FARTHEST))
        total = graph.logistic(graph.add("Clip", total, *edges), np.float64)
    elif model["task"] == "multiclass":
        place = np.zeros((len(model["present"]), columns))
        place[np.arange(len(place)), model["present"]] = 1
        shares = graph.add("Softmax", total, axis=1)
        total = graph.add("MatMul", shares, graph.hold(place, np.float64))
    return graph.add("Cast", total, to=1)  # float32


def _total(graph: Graph, x: str, model: dict[str, Any]) -> str:
    """Add intercept, weights of levels and weights of numbers, shape (rows, sums)."""
    sums = len(model["intercept"])
    rows = graph.add("Shape", x, start=0, end=1)
    shape = graph.add("Concat", rows, graph.hold([sums], np.int64), axis=0)
    total = graph.add("Expand", graph.hold([model["intercept"]], np.float64), shape)
    for at, table in model["levels"].items():
        column = graph.add("Gather", x, graph.hold(int(at), np.int64), axis=1)
        code = graph.add("Cast", column, to=7)  # int64
        code = graph.add("Min", code, graph.hold(len(table) - 1, np.int64))
        weights = graph.add("Gather", graph.hold(table, np.float64), code, axis=0)
        total = graph.add("Add", total, weights)
    if not model["numbers"]:
        return total
    places = graph.hold([int(at) for at in model["numbers"]], np.int64)
    known = graph.add("Cast", graph.add("Gather", x, places, axis=1), to=11)  # double

    def each(what: str) -> str:
        return graph.hold([[number[what] for number in model["numbers"].values()]], np.float64)

    known = graph.add("Where", graph.add("IsNaN", known), each("fill"), known)
    known = graph.add("Div", graph.add("Sub", known, each("mean")), each("scale"))
    slopes = [number["weight"] for number in model["numbers"].values()]
    return graph.add("Add", total, graph.add("MatMul", known, graph.hold(slopes, np.float64)))
