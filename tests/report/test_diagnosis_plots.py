"""The pictures of a diagnosis show what was found: seeds as lines or bands, values as shades."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report.diagnosed import diagnosis

from evergreen.report.diagnosis_plots import (
    DOTS,
    draw_dependence,
    draw_path,
    draw_rounds,
    draw_sizes,
    draw_summary,
)

pytestmark = pytest.mark.slow  # a model


def test_a_line_for_each_seed_and_part() -> None:
    found = diagnosis()
    plot = draw_rounds(found)
    assert [line.kind for line in plot.lines] == ["fitted"] * 2 + ["judged"] * 2
    assert plot.marked == found.lab.base.rounds
    curve = found.lab.base.trained[0].history["validation"]
    assert plot.lines[2].points == tuple((at + 1.0, loss) for at, loss in enumerate(curve))


def test_the_band_of_seeds_holds_their_mean() -> None:
    found = diagnosis()
    for plot in (draw_sizes(found), *(draw_path(found, path) for path in found.paths)):
        judged, fitted = plot.lines
        assert len(judged.points) == len(fitted.points) == len(judged.band)
        assert all(
            low <= mean <= high
            for (_, mean), (_, low, high) in zip(judged.points, judged.band, strict=True)
        )


def test_the_value_that_a_knob_has_is_marked() -> None:
    found = diagnosis()
    plot = draw_path(found, found.paths[0])
    assert [name for _, name in plot.columns] == ["2", "3", "4", "6", "9"]
    assert dict(plot.columns)[plot.marked or 0.0] == "3"


def test_the_summary_has_a_dot_for_each_row_and_feature() -> None:
    found = diagnosis()
    plot = draw_summary(found)
    assert plot is not None
    assert found.explained is not None
    assert plot.rows[0] == found.lab.tables.features[found.explained.order[0]]
    assert len(plot.dots) == 5 * min(DOTS, 120)
    shades = {dot.kind for dot in plot.dots}
    assert shades == {"shade-none", *(f"shade-{shade}" for shade in range(5))}  # one is a category
    assert all(abs(dot.y - round(dot.y)) < 0.5 for dot in plot.dots)


@pytest.mark.parametrize("missing", [0, 50])
def test_dependence_leaves_out_what_is_missing(missing: int) -> None:
    found = diagnosis()
    assert found.explained is not None
    tables = found.lab.tables
    x = tables.holdout.x.copy()
    numbers = [at for at in found.explained.order[:4] if tables.features[at] != "place"]
    x[:missing, numbers[0]] = np.nan
    lab = replace(found.lab, tables=replace(tables, holdout=replace(tables.holdout, x=x)))
    plots = {plot.x_label: plot for plot in draw_dependence(replace(found, lab=lab))}
    assert len(plots) == 4
    assert len(plots[tables.features[numbers[0]]].dots) == 120 - missing


def test_nothing_is_drawn_where_nothing_explains() -> None:
    found = replace(diagnosis(), explained=None)
    assert draw_summary(found) is None
    assert draw_dependence(found) == []
