"""The picture of a replay: every policy, every batch and every number of the result can be read off
it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from evergreen.evaluation.intervals import Estimate
from evergreen.replay.outcome import (
    HELD,
    HINDSIGHT,
    NOTHING,
    PROMOTED,
    REFUSED,
    STOPPED,
    UNGATED,
    WATCH,
    Aged,
    PolicyOutcome,
    Replay,
    Step,
)
from evergreen.report import replay_picture as module
from evergreen.report.replay_picture import COLOURS, WORDS, draw_replay, draw_staleness

BATCHES = ("2013-05", "2013-06", "2013-07", "2013-08")
ACTIONS = {
    "never": (NOTHING, NOTHING, HELD, NOTHING),
    "every batch": (PROMOTED, REFUSED, HELD, STOPPED),
    "every 3 batches": (NOTHING, NOTHING, HELD, PROMOTED),
    "on drift": (WATCH, PROMOTED, HELD, NOTHING),
    UNGATED: (PROMOTED, PROMOTED, HELD, PROMOTED),
    HINDSIGHT: (NOTHING,) * 4,
}
REAL = [
    policy for policy in ACTIONS if policy != HINDSIGHT
]  # policies that something is done under
METRIC, DEEDS, GAINS, RETRAININGS, SECONDS = range(5)


def outcome_of(policy, actions, gain=0.0):
    champion, steps = "2013-04", []
    for at, (batch, action) in enumerate(zip(BATCHES, actions, strict=True)):
        value = 0.7 + 0.01 * at + gain * (champion != "2013-04")
        steps.append(
            Step(
                batch,
                100,
                value,
                value - 0.01,
                value + 0.01,
                champion,
                action,
                f"{action} of {batch}",
            )
        )
        champion = batch if action == PROMOTED else champion
    trained = [action for action in actions if action in (PROMOTED, REFUSED, STOPPED)]
    mean = float(np.mean([step.value for step in steps]))
    draws = mean + np.linspace(-0.01, 0.01, 50)
    return PolicyOutcome(
        policy,
        tuple(steps),
        len(trained),
        trained.count(PROMOTED),
        12.5 * len(trained),
        Estimate(mean, mean - 0.01, mean + 0.01),
        Estimate(0, 0, 0),
        draws,
    )


def replay_of(metric="roc_auc", gain=0.03, policies=tuple(ACTIONS)):
    outcomes = [outcome_of(policy, ACTIONS[policy], gain) for policy in policies]
    found = Replay(metric, 0.95, BATCHES, ("2013-07",), (), {}, tuple(outcomes))
    return replace(
        found,
        outcomes=tuple(
            replace(outcome, gain=found.gain(outcome, outcomes[0])) for outcome in outcomes
        ),
    )


@pytest.fixture
def seen(monkeypatch):
    """Draw one panel of the picture by its number, and paint nothing."""

    def draw(found, number):
        axes = Figure().add_subplot()
        monkeypatch.setattr(module, "draw_panels", lambda panels, *_, **__: panels[number](axes))
        draw_replay(found, Path("none"))
        return axes

    return draw


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "policies"),
    [
        ("roc_auc", ("never",)),
        ("rmse", tuple(ACTIONS)),
        pytest.param("rmse", ("never", "on drift"), marks=pytest.mark.long),
    ],
)
def test_every_replay_can_be_drawn(metric, policies, tmp_path):
    path = draw_replay(replay_of(metric, policies=policies), tmp_path / "reports" / "replay.png")
    assert image.imread(path).shape[1] == round(12.5 * 110)


def test_the_title_is_the_finding(monkeypatch):
    told = []
    monkeypatch.setattr(module, "draw_panels", lambda _, title, *__, **___: told.append(title))
    found = replay_of()
    draw_replay(found, Path("none"))
    assert told[0].lower() == found.finding.lower()


def test_each_policy_is_a_line_of_its_own_colour(seen):
    axes = seen(replay_of(), METRIC)
    lines = {line.get_label(): line for line in axes.get_lines() if line.get_label() in ACTIONS}
    assert list(lines) == list(ACTIONS)
    assert {name: to_hex(lines[name].get_color()) for name in COLOURS} == COLOURS
    assert len({to_hex(line.get_color()) for line in lines.values()}) == len(ACTIONS)
    for name, line in lines.items():
        assert list(line.get_ydata()) == [
            step.value for step in outcome_of(name, ACTIONS[name], 0.03).steps
        ]


def test_a_new_champion_is_marked_where_it_met_its_first_batch(seen):
    axes = seen(replay_of(), METRIC)
    marks = [
        line
        for line in axes.get_lines()
        if line.get_marker() == "D" and line.get_label().startswith("_")
    ]
    assert [[round(at) for at in line.get_xdata()] for line in marks] == [
        [],
        [1],
        [],
        [2],
        [1, 2],
        [],
    ]


@pytest.mark.parametrize("panel", [METRIC, DEEDS])
def test_a_held_batch_is_shaded(panel, seen):
    (shade,) = seen(replay_of(), panel).patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (1.5, 2.5)


@pytest.mark.slow
def test_better_is_up(seen):
    for metric, turned in (("roc_auc", False), ("rmse", True)):
        assert bool(seen(replay_of(metric), METRIC).yaxis_inverted()) is turned


def test_what_a_policy_did_is_marked_and_explained(seen):
    axes = seen(replay_of(), DEEDS)
    single = [
        line
        for line in axes.get_lines()
        if line.get_linestyle() == "None" and np.size(line.get_xdata())
    ]
    marks = {(int(line.get_xdata()[0]), int(line.get_ydata()[0])) for line in single}
    acts = ACTIONS.values()
    assert marks == {
        (at, row)
        for row, actions in enumerate(acts)
        for at, action in enumerate(actions)
        if action in WORDS
    }
    assert labels(axes) == list(WORDS.values())
    assert [label.get_text() for label in axes.get_yticklabels()] == REAL


def test_only_what_happened_is_explained(seen):
    assert labels(seen(replay_of(policies=("never", "every 3 batches")), DEEDS)) == [
        WORDS[PROMOTED]
    ]
    assert seen(replay_of(policies=("never",)), DEEDS).get_legend() is None


@pytest.mark.parametrize(
    ("panel", "told"),
    [
        (
            RETRAININGS,
            [" 0", " 3, 1 promoted", " 1, 1 promoted", " 1, 1 promoted", " 3, 3 promoted"],
        ),
        (SECONDS, [" 0 s", " 38 s", " 12 s", " 12 s", " 38 s"]),
        (
            GAINS,
            [
                "mean 0.7150",
                "mean 0.7375",
                "mean 0.7150",
                "mean 0.7300",
                "mean 0.7375",
                "mean 0.7150",
            ],
        ),
    ],
)
def test_the_totals_are_told(panel, told, seen):
    assert [text.get_text() for text in seen(replay_of(), panel).texts] == told


def test_the_gain_of_never_is_no_finding(seen):
    axes = seen(replay_of(), GAINS)
    assert sorted({float(y) for line in axes.get_lines() for y in line.get_ydata()} - {0.0}) == [
        1.0,
        2.0,
        3.0,
        4.0,
        5.0,
    ]


# --- what staleness costs


def aged_replay(slope=0.01, metric="roc_auc", **parts):
    """Each champion loses `slope` a batch of age; values of batches lie far apart."""
    names = [f"b{at}" for at in range(5)]
    ages = tuple(
        Aged(
            names[made],
            names[met],
            met - made,
            100,
            0.1 * met - slope * (met - made),
            np.linspace(0, 0.001, 50) - slope * (met - made),
        )
        for met in range(5)
        for made in range(met)
    )
    return replace(replay_of(metric), ages=ages, **parts)


@pytest.fixture
def stale(monkeypatch):
    def draw(found):
        axes, titles = Figure().add_subplot(), []
        monkeypatch.setattr(
            module,
            "draw_panels",
            lambda panels, title, *_, **__: (titles.append(title), panels[0](axes)),
        )
        draw_staleness(found, Path("none"))
        return axes, titles[0]

    return draw


@pytest.mark.slow
def test_what_age_costs_is_a_line_from_the_freshest_champion(stale):
    axes, title = stale({"": aged_replay()})
    line = axes.get_lines()[0]
    assert (list(line.get_xdata()), list(line.get_ydata())) == (
        [1, 2, 3, 4],
        pytest.approx([0, 0.01, 0.02, 0.03]),
    )
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "1\n4x",
        "2\n3x",
        "3\n2x",
        "4\n1x",
    ]
    assert title == "What a stale champion loses in roc_auc: +0.0100 for a batch more"
    assert axes.get_legend() is None


def test_several_replays_are_lines_of_their_own_names(stale):
    axes, _ = stale({"refit": aged_replay(), "not refit": aged_replay(0.02)})
    assert labels(axes) == ["refit", "not refit"]
    assert len({to_hex(line.get_color()) for line in axes.get_lines()[:2]}) == 2


@pytest.mark.slow
def test_staleness_can_be_drawn(tmp_path):
    path = draw_staleness({"": aged_replay()}, tmp_path / "staleness.png")
    assert image.imread(path).shape[1] == 8 * 110
