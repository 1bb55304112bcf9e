"""Held out: what was said of rows is found by their keys, and kept as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evergreen.errors import InputError
from evergreen.evaluation.held_out import HeldOut

KEYS = np.array([7, 2, 9], np.uint64)
SAID = np.array([0.7, 0.2, 0.9], np.float32)


def test_rows_are_found_in_whatever_order_they_are_asked_for() -> None:
    held_out = HeldOut.of(KEYS, SAID, (SAID + 1, SAID + 2))
    at = held_out.find(np.array([9, 7, 9], np.uint64))
    assert held_out.packaged[at] == pytest.approx([0.9, 0.7, 0.9])
    assert held_out.seeds[1][at] == pytest.approx([2.9, 2.7, 2.9])


@pytest.mark.parametrize(("asked", "count"), [([8], 1), ([2, 1, 10], 2)])
def test_a_row_that_is_not_there_is_an_error(asked: list[int], count: int) -> None:
    with pytest.raises(InputError, match=f"{count} of {len(asked)} rows"):
        HeldOut.of(KEYS, SAID, ()).find(np.array(asked, np.uint64))
    with pytest.raises(InputError):
        HeldOut.of(KEYS[:0], SAID[:0], ()).find(np.array(asked, np.uint64))


@pytest.mark.parametrize("classes", [(), (3,)])
def test_it_is_read_back_as_it_was_written(classes: tuple[int, ...], tmp_path: Path) -> None:
    said = np.random.default_rng(0).random((3, *classes)).astype(np.float32)
    written = HeldOut.of(KEYS, said, (said / 2, said / 3))
    written.write(tmp_path / "held_out.npz")
    found = HeldOut.read(tmp_path / "held_out.npz")
    assert found.keys.tolist() == [2, 7, 9]
    for ours, theirs in zip(
        (found.packaged, *found.seeds), (written.packaged, *written.seeds), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert [path.name for path in tmp_path.iterdir()] == ["held_out.npz"]
