"""Folder: every format and form of path gives the same rows, and each refusal is clear."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from threading import Timer
from typing import Any

import fsspec
import polars as pl
import pytest
from conftest import refusal
from fsspec.implementations.local import LocalFileSystem
from inbox import files, write
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.ingest import folder
from evergreen.ingest.values import parse, typed
from evergreen.params import Source
from late_flights.dataset import dataset

MOMENT = pl.Datetime("us")
NOON = datetime.fromisoformat("2013-01-05 12:30")
TIME = dataset.time


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize(
    "form", ["{inbox}", "{inbox}/", "{inbox}/*", "{inbox}/2013-*", "file://{inbox}"]
)
def test_every_format_and_form_of_path_gives_the_same_rows(
    tmp_path: Path, rows: pl.DataFrame, suffix: str, form: str
) -> None:
    write(tmp_path / f"2013-01{suffix}", rows)
    source = files(form.format(inbox=tmp_path))
    assert [offer.name for offer in source.offers()] == ["2013-01"]
    assert_frame_equal(typed(source.read("2013-01"), dataset.columns), rows)


@pytest.mark.parametrize(
    ("separator", "encoding"),
    [(";", "utf-8"), ("|", "cp1252"), (",", "utf-16"), (",", "UTF-8"), (",", "latin-1")],
)
def test_csv_in_other_separators_and_encodings(
    tmp_path: Path, separator: str, encoding: str
) -> None:
    frame = pl.DataFrame({"name": ["Zürich", "São Paulo"], "price": ["1,5", None]})
    (tmp_path / "a.csv").write_bytes(frame.write_csv(separator=separator).encode(encoding))
    assert_frame_equal(files(tmp_path, separator=separator, encoding=encoding).read("a"), frame)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2013-01-05 12:30:00.000000", NOON),
        ("2013-01-05 12:30:00.000000000", NOON),
        ("2013-01-05T12:30:00.000000000Z", NOON),
        ("2013-01-05T14:30:00.000000000+02:00", NOON),
        ("2013-01-05 12:30:00.123456", NOON.replace(microsecond=123456)),
        ("2013-01-05 12:30:00.123456000", NOON.replace(microsecond=123456)),
        ("2013-01-05 12:30:00.123", NOON.replace(microsecond=123000)),
        ("2013-01-05 12:30:00.000000001", None),
        ("2013-01-05 12:30:00.123456789", None),
        ("2013-01-05T12:30:00.123456700", None),
        ("2013-01-05T12:30:00.000000001Z", None),
        ("2013-01-05T14:30:00.000000100+02:00", None),
    ],
)
def test_a_time_finer_than_a_microsecond_is_not_cut_in_silence(
    tmp_path: Path, written: str, read: datetime | None
) -> None:
    (tmp_path / "a.csv").write_text(f"{TIME},amount\n{written},1\n")
    found = typed(files(tmp_path).read("a"), {TIME: MOMENT})
    assert found[TIME].to_list() == [written if read is None else read]
    assert found.schema[TIME] == (pl.String() if read is None else MOMENT)


@pytest.mark.parametrize("dtype", [MOMENT, pl.Date()])
def test_one_time_that_is_too_fine_names_its_row_only(tmp_path: Path, dtype: pl.DataType) -> None:
    moments = [
        "2013-01-05 00:00:00.000000000",
        "2013-01-05 00:00:00.000000001",
        "2013-01-06 00:00:00.000000000",
    ]
    (tmp_path / "a.csv").write_text("\n".join([TIME, *moments]))
    column = files(tmp_path).read("a")[TIME]
    assert typed(column.to_frame(), {TIME: dtype})[TIME].to_list() == moments
    assert parse(column, dtype).is_null().to_list() == [False, True, False]


def test_offers_come_by_name_and_tell_changed_files(tmp_path: Path, rows: pl.DataFrame) -> None:
    for name in ("b", "c", "a"):
        write(tmp_path / f"{name}.csv", rows)
    (tmp_path / "notes.txt").write_text("no data")
    before = {offer.name: offer.origin for offer in files(tmp_path).offers()}
    write(tmp_path / "b.csv", rows.head(1))
    after = {offer.name: offer.origin for offer in files(tmp_path).offers()}
    assert list(before) == ["a", "b", "c"]
    assert [name for name in before if before[name] != after[name]] == ["b"]


def test_a_file_that_is_gone_is_missed(tmp_path: Path, rows: pl.DataFrame) -> None:
    write(tmp_path / "a.csv", rows)
    write(tmp_path / "b.csv", rows)
    source = files(tmp_path)
    source.offers()
    (tmp_path / "b.csv").unlink()
    for name in ("b", "c"):
        with pytest.raises(
            InputError, match=f"batch '{name}' is no longer in .*: deliver it again"
        ):
            source.read(name)


def test_the_same_source_sees_files_that_come_later(tmp_path: Path, rows: pl.DataFrame) -> None:
    source = files(tmp_path)
    write(tmp_path / "a.csv", rows)
    assert len(source.offers()) == 1
    write(tmp_path / "b.csv", rows)
    assert len(source.offers()) == 2


@pytest.mark.parametrize("name", ["2013-01", "v1.2", "Week_07", "0"])
def test_batch_is_called_like_its_file(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.csv").write_text("x\n1\n")
    assert [offer.name for offer in files(tmp_path).offers()] == [name]


@pytest.mark.parametrize("name", ["two words", "-rf", "_a", "ä", "a'b", "a;b", "a\nb", "$(x)"])
def test_odd_names_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.csv").write_text("x\n1\n")
    refusal(files(tmp_path).offers, f"{name}.csv", "letters, digits")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for file in ("2013-01.csv", "2013-01.parquet"):
        (tmp_path / file).write_text("x\n1\n")
    refusal(
        files(tmp_path).offers,
        "2013-01.csv",
        "2013-01.parquet",
        "the batch '2013-01'",
        "rename one",
    )


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("{inbox}", "holds no file that ends in .csv, .tsv, .parquet"),
        ("{inbox}/*.csv", "holds no file"),
        ("{inbox}/nowhere", "nothing of that name"),
        ("nosuch://bucket/folder", "nosuch"),
        ("http://[bad/folder", "cannot be listed"),
    ],
)
def test_path_without_batches_is_named(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "notes.txt").write_text("no data")
    path = path.format(inbox=tmp_path)
    refusal(files(path).offers, "source.path", path, why)


def test_folder_called_like_a_file_is_refused(tmp_path: Path, rows: pl.DataFrame) -> None:
    """Other tools write a folder of parts under the name of one Parquet file."""
    write(tmp_path / "2013-01.parquet" / "part-0.parquet", rows)

    def take() -> object:
        source = files(tmp_path)
        return [source.read(offer.name) for offer in source.offers()]

    refusal(take, "2013-01.parquet")


def test_file_that_went_away_is_named(tmp_path: Path, rows: pl.DataFrame) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.csv", rows)
    source = files(tmp_path)
    source.offers()
    (tmp_path / "a.csv").unlink()
    refusal(lambda: source.read("a"), "a")


# --- fsspec URLs


@pytest.fixture
def memory() -> Iterator[Any]:
    """The file system behind memory:// URLs, empty before and after."""
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/inbox", recursive=True)


def test_files_behind_a_url(memory: Any, rows: pl.DataFrame) -> None:
    memory.pipe("/inbox/2013-01.csv", rows.write_csv().encode())
    memory.pipe("/inbox/2013-02.csv", b"x,y\n1,\xe9\n")
    source = files("memory://inbox")
    assert [offer.name for offer in source.offers()] == ["2013-01", "2013-02"]
    assert_frame_equal(typed(source.read("2013-01"), dataset.columns), rows)
    refusal(lambda: source.read("2013-02"), "/inbox/2013-02.csv, line 2", "0xe9")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an S3 service on this machine."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of that service, which holds a bucket called 'inbox'."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with closing(boto3.client("s3")) as client:
        client.create_bucket(Bucket="inbox")
        yield client
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.slow
def test_files_in_s3(bucket: Any, rows: pl.DataFrame) -> None:
    bucket.put_object(Bucket="inbox", Key="flights/2013-01.csv", Body=rows.write_csv().encode())
    bucket.put_object(Bucket="inbox", Key="flights/notes.txt", Body=b"no data")
    source = files("s3://inbox/flights/*.csv")
    assert [offer.name for offer in source.offers()] == ["2013-01"]
    assert_frame_equal(typed(source.read("2013-01"), dataset.columns), rows)
    for path in ("s3://inbox/nothing", "s3://absent/flights"):
        refusal(files(path).offers, "source.path", path)


@pytest.mark.slow
def test_a_prefix_of_s3_is_taken_as_a_folder_is(bucket: Any, rows: pl.DataFrame) -> None:
    for key, body in {
        "all/2013-01.CSV": rows.write_csv().encode(),
        "all/2013-02.csv.gz": gzip.compress(rows.write_csv().encode()),
        "all/notes.txt": b"no data",
        "all/2013-03.json": b"{}",
        "all/old/2012-01.csv": b"x\n1\n",
    }.items():
        bucket.put_object(Bucket="inbox", Key=key, Body=body)
    source = files("s3://inbox/all/")
    assert [offer.name for offer in source.offers()] == ["2013-01", "2013-02"]
    assert [said.partition(" ")[0] for said in source.passed_over] == [
        "2013-03.json",
        "notes.txt",
        "old",
    ]
    for name in ("2013-01", "2013-02"):
        assert_frame_equal(typed(source.read(name), dataset.columns), rows)


@pytest.mark.slow
def test_files_that_come_to_s3_later_are_seen(bucket: Any, rows: pl.DataFrame) -> None:
    """A process that runs for weeks sees what was delivered since it started, and anew."""
    bucket.put_object(Bucket="inbox", Key="later/a.csv", Body=rows.write_csv().encode())
    (before,) = files("s3://inbox/later").offers()
    bucket.put_object(Bucket="inbox", Key="later/b.csv", Body=rows.write_csv().encode())
    bucket.put_object(Bucket="inbox", Key="later/a.csv", Body=rows.head(5).write_csv().encode())
    after = files("s3://inbox/later").offers()
    assert [offer.name for offer in after] == ["a", "b"]
    assert after[0].origin != before.origin
    assert files("s3://inbox/later").read("a").height == 5


@pytest.mark.slow
def test_store_that_does_not_answer_is_named(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    refusal(files("s3://inbox/unreachable").offers, "source.path", "s3://inbox/unreachable")


def test_a_file_is_left_alone_until_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "SETTLED", 0.6)
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")

    def go_on() -> None:
        with path.open("a") as file:
            file.write("2\n")

    timer = Timer(0.3, go_on)
    timer.start()
    assert folder.Files(Source(kind="files", path=str(path)), dataset).read("a").height == 2
    timer.join()


def test_a_file_that_grows_while_it_is_read_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")
    whole = LocalFileSystem.cat_file

    def cat(self: LocalFileSystem, *given: Any, **more: Any) -> Any:
        content = whole(self, *given, **more)
        path.write_text("x\n1\n2\n")
        return content

    monkeypatch.setattr(LocalFileSystem, "cat_file", cat)
    with pytest.raises(
        InputError, match=r"a\.csv is still being written: wait until it is complete"
    ):
        folder.Files(Source(kind="files", path=str(path)), dataset).read("a")
