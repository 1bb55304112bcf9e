"""Unlabelled: rows come from any file or batch, and nothing of the future is used."""

from __future__ import annotations

import gzip
import importlib
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import month
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.params import Source, Validate
from evergreen.project import Project
from evergreen.scoring.unlabelled import Given, check_given, find_given, read_given
from evergreen.validation.contract import Contract
from evergreen.validation.report import QUARANTINE_ROW, REASONS
from late_flights.dataset import dataset

MONTH = "2013-03"
SOURCE = Source()


def in_time(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop(dataset.known_later)


def few(count: int = 12) -> pl.DataFrame:
    return month(MONTH).head(count)


# --- reading

WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "rows.csv": lambda frame, path: frame.write_csv(path),
    "rows.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "rows.parquet": lambda frame, path: frame.write_parquet(path),
    "a [1] file*.csv": lambda frame, path: frame.write_csv(path),
}


@pytest.mark.parametrize("file", WRITERS)
@pytest.mark.parametrize("url", [False, True])
def test_any_kind_of_file_gives_the_same_rows(
    file: str, url: bool, site: Any, tmp_path: Path
) -> None:
    WRITERS[file](in_time(few()), tmp_path / file)
    path = f"file://{tmp_path / file}" if url else str(tmp_path / file)
    given = read_given(site.project, site.dataset, SOURCE, path, "mine")
    assert given.batch == "mine"
    assert_frame_equal(given.rows, in_time(few()))


def test_encoding_and_separator_are_those_of_the_source(site: Any, tmp_path: Path) -> None:
    frame = in_time(few()).with_columns(tailnum=pl.lit("N1é"))
    (tmp_path / "old.csv").write_bytes(frame.write_csv(separator=";").encode("latin-1"))
    given = read_given(
        site.project,
        site.dataset,
        Source(encoding="latin-1", separator=";"),
        str(tmp_path / "old.csv"),
    )
    assert_frame_equal(given.rows, frame)
    with pytest.raises(InputError, match=r"old.csv, line 2: byte 0xe9 is not utf-8"):
        read_given(site.project, site.dataset, SOURCE, str(tmp_path / "old.csv"))


def test_a_packed_file_is_called_like_what_is_in_it(site: Any, tmp_path: Path) -> None:
    (tmp_path / "day-1.CSV.gz").write_bytes(gzip.compress(few().write_csv().encode()))
    given = read_given(site.project, site.dataset, SOURCE, str(tmp_path / "day-1.CSV.gz"))
    assert given.batch == "day-1"
    assert_frame_equal(given.rows, few())


def test_a_pipe_is_not_waited_for(site: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    with pytest.raises(InputError, match="there is no such file"):
        read_given(site.project, site.dataset, SOURCE, str(tmp_path / "rows.csv"))


def test_a_batch_of_raw_is_read_where_it_is_as_it_was_ingested(built: Any) -> None:
    path = built.project.raw / "2013-01.parquet"
    given = read_given(built.project, built.dataset, SOURCE, str(path))
    assert given.batch == "2013-01"
    assert_frame_equal(given.rows, month("2013-01"))
    assert read_given(built.project, built.dataset, SOURCE, str(path), "again").batch == "again"
    month("2013-02").write_parquet(path)
    with pytest.raises(InputError, match=r"2013-01.parquet is missing or was changed"):
        read_given(built.project, built.dataset, SOURCE, str(path))
    with pytest.raises(InputError, match="data/raw holds no batch '2013-09'"):
        read_given(built.project, built.dataset, SOURCE, str(built.project.raw / "2013-09.parquet"))


NAMES = {
    "day-1.part_2": True,
    "7": True,
    "..": False,
    "../up": False,
    "a b": False,
    ".hidden": False,
    "x" * 101: False,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_must_be_able_to_be_a_folder(name: str, site: Any, tmp_path: Path) -> None:
    few().write_csv(tmp_path / "rows.csv")
    if NAMES[name]:
        assert (
            read_given(site.project, site.dataset, SOURCE, str(tmp_path / "rows.csv"), name).batch
            == name
        )
        return
    with pytest.raises(InputError, match=r"cannot be the name of a batch: use only .*--name"):
        read_given(site.project, site.dataset, SOURCE, str(tmp_path / "rows.csv"), name)


FAULTS: dict[str, tuple[bytes | None, str]] = {
    "none.csv": (None, "there is no such file"),
    "rows.xlsx": (b"PK", r"ends in .csv, .tsv, .parquet"),
    "empty.csv": (b"", r"is empty \(0 bytes\)"),
    "head.csv": (b"carrier,flight\n", "has no rows"),
    "semicolons.csv": (
        b"carrier;flight\nAA;1\n",
        r"has none of the columns .*source.separator \(','\) the file's",
    ),
    "cut.csv": (b"carrier,flight\nAA,1\nAA", "cannot be read as CSV"),
    "cut.parquet": (b"PAR1" * 9, "cannot be read as Parquet"),
}


@pytest.mark.parametrize("file", FAULTS)
def test_a_file_that_cannot_be_scored_is_named(file: str, site: Any, tmp_path: Path) -> None:
    content, said = FAULTS[file]
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_given(site.project, site.dataset, SOURCE, str(tmp_path / file))
    assert file in str(caught.value)


@pytest.mark.parametrize("url", ["memory://nowhere/rows.csv", "nosuch://host/rows.csv"])
def test_a_url_with_nothing_behind_it_is_named(url: str, site: Any) -> None:
    with pytest.raises(InputError, match=r"no such file|cannot be read") as caught:
        read_given(site.project, site.dataset, SOURCE, url)
    assert url in str(caught.value)


# --- checking


def check(
    rows: pl.DataFrame,
    batch: str = "some",
    /,
    changes: Any = None,
    expected: Any = None,
    **options: Any,
) -> Any:
    contract = Contract(replace(dataset, **changes or {}), lambda _: expected, Validate(**options))
    if expected is None:
        flights = importlib.import_module("late_flights.expectations")
        contract = replace(contract, expectations=flights.expectations)
    return check_given(Given(batch, rows), contract)


LATER: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "without them": in_time,
    "empty": lambda frame: frame.with_columns(
        pl.lit(None).alias(name) for name in dataset.known_later
    ),
    "all there": lambda frame: frame,
    "some there": lambda frame: frame.drop("arr_time", "dep_delay"),
    "impossible": lambda frame: frame.with_columns(arr_delay=pl.lit("late"), air_time=pl.lit(9999)),
}


@pytest.mark.usefixtures("great_expectations")
@pytest.mark.parametrize("how", LATER)
def test_what_is_known_later_is_never_looked_at(how: str) -> None:
    outcome = check(LATER[how](few()))
    nothing = [pl.lit(None, dataset.columns[name]).alias(name) for name in dataset.known_later]
    assert_frame_equal(outcome.valid, few().with_columns(nothing))
    assert outcome.quarantined.is_empty()
    words = {word for check in outcome.report.checks for word in re.findall(r"\w+", check.says)}
    assert not words & set(dataset.known_later)


@pytest.mark.usefixtures("great_expectations")
@pytest.mark.parametrize("count", [1, 2, 1500])
def test_rows_are_judged_however_few(count: int) -> None:
    """Rules about a whole month, its number of rows and its days, are none about them."""
    assert check(few(count)).valid.height == len(few(count))
    assert check(few(count), MONTH).valid.height == len(few(count))


@pytest.mark.usefixtures("great_expectations")
def test_bad_rows_are_set_aside_as_they_were_delivered() -> None:
    rows = in_time(few(60)).with_columns(
        origin=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("LHR")).otherwise("origin"),
        temp=pl.when(pl.int_range(pl.len()) == 5)
        .then(pl.lit("warm"))
        .otherwise(pl.col("temp").cast(pl.String)),
    )
    outcome = check(rows, max_bad_rows=0.05)
    assert_frame_equal(outcome.quarantined.drop(REASONS, QUARANTINE_ROW), rows[[3, 5]])
    assert outcome.quarantined[REASONS].to_list() == [
        ["origin: one of EWR, JFK, LGA"],
        ["temp: is a number"],
    ]
    assert outcome.valid.height == 58


BAD: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], dict[str, Any], tuple[str, ...]]] = {
    "a column less": (lambda frame: frame.drop("temp"), {}, ("missing column(s) 'temp'",)),
    "keys twice": (
        lambda frame: pl.concat([frame, frame]),
        {},
        ("24 of 24 rows", "unique together"),
    ),
    "too many bad rows": (
        lambda frame: frame.with_columns(dest=pl.lit("x")),
        {},
        ("12 of 12", "dest: looks like"),
    ),
    "too old": (lambda frame: frame, {"max_age_days": 1}, ("at most 1 days old",)),
}


@pytest.mark.usefixtures("great_expectations")
@pytest.mark.parametrize(("spoil", "options", "parts"), BAD.values(), ids=BAD)
def test_a_bad_batch_is_one_error(
    spoil: Callable[[pl.DataFrame], pl.DataFrame], options: dict[str, Any], parts: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        check(spoil(in_time(few())), **options)
    said = str(caught.value)
    assert [
        part for part in ("'some' is bad", "no row of it was scored", *parts) if part not in said
    ] == [], said


@pytest.mark.parametrize("name", [dataset.time, dataset.key[-1]])
def test_a_key_that_is_known_later_is_a_fault_of_the_declaration(name: str) -> None:
    changes = {"known_later": ("arr_delay", name), "features": {}}
    with pytest.raises(InputError, match=f"dataset.py: '{name}' is in known_later"):
        check(few(), changes=changes, expected=[])


def rules(*kinds: tuple[str, dict[str, Any]]) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations.expectations as gxe
        from great_expectations.expectations.row_conditions import Column
    made = []
    for kind, options in kinds:
        if when := options.pop("when", None):
            options["row_condition"] = Column(when).is_not_null()
        made.append(getattr(gxe, f"Expect{kind}")(**options))
    return made


# Rule -> does it hold for rows without labels?
RULES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "rows": ("ColumnValuesToBeBetween", {"column": "distance", "min_value": 1}, True),
    "rows, known later": ("ColumnValuesToNotBeNull", {"column": "arr_delay"}, False),
    "pair": ("ColumnPairValuesToBeEqual", {"column_A": "temp", "column_B": "air_time"}, False),
    "several": ("CompoundColumnsToBeUnique", {"column_list": ["origin", "dep_time"]}, False),
    "on a condition": ("ColumnValuesToNotBeNull", {"column": "temp", "when": "arr_delay"}, False),
    "on a condition in time": (
        "ColumnValuesToNotBeNull",
        {"column": "flight", "when": "tailnum"},
        True,
    ),
    "share": ("ColumnValuesToNotBeNull", {"column": "tailnum", "mostly": 0.5}, False),
    "mean": ("ColumnMeanToBeBetween", {"column": "distance", "min_value": 1}, False),
    "count": ("TableRowCountToEqual", {"value": 1}, False),
    "columns": ("TableColumnCountToEqual", {"value": len(dataset.columns)}, True),
    "types": ("ColumnValuesToBeOfType", {"column": "distance", "type_": "int32"}, True),
}


@pytest.mark.usefixtures("great_expectations")
@pytest.mark.parametrize("rule", RULES)
def test_which_rules_hold_for_rows_without_labels(rule: str) -> None:
    kind, options, holds = RULES[rule]
    expected = rules((kind, dict(options)))
    outcome = check(few(), changes={"key": ()}, expected=expected)
    assert len(outcome.report.checks) == 2 + holds  # all columns are there, and each row has a time
    assert outcome.valid.height == 12


@pytest.mark.parametrize(
    "path",
    ["https://me:hunter2@host/x.csv", "https://host/x.csv?sig=hunter2", "s3://k:s@bucket/x.csv"],
)
def test_an_address_with_a_secret_is_refused_before_it_is_kept_anywhere(
    path: str, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=r"holds a password or a token: put the address into the environment"
    ) as error:
        find_given(Project(tmp_path), path)
    assert "hunter2" not in str(error.value)
