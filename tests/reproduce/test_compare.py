"""Compare: equal where every byte and number is the same, else what differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from registries import LEARNT, ROWS, package

from evergreen.evaluation.held_out import HeldOut
from evergreen.reproduce.compare import (
    Verdict,
    compare_data,
    compare_metrics,
    compare_packages,
    compare_predictions,
)
from evergreen.scoring.package import read_package
from evergreen.stores.dvc_bytes import Brought

RECORDED = {"roc_auc": 0.75, "roc_auc.low": 0.7, "linear.roc_auc": 0.7, "seconds": 3.0}
HELD = HeldOut(np.array([1, 2], np.uint64), np.array([0.25, 0.5]), ())


@pytest.mark.parametrize(
    ("data", "word", "part"),
    [
        (Brought(3), "equal", "3 files"),
        (Brought(0), "not made", "nothing"),
        (Brought(2, altered=("data/raw/a",)), "different", "not as recorded: data/raw/a"),
        (Brought(2, missing=("data/raw/b",)), "different", "missing: data/raw/b"),
    ],
)
def test_data(data: Brought, word: str, part: str) -> None:
    verdict = compare_data(data)
    assert (verdict.word, part in verdict.says) == (word, True)


def test_packages_are_equal_where_every_file_is(tmp_path: Path) -> None:
    first, same = package(tmp_path / "first"), package(tmp_path / "same")
    other = package(tmp_path / "other", learnt=replace(LEARNT, newest="2013-03-31T00:00:00"))
    assert compare_packages(first, same).equal
    verdict = compare_packages(first, other)
    assert (verdict.word, verdict.says) == ("different", "other bytes: learnt.json")


def test_a_file_that_only_one_package_has_is_a_difference(tmp_path: Path) -> None:
    first, other = package(tmp_path / "first"), package(tmp_path / "other")
    sums = (other / "checksums.json").read_text()
    (other / "checksums.json").write_text(sums.replace("learnt.npy", "else.npy"))
    assert compare_packages(first, other).says == "other bytes: else.npy, learnt.npy"


@pytest.mark.parametrize(
    ("again", "equal", "part"),
    [
        (None, True, "5 rows, bit for bit"),
        (HELD, True, "5 rows, bit for bit"),
        (replace(HELD, packaged=np.array([0.25, 0.5 + 2**-30])), False, "by up to 9.31e-10"),
        (replace(HELD, keys=np.array([1, 3], np.uint64)), False, "by up to inf"),
    ],
)
def test_predictions_before_a_refit_count(
    again: HeldOut | None, equal: bool, part: str, tmp_path: Path
) -> None:
    model = read_package(package(tmp_path / "package"))
    verdict = compare_predictions(model, model, ROWS, again and (HELD, again))
    assert (verdict.equal, part in verdict.says) == (equal, True)


def test_predictions_of_another_model_differ(tmp_path: Path) -> None:
    first, other = (read_package(package(tmp_path / str(seed), seeds=(seed,))) for seed in (0, 1))
    assert not compare_predictions(first, other, ROWS).equal


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"roc_auc": 0.75, "linear.roc_auc": 0.7}, "all 2"),
        ({"roc_auc": np.nextafter(0.75, 1), "roc_auc.low": 0.6}, "2 of 2, such as roc_auc: 0.75"),
        ({"roc_auc": 0.75, "log_loss": 0.5}, "1 of 2, such as log_loss: not recorded then"),
    ],
)
def test_metrics(made: dict[str, float], says: str) -> None:
    verdict = compare_metrics(RECORDED, made)
    assert (verdict.equal, verdict.says[: len(says)]) == (says.startswith("all"), says)


def test_each_verdict_has_its_word() -> None:
    words = [Verdict("data", equal, "").word for equal in (True, False, None)]
    assert words == ["equal", "different", "not made"]
