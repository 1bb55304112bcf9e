"""The pictures of losses, of schedules and of the range test."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import pytest
from conftest import draw_tables
from matplotlib.figure import Figure

from evergreen.params import Params
from evergreen.report import alternatives as module
from evergreen.report.alternatives import draw_alternatives, draw_range
from evergreen.training.range_test import RangeTest, Tried
from evergreen.training.schedules import rate_at
from evergreen.tuning.alternatives import Alternatives, each_schedule, try_each
from evergreen.tuning.cuts import Cut

TRAIN = {"device": "cpu", "rounds": 12, "early_stopping_rounds": 4, "max_depth": 2}


@cache
def found_of(key: str) -> Alternatives:
    cuts = [
        Cut(f"b{seed}", draw_tables("regression", rows=(150, 60, 80), seed=seed)) for seed in (1, 2)
    ]
    params = Params(task="regression", train=TRAIN, evaluate={"resamples": 100})
    if key == "schedule":
        falls = params.override(train={"schedule": "cosine", "schedule_rounds": 8})
        return try_each(key, each_schedule(falls), cuts, (0, 1))
    ways = {"squared": params}
    ways |= {name: params.override(train={"loss": name}) for name in ("absolute", "gamma")}
    return try_each(key, ways, cuts, (0, 1))


@pytest.fixture
def seen(monkeypatch):
    """The axes of each panel, painted nowhere."""
    axes = []

    def draw(panels, title, path, **_):
        for panel in panels:
            axes.append(Figure().add_subplot())
            panel(axes[-1])
        return path

    monkeypatch.setattr(module, "draw_panels", draw)
    return axes


def labels(axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.mark.slow
def test_losses_show_the_lead_in_what_decides_and_in_the_metric_of_their_own(seen):
    found = found_of("loss")
    assert found.tried[2].refused  # labels below 0: not drawn
    draw_alternatives(found, "a title", Path("none"))
    leads, own, by_cut = seen
    assert (
        leads.get_title(loc="center") + leads.get_title(loc="left")
        == "Lead over squared in rmse, which decides"
    )
    assert labels(leads) == ["absolute"]
    assert labels(own) == ["absolute\nmae"]
    lead = found.tried[1].lead
    assert [*leads.lines[0].get_xdata()] == [lead.low, lead.high]
    assert [*own.lines[1].get_xdata()] == [
        pytest.approx(found.tried[1].own.value / found.tried[1].own.first)
    ]
    assert [*by_cut.lines[0].get_ydata()] == [lead.by_cut["b1"], lead.by_cut["b2"]]


@pytest.mark.slow
def test_schedules_show_the_rate_of_each_round_and_how_each_learns(seen):
    found = found_of("schedule")
    draw_alternatives(found, "a title", Path("none"))
    _, _, rates, learning = seen
    drawn = {line.get_label(): [*line.get_ydata()] for line in rates.lines}
    assert [*drawn] == [way.name for way in found.tried]
    for way in found.tried:
        assert drawn[way.name][:5] == [rate_at(way.params.train, at) for at in range(5)]
    assert len([line for line in learning.lines if len(line.get_xdata()) > 1]) == len(found.tried)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["loss", "schedule"])
def test_the_picture_is_written(key, tmp_path):
    path = draw_alternatives(found_of(key), "a title", tmp_path / "reports" / "some.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_range_test_shows_where_it_rises_and_where_to_start(seen, tmp_path):
    tried = (Tried(0.1, (4, 3, 2)), Tried(0.2, (4, 2, 1)), Tried(0.4, (4, 5, math.inf)))
    draw_range(RangeTest(tried), "rmse", "a title", Path("none"))
    by_round, by_rate = seen
    assert [line.get_label() for line in by_round.lines] == ["0.1", "0.2", "0.4"]
    assert [line.get_label() for line in by_rate.lines][1:] == ["rises: 0.4", "start: 0.2"]


@pytest.mark.slow
def test_a_range_test_that_never_rises_is_drawn(tmp_path):
    path = draw_range(RangeTest((Tried(0.1, (4, 3, 2)),)), "rmse", "$ _", tmp_path / "some.png")
    assert path.read_bytes().startswith(b"\x89PNG")
