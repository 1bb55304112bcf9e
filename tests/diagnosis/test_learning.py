"""Learning: a rate, a capacity or rows that are wrong are named with the knob that mends them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnosis.sick import lab_of, sound

from evergreen.diagnosis import learning
from evergreen.diagnosis.fault import HIGH_RATE, LOW_RATE, OLD_ROWS, OVERFIT, UNDERFIT
from evergreen.diagnosis.lab import Gain, Lab, Trial
from evergreen.diagnosis.learning import (
    Path,
    Sizes,
    find_age,
    find_capacity,
    find_hunger,
    find_rate,
    grow,
    told,
    walk_paths,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "knob", "params"),
    [
        (HIGH_RATE, "train.learning_rate to 0.25", {"learning_rate": 1.0}),
        (LOW_RATE, "train.learning_rate to", {"learning_rate": 0.002, "rounds": 60}),
        (None, "", {"learning_rate": 0.2}),
    ],
    ids=["too high", "too low", "sound"],
)
def test_a_wrong_rate_is_mended(kind: str | None, knob: str, params: Any) -> None:
    lab = lab_of(sound(), **params)
    found, mended = find_rate(lab)
    assert [fault.kind for fault in found.faults] == [kind] * bool(kind)
    assert all(knob in fault.remedy for fault in found.faults)
    assert (mended.params != lab.params) == bool(kind)
    assert mended.base.loss <= lab.base.loss


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "params", "sharp"),
    [
        (OVERFIT, {"max_depth": 8, "min_child_weight": 0.0, "reg_lambda": 0.0}, 0.5),
        (UNDERFIT, {"max_depth": 1}, 2.0),
        (None, {}, 2.0),
    ],
    ids=["overfit", "stumps", "sound"],
)
def test_a_wrong_capacity_is_mended(
    kind: str | None, params: Any, sharp: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "PATHS", {"max_depth": (2, 4), "reg_lambda": (1.0, 100.0)})
    lab = lab_of(sound(sharp=sharp), **params)
    found, mended = find_capacity(lab, walk_paths(lab))
    assert [fault.kind for fault in found.faults] == [kind] * bool(kind)
    for fault in found.faults:
        knob = fault.remedy.split()[1].removeprefix("train.")
        assert getattr(mended.params, knob) != getattr(lab.params, knob)
        assert fault.gain == pytest.approx(lab.gain(mended.base, lab.base).value)


def trial(loss: float, rows: int = 400) -> Trial:
    draw = np.random.default_rng(round(loss * 1000))
    return Trial(np.full((2, rows), loss) + draw.normal(0, 0.001, rows), loss / 2, np.empty(0), ())


def lab_with(base: float) -> Lab:
    """A lab whose base has that loss, where a constant prediction has about 0.69."""
    lab = lab_of(sound(rows=(40, 20, 400)))
    lab._seen[lab.params.model_dump_json()] = trial(base)
    return lab


@pytest.mark.parametrize(
    ("losses", "answer"),
    [
        ((0.60, 0.55, 0.50, 0.45, 0.40), "Yes"),
        ((0.46, 0.42, 0.401, 0.4, 0.4), "More would come of other features"),
        ((0.05, 0.02, 0.011, 0.01, 0.01), "Nearly all is explained"),
    ],
)
def test_more_rows_help_where_the_curve_still_falls(losses: tuple[float, ...], answer: str) -> None:
    sizes = Sizes((100, 200, 400, 700, 1000), tuple(map(trial, losses)))
    ((_, said),) = find_hunger(lab_with(losses[-1]), sizes).answers
    assert answer in said


def test_the_curve_of_sizes_ends_with_all_rows() -> None:
    lab = lab_of(sound(rows=(400, 100, 200)), 1, rounds=5)
    sizes = grow(lab)
    assert sizes.rows == (40, 80, 160, 280, 400)
    assert sizes.trials[-1] is lab.base


@pytest.mark.parametrize(
    ("older", "newer", "found"),
    [(0.55, 0.30, OLD_ROWS), (0.55, 0.41, "Yes"), (0.45, 0.45, "No more")],
)
def test_old_rows_that_do_harm_are_found(
    older: float, newer: float, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = iter([trial(older), trial(newer)])
    monkeypatch.setattr(Lab, "on", lambda *_: next(halves))
    done = find_age(lab_with(0.40))
    assert found in [
        *(fault.kind for fault in done.faults),
        *(said.split(",")[0].split(" than")[0] for _, said in done.answers),
    ]


def test_without_a_time_no_row_is_newer() -> None:
    lab = Lab(sound(rows=(40, 20, 40)), lab_with(0.4).params, in_time=False)
    assert "no time" in find_age(lab).answers[0][1]


def test_a_gain_in_words() -> None:
    assert told(Gain(0.0312, 0.004)) == "3.1 ± 0.8 points of skill"


def test_a_path_holds_the_value_that_a_knob_has() -> None:
    lab = lab_of(sound(rows=(60, 30, 60)), 1, rounds=2, max_depth=5)
    paths: list[Path] = walk_paths(lab)
    assert [(path.knob, path.now) for path in paths] == [
        ("max_depth", 5), ("min_child_weight", 5.0), ("reg_lambda", 1.0),
    ]  # fmt: skip
    assert all(path.now in path.values for path in paths)
