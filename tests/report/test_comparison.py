"""The picture of a decision: every rule and every number that decided can be read off it, for every task."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from evergreen.evaluation.metrics import LOWER_IS_BETTER, METRICS, measure
from evergreen.params import Gate
from evergreen.promotion.compare import Comparison, Difference
from evergreen.promotion.evidence import Judged
from evergreen.promotion.gate import Evidence, approved, decide
from evergreen.report import comparison as module
from evergreen.report.comparison import draw_comparison

TASKS = ("binary", "multiclass", "regression")
CURVES = {
    "binary": ["ROC", "Precision and recall"],
    "multiclass": ["Recall by class"],
    "regression": ["Errors"],
}
# The panels, where there is a champion
GAINS, SLICES, SEEDS, CURVE, CALIBRATION, RULES = 0, 1, 2, 3, -2, -1
NOT_DEFINED = Difference(*[np.nan] * 7)
ODD = (
    "$x_{",
    "a\nb\tc=<&>%s {d}",
    "carrier=" + "very long " * 30,
    "東京=\x00 \U0001f600",
    "\\frac{1}{2}",
    "WIDE word " * 40,
)


def lead(metric, gain, noise=0.002, champion=0.8):
    """The challenger's lead: `gain` and `noise` in what the gate's bounds count in."""
    down = metric in LOWER_IS_BETTER
    value, wide = (gain * champion, noise * champion) if down else (gain, noise)
    chance = float(np.clip(0.5 + gain / noise / 4, 0, 1))
    return Difference(
        champion,
        champion - value if down else champion + value,
        value,
        value - wide,
        value + wide,
        chance,
        chance,
    )


def predictions(task, classes, draw):
    """Labels, and what a fair and a good model say of them."""
    if task == "regression":
        y = draw.normal(size=300)
        return y, [y + draw.normal(scale=scale, size=300) for scale in (1, 0.5)]
    codes = draw.integers(0, classes, 300)
    told = [
        s * np.eye(classes)[codes] + (1 - s) * draw.dirichlet(np.ones(classes), 300)
        for s in (0.2, 0.4)
    ]
    return codes.astype(float), [one[:, 1] for one in told] if task == "binary" else told


def judged_of(task="binary", gain=0.02, champion=True, slices=6, classes=None, seeds=4, **more):
    """What is known of a challenger that is better by `gain` in all, and differently in each of the slices."""
    y, (old, new) = predictions(
        task, classes or (2 if task == "binary" else 3), np.random.default_rng(1)
    )
    metric = METRICS[task][0]
    names = [f"carrier={number}" for number in range(slices)] if isinstance(slices, int) else slices
    found = Comparison(
        task=task,
        metric=metric,
        rows=300,
        whole={name: lead(name, gain) for name in METRICS[task]} if champion else {},
        models=lead(metric, gain) if champion else None,
        slices={
            name: lead(metric, gain + 0.001 * at, 0.01) if champion else None
            for at, name in enumerate(names)
        },
        baselines={"constant": lead(metric, 0.2), "linear": lead(metric, 0.1)},
        by_seed={
            side: tuple(0.8 + gain * (side == "challenger") + 0.001 * seed for seed in range(seeds))
            for side in (["champion"] if champion else []) + ["challenger"]
        },
    )
    number, age, error = ("7", 31.0, 0.02) if champion else (None, None, None)
    evidence = Evidence(found, number, age, (error, 0.01), {}, 0.0, seeds, **more)
    return Judged(evidence, y, ({"champion": old} if champion else {}) | {"challenger": new})


def changed(judged, **found):
    """`judged` with other values in its comparison."""
    return replace(
        judged,
        evidence=replace(judged.evidence, comparison=replace(judged.evidence.comparison, **found)),
    )


@pytest.fixture
def seen(monkeypatch):
    """Draw one panel of the picture by its number, and paint nothing."""

    def draw(judged, number, *, decision=None, gate=None, **more):
        axes = Figure().add_subplot()
        monkeypatch.setattr(module, "draw_panels", lambda panels, *_, **__: panels[number](axes))
        draw_comparison(
            judged,
            decision or decide(judged.evidence, gate or Gate()),
            "a title",
            Path("none"),
            **more,
        )
        return axes

    return draw


@pytest.fixture(autouse=True)
def _without_pyplot(monkeypatch):
    # Its figures would live as long as the process
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)


def texts(axes):
    """All words in `axes`, those beside its ticks included."""
    legend = axes.get_legend()
    words = [
        *axes.texts,
        *axes.get_xticklabels(),
        *axes.get_yticklabels(),
        *(legend.get_texts() if legend else []),
    ]
    return [one.get_text() for one in words]


def told_by(axes):
    """The words of the list of rules, with their colours."""
    return [(one.get_text(), to_hex(one.get_color())) for one in axes.texts if one.get_text()]


def colours_of(axes):
    """The colours of the dots, from above."""
    dots = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    return [to_hex(line.get_color()) for line in sorted(dots, key=lambda line: line.get_ydata()[0])]


# --- painted
# --------------------------------------------------------------------------------------------------


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
        one
        for one in figure.findobj(Text)
        if one.get_visible() and one.get_text().strip() and one not in hidden
    ]
    boxes = {one: one.get_window_extent(renderer) for one in words}
    whole = figure.bbox
    assert [
        one.get_text()
        for one, box in boxes.items()
        if box.x0 < 0 or box.x1 > whole.x1 or box.y0 < 0
    ] == []
    upright = [
        (one.get_text(), box.padded(-1))
        for one, box in boxes.items()
        if not one.get_rotation() % 90
    ]
    assert [
        (one[0], two[0]) for one, two in combinations(upright, 2) if one[1].overlaps(two[1])
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
        draw_comparison(judged, decide(judged.evidence, gate or Gate()), "a title", path)
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
    rules = 8 + champion * len(METRICS[task])
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


def test_a_picture_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path, judged = tmp_path / "comparison.png", judged_of()
    path.write_bytes(b"old")

    def broken(figure, part, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", broken)
    with pytest.raises(OSError, match="No space"):
        draw_comparison(judged, decide(judged.evidence, Gate()), "broken", path)
    assert path.read_bytes() == b"old"


# --- the decision and its rules
# ---------------------------------------------------------------------------------------


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
    draw_comparison(judged, decide(judged.evidence, gate), "a title", Path("none"))
    assert kept == [(title, colour)]


@pytest.mark.parametrize("gain", [0.02, -0.02])
def test_every_rule_is_told_and_the_broken_ones_are_red(gain, seen):
    judged = judged_of(gain=gain)
    decision, told = decide(judged.evidence, Gate()), told_by(seen(judged, RULES))
    said = [(one["name"], module.DARK if one["met"] else module.RED) for one in decision.rules]
    assert [one for one in told if one[0] in dict(said)] == said
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


# --- gains
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_each_metric_is_a_row_with_its_numbers_and_bound(task, seen):
    axes = seen(judged_of(task), GAINS)
    first, *others = METRICS[task]
    assert [one.get_text() for one in axes.get_yticklabels()] == [
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
        if first in LOWER_IS_BETTER
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
    assert [one.get_text() for one in axes.get_yticklabels()] == [
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


# --- slices
# --------------------------------------------------------------------------------------------------


def test_slices_are_ordered_coloured_and_counted(seen):
    gains = {"falls": -0.05, "wins": 0.05, "slips": -0.02, "same": 0.001}
    slices = {name: lead("roc_auc", gain, 0.01) for name, gain in gains.items()}
    slices |= {"small": None, "unsure": lead("roc_auc", -0.06, 0.07)}
    axes = seen(changed(judged_of(), slices=slices), SLICES)
    assert axes.get_title() == "Slices: 5; 1 too small"
    assert [one.get_text() for one in axes.get_yticklabels()] == [
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
    slices = {f"{at}": lead(METRICS[task][0], -0.0005 * at, 0.01) for at in range(55, 65)}
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
    assert [one.get_text() for one in axes.get_yticklabels()] == ["lost", "fine"]
    assert [(one.get_text(), to_hex(one.get_color())) for one in axes.texts] == [
        ("0.8000 → nan", module.RED),
        ("0.8000 → 0.8100", module.DARK),
    ]
    assert {"beyond the margin", "better"} <= set(texts(axes))


def test_the_lowest_and_the_highest_of_many(seen):
    axes = seen(judged_of(slices=60), SLICES)
    assert axes.get_title() == "Slices: 12 lowest, 12 highest of 60"
    shown = sorted(
        zip(axes.get_yticks(), [one.get_text() for one in axes.get_yticklabels()], strict=True)
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


# --- seeds, curves, calibration
# ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_every_seed_is_a_point_and_up_is_better(task, seen):
    judged = judged_of(task)
    axes = seen(judged, SEEDS)
    clouds = [tuple(line.get_ydata()) for line in axes.lines if line.get_marker() == "o"]
    assert clouds == [
        judged.evidence.comparison.by_seed[side] for side in ("champion", "challenger")
    ]
    metric = METRICS[task][0]
    packaged = [measure(task, judged.y, p)[metric] for p in judged.predictions.values()]
    assert [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "D"] == packaged
    assert axes.yaxis_inverted() == (metric in LOWER_IS_BETTER)


@pytest.mark.parametrize("seeds", [0, 1, 40])
def test_any_number_of_seeds(seeds, seen):
    assert f"champion\nseeds: {seeds}" in texts(seen(judged_of(seeds=seeds), SEEDS))


@pytest.mark.parametrize("task", TASKS)
def test_both_models_are_in_each_curve(task, seen):
    for champion in (True, False):
        first = CURVE if champion else CURVE - 1
        for number in (*range(first, first + len(CURVES[task])), CALIBRATION):
            words = texts(seen(judged_of(task, champion=champion), number))
            assert sum(one.startswith("challenger") for one in words) == 1
            assert sum(one.startswith("champion") for one in words) == champion


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
    shown = [one.get_text() for one in axes.get_xticklabels()]
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


def test_the_classes_that_differ_most_are_kept(seen):
    judged = judged_of("multiclass", classes=20)
    worse = judged.predictions["champion"].copy()
    worse[judged.y == 7] = np.eye(20)[3]
    same = {"champion": worse, "challenger": judged.predictions["champion"]}
    shown = [
        one.get_text() for one in seen(replace(judged, predictions=same), CURVE).get_xticklabels()
    ]
    assert "class 7" in shown
    assert len(shown) == module.MOST_CLASSES
