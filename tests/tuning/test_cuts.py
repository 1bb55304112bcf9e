"""Cuts: tried on what came before the holdout, which nothing of them can see."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import refusal
from tuning.tried import prepare_batches

from evergreen.features.keys import hash_rows
from evergreen.features.prepare import prepare
from evergreen.features.split import LABEL, TIME, Split, read_part, within
from evergreen.ingest.manifest import Manifest
from evergreen.tuning.cuts import find_cuts


def batch_of(site: Any, table: Any) -> list[str]:
    """The batches that the rows of a table came in."""
    done = Manifest(site.project.features)
    keys = {name: hash_rows(pl.read_parquet(done.file(name))) for name in done.entries}
    return [name for name, known in keys.items() if np.isin(table.keys, known).any()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (4, [(["b1"], "b2", "b3"), (["b1", "b2"], "b3", "b4"), (["b1", "b2", "b3"], "b4", "b5")]),
        (2, [(["b1", "b2"], "b3", "b4"), (["b1", "b2", "b3"], "b4", "b5")]),
    ],
)
def test_each_of_the_last_batches_judges_what_is_older(
    site: Any, most: int, expected: list[Any]
) -> None:
    cuts = find_cuts(site.project, prepare_batches(site), most)
    assert [cut.name for cut in cuts] == [judging for _, _, judging in expected]
    for cut, (train, stopping, judging) in zip(cuts, expected, strict=True):
        parts = cut.tables.train, cut.tables.validation, cut.tables.holdout
        assert [batch_of(site, part) for part in parts] == [train, [stopping], [judging]]
        assert [len(part) for part in parts] == [300 * len(train), 300, 300]
        assert len(np.unique(cut.days)) == 30


@pytest.mark.slow
def test_no_batch_trains_that_the_project_does_not_train_on(site: Any) -> None:
    cuts = find_cuts(site.project, prepare_batches(site, split={"train_batches": 3}))
    assert [cut.name for cut in cuts] == ["b4", "b5"]
    assert [batch_of(site, cut.tables.train) for cut in cuts] == [["b2"], ["b2", "b3"]]


@pytest.mark.slow
def test_levels_are_those_of_the_rows_that_train(site: Any) -> None:
    params = prepare_batches(site)
    done = Manifest(site.project.features)
    rows = pl.read_parquet(done.file("b4")).with_columns(place=pl.lit("new"))
    rows.write_parquet(done.file("b4"))
    levels = {
        cut.name: cut.tables.encoder.levels["place"] for cut in find_cuts(site.project, params)
    }
    assert levels["b4"] == ("p0", "p1", "p2", "p3")
    assert levels["b5"] == ("p0", "p1", "p2", "p3")  # b4 stops early there, and trains nothing


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["by batch", "few batches", "few rows"])
def test_the_holdout_is_never_read(site: Any, kind: str) -> None:
    few = {"split": {"cross_validate_below": 5000}} if kind == "few rows" else {}
    params = prepare_batches(site, batches=3 if kind == "few batches" else 6, **few)
    before = [cut.digest for cut in find_cuts(site.project, params)]
    newest = Split.of(site.project).holdout.batches[-1]
    Manifest(site.project.features).file(newest).unlink()
    assert [cut.digest for cut in find_cuts(site.project, params)] == before
    assert len(before) >= 2


@pytest.mark.slow
def test_rows_that_a_key_keeps_out_decide_nothing(site: Any) -> None:
    params = prepare_batches(site, time="")
    cuts, split = find_cuts(site.project, params), Split.of(site.project)
    kept_out = hash_rows(read_part(site.project, split.holdout))
    for cut in cuts:
        parts = (cut.tables.train, cut.tables.validation, cut.tables.holdout)
        for part in parts:
            assert len(part) > 100
            assert not np.isin(part.keys, kept_out).any()
    done = Manifest(site.project.features)
    for name in done.entries:
        rows = pl.read_parquet(done.file(name))
        out = within(rows, split.holdout.shares)
        other = rows.with_columns(
            pl.when(out).then(99.0).otherwise("first").cast(pl.Float32).alias("first"),
            pl.when(out).then(pl.lit("true")).otherwise(LABEL).alias(LABEL),
        )
        assert (other[LABEL] != rows[LABEL]).any()
        other.write_parquet(done.file(name))
    assert [cut.digest for cut in find_cuts(site.project, params)] == [cut.digest for cut in cuts]


@pytest.mark.slow
def test_a_row_before_the_holdout_does_decide(site: Any) -> None:
    params = prepare_batches(site)
    before = [cut.digest for cut in find_cuts(site.project, params)]
    done = Manifest(site.project.features)
    rows = pl.read_parquet(done.file("b5"))
    rows.with_columns(first=pl.col("first") + 1).write_parquet(done.file("b5"))
    after = [cut.digest for cut in find_cuts(site.project, params)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False]


@pytest.mark.slow
@pytest.mark.parametrize(("batches", "time"), [(3, "day"), (4, "day"), (6, "")])
def test_folds_where_batches_are_few_or_no_column_says_when(
    site: Any, batches: int, time: str
) -> None:
    params = prepare_batches(site, batches=batches, time=time)
    cuts = find_cuts(site.project, params)
    assert len(cuts) == 4
    judged = np.concatenate([cut.tables.holdout.keys for cut in cuts])
    assert len(np.unique(judged)) == len(judged)
    known = read_part(site.project, Split.of(site.project).before_holdout())
    when = dict(zip(hash_rows(known).tolist(), known[TIME], strict=True))
    for cut in cuts:
        tables = cut.tables
        learnt = [*tables.train.keys.tolist(), *tables.validation.keys.tolist()]
        assert not {*learnt} & {*tables.holdout.keys.tolist()}
        if time:
            assert max(when[key] for key in learnt) < min(
                when[key] for key in tables.holdout.keys.tolist()
            )


@pytest.mark.slow
def test_too_few_rows_and_nothing_prepared_are_told(site: Any) -> None:
    refusal(lambda: find_cuts(site.project, site.params()), "nothing is prepared yet")
    params = prepare_batches(site, batches=3, rows=30)
    refusal(lambda: find_cuts(site.project, params), "too few to try anything on", "add batches")


@pytest.mark.slow
def test_what_another_preparation_leaves_out_is_left_out(site: Any) -> None:
    params = prepare_batches(site)
    prepare(site.project, site.dataset, params, lambda *_: {"b4": {"first": "shifted"}})
    assert [cut.name for cut in find_cuts(site.project, params)] == ["b3", "b5"]
