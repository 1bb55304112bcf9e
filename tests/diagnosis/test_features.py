"""Features: useless and leaking ones are named; what each adds sums up to the prediction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from diagnosis.sick import Array, lab_of, sound, with_column

from evergreen.diagnosis.fault import COPIES, LEAK, USELESS
from evergreen.diagnosis.features import explain, find_leaking, find_useless, shuffle_each, without
from evergreen.params import Leaks
from evergreen.training.learner import find_learner

ROWS = (1200, 300, 800)


def noise(y: Array, draw: np.random.Generator) -> Array:
    return draw.normal(size=len(y))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_useless_feature_is_named_and_none_of_those_that_help(task: str) -> None:
    lab = lab_of(sound(task, rows=ROWS))
    assert find_useless(lab, shuffle_each(lab)).faults == ()
    lab = lab_of(with_column(with_column(lab.tables, "dice", noise), "coin", noise))
    (fault,) = find_useless(lab, shuffle_each(lab)).faults
    assert fault.kind == USELESS
    assert "'dice'" in fault.says
    assert "'coin'" in fault.says
    assert "'first'" not in fault.says


@pytest.mark.slow
@pytest.mark.parametrize(("noise_share", "named"), [(0.0, True), (0.3, True), (3.0, False)])
def test_a_feature_that_makes_nearly_everything_is_asked_about(
    noise_share: float, named: bool
) -> None:
    def paid(y: Array, draw: np.random.Generator) -> Array:
        return np.asarray(y + noise_share * draw.normal(size=len(y)))

    lab = lab_of(with_column(sound(sharp=0.4, rows=ROWS), "paid", paid), 1)
    found = find_leaking(lab, Leaks())
    assert [fault.kind for fault in found.faults] == [LEAK] * named
    assert all("'paid'" in fault.says for fault in found.faults)
    assert find_leaking(lab, Leaks(trusted=("paid",))).faults == ()


def test_rows_in_two_parts_are_a_leak_and_copies() -> None:
    tables = sound(rows=(400, 100, 200))
    shared = replace(tables, holdout=tables.train.take(np.arange(50)))
    found = find_leaking(lab_of(shared, 1, rounds=5), Leaks())
    assert [fault.kind for fault in found.faults] == [LEAK, COPIES]
    assert "50 of 50 judging rows" in found.faults[0].says
    assert "keep each row once" in found.faults[1].remedy


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_what_features_add_sums_up_to_the_margin(task: str) -> None:
    lab = lab_of(sound(task, rows=(400, 100, 200)), 1, rounds=20)
    explained = explain(lab)
    assert explained is not None
    assert explained.values.shape == (200, 5)
    said = find_learner("xgboost").load(lab.base.trained[0].booster).predict(lab.tables.holdout.x)
    margin = np.log(said / (1 - said)) if task == "binary" else said
    rest = margin - explained.values.sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-4)
    assert explained.order[0] == int(np.argmax(explained.strength))


def test_classes_are_explained_by_the_size_of_what_each_adds() -> None:
    explained = explain(lab_of(sound("multiclass", rows=(400, 100, 200)), 1, rounds=10))
    assert explained is not None
    assert explained.values.shape == (200, 5)


def test_a_learner_without_such_values_is_not_explained() -> None:
    assert explain(lab_of(sound(rows=(400, 100, 200)), 1, learner="linear")) is None


def test_without_a_feature_the_others_are_as_they_were() -> None:
    lab = lab_of(sound(rows=(400, 100, 200)), 1, rounds=20)
    assert without(lab, set()).loss == lab.base.loss
    assert without(lab, {0}).loss > lab.base.loss
