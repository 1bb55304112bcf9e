"""Pictures: drawn for every task, whole or not at all, with nothing but matplotlib's figure."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from matplotlib import image

from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.intervals import Estimate, bootstrap
from evergreen.metrics.table import LIBRARY
from evergreen.params import Train
from evergreen.report.plots import draw_curves, draw_result, feature_gain
from evergreen.training import xgboost as train_module
from evergreen.training.learner import Trained
from evergreen.training.seeds import summarize
from evergreen.training.tables import Table, Tables
from evergreen.training.xgboost import build_matrix, train

TASKS = ("binary", "multiclass", "regression")
CLASSES = {"binary": ("no", "yes"), "multiclass": ("ant", "bee", "cow"), "regression": ()}
IMPORTANCE = {f"feature {number}": 0.5**number for number in range(1, 16)}


def predictions(task, rows, classes, draw):
    """Labels, and what a good, a fair and a constant model say of them."""
    if task == "regression":
        y = draw.normal(size=rows).astype(np.float32)
        return y, [y + draw.normal(scale=scale, size=rows) for scale in (0.5, 1)] + [np.zeros(rows)]
    codes = np.r_[np.arange(classes), draw.integers(0, classes, rows)][:rows]
    told = [
        share * np.eye(classes)[codes] + (1 - share) * draw.dirichlet(np.ones(classes), rows)
        for share in (0.4, 0.2)
    ]
    told.append(np.full((rows, classes), 1 / classes))
    return codes.astype(np.float32), [p[:, 1] for p in told] if task == "binary" else told


@cache
def evaluation_of(task, rows=300, seeds=5, chosen=(2,), classes=None):
    names = CLASSES[task] if classes is None else classes
    draw = np.random.default_rng(1)
    y, told = predictions(task, rows, len(names), draw)
    models = dict(zip(("model", "linear", "constant"), told, strict=True))
    metrics = [
        LIBRARY.measure(task, y, told[0] * (1 - 0.01 * seed) + 0.01 * seed * told[1])
        for seed in range(seeds)
    ]
    return Evaluation(
        task=task,
        rows=rows,
        chosen=chosen,
        estimates=bootstrap(
            task, y, models, resamples=100, confidence=0.9, seed=0, metrics=LIBRARY
        ),
        spread={name: summarize([values[name] for values in metrics], 0.9) for name in metrics[0]},
        y=y,
        predictions=models,
        classes=names,
    )


def trained_of(seeds=5, rounds=20):
    curve = tuple(1 / (1 + step) for step in range(rounds + 3))
    return [
        Trained(seed, b"", rounds, curve[rounds - 1], {"train": curve, "validation": curve})
        for seed in range(seeds)
    ]


def check_picture(path):
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) > 10_000
    shades = image.imread(path)[..., :3]
    assert shades.shape[:2] == (880, 1210)
    assert np.mean(shades.min(axis=2) < 0.9) > 0.01  # not blank
    assert not list(path.parent.glob(".part-*"))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_pictures_of_a_task(task, tmp_path):
    evaluation = evaluation_of(task)
    result = draw_result(
        evaluation,
        range(5),
        trained_of(),
        IMPORTANCE,
        "a title",
        tmp_path / "reports" / "result.png",
        metrics=LIBRARY,
    )
    curves = draw_curves(evaluation, "a title", tmp_path / "reports" / "curves.png")
    check_picture(result)
    check_picture(curves)
    assert sorted(path.name for path in result.parent.iterdir()) == ["curves.png", "result.png"]


def test_pyplot_would_be_noticed():
    with pytest.raises(ImportError):
        importlib.import_module("matplotlib.pyplot")


@pytest.mark.slow
def test_a_single_seed_of_one_round(tmp_path):
    evaluation = evaluation_of("binary", seeds=1, chosen=(0,))
    check_picture(
        draw_result(
            evaluation,
            [0],
            trained_of(1, rounds=1),
            IMPORTANCE,
            "one",
            tmp_path / "result.png",
            metrics=LIBRARY,
        )
    )


@pytest.mark.slow
def test_the_mean_of_many_seeds_and_no_feature_used(tmp_path):
    evaluation = evaluation_of("regression", seeds=40, chosen=tuple(range(40)))
    unused = dict.fromkeys(["$", "_"], 0.0)
    check_picture(
        draw_result(
            evaluation,
            range(40),
            trained_of(40),
            unused,
            "many",
            tmp_path / "result.png",
            metrics=LIBRARY,
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "rows", "classes"),
    [
        pytest.param("binary", 2, None, id="a row of each class"),
        pytest.param(
            "multiclass",
            400,
            tuple(f"class {code}" for code in range(15)),
            id="too many classes to count",
        ),
        pytest.param(
            "multiclass", 50, ("_a", "b^c <b>", "% {d} \\e"), id="signs in the names of classes"
        ),
        pytest.param("regression", 9001, None, id="more rows than are drawn"),
    ],
)
def test_curves_of_odd_holdouts(task, rows, classes, tmp_path):
    check_picture(
        draw_curves(evaluation_of(task, rows, classes=classes), "odd", tmp_path / "curves.png")
    )


@pytest.mark.slow
def test_dollar_signs_in_names_are_no_formula(tmp_path):
    check_picture(
        draw_curves(
            evaluation_of("binary", 50, classes=("other", "$a_$")), "odd", tmp_path / "curves.png"
        )
    )


@pytest.mark.slow
def test_a_metric_that_is_not_defined(tmp_path):
    evaluation = evaluation_of("regression")
    nothing = Estimate(np.nan, np.nan, np.nan)
    estimates = {
        model: {**metrics, "r2": nothing} for model, metrics in evaluation.estimates.items()
    }
    evaluation = replace(evaluation, estimates=estimates)
    check_picture(
        draw_result(
            evaluation,
            range(5),
            trained_of(),
            IMPORTANCE,
            "no r2",
            tmp_path / "result.png",
            metrics=LIBRARY,
        )
    )


@pytest.mark.slow
def test_a_class_missing_in_the_holdout(tmp_path):
    evaluation = evaluation_of("multiclass")
    keep = evaluation.y != 1
    some = {name: p[keep] for name, p in evaluation.predictions.items()}
    evaluation = replace(evaluation, y=evaluation.y[keep], predictions=some, rows=int(keep.sum()))
    check_picture(draw_curves(evaluation, "two of three", tmp_path / "curves.png"))


@pytest.mark.slow
def test_a_constant_model_can_be_drawn(tmp_path):
    evaluation = evaluation_of("binary")
    flat = dict.fromkeys(evaluation.predictions, np.full(evaluation.rows, 0.25))
    check_picture(
        draw_curves(replace(evaluation, predictions=flat), "flat", tmp_path / "curves.png")
    )


def test_a_curve_for_every_task():
    assert set(TASKS) == set(train_module.LOSSES)


# --- gain


def boosters_of(y, seeds, **options):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(300, 3)).astype(np.float32)
    table = Table(x, y(x).astype(np.float32))
    tables = Tables("regression", ("some", "most", "none"), (), (), table, table, table)
    params = Train(
        rounds=10, early_stopping_rounds=10, max_depth=3, max_bin=32, colsample_bytree=1, **options
    )
    return {
        seed: train(build_matrix(tables, params, threads=1), params, seed).booster
        for seed in range(seeds)
    }


def test_gain_is_shared_by_what_the_model_uses():
    boosters = boosters_of(lambda x: x[:, 0] + 5 * x[:, 1], 3)
    gain = feature_gain(boosters.values(), ("some", "most", "none"))
    assert next(iter(gain)) == "most"
    assert list(gain.values()) == sorted(gain.values(), reverse=True)
    assert sum(gain.values()) == pytest.approx(1)
    assert gain["most"] > 0.8 > 0.2 > gain["some"] > gain["none"]
    single = [feature_gain([booster], gain) for booster in boosters.values()]
    assert gain == pytest.approx(
        {name: np.mean([gains[name] for gains in single]) for name in gain}
    )


def test_a_model_without_splits_uses_nothing():
    boosters = boosters_of(lambda x: np.ones(len(x)), 1)
    assert feature_gain(boosters.values(), ("some", "most", "none")) == {
        "some": 0,
        "most": 0,
        "none": 0,
    }
