"""Predictions: kept once, whole or not at all, never changed, and joined with later labels."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import month
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.features.keys import KEY
from evergreen.features.split import LABEL, TIME
from evergreen.project import Project
from evergreen.scoring import predictions
from evergreen.scoring.predictions import (
    Kept,
    Scorer,
    find,
    fingerprint,
    join_labels,
    keep,
    known,
    read,
    read_sketch,
)
from evergreen.scoring.unlabelled import Given
from evergreen.statistics.sketch import SKETCH, sketch
from late_flights.dataset import dataset

ONE = Scorer("flights", "1", "run a")
TWO = Scorer("flights", "2", "run b")
KEYS = [KEY + name for name in dataset.key]
ROWS = month("2013-04").head(30)
SEEN = sketch(ROWS.select("distance", "carrier"), ROWS[dataset.time])


def said(rows: pl.DataFrame = ROWS, start: float = 0.0) -> pl.DataFrame:
    """Predictions of rows, as a model would give them."""
    values = pl.Series("prediction", [start + at / 100 for at in range(rows.height)], pl.Float32)
    return rows.select(
        *(pl.col(name).alias(KEY + name) for name in dataset.key), pl.col(dataset.time).alias(TIME)
    ).with_columns(values)


def put(
    project: Project, rows: pl.DataFrame = ROWS, scorer: Scorer = ONE, batch: str = "april"
) -> tuple[Kept, bool]:
    return keep(
        project, dataset, Given(batch, rows), scorer, said(rows), SEEN, rows.head(2), {"no seat": 3}
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_what_is_kept_comes_back(project: Project) -> None:
    before = datetime.now(UTC)
    kept, fresh = put(project)
    assert fresh
    assert (kept.batch, kept.scorer, kept.delivered, kept.scored, kept.quarantined) == (
        "april",
        ONE,
        30,
        30,
        2,
    )
    assert (kept.left_out, kept.path) == (
        {"no seat": 3},
        project.predictions / "april" / "1.parquet",
    )
    assert datetime.fromisoformat(kept.scored_at).tzinfo == UTC
    back = read(project, "april", "1")
    assert back.columns == [*KEYS, TIME, "prediction", "model", "version", "scored_at"]
    assert_frame_equal(back.select(*KEYS, TIME, "prediction"), said())
    assert back.schema["prediction"] == pl.Float32()
    assert back.schema["scored_at"] == pl.Datetime("us", "UTC")
    ((model, version, scored_at),) = set(back.select("model", "version", "scored_at").rows())
    assert (model, version) == ("flights", "1")
    assert before <= scored_at <= datetime.now(UTC)
    assert_frame_equal(
        pl.read_parquet(project.predictions / "april" / "1.quarantine.parquet"), ROWS.head(2)
    )
    seen = read_sketch(project, "april", "1")
    assert (seen.rows, list(seen.columns)) == (30, ["distance", "carrier"])
    assert find(project, dataset, Given("april", ROWS), ONE) == kept


SAME: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "in another order": lambda frame: frame.reverse().select(*reversed(frame.columns)),
    "without labels": lambda frame: frame.drop(dataset.known_later),
    "with other labels": lambda frame: frame.with_columns(arr_delay=pl.lit(7)),
    "with a column nobody declared": lambda frame: frame.with_columns(gate=pl.lit("B7")),
}
OTHER: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "a row less": lambda frame: frame.head(29),
    "a row twice": lambda frame: pl.concat([frame, frame.head(1)]),
    "another value": lambda frame: frame.with_columns(distance=pl.col("distance") + 1),
    "a value gone": lambda frame: frame.with_columns(temp=pl.lit(None, pl.Float64)),
    "values of two columns changed round": lambda frame: frame.with_columns(
        temp="dewp", dewp="temp"
    ),
    "a column less": lambda frame: frame.drop("temp"),
}


@pytest.mark.parametrize("change", SAME)
def test_the_same_rows_again_change_nothing(
    change: str, project: Project, snapshot: Callable[..., Any]
) -> None:
    first, _ = put(project)
    before = snapshot(project.predictions)
    again, fresh = put(project, SAME[change](ROWS))
    assert (again, fresh) == (first, False)
    assert snapshot(project.predictions) == before


@pytest.mark.parametrize("scorer", [ONE, TWO], ids=["by the same version", "by another"])
@pytest.mark.parametrize("change", OTHER)
def test_other_rows_under_the_same_name_are_refused(
    change: str, scorer: Scorer, project: Project, snapshot: Callable[..., Any]
) -> None:
    put(project)
    before, rows = snapshot(project.predictions), OTHER[change](ROWS)
    with pytest.raises(InputError) as caught:
        put(project, rows, scorer)
    parts = ("batch 'april'", "30 rows by version 1", f"now {rows.height}", "--name")
    assert [part for part in parts if part not in str(caught.value)] == []
    assert snapshot(project.predictions) == before


def test_a_file_of_text_is_the_same_rows_once_it_is_typed(tmp_path: Path) -> None:
    from evergreen.ingest.values import typed

    ROWS.write_csv(tmp_path / "rows.csv")
    text = pl.read_csv(tmp_path / "rows.csv", infer_schema=False)
    assert fingerprint(dataset, typed(text, dataset.columns)) == fingerprint(dataset, ROWS)


def test_each_version_keeps_its_own(project: Project) -> None:
    assert known(project) == []
    for scorer in (Scorer("flights", "10", "x"), TWO, ONE):
        assert put(project, scorer=scorer)[1]
    put(project, ROWS.head(4), batch="a few")
    (project.predictions / "april" / "notes.json").write_text("{}")
    assert known(project) == [("a few", "1"), ("april", "1"), ("april", "2"), ("april", "10")]
    assert read(project, "april", "10")["version"].unique().to_list() == ["10"]


def test_a_version_of_another_registry_is_no_version_of_this_one(project: Project) -> None:
    put(project)
    for other in (replace(ONE, run_id="run z"), replace(ONE, model="trains")):
        with pytest.raises(InputError, match=r"of another registry .'flights', run run a.*--name"):
            find(project, dataset, Given("april", ROWS), other)


def test_no_row_is_kept_as_well(project: Project) -> None:
    nothing = sketch(ROWS.select("distance", "carrier").clear(), ROWS[dataset.time].clear())
    kept, _ = keep(
        project, dataset, Given("april", ROWS), ONE, said(ROWS.clear()), nothing, ROWS, {}
    )
    assert read_sketch(project, "april", "1").rows == 0
    assert (kept.scored, kept.quarantined) == (0, 30)
    assert read(project, "april", "1").is_empty()


# --- killed, altered, at once


@pytest.mark.parametrize("call", [1, 2, 3])
def test_what_is_half_written_does_not_count(
    call: int, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever file the process dies at."""
    calls = []

    def dying(write: Callable[..., Any]) -> Callable[..., Any]:
        def maybe(*args: Any) -> Any:
            calls.append(1)
            if len(calls) == call:
                (args[0].parent / ".part-left").touch()
                raise KeyboardInterrupt
            return write(*args)

        return maybe

    with monkeypatch.context() as patch:
        for name in ("write_whole", "write_json"):
            patch.setattr(predictions, name, dying(getattr(predictions, name)))
        with pytest.raises(KeyboardInterrupt):
            put(project)
    assert known(project) == []
    with pytest.raises(InputError, match="score the batch again"):
        read(project, "april", "1")
    assert put(project)[1]
    assert known(project) == [("april", "1")]
    names = sorted(path.name for path in (project.predictions / "april").iterdir())
    assert names == sorted(["1.json", "1.parquet", "1.quarantine.parquet", f"1{SKETCH}"])


SPOIL: dict[str, tuple[str, Callable[[Path], object]]] = {
    "changed": ("1.parquet", lambda path: said(start=0.5).write_parquet(path)),
    "removed": ("1.parquet", Path.unlink),
    "facts removed": ("1.json", Path.unlink),
    "facts cut": ("1.json", lambda path: path.write_text(path.read_text()[:-30])),
    "facts of something else": ("1.json", lambda path: path.write_text("{}")),
    "facts are a list": ("1.json", lambda path: path.write_text("[]")),
}


@pytest.mark.parametrize("how", SPOIL)
def test_altered_predictions_are_not_read(how: str, project: Project) -> None:
    put(project)
    name, spoil = SPOIL[how]
    spoil(project.predictions / "april" / name)
    with pytest.raises(InputError, match=f"{name} is missing or .*score the batch again"):
        read(project, "april", "1")


def test_an_altered_sketch_is_not_read(project: Project) -> None:
    put(project)
    sketch(ROWS.select("temp"), None).write(project.predictions / "april" / f"1{SKETCH}")
    with pytest.raises(InputError, match=r"is missing or was changed .*score the batch again"):
        read_sketch(project, "april", "1")
    assert read(project, "april", "1").height == 30


def test_two_at_once_keep_one(project: Project) -> None:
    found: list[tuple[Kept, bool]] = []
    threads = [threading.Thread(target=lambda: found.append(put(project))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fresh for _, fresh in found) == [False] * 7 + [True]
    assert all(kept == found[0][0] for kept, _ in found)


def test_writing_waits_for_no_run_but_for_another_scoring(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    with project.lock():
        assert put(project)[1]
    monkeypatch.setattr(predictions, "PATIENCE", 0)
    with (
        FileLock(project.stores / "predictions.lock"),
        pytest.raises(InputError, match="another scoring"),
    ):
        put(project, scorer=TWO)
    assert put(project, scorer=TWO)[1]


# --- labels that have arrived


def labelled(rows: pl.DataFrame) -> pl.DataFrame:
    return (
        said(rows)
        .drop("prediction")
        .with_columns(pl.lit("true").alias(LABEL), pl.lit("AA").alias("slice_carrier"))
    )


def test_labels_join_by_key_whatever_the_order(project: Project) -> None:
    put(project)
    some = labelled(ROWS).gather_every(3).reverse()
    joined = join_labels(read(project, "april", "1"), some)
    assert joined.columns == [*read(project, "april", "1").columns, LABEL, "slice_carrier"]
    assert_frame_equal(joined.select(*KEYS, TIME, "prediction"), said().gather_every(3))
    assert join_labels(said(), labelled(ROWS).clear()).is_empty()


def test_keys_with_a_part_missing_join_too() -> None:
    rows = ROWS.with_columns(origin=pl.lit(None, pl.String))
    assert join_labels(said(rows), labelled(rows)).height == rows.height


REFUSED: dict[str, tuple[pl.DataFrame, pl.DataFrame, str]] = {
    "a key twice": (
        said(),
        pl.concat([labelled(ROWS), labelled(ROWS.head(1))]),
        "2 labelled rows share a key",
    ),
    "keys of another type": (
        said(),
        labelled(ROWS).with_columns(pl.col(KEY + "flight").cast(pl.String)),
        "keys of different types",
    ),
    "no key": (said().drop(KEYS), labelled(ROWS).drop(KEYS), "carry no key"),
}


@pytest.mark.parametrize(("predictions", "other", "why"), REFUSED.values(), ids=REFUSED)
def test_labels_that_cannot_be_joined_are_an_error(
    predictions: pl.DataFrame, other: pl.DataFrame, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        join_labels(predictions, other)
