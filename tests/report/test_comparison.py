"""The picture of a decision: every rule and every number that decided can be read off it, for every
task.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from report.judged import (
    CALIBRATION,
    CURVE,
    RULES,
    SEEDS,
    SLICES,
    judged_of,
    texts,
    told_by,
)

from evergreen.metrics.table import LIBRARY
from evergreen.params import Gate
from evergreen.promotion.gate import approved, decide
from evergreen.report import comparison as module
from evergreen.report.comparison import draw_comparison

TASKS = ("binary", "multiclass", "regression")
CURVES = {
    "binary": ["ROC", "Precision and recall"],
    "multiclass": ["Recall by class"],
    "regression": ["Errors"],
}
ODD = (
    "$x_{",
    "a\nb\tc=<&>%s {d}",
    "carrier=" + "very long " * 30,
    "東京=\x00 \U0001f600",
    "\\frac{1}{2}",
    "WIDE word " * 40,
)


# --- painted


def unseen_ticks(figure):
    """The words of ticks that are outside of their axis, which are not painted."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            yield from (
                tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high
            )


def check_layout(figure):
    """No words outside of the picture, none upon others."""
    renderer, hidden = FigureCanvasAgg(figure).get_renderer(), set(unseen_ticks(figure))
    words = [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    ]
    boxes = {text: text.get_window_extent(renderer) for text in words}
    whole = figure.bbox
    assert [
        text.get_text()
        for text, box in boxes.items()
        if box.x0 < 0 or box.x1 > whole.x1 or box.y0 < 0
    ] == []
    upright = [
        (text.get_text(), box.padded(-1))
        for text, box in boxes.items()
        if not text.get_rotation() % 90
    ]
    assert [
        (first[0], two[0]) for first, two in combinations(upright, 2) if first[1].overlaps(two[1])
    ] == []


def check_picture(path):
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width == 1760
    assert 900 < height < 1800
    assert len(content) > 50_000  # not blank
    assert not list(path.parent.glob(".part-*"))


@pytest.fixture
def paint(monkeypatch, tmp_path):
    """Draw for good, check the picture, return the figure."""
    figures, save = [], Figure.savefig

    def savefig(figure, part, **options):
        figures.append(figure)
        save(figure, part, **options)
        check_layout(figure)

    def draw(judged, gate=None):
        path = tmp_path / "new" / "comparison.png"
        draw_comparison(
            judged, decide(judged.evidence, gate or Gate()), "a title", path, metrics=LIBRARY
        )
        check_picture(path)
        return figures.pop()

    monkeypatch.setattr(Figure, "savefig", savefig)
    return draw


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "champion", "slices", "told"),
    [
        ("binary", True, 60, "Slices: 12 lowest, 12 highest of 60"),
        ("multiclass", True, 6, "Slices: 6"),
        ("regression", True, 1, "Slices: 1"),
        ("binary", False, 6, None),
    ],
)
def test_the_picture_of_a_task(task, champion, slices, told, paint):
    figure = paint(judged_of(task, champion=champion, slices=slices))
    rules = 8 + champion * len(LIBRARY.of(task))
    top = [
        "Gain, 300 rows: green passes, red does not",
        *([told] if champion else []),
        "Seeds (●), packaged model (◆)",
    ]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        *top,
        *CURVES[task],
        "Calibration",
        f"The gate: promote; 0 of {rules} rules broken",
    ]
    assert figure.get_suptitle() == "PROMOTE: a title"


@pytest.mark.slow
def test_odd_names_are_printed_as_they_are(paint):
    figure = paint(judged_of("binary", gain=-0.2, slices=ODD, notes=("$ _{ a note " * 80,)))
    shown = texts(figure.axes[SLICES])
    assert {"$x_{", "a b c=<&>%s {d}", "東京=? \U0001f600", "\\frac{1}{2}"} <= set(shown)
    assert max(map(len, shown)) <= 24


@pytest.mark.slow
def test_a_picture_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path, judged = tmp_path / "comparison.png", judged_of()
    path.write_bytes(b"old")

    def broken(figure, part, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", broken)
    with pytest.raises(OSError, match="No space"):
        draw_comparison(judged, decide(judged.evidence, Gate()), "broken", path, metrics=LIBRARY)
    assert path.read_bytes() == b"old"


# --- the decision and its rules


@pytest.mark.parametrize(
    ("gain", "gate", "title", "colour"),
    [
        pytest.param(0.02, Gate(), "PROMOTE: a title", module.GREEN, id="promoted"),
        pytest.param(-0.02, Gate(), "REFUSE: a title", module.RED, id="refused"),
        pytest.param(
            0.02, Gate(approval="manual"), "ASK: a title", module.AMBER, id="left to a person"
        ),
    ],
)
def test_the_title_says_the_decision_in_its_colour(gain, gate, title, colour, monkeypatch):
    kept = []
    monkeypatch.setattr(
        module, "draw_panels", lambda _, *words, **more: kept.append((words[0], more["colour"]))
    )
    judged = judged_of(gain=gain)
    draw_comparison(judged, decide(judged.evidence, gate), "a title", Path("none"), metrics=LIBRARY)
    assert kept == [(title, colour)]


@pytest.mark.parametrize("gain", [0.02, -0.02])
def test_every_rule_is_told_and_the_broken_ones_are_red(gain, seen):
    judged = judged_of(gain=gain)
    decision, told = decide(judged.evidence, Gate()), told_by(seen(judged, RULES))
    said = [(rule["name"], module.DARK if rule["met"] else module.RED) for rule in decision.rules]
    assert [line for line in told if line[0] in dict(said)] == said
    assert {rule["says"] for rule in decision.rules} <= {words for words, _ in told}
    assert [words for words, _ in told].count("BROKEN") == sum(
        not rule["met"] for rule in decision.rules
    )


def test_a_long_sentence_is_wrapped_and_ends(seen):
    told = told_by(seen(judged_of(notes=("word " * 400,)), RULES))
    assert {colour for _, colour in told} == {module.DARK}
    lines = [words for words, _ in told if words.startswith("word")]
    assert len(lines) == module.MOST_LINES
    assert max(map(len, lines)) <= module.LETTERS
    assert lines[-1].endswith(" …")


def test_the_lines_of_a_broken_rule_are_all_red_and_no_others(seen):
    told = told_by(seen(judged_of(faults=("fault " * 60,)), RULES))
    assert [colour for words, colour in told if words.startswith("fault")] == [module.RED] * 3
    assert all(colour == module.DARK for words, colour in told[told.index(("met", module.DARK)) :])


def test_who_decided_against_the_gate_is_told(seen):
    judged = judged_of(gain=-0.02)
    decision = approved(decide(judged.evidence, Gate()), "meant so", override=True)
    axes = seen(judged, RULES, decision=decision)
    said = "AGAINST THE GATE by a person: meant so"
    assert told_by(axes)[:2] == [("decision", module.DARK), (said, module.DARK)]
    assert axes.get_title().startswith("The gate: promote; 5 of 12")


# --- seeds, curves, calibration


@pytest.mark.parametrize("task", TASKS)
def test_every_seed_is_a_point_and_up_is_better(task, seen):
    judged = judged_of(task)
    axes = seen(judged, SEEDS)
    clouds = [tuple(line.get_ydata()) for line in axes.lines if line.get_marker() == "o"]
    assert clouds == [
        judged.evidence.comparison.by_seed[side] for side in ("champion", "challenger")
    ]
    metric = LIBRARY.pick(None, task)
    packaged = [LIBRARY.measure(task, judged.y, p)[metric] for p in judged.predictions.values()]
    assert [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "D"] == packaged
    assert axes.yaxis_inverted() == (LIBRARY[metric].lower_is_better)


@pytest.mark.parametrize("seeds", [0, 1, 40])
def test_any_number_of_seeds(seeds, seen):
    assert f"champion\nseeds: {seeds}" in texts(seen(judged_of(seeds=seeds), SEEDS))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_both_models_are_in_each_curve(task, seen):
    for champion in (True, False):
        first = CURVE if champion else CURVE - 1
        for number in (*range(first, first + len(CURVES[task])), CALIBRATION):
            words = texts(seen(judged_of(task, champion=champion), number))
            assert sum(word.startswith("challenger") for word in words) == 1
            assert sum(word.startswith("champion") for word in words) == champion


@pytest.mark.parametrize(
    ("classes", "names", "title", "first"),
    [
        pytest.param(3, ("ant", "$b_", "c\n"), "Recall by class", ["ant", "$b_", "c"], id="named"),
        pytest.param(3, (), "Recall by class", ["class 0", "class 1", "class 2"], id="not named"),
        pytest.param(40, (), "Recall by class: the 16 of 40 that differ most", [], id="many"),
    ],
)
def test_recall_by_class(classes, names, title, first, seen):
    axes = seen(judged_of("multiclass", classes=classes), CURVE, classes=names)
    assert axes.get_title() == title
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert shown[: len(first)] == first
    assert len(axes.patches) == 2 * len(shown) == 2 * min(classes, module.MOST_CLASSES)


def test_bars_are_the_recall(seen):
    judged = judged_of("multiclass")
    axes = seen(judged, CURVE)
    hits = judged.predictions["challenger"].argmax(axis=1) == judged.y
    expected = [hits[judged.y == code].mean() for code in range(3)]
    assert [bar.get_height() for bar in axes.patches[3:]] == pytest.approx(expected)


def test_calibration_of_numbers_is_the_mean_residual_by_tenth(seen):
    judged = judged_of("regression")
    p = judged.predictions["challenger"]
    low = np.argsort(p)[:30]
    line = seen(judged, CALIBRATION).lines[1]
    assert line.get_label() == "challenger: error 0.0100"
    assert len(line.get_xdata()) == 10
    assert (line.get_xdata()[0], line.get_ydata()[0]) == pytest.approx(
        (p[low].mean(), (judged.y - p)[low].mean())
    )


@pytest.mark.slow
def test_the_classes_that_differ_most_are_kept(seen):
    judged = judged_of("multiclass", classes=20)
    worse = judged.predictions["champion"].copy()
    worse[judged.y == 7] = np.eye(20)[3]
    same = {"champion": worse, "challenger": judged.predictions["champion"]}
    shown = [
        label.get_text()
        for label in seen(replace(judged, predictions=same), CURVE).get_xticklabels()
    ]
    assert "class 7" in shown
    assert len(shown) == module.MOST_CLASSES
