"""Tables: what `data/features/` holds arrives encoded and whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evergreen.errors import InputError
from evergreen.features.encoder import Encoder
from evergreen.features.keys import KEY, hash_keys
from evergreen.features.prepare import prepare
from evergreen.features.split import LABEL, Split, read_part
from evergreen.files import write_json
from evergreen.ingest.batches import ingest
from evergreen.ingest.manifest import Manifest
from evergreen.quality.held_batches import find_held
from evergreen.training.tables import (
    load_all,
    load_around,
    load_before_holdout,
    load_judged,
    load_stopping,
    load_tables,
)
from late_flights.dataset import dataset


def take_as_valid(project):
    """Put raw batches where valid ones lie: the flights of this project are all valid, and the
    check itself is slow.
    """
    raw, validated = Manifest(project.raw), Manifest(project.validated)
    project.validated.mkdir(parents=True)
    for name, entry in raw.in_order().items():
        validated.file(name).write_bytes(raw.file(name).read_bytes())
        facts = {key: value for key, value in entry.items() if key not in ("files", "origin")}
        validated.record(name, validated.file(name), stamp="", **facts)


@pytest.fixture
def prepared(make_project, read_params):
    def make(declared=dataset, **sections):
        project = make_project(rows=300, **sections)
        params = read_params(project)
        ingest(project, declared, params)
        take_as_valid(project)
        prepare(project, declared, params, find_held)
        return project

    return make


@pytest.mark.slow
def test_tables_hold_the_encoded_rows_of_the_split(prepared):
    project = prepared()
    tables = load_tables(project)
    encoder, split = (
        Encoder.read(project.features / "encoder.json"),
        Split.read(project.features / "split.json"),
    )
    assert (tables.task, tables.classes) == ("binary", ("false", "true"))
    assert tables.features == tuple(dataset.features)
    assert set(tables.categories) == {"carrier", "origin", "dest"}
    for role in ("train", "validation", "holdout"):
        table, rows = getattr(tables, role), read_part(project, getattr(split, role))
        assert table.x.shape == (rows.height, len(dataset.features))
        assert (table.x.dtype, table.y.dtype) == (np.float32, np.float32)
        assert len(table) == len(table.y) == rows.height > 100
        np.testing.assert_array_equal(table.x, encoder.transform(rows))
        assert table.y.tolist() == [float(label == "true") for label in rows[LABEL]]
        np.testing.assert_array_equal(
            table.keys, hash_keys(rows, [KEY + name for name in dataset.key])
        )
    keys = np.concatenate([tables.train.keys, tables.validation.keys, tables.holdout.keys])
    assert len(set(keys.tolist())) == len(keys)  # no flight is in two parts, or twice in one


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "label", "classes"),
    [
        ("regression", "arr_delay", ()),
        ("multiclass", "origin", ("EWR", "JFK", "LGA")),
    ],
)
def test_tables_of_other_tasks(task, label, classes, prepared):
    import polars as pl

    tables = load_tables(prepared(replace(dataset, label=pl.col(label)), task=task))
    assert (tables.task, tables.classes) == (task, classes)
    if task == "regression":
        assert tables.train.y.min() < 0 < 30 < tables.train.y.max()
    else:
        assert set(tables.train.y.tolist()) == {0.0, 1.0, 2.0}


@pytest.mark.slow
def test_a_class_that_no_training_row_has_is_an_error(prepared):
    project = prepared()
    path = project.features / "encoder.json"
    encoder = Encoder.read(path)
    write_json(path, {**encoder.__dict__, "classes": ["false", "never"]})
    with pytest.raises(InputError, match="label 'true' is in no training row"):
        load_tables(project)


@pytest.mark.slow
def test_the_judged_model_learns_from_all_before_the_holdout_and_the_live_one_from_all(prepared):
    project = prepared()
    parts, before, whole = load_tables(project), load_before_holdout(project), load_all(project)
    learnt = np.concatenate([parts.train.keys, parts.validation.keys])
    assert sorted(before.train.keys.tolist()) == sorted(learnt.tolist())
    assert not np.isin(before.train.keys, parts.holdout.keys).any()
    assert sorted(whole.train.keys.tolist()) == sorted(
        [*learnt.tolist(), *parts.holdout.keys.tolist()]
    )
    for tables in (before, whole):
        assert len(tables.validation) == 0  # nothing stops a training early
        np.testing.assert_array_equal(tables.holdout.y, parts.holdout.y)


@pytest.mark.slow
def test_what_shows_the_influence_of_the_holdout_learns_from_it_and_nothing_stops_early(
    prepared,
):
    project = prepared()
    parts, around = load_tables(project), load_around(project)
    for name in ("x", "y", "keys"):
        both = [getattr(part, name) for part in (parts.train, parts.holdout)]
        np.testing.assert_array_equal(getattr(around.train, name), np.concatenate(both))
        np.testing.assert_array_equal(
            getattr(around.holdout, name), getattr(parts.validation, name)
        )
    assert len(around.validation) == 0
    assert around.encoder == parts.encoder


@pytest.mark.slow
def test_where_nothing_says_when_the_holdout_stays_out(prepared):
    project = prepared(replace(dataset, time=""))
    before, whole = load_before_holdout(project), load_all(project)
    assert before.digest() == whole.digest()
    assert not np.isin(whole.train.keys, whole.holdout.keys).any()


@pytest.mark.slow
def test_equal_rows_have_equal_digests(prepared):
    project = prepared()
    tables = load_tables(project)
    assert tables.digest() == load_tables(project).digest() != load_before_holdout(project).digest()
    other = replace(tables.train, y=1 - tables.train.y)
    assert replace(tables, train=other).digest() != tables.digest()
    # What is not learnt from does not count
    assert replace(tables, holdout=other).digest() == tables.digest()


@pytest.mark.slow
def test_without_refit_the_encoder_is_that_of_the_training_rows(prepared):
    project = prepared(train={"refit": "none"})
    assert not (project.features / "live-encoder.json").exists()
    assert Encoder.read(project.features / "encoder.json").fitted_on == ("2013-05",)


@pytest.mark.slow
@pytest.mark.parametrize("time", [True, False])
def test_of_few_rows_each_that_judges_is_left_out_of_its_own_models_rows(time, prepared):
    declared = dataset if time else replace(dataset, time="")
    project = prepared(declared, split={"cross_validate_below": 3000})
    stopping, judged, whole = load_stopping(project), load_judged(project), load_all(project)
    assert len(judged.train) == len(whole.train) > len(load_tables(project).train)
    assert len(judged.holdout) == (len(judged.train) + 1) // 2 if time else len(judged.train)
    parts = judged.parts()
    assert len(parts) == 5
    assert sum(len(part.holdout) for part in parts) == len(judged.holdout)
    for part, before in zip(parts, stopping.parts(), strict=True):
        assert not np.isin(part.train.keys, part.holdout.keys).any()
        assert len(part.validation) == 0 < len(before.validation)
        assert sorted(part.train.keys) == sorted([*before.train.keys, *before.validation.keys])
    np.testing.assert_array_equal(
        judged.gather([part.holdout.y for part in parts]), judged.holdout.y
    )


@pytest.mark.slow
def test_of_many_rows_the_newest_batch_judges(prepared):
    project = prepared()
    assert load_judged(project).digest() == load_before_holdout(project).digest()
    assert load_stopping(project).digest() == load_tables(project).digest()
    assert load_judged(project).folds == ()
