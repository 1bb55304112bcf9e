"""Ingest: which batches are taken: up to one, the next one, by name."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from inbox import MONTHS, few, refusal_of_ingest

from evergreen.ingest.batches import Ingested, Waiting, find_waiting, ingest
from evergreen.ingest.manifest import Manifest
from late_flights.dataset import dataset


@pytest.mark.parametrize(
    ("until", "taken"),
    [
        (None, MONTHS),
        ("2013-02", MONTHS[:2]),
        ("2013-02-15", MONTHS[:2]),
        ("2013", ()),
        ("2013-01", MONTHS[:1]),
        ("9", ()),
        ("9999", MONTHS),
    ],
)
def test_until_is_the_newest_batch(filled: Any, until: str | None, taken: tuple[str, ...]) -> None:
    source = {"kind": "files", "path": str(filled.inbox), "until": until}
    if taken:
        assert ingest(filled.project, filled.dataset, filled.params(source=source)).new == taken
    else:
        refusal_of_ingest(filled, repr(until), "source.until", "params.yaml", source=source)


def test_next_takes_one_at_a_time_and_past_until(filled: Any) -> None:
    params = filled.params(source={"kind": "files", "path": str(filled.inbox), "until": "2013-01"})
    for place, name in enumerate(MONTHS):
        assert ingest(filled.project, filled.dataset, params, following=True) == Ingested(
            (name,), MONTHS[: place + 1]
        )
    refusal_of_ingest(filled, "no batch after '2013-03'", following=True)


NUMBERED = [f"orders-{number}" for number in range(1, 13)]


@pytest.fixture
def numbered(site: Any) -> Any:
    """An inbox with twelve batches named by number, all from one month."""
    site.deliver({name: few("2013-01", 5) for name in NUMBERED})
    return site


@pytest.mark.slow
def test_until_counts_as_people_do(numbered: Any) -> None:
    for until, taken in (("orders-9", 9), ("orders-10", 10), (None, 12)):
        source = {"kind": "files", "path": str(numbered.inbox), "until": until}
        assert (
            list(ingest(numbered.project, numbered.dataset, numbered.params(source=source)).batches)
            == NUMBERED[:taken]
        )


@pytest.mark.slow
def test_next_counts_as_people_do(numbered: Any) -> None:
    params = numbered.params()
    for name in NUMBERED:
        assert ingest(numbered.project, numbered.dataset, params, following=True).new == (name,)
    refusal_of_ingest(numbered, "no batch after 'orders-12'", following=True)


@pytest.mark.slow
def test_batches_without_a_time_arrive_in_the_order_of_their_numbers(numbered: Any) -> None:
    numbered.declare(time="")
    assert ingest(numbered.project, numbered.dataset, numbered.params()).new == tuple(NUMBERED)
    assert list(Manifest(numbered.project.raw).in_order()) == NUMBERED


def test_files_that_are_passed_over_are_told(filled: Any) -> None:
    (filled.inbox / "2013-04.xlsx").write_bytes(b"PK")
    os.mkfifo(filled.inbox / "2013-05.csv")
    told = ("2013-04.xlsx (a spreadsheet: export it as CSV)", "2013-05.csv (a named pipe)")
    assert find_waiting(filled.project, filled.dataset, filled.params()).passed_over == told
    done = ingest(filled.project, filled.dataset, filled.params())
    assert (done.new, done.passed_over) == (MONTHS, told)
    assert find_waiting(filled.project, filled.dataset, filled.params()) == Waiting((), told)


def test_names_choose_batches(filled: Any) -> None:
    assert ingest(filled.project, filled.dataset, filled.params(), ["2013-03", "2013-01"]).new == (
        "2013-03",
        "2013-01",
    )
    assert ingest(filled.project, filled.dataset, filled.params()) == Ingested(("2013-02",), MONTHS)


def test_unknown_name_says_what_there_is(filled: Any) -> None:
    refusal_of_ingest(
        filled, "'2013-09'", "3 batches", "2013-01 to 2013-03", names=["2013-01", "2013-09"]
    )
    assert not filled.project.raw.exists()


def test_order_of_batches_is_by_event_time(site: Any) -> None:
    site.deliver({"a": few("2013-03"), "b": few("2013-01"), "c": few("2013-02")})
    assert ingest(site.project, site.dataset, site.params()).batches == ("b", "c", "a")


@pytest.fixture
def unfinished(tmp_path: Path) -> dict[str, str]:
    """A SQL source whose only period is not over yet."""
    from datetime import UTC, datetime

    now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
    with closing(sqlite3.connect(tmp_path / "sales.db")) as connection, connection:
        connection.execute(f"CREATE TABLE sales ({dataset.time} TEXT)")
        connection.execute("INSERT INTO sales VALUES (?)", [now])
    return {
        "kind": "sql",
        "url": f"sqlite:///{tmp_path}/sales.db",
        "query": "SELECT * FROM sales",
        "period": "year",
    }


@pytest.mark.parametrize(
    "options", [{}, {"following": True}, {"names": ["2013"]}], ids=["all", "next", "by name"]
)
def test_source_that_has_nothing_yet(
    site: Any, unfinished: dict[str, str], options: dict[str, Any]
) -> None:
    said = refusal_of_ingest(site, "the source", source=unfinished, **options)
    assert "None" not in said
    assert not site.project.raw.exists()


@pytest.mark.slow
def test_periods_without_rows_are_passed_over(site: Any, tmp_path: Path) -> None:
    """A shop that is closed on Sunday sells nothing that day."""
    rows = few("2013-01", 2).with_columns(
        pl.Series(dataset.time, ["2013-01-05 10:00:00", "2013-01-07 10:00:00"]).alias(dataset.time)
    )
    with closing(sqlite3.connect(tmp_path / "sales.db")) as connection, connection:
        connection.execute(f"CREATE TABLE sales ({', '.join(dataset.columns)})")
        connection.executemany(
            f"INSERT INTO sales VALUES ({', '.join('?' * rows.width)})", rows.rows()
        )
    source = {
        "kind": "sql",
        "url": f"sqlite:///{tmp_path}/sales.db",
        "query": "SELECT * FROM sales",
        "period": "day",
    }
    params = site.params(source=source)
    assert [
        offer.name for offer in list(find_waiting(site.project, site.dataset, params).offers)
    ] == [
        "2013-01-05",
        "2013-01-06",
        "2013-01-07",
    ]
    assert ingest(site.project, site.dataset, params).new == ("2013-01-05", "2013-01-07")
    # It is known that nothing happened on the 6th
    assert list(find_waiting(site.project, site.dataset, params).offers) == []
    assert ingest(site.project, site.dataset, params).new == ()
    assert ingest(site.project, site.dataset, params, ["2013-01-06"]).batches == (
        "2013-01-05",
        "2013-01-07",
    )
