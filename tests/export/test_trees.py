"""Trees: what this library does not train has no ONNX form."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost as xgb
from conftest import refusal
from export.models import TREES, model_of

from evergreen.export.graph import Graph
from evergreen.export.trees import LINKS, add_trees, as_json, read_booster
from evergreen.training.losses import NAMES, OF_CLASSES

X = np.arange(40, dtype=np.float32).reshape(20, 2)
Y = (np.arange(20) % 2).astype(np.float32)


def test_every_objective_has_a_link():
    assert set(LINKS) == {objective for objective, _ in (*NAMES.values(), OF_CLASSES)}


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"objective": "binary:hinge"}, "the objective binary:hinge"),
        ({"booster": "dart", "rate_drop": 0.9, "objective": "binary:logistic"}, "a booster dart"),
        ({"booster": "gblinear", "objective": "binary:logistic"}, "a booster gblinear"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*deprecated")  # by XGBoost, from 3.4 on
def test_other_boosters_are_refused(how, says):
    booster = xgb.train({"nthread": 1} | how, xgb.DMatrix(X, Y), num_boost_round=5)
    content = bytes(booster.save_raw("ubj"))
    refusal(lambda: add_trees(Graph(), "x", content, 1), says, "export json or ubj")


def test_splits_by_category_are_refused():
    rows = xgb.DMatrix(X // 9, Y, feature_types=["c", "c"], enable_categorical=True)
    how = {"objective": "binary:logistic", "max_cat_to_onehot": 100, "nthread": 1}
    content = bytes(xgb.train(how, rows, num_boost_round=2).save_raw("ubj"))
    refusal(lambda: add_trees(Graph(), "x", content, 1), "split by categories")


@pytest.mark.parametrize(("task", "loss"), TREES[:1])
def test_the_json_is_the_same_model(task, loss):
    content = model_of(task, loss).boosters[0]
    again = xgb.Booster()
    again.load_model(bytearray(as_json(content)))
    assert bytes(again.save_raw("ubj")) == content
    assert json.loads(as_json(content)) == read_booster(content)
