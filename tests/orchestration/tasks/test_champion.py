"""The champion as monitoring knows it: what may have changed in dataset.py since it was made."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from evergreen.errors import InputError
from evergreen.features.definition import Definition
from evergreen.orchestration.tasks.champion import check_definition
from late_flights.dataset import dataset

WAS = Definition.of(dataset, "binary")


def test_nothing_is_said_where_nothing_changed() -> None:
    assert check_definition("3", WAS, Definition.of(dataset, "binary")) == []


def test_a_changed_label_is_said() -> None:
    changed = Definition.of(replace(dataset, label=pl.col("arr_delay") > 30), "binary")
    said = check_definition("3", WAS, changed)
    assert said
    assert "arr_delay" in " ".join(said)


def test_another_time_leaves_nothing_to_watch_by() -> None:
    changed = Definition.of(replace(dataset, time="", key=()), "binary")
    with pytest.raises(InputError, match=r"the champion, version 3, cannot be watched: .*promote"):
        check_definition("3", WAS, changed)
