"""Cross-validation: each row that judges is spoken for by a model that has not learnt from it."""

from __future__ import annotations

import numpy as np
import pytest

from evergreen.evaluation.baselines import predict_baselines
from evergreen.params import Train
from evergreen.training import linear
from evergreen.training.cross_validation import (
    FOLDS,
    fold_by_key,
    fold_by_time,
    join,
    part_bytes,
    predict_holdout,
)
from evergreen.training.learner import Trained
from evergreen.training.tables import Table, Tables

KEYS = np.random.default_rng(0).integers(0, 2**64, 500, dtype=np.uint64)
TIMES = np.sort(np.random.default_rng(1).integers(0, 200, 500))


def tables_of(found):
    draw = np.random.default_rng(2)
    x = draw.normal(size=(500, 2)).astype(np.float32)
    y = (3 * x[:, 0] + draw.normal(size=500)).astype(np.float32)
    table = Table(x, y, KEYS)
    return Tables("regression", ("a", "b"), (), (), table, table.none(), table, folds=found)


@pytest.mark.parametrize("stopping", [False, True])
def test_by_key_every_row_is_judged_once_by_a_model_of_the_others(stopping):
    found = fold_by_key(KEYS, stopping=stopping)
    assert len(found) == FOLDS
    assert sorted(np.concatenate([fold.holdout for fold in found])) == [*range(500)]
    for fold in found:
        assert not np.isin(fold.holdout, [*fold.train, *fold.validation]).any()
        assert len(fold.train) + len(fold.validation) + len(fold.holdout) == 500
        assert (len(fold.validation) > 50) is stopping


def test_by_key_a_row_keeps_its_fold():
    fold_of = {}
    for keys in (KEYS, KEYS[::-1], KEYS[:100]):
        for number, fold in enumerate(fold_by_key(keys, stopping=False)):
            for key in keys[fold.holdout].tolist():
                assert fold_of.setdefault(key, number) == number


@pytest.mark.parametrize("stopping", [False, True])
def test_by_time_a_model_has_learnt_from_nothing_later(stopping):
    judged = TIMES[TIMES >= 100]
    found = fold_by_time(TIMES, judged, stopping=stopping)
    assert len(found) == FOLDS
    assert np.concatenate([fold.holdout for fold in found]).tolist() == [*range(len(judged))]
    for fold in found:
        learnt = [TIMES[fold.train], TIMES[fold.validation]]
        assert max(map(max, filter(len, learnt))) < judged[fold.holdout].min()
        assert len(fold.train) + len(fold.validation) == np.sum(judged[fold.holdout].min() > TIMES)
        if stopping:
            assert learnt[0].max() < learnt[1].min()
            assert 0.1 < len(fold.validation) / len(fold.train) < 0.4
        else:
            assert not len(fold.validation)


def test_rows_of_one_moment_are_on_one_side():
    times = np.repeat(np.arange(10), 50)
    for fold in fold_by_time(times, times[times >= 5], stopping=False):
        assert not set(times[fold.train]) & set(times[times >= 5][fold.holdout])


def test_what_is_said_of_the_holdout_comes_from_the_model_of_the_fold():
    tables = tables_of(fold_by_key(KEYS, stopping=False))
    fitted = [
        linear.train(linear.build_matrix(part, Train()), Train(), 0) for part in tables.parts()
    ]
    whole = join(fitted)
    assert (whole.folds, part_bytes(tables, whole.booster)) == (
        FOLDS,
        [seed.booster for seed in fitted],
    )
    said = predict_holdout(tables, whole.booster, "linear")
    for fold, seed in zip(tables.folds, fitted, strict=True):
        np.testing.assert_array_equal(
            said[fold.holdout], linear.load(seed.booster).predict(tables.train.x[fold.holdout])
        )
    assert len({seed.booster for seed in fitted}) == FOLDS  # none has learnt from what another has


def test_baselines_are_cross_validated_as_well():
    tables = tables_of(fold_by_key(KEYS, stopping=False))
    found = predict_baselines(tables, 0)
    # Else what is nothing but constant would rank rows by their fold
    assert len(set(found["constant"])) == 1
    assert np.corrcoef(found["linear"], tables.holdout.y)[0, 1] > 0.9


def test_where_there_is_no_fold_all_is_as_it_was():
    tables = tables_of(())
    seed = Trained(0, b"model", 7, 0.4, {})
    assert tables.parts() == [tables]
    assert join([seed]) is seed
    assert part_bytes(tables, b"model") == [b"model"]
    assert tables.rows_learnt() == 500


def test_its_rounds_are_those_of_the_fold_in_the_middle():
    fitted = [
        Trained(3, bytes([at]), rounds, rounds / 10, {"train": (rounds,)}, 1.0)
        for at, rounds in enumerate([9, 4, 6])
    ]
    whole = join(fitted)
    assert (whole.seed, whole.rounds, whole.validation_loss, whole.history) == (
        3,
        6,
        0.6,
        {"train": (6,)},
    )
    assert (whole.folds, whole.seconds) == (3, 3.0)


def test_what_is_learnt_from_counts_in_the_digest():
    half = fold_by_key(KEYS, stopping=False)
    assert (
        tables_of(half).digest()
        != tables_of(()).digest()
        != tables_of(fold_by_key(KEYS, stopping=True)).digest()
    )
