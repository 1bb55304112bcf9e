"""PREPARE: all that a preparation writes, for many datasets, and what scoring computes alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from recipes.farm import VARIANTS, a_farm, accept, herd
from recipes.plain import (
    FLIGHTS,
    a_project,
    entries,
    month,
    params_of,
    plain,
)

from evergreen.dataset import Dataset
from evergreen.features import featurize, prepare
from evergreen.features.definition import Definition
from evergreen.ingest.manifest import Manifest
from evergreen.params import Params
from evergreen.project import Project
from evergreen.quality import held_batches
from evergreen.quality.held_batches import find_held
from evergreen.statistics.columns import Column
from evergreen.statistics.sketch import STORED, Sketch


def as_stored(column: Column) -> Any:
    """A column by the names that its file has."""
    content = plain(column)
    facts = content.pop("facts")
    return content | {"rest": {stored: facts[name] for name, stored in STORED.items()}}


def sketched(path: Path) -> Any:
    kept = Sketch.read(path)
    columns = {name: as_stored(column) for name, column in kept.columns.items()}
    return [kept.rows, columns, *plain([kept.sample, kept.blocks])]


def prepared(project: Project, dataset: Dataset, params: Params) -> Any:
    """Return all that a preparation made."""
    done = prepare.prepare(project, dataset, params, find_held)
    features = Manifest(project.features)
    made = {
        name: [
            plain(pl.read_parquet(features.file(name))),
            list(pl.read_parquet_schema(features.file(name)).items()).__repr__(),
            plain(json.loads(features.file(name, ".json").read_text())),
            sketched(features.file(name, held_batches.SKETCH)),
        ]
        for name in features.in_order()
    }
    files = sorted(
        path.name for path in project.features.glob("*.json") if path.stem not in features.entries
    )
    kept = {
        name: plain(json.loads((project.features / name).read_text()))
        for name in files
        if name not in ("manifest.json", held_batches.HELD)
    }
    return [
        list(done.new),
        plain(done.split),
        done.rows,
        done.left_out,
        entries(features),
        made,
        kept,
    ]


def variant(name: str) -> Any:
    with a_farm(name) as given:
        return prepared(*given)


def batch_by_batch() -> Any:
    """Return what is made of one batch, of a second one, and for scoring and monitoring."""
    with a_farm("binary", 1) as (project, dataset, params):
        found = [prepared(project, dataset, params)]
        accept(project, dataset, {"2013-02": herd(2)})
        found.append(prepared(project, dataset, params))
        unknown = herd(3, 60).with_columns(
            fate=pl.lit(None, pl.Float64()), sold=pl.lit(None, pl.Boolean())
        )
        found.append(plain(featurize.featurize_unlabelled(dataset, unknown)))
        rows = pl.read_parquet(Manifest(project.features).file("2013-02"))
        before = Definition.of(dataset, "binary")
        now = replace(dataset, key=("id", "year"), features={"old": pl.col("old")})
        found.append(plain(featurize.features_of(project, now, rows, before, "binary")))
        return found


def of_flights() -> Any:
    with a_project() as (project, _):
        accept(project, FLIGHTS, {name: month(name) for name in ("2013-01", "2013-02", "2013-03")})
        return prepared(project, FLIGHTS, params_of(split={"cross_validate_below": None}))


CASES: dict[str, Callable[[], Any]] = {
    **{name: partial(variant, name) for name in VARIANTS},
    "batch by batch": batch_by_batch,
    "flights": of_flights,
}
