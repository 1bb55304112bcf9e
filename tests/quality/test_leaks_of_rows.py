"""Leaks of rows: keys in two parts and copied rows are found, coincidences are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaking import CLASSES, HARMLESS, NAN, TASKS, copy_rows, draw_tables, found

from evergreen.params import Leaks
from evergreen.quality.leaks import check_leaks, find_leaks
from evergreen.training.tables import Table, Tables


@pytest.mark.parametrize(
    ("earlier", "later", "name"),
    [
        ("train", "validation", "training and validation"),
        ("train", "holdout", "training and holdout"),
        ("validation", "holdout", "validation and holdout"),
    ],
)
@pytest.mark.parametrize("count", [0, 1, 37])
def test_keys_in_two_parts_are_counted(earlier, later, name, count):
    tables = draw_tables()
    keys = getattr(tables, later).keys.copy()
    keys[:count] = getattr(tables, earlier).keys[-1]
    shared = find_leaks(
        replace(tables, **{later: replace(getattr(tables, later), keys=keys)}), Leaks()
    )
    assert [(leak.kind, leak.name, leak.value) for leak in shared] == [("key", name, count)] * (
        count > 0
    )
    assert all(f"{count} of 500" in leak.says for leak in shared)


@pytest.mark.slow
def test_rows_without_keys_are_told():
    tables = draw_tables()
    bare = replace(
        tables, **{role: replace(getattr(tables, role), keys=None) for role in ("train", "holdout")}
    )
    assert found(bare) == []
    assert ["no keys" in note for note in check_leaks(bare, Leaks())] == [True]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("source", ["train", "validation"])
@pytest.mark.parametrize(
    ("copies", "bound", "leaks"),
    [
        (0, 0.0, False),
        (1, 0.0, True),
        (25, 0.05, False),
        (26, 0.05, True),
        (500, 0.05, True),
        (500, None, False),
    ],
)
def test_copied_rows_are_found_from_the_bound_on(task, source, copies, bound, leaks):
    tables = copy_rows(draw_tables(task, HARMLESS["missing now and then"]), copies, source)
    copied = [
        leak for leak in find_leaks(tables, Leaks(max_duplicates=bound)) if leak.kind == "duplicate"
    ]
    assert [(leak.name, leak.value) for leak in copied] == [("holdout", copies / 500)] * leaks
    assert all(f"{copies} of 500" in leak.says and "max_duplicates" in leak.says for leak in copied)


@pytest.mark.slow
def test_a_row_with_another_label_is_no_copy():
    tables = copy_rows(draw_tables("binary"), 500)
    assert found(tables) == [("duplicate", "holdout")]
    assert found(replace(tables, holdout=replace(tables.holdout, y=1 - tables.holdout.y))) == []


@pytest.mark.slow
def test_twins_within_the_training_rows_do_not_excuse_copies():
    tables = draw_tables("binary")
    train = replace(
        tables.train, x=tables.train.x.repeat(2, 0)[:1500], y=tables.train.y.repeat(2)[:1500]
    )
    assert found(replace(tables, train=train)) == []
    assert found(copy_rows(replace(tables, train=train), 100)) == [("duplicate", "holdout")]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_few_values_make_equal_rows_no_leak_but_are_told(task):
    tables = draw_tables(task)
    rounded = {
        role: replace(getattr(tables, role), x=getattr(tables, role).x.round())
        for role in ("train", "validation")
    }
    tables = replace(tables, **rounded, holdout=replace(tables.holdout, x=tables.holdout.x.round()))
    assert found(tables) == []
    assert ["check the source for copies" in note for note in check_leaks(tables, Leaks())] == [
        True
    ]


VALUES = st.sampled_from([0.0, -0.0, 1.0, NAN, float("inf")])


@pytest.mark.slow
@given(
    st.lists(st.tuples(VALUES, VALUES, st.booleans()), max_size=12),
    st.lists(st.tuples(VALUES, VALUES, st.booleans()), min_size=1, max_size=12),
)
def test_equal_rows_are_equal_and_others_are_not(earlier, later):
    def table(rows):
        values = np.array([row[:2] for row in rows], dtype=np.float32).reshape(-1, 2)
        return Table(values, np.array([row[2] for row in rows], dtype=np.float32))

    def plain(row):
        return tuple("missing" if value != value else value + 0.0 for value in row)

    tables = Tables(
        "binary", ("a", "b"), (), CLASSES["binary"], table(earlier), table([]), table(later)
    )
    wanted = sum(plain(row) in {plain(row) for row in earlier} for row in later)
    leaks = find_leaks(tables, Leaks(max_duplicates=0.0, max_single_score=None, stand_out=None))
    bounds = Leaks(max_duplicates=0.0, max_single_score=None, stand_out=None)
    notes = [] if leaks else check_leaks(tables, bounds)
    said = [leak.says for leak in leaks] + [note for note in notes if "copies" in note]
    assert [text.split(" holdout rows")[0] for text in said] == [f"{wanted} of {len(later)}"] * (
        wanted > 0
    )
