"""Ingest: batches do not change, bad files are refused, altered ones are noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from inbox import MONTHS, changed_files, few, refusal_of_ingest
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.files import sha256_of_file
from evergreen.ingest.batches import Ingested, check_unchanged, ingest
from evergreen.ingest.manifest import Manifest
from evergreen.quality.held_batches import find_held
from late_flights.dataset import dataset


def said_by(work: Callable[[], object]) -> str | None:
    """What the InputError of `work` says, None where it works."""
    try:
        work()
    except InputError as error:
        return str(error)
    return None


CHANGES: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "a value": lambda frame: frame.with_columns(distance=pl.col("distance") + 1),
    "a row less": lambda frame: frame.head(29),
    "a row more": lambda frame: pl.concat([frame, frame.tail(1)]),
    "order": lambda frame: frame.reverse(),
    "a column less": lambda frame: frame.drop("visib"),
    "a column more": lambda frame: frame.with_columns(gate=pl.lit("B7")),
    "a value gone": lambda frame: frame.with_columns(distance=pl.lit(None, dtype=pl.Int32)),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("names", [(), ("2013-01",)], ids=["all", "by name"])
def test_other_content_under_a_known_name_is_refused(
    filled: Any,
    snapshot: Callable[..., Any],
    change: Callable[[pl.DataFrame], pl.DataFrame],
    names: tuple[str, ...],
) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    before = snapshot(filled.project.raw)
    changed = change(few("2013-01"))
    filled.deliver({"2013-01": changed})
    refusal_of_ingest(
        filled,
        "'2013-01'",
        "30 rows then",
        f"{changed.height} now",
        "evergreen ingest 2013-01 --replace",
        names=names,
    )
    assert snapshot(filled.project.raw) == before


def test_replace_takes_the_new_content(filled: Any, snapshot: Callable[..., Any]) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    before = snapshot(filled.project.raw)
    filled.deliver({"2013-01": few("2013-01", 20), "2013-02": few("2013-02", 20)})
    assert ingest(
        filled.project, filled.dataset, filled.params(), ["2013-01"], replace=True
    ).new == ("2013-01",)
    after = snapshot(filled.project.raw)
    assert changed_files(before, after) == {"2013-01.parquet", "manifest.json"}
    entry = Manifest(filled.project.raw).entries["2013-01"]
    assert entry["rows"] == 20
    assert entry["files"] == {
        "raw/2013-01.parquet": sha256_of_file(filled.project.raw / "2013-01.parquet")
    }
    assert Manifest(filled.project.raw).altered() == []


def test_refused_batch_after_a_good_one_keeps_the_good_one(filled: Any) -> None:
    (filled.inbox / "2013-02.parquet").write_bytes(b"PAR1")
    refusal_of_ingest(filled, "2013-02.parquet", "cannot be read as Parquet")
    assert list(Manifest(filled.project.raw).entries) == ["2013-01"]
    assert Manifest(filled.project.raw).altered() == []
    filled.deliver({"2013-02": few("2013-02")})
    assert ingest(filled.project, filled.dataset, filled.params()) == Ingested(MONTHS[1:], MONTHS)


HEADER = ",".join(dataset.columns).encode()
BAD_FILES: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "no bytes": ("x.csv", b"", ("x.csv", "empty (0 bytes)", "deliver it again")),
    "header only": ("x.csv", HEADER + b"\n", ("'x'", "no rows", "deliver it again")),
    "header only, not ended": ("x.csv", HEADER, ("'x'", "no rows", "deliver it again")),
    "not UTF-8": ("x.csv", HEADER + b"\n\n\xe9", ("x.csv, line 3", "0xe9", "source.encoding")),
    "too many fields": ("x.csv", b"a,b\n1,2,3\n", ("x.csv", "CSV", "deliver it again")),
    "cut Parquet": ("x.parquet", b"PAR1\x15\x04", ("x.parquet", "Parquet", "deliver it again")),
    "same stem": ("2013-01.csv", HEADER, ("2013-01.csv", "2013-01.parquet", "rename one")),
    "odd name": ("my file.csv", HEADER, ("my file.csv", "letters, digits")),
}


@pytest.mark.parametrize(("file", "content", "parts"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_refused_and_old_batches_stay(
    filled: Any, snapshot: Callable[..., Any], file: str, content: bytes, parts: tuple[str, ...]
) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    before = snapshot(filled.project.raw)
    (filled.inbox / file).write_bytes(content)
    refusal_of_ingest(filled, *parts)
    assert snapshot(filled.project.raw) == before


def test_batch_of_no_rows_in_parquet_is_refused(site: Any) -> None:
    site.deliver({"2013-01": few("2013-01").clear()})
    refusal_of_ingest(site, "'2013-01'", "no rows", "remove it from the source")
    assert not list(site.project.raw.glob("*"))


@pytest.mark.parametrize("path", ["{inbox}/nowhere", "{inbox}", "nosuch://bucket"])
def test_source_that_is_not_there_is_named(site: Any, path: str) -> None:
    path = path.format(inbox=site.inbox)
    refusal_of_ingest(site, "source.path", path, source={"kind": "files", "path": path})


@pytest.mark.parametrize(
    "column",
    [pl.Series("temp", [[1.0], [2.0]]), pl.Series("carrier", [b"\xff", b"a"])],
    ids=["list", "bytes"],
)
def test_nested_columns_end_in_no_other_error(site: Any, column: pl.Series) -> None:
    site.deliver({"2013-01": few("2013-01", 2).with_columns(column)})
    said = said_by(lambda: ingest(site.project, site.dataset, site.params()))
    if said is None:
        assert_frame_equal(
            pl.read_parquet(site.project.raw / "2013-01.parquet").select(column.name),
            column.to_frame(),
        )
    else:
        assert column.name in said


@pytest.mark.parametrize("name", ["manifest", "split", "encoder"])
def test_names_of_the_projects_own_files_do_no_harm(site: Any, name: str) -> None:
    """A store often holds a manifest.csv beside the data; later stages use such names."""
    from evergreen.features.prepare import prepare
    from evergreen.features.split import Split

    site.deliver({"2013-01": few("2013-01", 60), name: few("2013-02", 60)})
    said = said_by(lambda: ingest(site.project, site.dataset, site.params()))
    if said is not None:
        assert name in said
        return
    site.accept(
        {
            batch: pl.read_parquet(site.project.raw / f"{batch}.parquet")
            for batch in ("2013-01", name)
        }
    )
    prepare(site.project, site.dataset, site.params(), find_held)
    prepare(site.project, site.dataset, site.params(), find_held)
    assert sorted(Manifest(site.project.features).entries) == sorted(["2013-01", name])
    assert Split.read(site.project.features / "split.json").train.batches == ("2013-01", name)
    assert Manifest(site.project.features).altered() == []


def test_file_without_an_entry_is_a_leftover_and_is_written_anew(filled: Any) -> None:
    filled.project.raw.mkdir(parents=True)
    (filled.project.raw / "2013-01.parquet").write_bytes(b"half")
    (filled.project.raw / ".part-abc.parquet").write_bytes(b"half")
    assert ingest(filled.project, filled.dataset, filled.params()).new == MONTHS
    assert_frame_equal(pl.read_parquet(filled.project.raw / "2013-01.parquet"), few("2013-01"))
    assert not list(filled.project.raw.glob(".part-*"))


def test_missing_file_is_taken_again(filled: Any) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    (filled.project.raw / "2013-02.parquet").unlink()
    assert ingest(filled.project, filled.dataset, filled.params()).new == ("2013-02",)
    assert Manifest(filled.project.raw).altered() == []


@pytest.mark.parametrize(
    ("how", "says"), [("changed", "was changed after it was ingested"), ("removed", "is missing")]
)
def test_altered_raw_file_stops_a_checked_ingest(filled: Any, how: str, says: str) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    check_unchanged(filled.project)
    path = filled.project.raw / "2013-02.parquet"
    path.unlink() if how == "removed" else few("2013-02", 9).write_parquet(path)
    refusal_of_ingest(filled, str(path), says, "dvc checkout --force", check=True)
    with pytest.raises(InputError, match=says):
        check_unchanged(filled.project)
    assert ingest(
        filled.project, filled.dataset, filled.params(), ["2013-02"], replace=True, check=True
    ).new == ("2013-02",)
    check_unchanged(filled.project)


def test_full_disk_leaves_the_old_batch(
    filled: Any, snapshot: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    before = snapshot(filled.project.raw)
    filled.deliver({"2013-01": few("2013-01", 20)})

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        ingest(filled.project, filled.dataset, filled.params(), ["2013-01"], replace=True)
    monkeypatch.undo()
    assert snapshot(filled.project.raw) == before
