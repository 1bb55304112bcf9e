"""Gains: each metric and slice is drawn with its numbers, in the colour of what the gate makes of
it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from report.judged import (
    GAINS,
    SLICES,
    changed,
    colours_of,
    judged_of,
    lead,
    texts,
)

from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.params import Gate
from evergreen.promotion.compare import Difference
from evergreen.promotion.gate import decide
from evergreen.report import gains as module

NOT_DEFINED = Difference(*[np.nan] * 7)


@pytest.mark.parametrize("task", TASKS)
def test_each_metric_is_a_row_with_its_numbers_and_bound(task, seen):
    axes = seen(judged_of(task), GAINS)
    first, *others = LIBRARY.of(task)
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"{first}\ndecides",
        f"{first}\nas packaged",
        *others,
    ]
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    # In percent of the champion's, or points of 0.01
    assert dots == pytest.approx([2.0] * len(dots))
    bounds = [
        line.get_xdata()[0] for line in axes.lines if line.get_label() in (module.LEAST, "margin")
    ]
    assert bounds == pytest.approx([0.1] + [-0.5] * (len(dots) - 1))
    gain = (
        "0.7840, +0.0160 (+0.0144 to +0.0176)"
        if LIBRARY[first].lower_is_better
        else "0.8200, +0.0200 (+0.0180 to +0.0220)"
    )
    assert axes.texts[0].get_text() == f"0.8000 → {gain}"


def test_what_the_gate_lets_pass_is_green_and_the_rest_red(seen):
    judged = judged_of("binary")
    worse = judged.evidence.comparison.whole | {"brier": lead("brier", -0.05)}
    assert colours_of(seen(changed(judged, whole=worse), GAINS)) == [module.GREEN] * 4 + [
        module.RED
    ]


@pytest.mark.parametrize("name", ["roc_auc", "log_loss"])
def test_a_metric_that_is_not_defined(name, seen):
    judged = judged_of("binary")
    axes = seen(
        changed(judged, whole=judged.evidence.comparison.whole | {name: NOT_DEFINED}), GAINS
    )
    assert texts(axes).count("not defined on these rows") == 1
    assert len(colours_of(axes)) == 4


def test_an_error_of_nothing_has_no_share(seen):
    judged = judged_of("regression")
    none = replace(lead("mae", 0.02), champion=0.0)
    axes = seen(changed(judged, whole=judged.evidence.comparison.whole | {"mae": none}), GAINS)
    assert len(colours_of(axes)) == 3


def test_without_a_champion_it_stands_beside_the_baselines(seen):
    axes = seen(judged_of("regression", champion=False), GAINS)
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "rmse\nbeside constant",
        "rmse\nbeside linear",
    ]
    assert colours_of(axes) == [module.GREEN] * 2
    assert axes.get_legend() is None
    assert "baseline's" in axes.get_xlabel()


def test_with_neither_champion_nor_baselines_there_is_nothing_to_compare_with(seen):
    axes = seen(changed(judged_of(champion=False), baselines={}), GAINS)
    assert axes.get_xlabel() == "nothing to compare with"
    assert colours_of(axes) == []


def test_slices_are_ordered_coloured_and_counted(seen):
    gains = {"falls": -0.05, "wins": 0.05, "slips": -0.02, "same": 0.001}
    slices = {name: lead("roc_auc", gain, 0.01) for name, gain in gains.items()}
    slices |= {"small": None, "unsure": lead("roc_auc", -0.06, 0.07)}
    axes = seen(changed(judged_of(), slices=slices), SLICES)
    assert axes.get_title() == "Slices: 5; 1 too small"
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "unsure",
        "falls",
        "slips",
        "same",
        "wins",
    ]
    assert colours_of(axes) == [module.GREY, module.RED, module.AMBER, module.GREY, module.GREEN]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_label() == "margin"] == [-3]
    assert {
        "beyond the margin",
        "worse",
        "within the noise",
        "better",
        "margin",
        "all rows",
    } <= set(texts(axes))


@pytest.mark.parametrize("task", TASKS)
def test_a_slice_is_red_where_the_gate_breaks(task, seen):
    judged = judged_of(task, gain=-0.028, slices=0)
    slices = {f"{at}": lead(LIBRARY.pick(None, task), -0.0005 * at, 0.01) for at in range(55, 65)}
    judged = changed(judged, slices=slices)
    told = next(rule for rule in decide(judged.evidence, Gate()).rules if rule["name"] == "slices")[
        "says"
    ]
    red = [colour == module.RED for colour in colours_of(seen(judged, SLICES))]
    assert red == [f"{at}:" in told for at in reversed(range(55, 65))]
    assert sum(red) == 4


def test_a_slice_that_is_no_number_for_the_challenger_has_fallen(seen):
    slices = {"fine": lead("roc_auc", 0.01), "lost": replace(NOT_DEFINED, champion=0.8)}
    axes = seen(changed(judged_of(), slices=slices), SLICES)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lost", "fine"]
    assert [(text.get_text(), to_hex(text.get_color())) for text in axes.texts] == [
        ("0.8000 → nan", module.RED),
        ("0.8000 → 0.8100", module.DARK),
    ]
    assert {"beyond the margin", "better"} <= set(texts(axes))


@pytest.mark.slow
def test_the_lowest_and_the_highest_of_many(seen):
    axes = seen(judged_of(slices=60), SLICES)
    assert axes.get_title() == "Slices: 12 lowest, 12 highest of 60"
    shown = sorted(
        zip(axes.get_yticks(), [label.get_text() for label in axes.get_yticklabels()], strict=True)
    )
    expected = [f"carrier={at}" for at in (*range(12), *range(48, 60))]
    assert [name for _, name in shown] == [*expected[:12], "… 36 between", *expected[12:]]
    assert len(colours_of(axes)) == module.MOST_SLICES


@pytest.mark.parametrize(
    ("slices", "title"),
    [
        pytest.param({}, "Slices: none to compare", id="none"),
        pytest.param(
            {"a": None, "b": NOT_DEFINED},
            "Slices: none to compare; 2 too small",
            id="none that is defined",
        ),
        pytest.param({"a": lead("roc_auc", 0)}, "Slices: 1", id="one"),
    ],
)
def test_few_slices(slices, title, seen):
    assert seen(changed(judged_of(), slices=slices), SLICES).get_title() == title


def test_a_margin_that_is_switched_off_is_not_drawn(seen):
    axes = seen(judged_of(gain=-0.5), SLICES, gate=Gate(slice_margin=None))
    assert "margin" not in texts(axes)
    assert set(colours_of(axes)) == {module.AMBER}


def test_one_wide_interval_does_not_press_the_others(seen):
    slices = {f"{at}": lead("roc_auc", 0.01, 0.01 if at else 5.0) for at in range(20)}
    low, high = seen(changed(judged_of(), slices=slices), SLICES).get_xlim()
    assert -10 < low < -3
    assert 2 < high < 10
