"""Leaks: what gives the label away is found, however it hides; what is merely useful is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import sklearn.datasets
from conftest import month, settings_of
from leaking import HARMLESS, NAN, TASKS, Column, copy_rows, draw_tables, found, ranks_of

from evergreen import params
from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.prepare import prepare
from evergreen.ingest.manifest import Manifest, when
from evergreen.params import Leaks
from evergreen.quality.held_batches import find_held
from evergreen.quality.leaks import check_leaks, find_leaks
from evergreen.quality.univariate import score_features
from evergreen.training.tables import Table, Tables, load_tables
from late_flights import flights
from late_flights.dataset import dataset

# --- features

TELLS: dict[str, Column] = {
    "the label": lambda y, _, __: y,
    "its inverse": lambda y, _, __: -y,
    "another unit": lambda y, _, __: np.log1p(y),
    "the label, a little off": lambda y, draw, _: y * (1 + 0.01 * draw.normal(size=len(y))),
    "a number given in order of the label": lambda y, _, __: ranks_of(y),
    "neither rising nor falling": lambda y, _, __: np.where(np.arange(len(y)) % 2, y + 1, -y - 1),
    "what only the past knows": lambda y, _, past: np.where(past, y, NAN),
    "a number given in order of the label, anew for newer rows": lambda y, _, past: np.where(
        past, ranks_of(y), 1e6 + np.arange(len(y))
    ),
    "infinite at times": lambda y, _, __: np.where(y >= np.quantile(y, 0.99), np.inf, y),
}
OF_CLASSES: dict[str, Column] = {
    "missing for one class": lambda y, draw, _: np.where(
        y == 1, NAN, y * 9 + draw.normal(size=len(y))
    ),
    "a value of its own, amid others": lambda y, draw, _: np.where(
        y == 1, 0.25, y * 9 + draw.normal(size=len(y))
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("how", TELLS)
def test_a_feature_that_gives_the_label_away_is_named(task, how):
    tables = draw_tables(task, TELLS[how])
    (leak,) = find_leaks(tables, Leaks())
    assert (leak.kind, leak.name) == ("feature", "suspect")
    assert 0.9 < leak.value <= 1
    for part in ("'suspect'", f"{leak.value:.3f}", "leaks.trusted", "known_later"):
        assert part in leak.says


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("how", OF_CLASSES)
def test_a_feature_that_marks_a_class_is_named(task, how):
    assert found(draw_tables(task, OF_CLASSES[how])) == [("feature", "suspect")]


@pytest.mark.parametrize("name", ["diabetes", "breast_cancer", "iris", "wine"])
def test_no_column_of_an_honest_table_is_a_leak(name):
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    task = {"diabetes": "regression", "breast_cancer": "binary"}.get(name, "multiclass")
    names = tuple(f"column {at}" for at in range(x.shape[1]))
    classes = () if task == "regression" else tuple(str(label) for label in np.unique(y))
    parts = [
        Table(x[rows].astype(np.float32), y[rows].astype(np.float32))
        for rows in np.array_split(np.random.default_rng(0).permutation(len(y)), 3)
    ]
    assert find_leaks(Tables(task, names, (), classes, *parts), Leaks()) == ()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("how", HARMLESS)
def test_a_feature_that_is_merely_useful_passes(task, how):
    assert found(draw_tables(task, HARMLESS[how])) == []


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize(
    ("levels", "leaks"),
    [(lambda y: 2 + 3 * y, True), (lambda y: 2 + np.arange(len(y)) % 40, False)],
)
def test_categories_are_told_apart_by_level(task, levels, leaks):
    tables = draw_tables(task, lambda y, *_: levels(y), category=True)
    assert found(tables) == [("feature", "suspect")] * leaks


def test_a_rare_label_that_a_rare_value_marks_is_found():
    tables = draw_tables(
        "binary", lambda y, draw, _: np.where(y == 1, 7, draw.integers(0, 100, len(y)))
    )
    rare = [
        replace(part, y=part.y * (np.arange(len(part)) % 5 == 0))
        for part in (tables.train, tables.validation)
    ]
    for part in rare:
        part.x[(part.x[:, 2] == 7) & (part.y == 0), 2] = 8
    assert found(replace(tables, train=rare[0], validation=rare[1])) == [("feature", "suspect")]


@pytest.mark.slow
@pytest.mark.parametrize("bound", [0.6, 0.75, 0.999])
def test_the_bound_is_the_one_given(bound):
    tables = draw_tables("binary", HARMLESS["useful"])
    score = score_features(tables)["suspect"].highest
    assert min(abs(score - bound) for bound in (0.6, 0.75, 0.999)) > 0.01  # far from every edge
    assert (("feature", "suspect") in found(tables, max_single_score=bound, stand_out=None)) == (
        score > bound
    )


@pytest.mark.parametrize("task", TASKS)
def test_too_few_rows_or_labels_are_told_not_judged(task):
    tables = draw_tables(task, TELLS["the label"])
    few = [
        Table(part.x[:5], part.y[:5], part.keys[:5]) for part in (tables.train, tables.validation)
    ]
    same = [replace(part, y=np.zeros_like(part.y)) for part in (tables.train, tables.validation)]
    for train, validation in (few, same):
        changed = replace(tables, train=train, validation=validation)
        assert found(changed) == []
        assert ["could be checked" in note for note in check_leaks(changed, Leaks())] == [True]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_feature_that_stands_out_is_asked_about_and_stops_nothing(task):
    standing_out = draw_tables(
        task, lambda y, draw, _: ranks_of(y) / len(y) + 0.1 * draw.normal(size=len(y))
    )
    for part in (standing_out.train, standing_out.validation):
        part.x[:, 0] = 0  # the other helpful one
    (note,) = check_leaks(standing_out, Leaks(max_single_score=1))
    for part in (
        "LOOK AT THIS FIRST",
        "'suspect'",
        "no other comes near",
        "known_later",
        "leaks.trusted",
    ):
        assert part in note
    (trusted,) = check_leaks(standing_out, Leaks(trusted=("suspect",)))
    assert "is trusted" in trusted
    for part in (standing_out.train, standing_out.validation):
        # Another that is nearly as good: no stranger any more
        part.x[:, 0] = part.x[:, 2] + 0.05 * np.random.default_rng(1).normal(size=len(part))
    assert not any(
        "no other comes near" in note
        for note in check_leaks(standing_out, Leaks(max_single_score=1))
    )
    assert check_leaks(draw_tables(task), Leaks()) == ()


@pytest.mark.slow
def test_a_feature_that_a_person_vouches_for_is_not_checked_and_said_so():
    tables = draw_tables("binary", TELLS["the label"])
    (note,) = check_leaks(tables, Leaks(trusted=("suspect",)))
    assert "'suspect' is trusted" in note
    with pytest.raises(InputError, match="there is no feature 'suspekt'"):
        check_leaks(tables, Leaks(trusted=("suspekt",)))


def test_the_code_of_a_thing_that_keeps_its_label_is_named():
    """Rows of one customer are on both sides of the split, and all have the same label."""
    draw = np.random.default_rng(6)
    label = draw.random(150) < 0.4
    tables = draw_tables("binary")
    parts = {}
    for role in ("train", "validation", "holdout"):
        part = getattr(tables, role)
        code = draw.integers(0, 150, len(part))
        x = np.column_stack([part.x[:, :2], code]).astype(np.float32)
        parts[role] = replace(part, x=x, y=label[code].astype(np.float32))
    assert found(replace(tables, **parts)) == [("feature", "suspect")]


# --- all of it


def test_every_leak_is_named_at_once():
    tables = copy_rows(draw_tables("binary", TELLS["the label"]), 200)
    shared = replace(tables, validation=replace(tables.validation, keys=tables.train.keys[:500]))
    with pytest.raises(InputError) as caught:
        check_leaks(shared, Leaks(max_single_score=0.7))
    said = str(caught.value)
    for part in (
        "4 leak",
        "'suspect'",
        "'helpful'",
        "500 of 500 validation rows",
        "200 of 500 holdout rows",
        "(40.0%)",
    ):
        assert part in said, said


FEATURE_CHECKS = ("max_single_score", "stand_out")


@pytest.mark.parametrize(
    "off", [FEATURE_CHECKS, ("max_duplicates",), (*FEATURE_CHECKS, "max_duplicates")]
)
def test_a_check_that_is_switched_off_says_so(off):
    tables = copy_rows(draw_tables("binary", TELLS["the label"]), 200)
    bounds = Leaks(**dict.fromkeys(off))
    left = {"max_single_score": ("feature", "suspect"), "max_duplicates": ("duplicate", "holdout")}
    assert found(tables, **dict.fromkeys(off)) == [
        leak for name, leak in left.items() if name not in off
    ]
    notes = check_leaks(draw_tables(), bounds)
    assert [note.split(" is null")[0] for note in notes] == [f"leaks.{name}" for name in off]


def prepared(root: Any, declared: Dataset, task: str, rows: int = 2000) -> Tables:
    """Real flights of half a year, thinned, from validated batches to tables."""
    project = settings_of(root / "project")
    project.validated.mkdir(parents=True)
    done = Manifest(project.validated)
    for name in flights.batches()[:6]:
        frame = month(name, rows)
        frame.write_parquet(done.file(name))
        done.record(
            name, done.file(name), stamp=name, rows=frame.height, **when(frame[dataset.time])
        )
    prepare(project, declared, params.parse({"task": task}, "params.yaml"), find_held)
    return load_tables(project)


LATE = pl.col("arr_delay")
LABELS = {
    "binary": dataset.label,
    "multiclass": pl.when(LATE > 60)
    .then(pl.lit("much"))
    .when(LATE > 15)
    .then(pl.lit("late"))
    .otherwise(pl.lit("no")),
    "regression": LATE,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "task", ["binary", "regression", pytest.param("multiclass", marks=pytest.mark.long)]
)
def test_what_is_known_later_is_stopped_by_name_and_else_asked_about(task, tmp_path):
    changes = {
        "label": LABELS[task],
        "features": {**dataset.features, "waited": pl.col("dep_delay")},
    }
    with pytest.raises(InputError, match=r"'waited' reads 'dep_delay'.*known_later"):
        replace(dataset, **changes)
    tables = prepared(tmp_path / "unnamed", replace(dataset, known_later=(), **changes), task)
    # Strong, but no more than an honest feature may be: a person is asked
    notes = check_leaks(tables, Leaks())
    assert "LOOK AT THIS FIRST: feature 'waited' alone predicts the label" in notes[0]
    # The others stay, and none of them comes near
    honest = replace(tables, features=tables.features[:-1])
    assert check_leaks(honest, Leaks(max_single_score=0.75)) == ()
