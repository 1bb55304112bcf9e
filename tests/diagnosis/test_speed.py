"""Speed: what a run spent, and no figure of a GPU that is not there."""

from __future__ import annotations

import pytest

from evergreen.diagnosis.speed import find_speed

SPENT = {"finding the rounds": [2.0, 3.0], "the live model": [4.0]}


def test_each_part_of_a_run() -> None:
    table = find_speed(20.0, SPENT, None).table()
    assert table.rows == (
        ("finding the rounds", 2, 5.0),
        ("the live model", 1, 4.0),
        ("the whole run, by the clock", 3, 20.0),
    )


@pytest.mark.parametrize(
    ("gpu", "said"),
    [(None, "what one would gain is not known"), ((6.0, 2.0), "3.0 times as fast")],
)
def test_a_gpu_is_measured_or_nothing_is_said_of_it(
    gpu: tuple[float, float] | None, said: str
) -> None:
    assert said in find_speed(20.0, SPENT, gpu).says
