"""Forest: it says of a row what XGBoost says, bit for bit; what it does not know it leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from evergreen.training.forest import Forest, plant

KINDS: dict[str, dict[str, Any]] = {
    "binary": {"objective": "binary:logistic"},
    "binary, all of few": {"objective": "binary:logistic", "scale_pos_weight": 9, "max_depth": 9},
    "multiclass": {"objective": "multi:softprob", "num_class": 3},
    "squared": {"objective": "reg:squarederror"},
    "absolute": {"objective": "reg:absoluteerror"},
    "pseudo-Huber": {"objective": "reg:pseudohubererror", "base_score": 0.4},
    "quantile": {"objective": "reg:quantileerror", "quantile_alpha": 0.7},
    "Poisson": {"objective": "count:poisson"},
    "gamma": {"objective": "reg:gamma"},
    "Tweedie": {"objective": "reg:tweedie"},
    "a forest a round": {"objective": "binary:logistic", "num_parallel_tree": 3},
}


def fit(seed: int, rounds: int = 12, **how: Any) -> xgb.Booster:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, 5)).astype(np.float32)
    x[draw.random(x.shape) < 0.2] = np.nan
    score = np.nan_to_num(x[:, 0] * x[:, 1] + x[:, 2]) + draw.normal(size=400)
    y = np.digitize(score, [-0.5, 0.8]) if "num_class" in how else (score > 0.3).astype(float)
    y = y + 0.1 if how["objective"] in ("reg:gamma", "reg:tweedie") else y
    matrix = xgb.QuantileDMatrix(x, y)
    given = {"seed": seed, "subsample": 0.8, "nthread": 1, "tree_method": "hist", **how}
    booster = xgb.Booster()
    booster.load_model(bytearray(xgb.train(given, matrix, rounds).save_raw("ubj")))
    return booster


def odd_rows() -> Any:
    x = np.random.default_rng(1).normal(size=(200, 5)).astype(np.float32) * 2
    x[np.random.default_rng(2).random(x.shape) < 0.3] = np.nan
    x[0], x[1], x[2] = np.nan, np.float32(3e38), np.float32(-3e38)
    return x


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_forest_says_what_each_model_says(kind: str) -> None:
    models = [fit(seed, rounds, **KINDS[kind]) for seed, rounds in ((1, 12), (2, 12), (3, 5))]
    forest, x = plant(models), odd_rows()
    assert forest
    expected = np.array([model.inplace_predict(x) for model in models])
    assert forest.predict(x).tobytes() == expected.tobytes()
    assert forest.predict(x[:1]).tobytes() == expected[:, :1].tobytes()


UNKNOWN: dict[str, dict[str, Any]] = {
    "weighted trees": {  # silent: XGBoost 3.4 warns that this way to ask for them is old
        "objective": "binary:logistic", "booster": "dart", "rate_drop": 0.5, "verbosity": 0,
    },
    "deep trees": {"objective": "binary:logistic", "max_depth": 40, "min_child_weight": 0},
}  # fmt: skip


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_a_forest_does_not_know_is_left_to_xgboost(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evergreen.training.forest.DEEPEST", 5)
    assert plant([fit(1, **UNKNOWN[kind])]) is None


def test_models_that_are_not_alike_are_left_to_xgboost() -> None:
    both = [fit(1, **KINDS[kind]) for kind in ("binary", "squared")]
    assert plant(both) is None
    assert plant(both[:1])


def test_a_forest_that_says_another_bit_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    models, as_it_is = [fit(1, **KINDS["binary"])], Forest.predict
    for off, used in ((0.0, True), (1e-7, False)):
        with monkeypatch.context() as patch:
            patch.setattr(Forest, "predict", lambda forest, x, off=off: as_it_is(forest, x) + off)
            assert bool(plant(models)) is used, off
