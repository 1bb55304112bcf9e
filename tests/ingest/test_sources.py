"""Sources: every format gives the same rows, nothing is lost or bent on the way, and each refusal says what to do."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Timer
from types import SimpleNamespace
from typing import Any

import fsspec
import polars as pl
import pytest
from conftest import month, refusal
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from evergreen.errors import InputError
from evergreen.ingest import sources
from evergreen.ingest.database import fill_in
from evergreen.ingest.sources import Python, open_source, parse, typed
from evergreen.params import Source
from late_flights import flights
from late_flights.dataset import dataset

MOMENT = pl.Datetime("us")
NOON = datetime.fromisoformat("2013-01-05 12:30")
MIDNIGHT = datetime.fromisoformat("2013-01-05")
TIME = dataset.time


# --- typed and parse
# --------------------------------------------------------------------------------------------------

FITTING = [
    ("12", pl.Int32(), 12),
    ("-7", pl.Int32(), -7),
    ("1.5", pl.Float64(), 1.5),
    ("1e3", pl.Float64(), 1000.0),
    ("2013-01-05 12:30:00", MOMENT, NOON),
    ("2013-01-05T12:30:00", MOMENT, NOON),
    ("2013-01-05 12:30", MOMENT, NOON),
    ("2013-01-05T12:30:00.000000", MOMENT, NOON),
    ("2013-01-05T12:30:00Z", MOMENT, NOON),
    ("2013-01-05T14:30:00+02:00", MOMENT, NOON),
    ("2013-01-05", MOMENT, MIDNIGHT),
    ("2013-01-05", pl.Date(), date(2013, 1, 5)),
    ("12:30:00", pl.Time(), time(12, 30)),
    ("True", pl.Boolean(), True),
    ("23.0", pl.Int32(), 23),
    ("23.", pl.Int32(), 23),
    ("-7.00", pl.Int32(), -7),
    ("+5", pl.Int32(), 5),
    (" 5 ", pl.Int32(), 5),
    ("2.3e1", pl.Int32(), 23),
    ("1E+03", pl.Int32(), 1000),
    ("9007199254740993.0", pl.Int64(), 9007199254740993),
    ("TRUE", pl.Boolean(), True),
    ("1.0", pl.Boolean(), True),
    ("0.0", pl.Boolean(), False),
    ("t", pl.Boolean(), True),
    ("F", pl.Boolean(), False),
    ("yes", pl.Boolean(), True),
    ("No", pl.Boolean(), False),
    ("0", pl.Boolean(), False),
    (3.0, pl.Int32(), 3),
    (3, pl.Float64(), 3.0),
    (1, pl.Boolean(), True),
    (12, pl.String(), "12"),
    (date(2013, 1, 5), MOMENT, MIDNIGHT),
    (datetime(2013, 1, 5, 12, 30, tzinfo=UTC), MOMENT, NOON),
    (Decimal("1.5"), pl.Float64(), 1.5),
    (Decimal("2.00"), pl.Int32(), 2),
]

UNFIT = [
    ("abc", pl.Int32()),
    ("2.5", pl.Int32()),
    ("99999999999", pl.Int32()),
    ("", pl.Int32()),
    ("1,5", pl.Float64()),
    ("maybe", pl.Boolean()),
    ("2", pl.Boolean()),
    ("0.5", pl.Boolean()),
    ("23.5", pl.Int32()),
    ("1e-3", pl.Int32()),
    ("1e10", pl.Int32()),
    ("1e20", pl.Int64()),
    ("9007199254740993e0", pl.Int64()),  # beyond what a float tells apart
    ("1.000.000", pl.Int32()),
    ("23.0.0", pl.Int32()),
    (".", pl.Int32()),
    ("inf", pl.Int32()),
    ("0x10", pl.Int32()),
    ("yesterday", MOMENT),
    ("2013-02-30 00:00:00", MOMENT),
    ("2013-01-05 25:00:00", MOMENT),
    (2.5, pl.Int32()),
    (3e9, pl.Int32()),
    (float("nan"), pl.Int32()),
    (float("inf"), pl.Int32()),
    (2**40, pl.Int32()),
    (Decimal("1.5"), pl.Int32()),
    (2, pl.Boolean()),
    (0.5, pl.Boolean()),
    (1372636800, MOMENT),
    (True, MOMENT),
    (NOON, pl.Float64()),
    (NOON, pl.Int64()),
    (NOON, pl.Date()),
    ("2013-01-05 12:30:00", pl.Date()),
    (time(12, 30), MOMENT),
    (timedelta(hours=1), MOMENT),
    ([1, 2], pl.Int32()),
    ([1, 2], pl.String()),
    ([1.5], pl.Float64()),
    ({"a": 1}, pl.Float64()),
    (b"\xff", pl.String()),
]


@pytest.mark.parametrize(("value", "dtype", "expected"), FITTING, ids=lambda one: str(one))
def test_value_that_fits_is_read(value: object, dtype: pl.DataType, expected: object) -> None:
    frame = pl.DataFrame({"x": [None, value]})
    found = typed(frame, {"x": dtype})
    assert found.schema == {"x": dtype}
    assert found["x"].to_list() == [None, expected]


@pytest.mark.parametrize(("value", "dtype"), UNFIT, ids=lambda one: str(one))
def test_value_that_does_not_fit_stays_as_delivered(value: object, dtype: pl.DataType) -> None:
    frame = pl.DataFrame({"x": [None, value]})
    assert_frame_equal(typed(frame, {"x": dtype}), frame)
    assert parse(frame["x"], dtype).to_list() == [None, None]


def test_one_value_that_does_not_fit_keeps_its_column_and_no_other() -> None:
    frame = pl.DataFrame({"x": ["1", "2", "three"], "y": ["1", "2", "3"], "z": ["a", "b", "c"]})
    found = typed(frame, {"x": pl.Int32(), "y": pl.Int32(), "absent": pl.Int32()})
    assert found["x"].to_list() == ["1", "2", "three"]
    assert found["y"].to_list() == [1, 2, 3]
    assert found.columns == ["x", "y", "z"]
    assert parse(frame["x"], pl.Int32()).to_list() == [1, 2, None]


@pytest.mark.parametrize("dtype", dataset.columns.values(), ids=list(dataset.columns))
@pytest.mark.parametrize(
    "column", [pl.Series("x", [], dtype=pl.String), pl.Series("x", [None, None], dtype=pl.Null)]
)
def test_nothing_fits_any_type(column: pl.Series, dtype: pl.DataType) -> None:
    assert typed(column.to_frame(), {"x": dtype}).schema == {"x": dtype}


def test_dictionary_encoded_text_for_a_number_stays() -> None:
    frame = pl.DataFrame({"x": pl.Series(["1", "abc"], dtype=pl.Categorical)})
    assert typed(frame, {"x": pl.Int32()})["x"].cast(pl.String).to_list() == ["1", "abc"]


ANY_VALUES = st.one_of(
    st.lists(st.none() | st.text(max_size=6), max_size=6).map(
        lambda v: pl.Series("x", v, dtype=pl.String)
    ),
    st.lists(st.none() | st.integers(-(2**40), 2**40).map(str), max_size=6).map(
        lambda v: pl.Series("x", v, dtype=pl.String)
    ),
    st.lists(st.none() | st.integers(-(2**40), 2**40), max_size=6).map(
        lambda v: pl.Series("x", v, dtype=pl.Int64)
    ),
    st.lists(st.none() | st.floats(), max_size=6).map(
        lambda v: pl.Series("x", v, dtype=pl.Float64)
    ),
    st.lists(st.none() | st.booleans(), max_size=6).map(
        lambda v: pl.Series("x", v, dtype=pl.Boolean)
    ),
)


@given(column=ANY_VALUES, dtype=st.sampled_from([pl.Int32(), pl.Float64(), pl.String(), MOMENT]))
@settings(max_examples=100, deadline=None)
def test_typed_loses_no_value(column: pl.Series, dtype: pl.DataType) -> None:
    found = typed(column.to_frame(), {"x": dtype})["x"]
    assert_series_equal(found.is_null(), column.is_null())
    if found.dtype != dtype:
        assert_series_equal(found, column)


@given(st.lists(st.none() | st.floats() | st.integers(-(2**33), 2**33).map(float), max_size=8))
@settings(max_examples=100, deadline=None)
def test_a_number_becomes_an_integer_only_when_it_is_one(values: list[float | None]) -> None:
    found = parse(pl.Series("x", values, dtype=pl.Float64), pl.Int32())
    for before, after in zip(values, found, strict=True):
        fits = (
            before is not None
            and before == before
            and -(2**31) <= before < 2**31
            and before == int(before)
        )
        assert after == (int(before) if fits else None)


@given(
    st.lists(
        st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2200-01-01")),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from("T "),
)
@settings(max_examples=100, deadline=None)
def test_iso_times_are_read_to_the_microsecond(moments: list[datetime], sign: str) -> None:
    written = pl.Series("x", [moment.isoformat(sign) for moment in moments])
    assert parse(written, MOMENT).to_list() == moments


# --- a module in Python
# -----------------------------------------------------------------------------------------------


def test_example_offers_its_months_in_order() -> None:
    source = open_source(Source(kind="python", module="late_flights.flights"), dataset)
    offers = source.offers()
    assert [one.name for one in offers] == [f"2013-{number:02}" for number in range(1, 13)]
    assert all(one.origin.startswith(f"{flights.origin()} ") for one in offers)
    assert_frame_equal(source.read("2013-02"), flights.read("2013-02"))


WHOLE = """
def batches(): return ["b", "a"]
def origin(): return "today"
def read(name): return name
"""


def test_own_module_is_read_and_another_code_is_another_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_source.py").write_text(WHOLE)
    first = open_source(Source(kind="python", module="own_source"), dataset)
    assert [one.name for one in first.offers()] == ["a", "b"]
    assert first.read("a") == "a"
    before = first.offers()[0].origin
    (tmp_path / "own_source.py").write_text(WHOLE + "# changed\n")
    assert before.startswith("today ")
    assert first.offers()[0].origin != before


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, ("'own_source_not_there' cannot be imported",)),
        (WHOLE.replace("def read", "def write"), ("lacks read()",)),
        ("import nothing_of_that_name", ("cannot be imported", "nothing_of_that_name")),
    ],
)
def test_module_that_is_no_source_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None, said: tuple[str, ...]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = "own_source_not_there" if code is None else f"own_source_{abs(hash(code))}"
    if code is not None:
        (tmp_path / f"{name}.py").write_text(code)
    with pytest.raises(InputError) as caught:
        open_source(Source(kind="python", module=name), dataset)
    assert [part for part in said if part not in str(caught.value)] == []


# --- files
# --------------------------------------------------------------------------------------------------


def files(path: object, **options: Any) -> Any:
    return open_source(Source(kind="files", path=str(path), **options), dataset)


def write(path: Path, frame: pl.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",", null_value="NA")


@pytest.fixture
def rows() -> pl.DataFrame:
    """A few real rows, whose numbers read back from text as they were."""
    return month("2013-01").head(40)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize(
    "form", ["{inbox}", "{inbox}/", "{inbox}/*", "{inbox}/2013-*", "file://{inbox}"]
)
def test_every_format_and_form_of_path_gives_the_same_rows(
    tmp_path: Path, rows: pl.DataFrame, suffix: str, form: str
) -> None:
    write(tmp_path / f"2013-01{suffix}", rows)
    source = files(form.format(inbox=tmp_path))
    assert [one.name for one in source.offers()] == ["2013-01"]
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


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf8"])
def test_byte_order_mark_is_no_part_of_a_name(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfname,price\nx,1\n")
    assert files(tmp_path, encoding=encoding).read("a").columns == ["name", "price"]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "not ended"])
def test_line_ends(tmp_path: Path, ending: str, last: bool) -> None:
    text = ending.join(["name,price", "x,1", "y,2"]) + (ending if last else "")
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert files(tmp_path).read("a").rows() == [("x", "1"), ("y", "2")]


def test_quoted_text_keeps_separators_and_line_ends(tmp_path: Path) -> None:
    frame = pl.DataFrame({"name": ['a, "b"\nc', "d"], "price": ["1", "2"]})
    frame.write_csv(tmp_path / "a.csv")
    assert_frame_equal(files(tmp_path).read("a"), frame)


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
    before = {one.name: one.origin for one in files(tmp_path).offers()}
    write(tmp_path / "b.csv", rows.head(1))
    after = {one.name: one.origin for one in files(tmp_path).offers()}
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
    assert [one.name for one in files(tmp_path).offers()] == [name]


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


PARQUET_MAGIC = b"PAR1"

DAMAGED: list[tuple[str, bytes, tuple[str, ...]]] = [
    ("a.csv", b"", ("a.csv", "empty (0 bytes)", "deliver it again")),
    ("a.parquet", b"", ("a.parquet", "empty (0 bytes)", "deliver it again")),
    ("a.parquet", b"x,y\n1,2\n", ("a.parquet", "Parquet", "deliver it again")),
    ("a.parquet", PARQUET_MAGIC, ("a.parquet", "Parquet", "deliver it again")),
    ("a.csv", b"\n", ("a.csv", "CSV", "deliver it again")),
    ("a.csv", b"x,y\n1,2\n1,2,3\n", ("a.csv", "CSV", "deliver it again")),
    ("a.csv", b"x,y,z\n1,2,3\n1,2\n4,5,6\n", ("a.csv", "CSV", "deliver it again")),
    ("a.csv", b"x,y,z\n1,2,3\n1,", ("a.csv", "CSV", "deliver it again")),
    ("a.csv", b'x,y\n1,"2\n3,4\n', ("a.csv", "CSV", "deliver it again")),
]
DAMAGES = ["empty csv", "empty parquet", "csv as parquet", "magic only", "blank line", "long row", "short row",
           "cut in a row", "open quote"]  # fmt: skip


@pytest.mark.parametrize(("file", "content", "parts"), DAMAGED, ids=DAMAGES)
def test_damaged_files_are_refused(
    tmp_path: Path, file: str, content: bytes, parts: tuple[str, ...]
) -> None:
    (tmp_path / file).write_bytes(content)
    refusal(lambda: files(tmp_path).read("a"), str(tmp_path), *parts)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_parquet_cut_short_is_refused(tmp_path: Path, rows: pl.DataFrame, share: float) -> None:
    path = tmp_path / "a.parquet"
    rows.write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refusal(
        lambda: files(tmp_path).read("a"),
        str(path),
        "Parquet",
        "cut short or damaged",
        "deliver it again",
    )


@pytest.mark.parametrize(
    ("content", "line", "byte"),
    [
        (b"name\nok\ncaf\xe9\n", 3, "0xe9"),
        (b"na\xefve\nok\n", 1, "0xef"),
        (b"name\r\nok\r\nok\r\n\xff\r\n", 4, "0xff"),
        (b"\xef\xbb\xbfname\nok\n\xe9\n", 3, "0xe9"),
    ],
    ids=["third line", "header", "windows ends", "byte order mark"],
)
def test_wrong_encoding_names_line_and_byte(
    tmp_path: Path, content: bytes, line: int, byte: str
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    refusal(
        lambda: files(tmp_path).read("a"),
        f"{tmp_path}/a.csv, line {line}:",
        f"byte {byte} is not utf-8",
        "source.encoding",
        "cp1252",
    )


@pytest.mark.parametrize("encoding", ["klingon", "base64", "rot13"])
def test_unknown_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    refusal(lambda: files(tmp_path, encoding=encoding).read("a"), "source.encoding", repr(encoding))


def test_folder_called_like_a_file_is_refused(tmp_path: Path, rows: pl.DataFrame) -> None:
    """Other tools write a folder of parts under the name of one Parquet file."""
    write(tmp_path / "2013-01.parquet" / "part-0.parquet", rows)

    def take() -> object:
        source = files(tmp_path)
        return [source.read(one.name) for one in source.offers()]

    refusal(take, "2013-01.parquet")


def test_file_that_went_away_is_named(tmp_path: Path, rows: pl.DataFrame) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.csv", rows)
    source = files(tmp_path)
    source.offers()
    (tmp_path / "a.csv").unlink()
    refusal(lambda: source.read("a"), "a")


# --- fsspec URLs
# --------------------------------------------------------------------------------------------------


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
    assert [one.name for one in source.offers()] == ["2013-01", "2013-02"]
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
    assert [one.name for one in source.offers()] == ["2013-01"]
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
    assert [one.name for one in source.offers()] == ["2013-01", "2013-02"]
    assert [said.partition(" ")[0] for said in source.passed_over] == [
        "2013-03.json",
        "notes.txt",
        "old",
    ]
    for name in ("2013-01", "2013-02"):
        assert_frame_equal(typed(source.read(name), dataset.columns), rows)


@pytest.mark.slow
def test_files_that_come_to_s3_later_are_seen(bucket: Any, rows: pl.DataFrame) -> None:
    """A process that serves for weeks sees what was delivered since it started, and what was delivered again."""
    bucket.put_object(Bucket="inbox", Key="later/a.csv", Body=rows.write_csv().encode())
    (before,) = files("s3://inbox/later").offers()
    bucket.put_object(Bucket="inbox", Key="later/b.csv", Body=rows.write_csv().encode())
    bucket.put_object(Bucket="inbox", Key="later/a.csv", Body=rows.head(5).write_csv().encode())
    after = files("s3://inbox/later").offers()
    assert [one.name for one in after] == ["a", "b"]
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
    monkeypatch.setattr(sources, "SETTLED", 0.6)
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")

    def go_on() -> None:
        with path.open("a") as file:
            file.write("2\n")

    timer = Timer(0.3, go_on)
    timer.start()
    assert sources.Files(Source(kind="files", path=str(path)), dataset).read("a").height == 2
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
    with pytest.raises(InputError, match=r"a\.csv is still being written: wait until it is whole"):
        sources.Files(Source(kind="files", path=str(path)), dataset).read("a")


@pytest.mark.parametrize("password", ["p@ss:w", "a@b@c"])
def test_a_password_that_would_be_taken_for_a_host_is_not_shown(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE", f"postgresql://me:{password}@host/db")
    with pytest.raises(
        InputError, match=r"source.url: the name or password before the host holds '@': write %40"
    ) as error:
        fill_in("${WAREHOUSE}", "source.url")
    assert password not in str(error.value)
    monkeypatch.setenv("WAREHOUSE", "postgresql://me:p%40ss:w@host/db?user=a@b")
    assert fill_in("${WAREHOUSE}", "source.url").endswith("@host/db?user=a@b")


def test_what_a_module_of_a_person_says_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> None:
        raise ConnectionError("no answer from https://host/x?sig=hunter2")

    module = SimpleNamespace(
        __file__=__file__,
        origin=lambda: "https://me:hunter2@host/1.0",
        batches=lambda: ["may"],
        read=read,
    )
    monkeypatch.setattr("importlib.import_module", lambda _: module)
    source = Python(Source(kind="python", module="mine"), dataset)
    (offer,) = source.offers()
    assert offer.origin.startswith("https://***@host/1.0 ")
    with pytest.raises(ConnectionError) as error:
        source.read("may")
    assert str(error.value) == "no answer from https://host/x?sig=***"
