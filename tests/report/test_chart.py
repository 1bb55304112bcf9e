"""Chart: everything is inside the drawing, values at their heights, no words upon others."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from evergreen.report.chart import LETTER, LINE, MOST_NAMES, WIDTH, Chart, draw_chart, shorten

NAN = math.nan


def point(value: float, wide: float = 0.01) -> dict[str, float]:
    return {"value": value, "low": value - wide, "high": value + wide}


def drawn(*values: float | None, marks: dict[str, list[str]] | None = None) -> Chart:
    points = [None if value is None else point(value) for value in values]
    names = [f"2013-{at:02}" for at in range(len(values))]
    series = {"real": points, "estimated": [point(0.7)] * len(values)}
    return draw_chart(names, series, (0.71, 0.70, 0.72), marks or {})


def test_higher_values_are_above_and_the_interval_is_around_them() -> None:
    first, second = drawn(0.7, 0.6).dots
    assert first.y < second.y
    assert first.x < second.x
    assert first.high < first.y < first.low
    assert first.title == "2013-00: 0.7000"


def test_a_batch_without_a_value_has_no_dot_and_the_line_goes_on() -> None:
    chart = drawn(0.7, None, NAN, 0.6)
    assert len(chart.dots) == len(chart.lines["real"]) == 2
    assert len(chart.lines["estimated"]) == 4


@pytest.mark.parametrize("values", [(0.7,), (0.0, 1e6), (math.inf, 0.5), (None,), (NAN,)])
def test_everything_is_inside(values: tuple[float | None, ...]) -> None:
    chart = drawn(*values)
    heights = [
        *chart.band,
        *(height for height, _ in chart.ticks),
        *(dot.y for dot in chart.dots),
        *(y for line in chart.lines.values() for _, y in line),
    ]
    assert all(chart.top - 1e-9 <= height <= chart.bottom + 1e-9 for height in heights)


def test_the_band_is_what_was_expected() -> None:
    top, bottom = drawn(0.5, 0.9).band
    assert top < bottom
    assert draw_chart(["a"], {}, (0.5, NAN, NAN), {}).band


@pytest.mark.parametrize("batches", [1, MOST_NAMES, MOST_NAMES + 1, 24])
def test_no_more_names_than_fit(batches: int) -> None:
    assert 1 <= len(drawn(*[0.7] * batches).names) <= MOST_NAMES


def test_marks_keep_apart_and_inside() -> None:
    many = {f"2013-{at:02}": ["version 12 promoted", "version 3 restored"] for at in range(12)}
    chart = drawn(*[0.7] * 12, marks=many)
    assert len(chart.marks) == 24
    assert len(chart.mark_lines()) == 12
    for first, second in combinations(chart.marks, 2):
        wide = (len(first.text) + len(second.text)) * LETTER / 2
        aside = abs(first.text_x - second.text_x) >= wide
        assert aside or abs(first.text_y - second.text_y) >= LINE
    for mark in chart.marks:
        half = len(mark.text) * LETTER / 2
        assert half <= mark.text_x <= WIDTH - half
        assert 0 < mark.text_y < chart.top


def test_a_mark_of_a_batch_that_is_not_drawn_is_not_either() -> None:
    assert drawn(0.7, marks={"2012-01": ["version 1 promoted"]}).marks == ()


def test_names_are_short() -> None:
    assert [shorten(name) for name in ("2013-01-01", "2013-01-01T06")] == [
        "2013-01-01",
        "2013-01-0…",
    ]
