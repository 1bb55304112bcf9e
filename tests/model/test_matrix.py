"""Matrix: what `data/features/` holds arrives encoded and whole; the bins come from the training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evergreen import dataset
from evergreen.data.batches import ingest
from evergreen.data.encoder import Encoder
from evergreen.data.keys import KEY, hash_keys
from evergreen.data.manifest import Manifest
from evergreen.data.prepare import prepare
from evergreen.data.split import LABEL, Split, read_part
from evergreen.errors import InputError
from evergreen.files import write_json
from evergreen.model.matrix import Table, build_matrix, load_tables


def take_as_valid(project):
    """Put raw batches where valid ones lie: the flights of this project are all valid, and the check itself is slow."""
    raw, validated = Manifest(project.raw), Manifest(project.validated)
    project.validated.mkdir(parents=True)
    for name, entry in raw.in_order().items():
        validated.file(name).write_bytes(raw.file(name).read_bytes())
        facts = {key: value for key, value in entry.items() if key not in ("files", "origin")}
        validated.record(name, validated.file(name), stamp="", **facts)


@pytest.fixture
def prepared(make_project, read_params):
    def make(**sections):
        project = make_project(rows=300, **sections)
        params = read_params(project)
        ingest(project, params)
        take_as_valid(project)
        prepare(project, params)
        return project

    return make


def test_tables_hold_the_encoded_rows_of_the_split(prepared):
    project = prepared()
    tables = load_tables(project)
    encoder, split = Encoder.read(project.features / "encoder.json"), Split.read(project.features / "split.json")
    assert (tables.task, tables.classes) == ("binary", ("false", "true"))
    assert tables.features == tuple(dataset.FEATURES)
    assert set(tables.categories) == {"carrier", "origin", "dest"}
    for role in ("train", "validation", "holdout"):
        table, rows = getattr(tables, role), read_part(project, getattr(split, role))
        assert table.x.shape == (rows.height, len(dataset.FEATURES))
        assert (table.x.dtype, table.y.dtype) == (np.float32, np.float32)
        assert len(table) == len(table.y) == rows.height > 100
        np.testing.assert_array_equal(table.x, encoder.transform(rows))
        assert table.y.tolist() == [float(label == "true") for label in rows[LABEL]]
        np.testing.assert_array_equal(table.keys, hash_keys(rows, [KEY + name for name in dataset.KEY]))
    keys = np.concatenate([tables.train.keys, tables.validation.keys, tables.holdout.keys])
    assert len(set(keys.tolist())) == len(keys)  # no flight is in two parts, or twice in one


@pytest.mark.parametrize(
    ("task", "label", "classes"),
    [
        ("regression", "arr_delay", ()),
        ("multiclass", "origin", ("EWR", "JFK", "LGA")),
    ],
)
def test_tables_of_other_tasks(task, label, classes, prepared, monkeypatch):
    import polars as pl

    monkeypatch.setattr(dataset, "LABEL", pl.col(label))
    tables = load_tables(prepared(task=task))
    assert (tables.task, tables.classes) == (task, classes)
    if task == "regression":
        assert tables.train.y.min() < 0 < 30 < tables.train.y.max()
    else:
        assert set(tables.train.y.tolist()) == {0.0, 1.0, 2.0}


def test_a_class_that_no_training_row_has_is_an_error(prepared):
    project = prepared()
    path = project.features / "encoder.json"
    encoder = Encoder.read(path)
    write_json(path, {**encoder.__dict__, "classes": ["false", "never"]})
    with pytest.raises(InputError, match="label 'true' is in no training row"):
        load_tables(project)


def test_the_matrix_knows_its_rows_columns_and_classes(make_tables):
    tables = make_tables("multiclass")
    matrix = build_matrix(tables, 32)
    assert (matrix.task, matrix.classes) == ("multiclass", 3)
    for part, table in ((matrix.train, tables.train), (matrix.validation, tables.validation)):
        assert (part.num_row(), part.num_col()) == table.x.shape
        assert part.feature_names == list(tables.features)
        np.testing.assert_array_equal(part.get_label(), table.y)


@pytest.mark.parametrize("max_bin", [4, 32])
def test_bins_come_from_the_training_rows(max_bin, make_tables):
    tables = make_tables("binary")
    wild = replace(tables, validation=Table(tables.validation.x * 100, tables.validation.y))
    cuts = [build_matrix(one, max_bin).validation.get_quantile_cut() for one in (tables, wild)]
    for (edges, values), (other_edges, other_values) in [cuts]:
        np.testing.assert_array_equal(edges, other_edges)
        np.testing.assert_array_equal(values, other_values)
        assert np.diff(edges).max() <= max_bin + 1


def test_threads_do_not_change_the_bins(make_tables):
    cuts = [build_matrix(make_tables("binary"), 16, threads).train.get_quantile_cut() for threads in (1, 2, 0)]
    for edges, values in cuts[1:]:
        np.testing.assert_array_equal(edges, cuts[0][0])
        np.testing.assert_array_equal(values, cuts[0][1])
