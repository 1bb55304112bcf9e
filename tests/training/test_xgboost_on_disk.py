"""Rows on disk: the same bytes as rows in memory, and no file that stays."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import xgboost as xgb

from evergreen.errors import InputError
from evergreen.params import Train
from evergreen.training import linear
from evergreen.training.blocks import _write
from evergreen.training.xgboost import build_matrix, check_external, takes_wrong_leaves, train

TASKS = ("binary", "multiclass", "regression")


@pytest.fixture
def laid_down(make_tables, tmp_path, monkeypatch):
    """Draw the tables of a task, training and validation rows in files, read in small blocks."""
    monkeypatch.setattr("evergreen.training.xgboost.BLOCK", 150 * 3)

    def lay(table):
        x = _write(iter([table.x[:500], table.x[500:]]), table.x.shape[1], tmp_path)
        return replace(table, x=x)

    def make(task, **changes):
        tables = replace(make_tables(task), **changes)
        return replace(tables, train=lay(tables.train), validation=lay(tables.validation))

    return make


def both_ways(task, params, make_tables, laid_down, **changes):
    """Return what is trained on rows in memory, and on the same in files."""
    pair = replace(make_tables(task), **changes), laid_down(task, **changes)
    return [train(build_matrix(tables, params, 2), params, 3, threads=2) for tables in pair]


LOSSES_OF = dict.fromkeys(TASKS, ("auto",)) | {
    "binary": ("auto", "weighted_log_loss", "focal"),
    "regression": ("auto", "absolute", "quantile", "pseudo_huber"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "loss"), [(task, loss) for task, losses in LOSSES_OF.items() for loss in losses]
)
def test_rows_on_disk_give_the_same_bytes(task, loss, make_tables, laid_down, quick):
    whole = {"subsample": 1.0} if loss in ("absolute", "quantile") else {}
    params = quick.model_copy(update={"loss": loss} | whole)
    inside, outside = both_ways(task, params, make_tables, laid_down)
    assert outside.booster == inside.booster
    assert (outside.history, outside.rounds) == (inside.history, inside.rounds)
    assert len(outside.history["validation"]) > 1  # early stopping watched


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"schedule": "cosine", "schedule_rounds": 5},
        {"subsample": 0.5, "colsample_bytree": 0.5},
        {"max_bin": 8},
        {"max_bin": 1000},
    ],
)
def test_rows_on_disk_give_the_same_bytes_by_other_parameters(
    change, make_tables, laid_down, quick
):
    params = quick.model_copy(update=change)
    inside, outside = both_ways("regression", params, make_tables, laid_down)
    assert outside.booster == inside.booster


@pytest.mark.parametrize(
    ("change", "device", "said"),
    [
        ({"loss": "absolute"}, "cpu", "train.loss absolute and train.subsample 0.8: set train.s"),
        ({"loss": "quantile", "subsample": 0.5}, "cpu", "train.loss quantile and train.subsample"),
        ({}, "cuda", "train on the CPU alone, and the device is cuda"),
    ],
)
def test_what_rows_on_disk_cannot_be_trained_by_is_told(
    change, device, said, laid_down, quick, monkeypatch
):
    monkeypatch.setattr("evergreen.training.xgboost.takes_wrong_leaves", lambda: True)
    params = quick.model_copy(update={"subsample": 0.8} | change)
    with pytest.raises(InputError, match=said):
        check_external("regression", params, device)
    check_external("regression", params.model_copy(update={"subsample": 1.0}), "cpu")
    if device == "cpu":
        with pytest.raises(InputError, match=said):
            build_matrix(laid_down("regression"), params)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["absolute", "quantile"])
def test_why_rows_on_disk_are_refused_some_losses(loss, make_tables, laid_down, quick, monkeypatch):
    """Those before 3.4 make other leaves, later ones the same bytes."""
    monkeypatch.setattr("evergreen.training.xgboost.check_external", lambda *_: None)
    params = quick.model_copy(update={"loss": loss, "subsample": 0.8})
    inside, outside = both_ways("regression", params, make_tables, laid_down)
    assert (outside.booster != inside.booster) == takes_wrong_leaves()


def test_rows_on_disk_need_no_validation_rows(make_tables, laid_down, quick):
    none = make_tables("binary").train.none()
    params = quick.model_copy(update={"rounds": 4})
    pair = (
        replace(make_tables("binary"), validation=none),
        replace(laid_down("binary"), validation=none),
    )
    inside, outside = (train(build_matrix(rows, params, 1), params, 0).booster for rows in pair)
    assert inside == outside


@pytest.mark.slow
def test_seeds_take_turns_at_rows_on_disk(laid_down, make_matrix, quick):
    matrix = build_matrix(laid_down("binary"), quick, 1)
    with ThreadPoolExecutor(3) as pool:
        found = [*pool.map(lambda seed: train(matrix, quick, seed).booster, range(3))]
    assert found == [train(make_matrix("binary"), quick, seed).booster for seed in range(3)]


@pytest.mark.slow
def test_files_of_bins_go_with_the_matrix(laid_down, tmp_path, quick, monkeypatch):
    matrix = build_matrix(laid_down("binary"), quick, 1)
    assert len(list(tmp_path.glob(".part-*.bins"))) == 2
    del matrix
    gc.collect()
    assert not list(tmp_path.glob(".part-*"))
    monkeypatch.setattr(xgb, "ExtMemQuantileDMatrix", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_matrix(laid_down("binary"), quick, 1)
    assert not list(tmp_path.glob(".part-*"))


def test_the_linear_learner_takes_rows_on_disk(make_tables, laid_down):
    pair = (make_tables("binary"), laid_down("binary"))
    inside, outside = (
        linear.train(linear.build_matrix(tables, Train()), Train(), 0).booster for tables in pair
    )
    assert inside == outside
