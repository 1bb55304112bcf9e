"""Forest: the trees of several XGBoost models, walked together by a few rows.

For one row XGBoost spends its time on what is not the row: each call measures all trees anew, a
quarter of a millisecond for each model. Here the trees of all models lie in a few arrays, and a row
goes down all of them at once. What comes out is what XGBoost says, bit for bit: a forest is tried
before it is used, and where a bit differs XGBoost is asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xgboost as xgb

Array = np.ndarray[Any, np.dtype[Any]]
DEEPEST = 20  # levels; in deeper trees most are walked in vain
TRIED = 200  # rows that a new forest and its models have to agree on


@dataclass(frozen=True)
class Forest:
    """The trees of models that are alike.

    Of each node: the `feature` that is asked for, among those where no value is -inf and then those
    where it is inf; the `limit` from which on a row goes right; the child on the `left`, the other
    being the next node. A leaf has no limit and is its own child. `roots`: shape (trees of a model,
    models, groups). `base`: what sums begin with, (models, groups). `turn` makes sums of shape
    (rows, groups) predictions.
    """

    feature: Array
    limit: Array
    left: Array
    leaf: Array
    roots: Array
    base: Array
    depth: int
    turn: Callable[[Array], Array]

    def predict(self, x: Array) -> Array:
        """Return what each model predicts: (models, rows), or (models, rows, groups)."""
        sums = np.stack([self._sums(row) for row in x], axis=1)  # models, rows, groups
        models, rows, groups = sums.shape
        said = self.turn(sums.reshape(models * rows, groups))
        return said.reshape(models, rows, *said.shape[1:])

    def _sums(self, row: Array) -> Array:
        """Return the sum of the leaves that a row comes to, shape (models, groups)."""
        both = np.concatenate([row, row])
        gaps = np.isnan(row)
        both[: len(row)][gaps], both[len(row) :][gaps] = -np.inf, np.inf
        at = self.roots.reshape(-1)
        for _ in range(self.depth):
            right = both.take(self.feature.take(at)) >= self.limit.take(at)
            at = self.left.take(at) + right
        leaves = self.leaf.take(at).reshape(self.roots.shape)
        # One after the other, as XGBoost adds them
        return np.asarray(np.add.accumulate(np.concatenate([self.base[None], leaves]))[-1])


def plant(models: Sequence[xgb.Booster]) -> Forest | None:
    """Return the models as a forest; None where they hold what it does not know.

    That is trees of other kinds: weighted, linear, by category, of several values; or very deep; or
    where what a forest says is not what they say, as by an XGBoost that counts otherwise.
    """
    parsed = [json.loads(bytes(model.save_raw("json"))) for model in models]
    known = [_trees(content) for content in parsed]
    groups = max(1, int(parsed[0]["learner"]["learner_model_param"]["num_class"]))
    if not all(known) or len({json.dumps(c["learner"]["objective"]) for c in parsed}) > 1:
        return None
    most = max(len(trees) for trees in known) // groups
    sizes = [len(tree["left_children"]) for trees in known for tree in trees]
    roots = np.full((most, len(models), groups), sum(sizes))  # where there is none: a leaf of 0
    begin = 0
    for number, (trees, content) in enumerate(zip(known, parsed, strict=True)):
        filled = [0] * groups
        for tree, group in zip(trees, content["learner"]["gradient_booster"]["model"]["tree_info"],
                               strict=True):  # fmt: skip
            roots[filled[group], number, group] = begin
            filled[group] += 1
            begin += len(tree["left_children"])
    nodes = _nodes([tree for trees in known for tree in trees], models[0].num_features())
    depth = _depth(nodes[2], roots)
    if depth > DEEPEST:
        return None
    bare = [_without_trees(content, groups) for content in parsed]
    row = np.zeros((1, models[0].num_features()), np.float32)
    base = [np.reshape(b.inplace_predict(row, predict_type="margin"), -1) for b in bare]
    turn = _turn(bare[0], groups)
    forest = Forest(*nodes, roots, np.array(base, np.float32), depth, turn)
    return forest if _agrees(forest, models) else None


def _turn(bare: xgb.Booster, groups: int) -> Callable[[Array], Array]:
    """Return what makes sums predictions, which is XGBoost itself."""

    def ask(sums: Array) -> Array:
        nothing = np.zeros((len(sums), bare.num_features()), np.float32)
        margins = sums if groups > 1 else sums[:, 0]
        return np.asarray(bare.inplace_predict(nothing, base_margin=margins))

    return ask


def _agrees(forest: Forest, models: Sequence[xgb.Booster]) -> bool:
    """Return whether a forest says what its models say, bit for bit, on rows about their limits."""
    draw = np.random.default_rng(0)
    limits = forest.limit[np.isfinite(forest.limit)]
    shape = (TRIED, models[0].num_features())
    x = draw.choice(np.concatenate([limits, limits - 1, [np.nan, 0, 1]]), shape).astype(np.float32)
    said = np.array([model.inplace_predict(x) for model in models])
    return forest.predict(x).tobytes() == said.tobytes()


def _trees(content: Any) -> list[Any]:
    """Return the trees of a model; empty where there is none, or one of another kind."""
    booster = content["learner"]["gradient_booster"]
    trees = booster["model"]["trees"] if booster["name"] == "gbtree" else []
    plain = all(
        tree["tree_param"]["size_leaf_vector"] in ("0", "1")
        and not any(tree["split_type"])
        and all(
            right == left + 1
            for left, right in zip(tree["left_children"], tree["right_children"], strict=True)
            if left >= 0
        )
        for tree in trees
    )
    single = content["learner"]["learner_model_param"]["num_target"] in ("0", "1")
    return trees if plain and single else []


def _nodes(trees: list[Any], features: int) -> tuple[Array, Array, Array, Array]:
    """Return feature, limit, left child and leaf of all nodes, and of one that is a leaf of 0."""
    begins = np.cumsum([0, *(len(tree["left_children"]) for tree in trees)])

    def joined(name: str, kind: type, last: float) -> Array:
        return np.array([*(value for tree in trees for value in tree[name]), last], kind)

    own = np.arange(begins[-1] + 1)
    left, value = joined("left_children", np.intp, -1), joined("split_conditions", np.float32, 0)
    inner = left >= 0
    shift = np.append(np.repeat(begins[:-1], np.diff(begins)), 0)
    feature = joined("split_indices", np.intp, 0)
    feature += features * ~joined("default_left", bool, 1)
    return (
        np.where(inner, feature, 0),
        np.where(inner, value, np.float32(np.nan)),
        np.where(inner, left + shift, own),
        np.where(inner, np.float32(0), value),
    )


def _depth(left: Array, roots: Array) -> int:
    """Return how many levels lie below the roots."""
    at, depth = np.unique(roots), 0
    while len(at := at[left[at] != at]) and depth <= DEEPEST:
        at, depth = np.concatenate([left[at], left[at] + 1]), depth + 1
    return depth


def _without_trees(content: Any, groups: int) -> xgb.Booster:
    """Return a model that has one leaf of 0 for each group."""
    import xgboost as xgb

    model = content["learner"]["gradient_booster"]["model"]
    leaf: dict[str, Any] = {
        name: value[:1] if isinstance(value, list) and not name.startswith("cat") else value
        for name, value in model["trees"][0].items()
    }
    leaf |= {"left_children": [-1], "right_children": [-1], "split_conditions": [0.0]}
    leaf["tree_param"] = leaf["tree_param"] | {"num_nodes": "1", "num_deleted": "0"}
    model["trees"] = [leaf | {"id": group} for group in range(groups)]
    model |= {"tree_info": [*range(groups)], "iteration_indptr": [0, groups]}
    model["gbtree_model_param"]["num_trees"] = str(groups)
    booster = xgb.Booster()
    booster.load_model(bytearray(json.dumps(content).encode()))
    booster.set_param({"nthread": 1})  # to wake others takes longer
    return booster
