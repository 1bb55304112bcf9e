"""Trees: what XGBoost's own JSON says of a booster, as one node of ONNX and a link behind it."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.export.graph import ML, Graph

Array = np.ndarray[Any, np.dtype[Any]]
LOGISTIC, LOG, CLASSES, PLAIN = "logistic", "log", "classes", "plain"
LINKS = {  # of XGBoost's objectives: what makes a prediction of a sum
    "binary:logistic": LOGISTIC,
    "multi:softprob": CLASSES,
    "count:poisson": LOG,
    "reg:gamma": LOG,
    "reg:tweedie": LOG,
    "reg:squarederror": PLAIN,
    "reg:absoluteerror": PLAIN,
    "reg:pseudohubererror": PLAIN,
    "reg:quantileerror": PLAIN,
}


def add_trees(graph: Graph, x: str, content: bytes, columns: int) -> str:
    """Add a booster's prediction for encoded rows `x`, shape (rows, columns); returns its name.

    Raises InputError for a booster of a kind that this library does not train.
    """
    learner = read_booster(content)["learner"]
    objective = learner["objective"]["name"]
    if objective not in LINKS:
        raise InputError(f"the objective {objective} has no ONNX form here: export json or ubj")
    how: dict[str, Any] = {"aggregate_function": "SUM", "post_transform": "NONE", **_nodes(learner)}
    summed = graph.add("TreeEnsembleRegressor", x, domain=ML, n_targets=columns, **how)
    link = LINKS[objective]
    margin = graph.add("Add", summed, graph.hold(_start(learner, link, columns)))
    if link == LOGISTIC:
        return graph.logistic(margin)
    if link == CLASSES:
        return graph.add("Softmax", margin, axis=1)
    return graph.add("Exp", margin) if link == LOG else margin


def read_booster(content: bytes) -> dict[str, Any]:
    """Return XGBoost's JSON of a booster, given its UBJSON."""
    return dict(json.loads(as_json(content)))


def as_json(content: bytes) -> bytes:
    """Return XGBoost's JSON of a booster as text, given its UBJSON."""
    import xgboost as xgb

    booster = xgb.Booster()
    booster.load_model(bytearray(content))
    return bytes(booster.save_raw("json"))


def _nodes(learner: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the attributes of TreeEnsembleRegressor."""
    trees = learner["gradient_booster"]
    if trees["name"] != "gbtree":
        raise InputError(f"a booster {trees['name']} has no ONNX form here: export json or ubj")
    found: dict[str, list[Any]] = defaultdict(list)
    model = trees["model"]
    if any(weight != 1 for weight in model.get("weight_drop") or ()):  # since XGBoost 3.4
        raise InputError(
            "a booster dart, whose trees have weights, has no ONNX form here: export json or ubj"
        )
    for number, (tree, target) in enumerate(zip(model["trees"], model["tree_info"], strict=True)):
        if int(tree["tree_param"]["size_leaf_vector"]) > 1 or any(tree["split_type"]):
            raise InputError(
                "trees that split by categories, or have vectors in their leaves, have no ONNX "
                "form here: export json or ubj"
            )
        for node, left in enumerate(tree["left_children"]):
            leaf, value = left == -1, tree["split_conditions"][node]
            plain = {
                "treeids": number,
                "nodeids": node,
                "featureids": 0 if leaf else tree["split_indices"][node],
                "modes": "LEAF" if leaf else "BRANCH_LT",
                "values": 0.0 if leaf else value,
                "truenodeids": 0 if leaf else left,
                "falsenodeids": 0 if leaf else tree["right_children"][node],
                "missing_value_tracks_true": 0 if leaf else int(tree["default_left"][node]),
            }
            said = {"treeids": number, "nodeids": node, "ids": target, "weights": value}
            for name, its in plain.items():
                found[f"nodes_{name}"].append(its)
            for name, its in said.items() if leaf else ():
                found[f"target_{name}"].append(its)
    return found


def _start(learner: dict[str, Any], link: str, columns: int) -> Array:
    """Return what all sums begin with, shape (columns,): XGBoost keeps it as a prediction."""
    text = learner["learner_model_param"]["base_score"]
    said = np.atleast_1d(np.asarray(json.loads(text), dtype=np.float64))
    if link == LOGISTIC:
        said = np.log(said) - np.log1p(-said)
    elif link == LOG:
        said = np.log(said)
    return np.broadcast_to(said, (columns,)).astype(np.float32)
