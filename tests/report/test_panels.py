"""Panels: a picture is there whole or not at all, and prints what it is given."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.axes import Axes

from evergreen.report.panels import draw_interval, draw_panels


def interval(axes: Axes) -> None:
    draw_interval(axes, 1.0, (0.1, 0.2, 0.4), "#000000", "$a_$")
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0.1, 0.4], [0.2]]
    axes.legend()


@pytest.mark.slow
def test_words_are_printed_as_they_are_and_places_without_a_panel_stay_empty(
    tmp_path: Path,
) -> None:
    path = draw_panels([interval], "$_{ \\frac", tmp_path / "new" / "one.png", grid="AB")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_picture_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def broken(figure, part, **options):
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", broken)
    with pytest.raises(OSError, match="No space"):
        draw_panels([interval], "broken", path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]
