"""Database: every row in one batch, nothing lost or bent, names quoted, refusals clear."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import month, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from evergreen import params
from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.database import fill_in
from evergreen.ingest.sources import open_source
from evergreen.ingest.values import typed
from late_flights.dataset import dataset

TIME = dataset.time


Values = Sequence[tuple[object, ...]]
NUMBERS = count()


def table(path: Path, values: Values, columns: str = f"{TIME} TEXT, amount") -> str:
    """Make a table `sales` in a new SQLite file and return its URL."""
    file = path / f"{next(NUMBERS)}.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"CREATE TABLE sales ({columns})")
        connection.executemany(
            f"INSERT INTO sales VALUES ({', '.join('?' * (columns.count(',') + 1))})", values
        )
    return f"sqlite:///{file}"


def sql(
    url: str, query: str = "SELECT * FROM sales", dataset: Dataset = dataset, **options: Any
) -> Any:
    chosen = params.parse(
        {"source": {"kind": "sql", "url": url, "query": query} | options}, "params.yaml"
    )
    return open_source(chosen.source, dataset)


def amounts(source: Any) -> dict[str, list[Any]]:
    return {offer.name: sorted(source.read(offer.name)["amount"]) for offer in source.offers()}


@pytest.mark.slow
def test_months_of_a_table_become_batches(tmp_path: Path) -> None:
    whole = pl.concat([month("2013-01"), month("2013-02"), month("2013-03")])
    content = whole.with_columns(pl.col(TIME).dt.strftime("%Y-%m-%d %H:%M:%S"))
    source = sql(table(tmp_path, content.rows(), ", ".join(dataset.columns)))
    assert [offer.name for offer in source.offers()] == ["2013-01", "2013-02", "2013-03"]
    found = pl.concat(
        [typed(source.read(offer.name), dataset.columns) for offer in source.offers()]
    )
    assert_frame_equal(found, whole, check_row_order=False)


@pytest.mark.slow
def test_reading_again_gives_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    rows = (
        month("2013-01")
        .with_columns(pl.col(TIME).cast(pl.String))
        .sample(fraction=1, shuffle=True, seed=3)
    )
    source = sql(table(tmp_path, rows.rows(), ", ".join(dataset.columns)))
    assert_frame_equal(source.read("2013-01"), source.read("2013-01"))
    assert source.read("2013-01")[TIME].is_sorted()


EDGES = [
    "2013-01-01",
    "2013-01-01 00:00:00",
    "2013-01-31 23:59:59.999999",
    "2013-02-01",
    "2013-02-01 00:00:00",
    "2013-02-01T00:00:00",
    "2013-02-28T23:59:59",
    "2013-03-01 00:00:00.000000",
    "2013-12-30 00:00:00",
    "2014-01-01T00:00",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("period", "form"),
    [("day", "%Y-%m-%d"), ("week", "%G-W%V"), ("month", "%Y-%m"), ("year", "%Y")],
)
def test_rows_at_the_edges_of_a_period_land_once(tmp_path: Path, period: str, form: str) -> None:
    moments = EDGES[:8] if period == "day" else EDGES
    source = sql(
        table(tmp_path, [(moment, place) for place, moment in enumerate(moments)]), period=period
    )
    expected: dict[str, list[int]] = {}
    for place, moment in enumerate(moments):
        expected.setdefault(datetime.fromisoformat(moment).strftime(form), []).append(place)
    assert {name: found for name, found in amounts(source).items() if found} == expected


@pytest.mark.slow
@given(
    moments=st.lists(
        st.tuples(
            st.datetimes(
                datetime.fromisoformat("2012-12-25"), datetime.fromisoformat("2013-02-05")
            ),
            st.sampled_from("T "),
        ),
        min_size=1,
        max_size=8,
    ),
    period=st.sampled_from(["week", "month", "year"]),
)
@settings(max_examples=15, deadline=None)
def test_every_row_lands_in_one_batch(
    tmp_path_factory: pytest.TempPathFactory, moments: list[tuple[datetime, str]], period: str
) -> None:
    values = [(moment.isoformat(sign), place) for place, (moment, sign) in enumerate(moments)]
    found = amounts(sql(table(tmp_path_factory.getbasetemp(), values), period=period))
    assert sorted(line for batch in found.values() for line in batch) == list(range(len(moments)))


def test_times_with_an_offset_land_once(tmp_path: Path) -> None:
    moments = ["2013-01-31T23:30:00-05:00", "2013-02-10T08:00:00-05:00"]
    found = amounts(sql(table(tmp_path, [(moment, place) for place, moment in enumerate(moments)])))
    assert sorted(line for batch in found.values() for line in batch) == [0, 1]


@pytest.mark.parametrize("period", ["day", "week", "month", "year"])
def test_unfinished_period_is_not_offered(tmp_path: Path, period: str) -> None:
    days = {"day": 1, "week": 7, "month": 31, "year": 366}[period]
    now = datetime.now(UTC).replace(tzinfo=None)
    url = table(tmp_path, [(str(now - timedelta(days=days)), 0), (str(now), 1)])
    found = amounts(sql(url, period=period))
    assert [line for batch in found.values() for line in batch] == [0]


@pytest.mark.slow
def test_finished_periods_hold_all_rows_up_to_the_last_one(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    moments = [now - timedelta(days=9 * back) for back in range(40)]
    found = amounts(
        sql(table(tmp_path, [(str(moment), place) for place, moment in enumerate(moments)]))
    )
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert sum(map(len, found.values())) == sum(moment < start for moment in moments)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        [None] * 150 + [7],
        [None] * 150 + [2.5],
        [1] * 150 + [2.5],
        [1] * 150 + [2**40],
        [1] * 150 + ["abc"],
        ["abc"] * 150 + [1],
        [1, 2.5, "abc"],
    ],
    ids=[
        "integers",
        "late integer",
        "late number",
        "integers then a fraction",
        "late large one",
        "integers then text",
        "text then integer",
        "mixed",
    ],
)
def test_no_value_of_a_column_is_lost_or_bent(tmp_path: Path, values: list[Any]) -> None:
    """SQLite holds values of any type in any order; weather is missing for hundreds of rows."""
    moments = [f"2013-01-01 00:{place // 60:02}:{place % 60:02}" for place in range(len(values))]
    found = (
        sql(table(tmp_path, list(zip(moments, values, strict=True))))
        .read("2013-01")["amount"]
        .to_list()
    )
    bent = [
        (before, now)
        for before, now in zip(values, found, strict=True)
        if before != now and str(before) != str(now)
    ]
    assert bent == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM sales",
        "SELECT * FROM sales;\n",
        "SELECT * FROM sales ; ",
        "SELECT * FROM sales;\r\n\t",
        "SELECT *\nFROM sales\nORDER BY amount",
        "SELECT * FROM sales -- the newest",
        "WITH recent AS (SELECT * FROM sales) SELECT * FROM recent",
        f"SELECT {TIME}, SUM(amount) AS amount FROM sales GROUP BY {TIME}",
    ],
)
def test_forms_of_a_query(tmp_path: Path, query: str) -> None:
    url = table(tmp_path, [("2013-01-05 10:00:00", 7)])
    assert amounts(sql(url, query)) == {"2013-01": [7]}


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("SELECT * FROM nowhere", ("source.query", "nowhere")),
        ("SELEKT 1", ("source.query", "syntax error")),
        ("SELECT amount FROM sales", ("source.query", TIME)),
        ("SELECT * FROM sales WHERE amount = :amount", ("source.query", "amount")),
        ("SELECT * FROM sales WHERE amount > 100", ("source.query", "no row", TIME)),
        ("DROP TABLE sales", ("source.query",)),
    ],
)
def test_bad_queries_are_named(tmp_path: Path, query: str, parts: tuple[str, ...]) -> None:
    url = table(tmp_path, [("2013-01-05 10:00:00", 7)])
    refusal(sql(url, query).offers, *parts)
    assert amounts(sql(url)) == {"2013-01": [7]}


@pytest.mark.parametrize("moment", ["soon", None, "", 1356998400])
def test_table_without_times_is_refused(tmp_path: Path, moment: object) -> None:
    refusal(sql(table(tmp_path, [(moment, 1)])).offers, "source.query", TIME)


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "sql", "query": "SELECT 1", "url": "postgresql://reader:hunter2@db/sales"},
        {
            "kind": "sql",
            "query": "SELECT 1",
            "url": "postgresql://reader:hunter2@${DATABASE_HOST}/sales",
        },
        {
            "kind": "sql",
            "query": "SELECT 1",
            "url": "postgresql://db/sales?user=reader&password=hunter2",
        },
        {"kind": "files", "path": "http://reader:hunter2@127.0.0.1:9/sales.csv"},
        {"kind": "files", "path": "s3://KEY:hunter2@bucket/sales"},
    ],
)
def test_a_password_is_refused_and_not_repeated(source: dict[str, str]) -> None:
    said = refusal(
        lambda: params.parse({"source": source}, "params.yaml"),
        "source",
        "password",
        "environment",
        "${NAME}",
    )
    assert "hunter2" not in said


def test_url_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALES_URL", table(tmp_path, [("2013-01-05 10:00:00", 7)]))
    assert amounts(sql("${SALES_URL}")) == {"2013-01": [7]}


def test_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SALES_URL", raising=False)
    refusal(sql("${SALES_URL}").offers, "source.url", "environment", "SALES_URL")


@pytest.mark.parametrize("url", ["not a url", "nosuch://db", "sqlite:////nowhere/at/all.db"])
def test_database_that_cannot_be_reached_is_named(url: str) -> None:
    refusal(sql(url).offers, "source.")


@pytest.mark.parametrize(
    "name",
    [
        "orderedAt",
        "end",
        "order",
        "group",
        "two words",
        "größe",
        'a"b',
        "a%b",
        "a:b",
        "select",
        "plain",
        "UPPER",
    ],
)
def test_a_time_column_of_any_name_is_asked_for(name: str, tmp_path: Path) -> None:
    declared = replace(dataset, columns={**dataset.columns, name: pl.Datetime("us")}, time=name)
    quoted = '"' + name.replace('"', '""') + '"'
    values = [(f"2013-0{month}-05 10:00:00", month) for month in (1, 2, 3)]
    source = sql(table(tmp_path, values, f"{quoted} TEXT, amount"), dataset=declared)
    assert amounts(source) == {"2013-01": [1], "2013-02": [2], "2013-03": [3]}


@pytest.mark.parametrize("name", ["orderedAt", "end", "two words", 'a"b'])
def test_names_are_quoted_as_each_database_does_it(name: str) -> None:
    from sqlalchemy import select
    from sqlalchemy.dialects import mysql, postgresql

    declared = replace(dataset, columns={**dataset.columns, name: pl.Datetime("us")}, time=name)
    source = sql("sqlite://", dataset=declared)
    statement = select(source._batch().c[name])
    said = str(statement.compile(dialect=postgresql.dialect()))
    assert 'batch."{}"'.format(name.replace('"', '""')) in said
    assert f"batch.`{name}`" in str(statement.compile(dialect=mysql.dialect()))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (1356998400, f"returns no times in '{TIME}', but 1356998400: .* such as datetime"),
        (
            "05.01.2013",
            "but '05.01.2013': convert them to times in the query, such as 2024-05-03 08:30",
        ),
    ],
)
def test_a_time_of_another_kind_says_what_to_do(value: object, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        sql(table(tmp_path, [(value, 1)], f"{TIME}, amount")).offers()


def test_what_says_that_there_is_no_value_is_none_in_a_database_too(tmp_path: Path) -> None:
    source = sql(
        table(tmp_path, [("2013-01-05 10:00:00", 7), ("2013-01-05 11:00:00", -999)]), nulls=["-999"]
    )
    assert source.read("2013-01")["amount"].to_list() == [7, None]


@pytest.mark.slow
def test_a_password_with_signs_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    for password in ("hunter2@x:hunter2", "p/hunter2:x", "p@hunter2", "x:y@hunter2"):
        url = f"postgresql+psycopg://me:{password}@127.0.0.1:1/db"
        monkeypatch.setenv("SALES_URL", url)
        assert "hunter2" not in refusal(sql("${SALES_URL}").offers, "source.")


def test_values_of_kinds_that_only_databases_have_become_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's uuid and inet come from the driver as objects; here SQLite makes them."""
    uid = "89326063-e55d-4982-9130-159593b66ed5"
    for kind, make in {"UUID": uuid.UUID, "INET": ip_address}.items():
        monkeypatch.setitem(sqlite3.converters, kind, lambda held, make=make: make(held.decode()))
    url = table(
        tmp_path,
        [("2013-01-05 10:00:00", uid, "10.0.0.1"), ("2013-01-05 11:00:00", None, None)],
        f"{TIME} TEXT, uid UUID, ip INET",
    )
    found = sql(f"{url}?detect_types={sqlite3.PARSE_DECLTYPES}").read("2013-01")
    assert found["uid"].to_list() == [uid, None]
    assert found["ip"].to_list() == ["10.0.0.1", None]
    found.write_parquet(tmp_path / "kept.parquet")


def test_origin_names_period_and_batch(tmp_path: Path) -> None:
    (offer,) = sql(table(tmp_path, [("2013-01-05 10:00:00", 7)]), period="year").offers()
    assert json.dumps([offer.name, offer.origin]) == '["2013", "year 2013"]'


@pytest.mark.parametrize(
    ("lag", "offered"), [(0.0, ["2013-01-05"]), (1e6, [])], ids=["at its end", "much later"]
)
def test_a_period_without_a_later_row_is_finished_after_a_while(
    lag: float, offered: list[str], tmp_path: Path
) -> None:
    """Times without an offset may be those of any place, and rows may be loaded late."""
    url = table(tmp_path, [("2013-01-05 10:00:00", 7)])
    assert [offer.name for offer in sql(url, period="day", lag_hours=lag).offers()] == offered


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
