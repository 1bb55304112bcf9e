"""Plots: values become places within the axes, and ticks are round."""

from __future__ import annotations

import pytest

from evergreen.report.plot import HEIGHT, WIDTH, Dot, Line, Plot, draw


def places(points: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, point.split(","))) for point in points.split()]


@pytest.mark.parametrize("log", [False, True])
def test_lines_and_bands_lie_within_the_axes(log: bool) -> None:
    line = Line(
        "judged", ((10.0, 0.2), (100.0, 0.4), (1000.0, 0.5)), ((10.0, 0.1, 0.3), (1000.0, 0.4, 0.6))
    )
    drawn = draw(Plot("a title", "rows", lines=(line,), log=log))
    ((_, points),), ((_, band),) = drawn.lines, drawn.bands
    for x, y in (*places(points), *places(band)):
        assert drawn.left <= x <= drawn.right
        assert drawn.top <= y <= drawn.bottom
    xs, ys = zip(*places(points), strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)  # up is less
    assert len(places(band)) == 4
    assert (xs[1] - xs[0] == pytest.approx(xs[2] - xs[1])) == log


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ((-2.0, 2.0), ["−2", "−1", "0", "1", "2"]),
        ((0.0, 3000.0), ["0", "1,000", "2,000", "3,000"]),
        ((0.5, 0.5), ["0.46", "0.48", "0.50", "0.52", "0.54"]),
        ((float("nan"),), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
    ],
    ids=["share", "signed", "large", "all the same", "none"],
)
def test_ticks_are_round(values: tuple[float, ...], ticks: list[str]) -> None:
    dots = tuple(Dot(0.0, value) for value in values if value == value)
    assert [words for _, words in draw(Plot("", "", dots=dots)).y_ticks] == ticks


def test_rows_and_columns_have_names() -> None:
    plot = Plot(
        "", "", dots=(Dot(1.0, 0.2), Dot(2.0, 1.0)), rows=("first", "second"), wide=True, marked=1.5
    )
    drawn = draw(plot)
    assert [words for _, words in drawn.y_ticks] == ["first", "second"]
    assert drawn.y_ticks[0][0] < drawn.y_ticks[1][0]
    assert drawn.width == 2 * WIDTH + 20
    assert drawn.left < float(drawn.marked) < drawn.right
    named = draw(Plot("", "", dots=(Dot(0.0, 1.0),), columns=((0.0, "ash"), (1.0, "fir"))))
    assert [words for _, words in named.x_ticks] == ["ash", "fir"]
    assert named.height == HEIGHT


def test_numbers_that_would_overlap_are_left_out() -> None:
    line = Line("judged", tuple((float(rows), 0.1) for rows in (100, 900, 1000)))
    assert [words for _, words in draw(Plot("", "", lines=(line,), log=True)).x_ticks] == [
        "100",
        "1,000",
    ]
