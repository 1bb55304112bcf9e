"""Database: the rows of a SQL query as a source, cut into batches by their time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.cells import to_frame
from evergreen.ingest.dialect import blank
from evergreen.ingest.personal import without_values
from evergreen.ingest.sources import PERIODS, Offer, first_line
from evergreen.ingest.values import parse
from evergreen.params import Source as SourceParams
from evergreen.redact import expand

if TYPE_CHECKING:
    from sqlalchemy import ColumnClause, Engine, FromClause, Select

EPOCHS = {
    "postgresql": "to_timestamp({})",
    "sqlite": "datetime({}, 'unixepoch')",
    "mysql": "FROM_UNIXTIME({})",
}  # how seconds since 1970 become times


class Sql:
    """One finished period (day, week, month, year) of a query's rows per batch, by the event time.

    A period is finished when a later row is there, or the clock (UTC) has passed its end by
    `lag_hours`. It is taken once; rows that come into it later are noticed by `evergreen ingest
    NAME`, which reads it again. Times with an offset become UTC.
    """

    passed_over: tuple[str, ...] = ()

    def __init__(self, params: SourceParams, dataset: Dataset) -> None:
        self.dataset, self.nulls = dataset, params.nulls
        self.url, self.query, self.period = (
            params.url or "",
            (params.query or "").rstrip("; \t\r\n"),
            params.period,
        )
        self.lag = timedelta(hours=params.lag_hours)
        if not dataset.has_dates:
            raise InputError(
                "source.kind: 'sql' cuts rows into batches by time: name a column of times as time "
                "in dataset.py, or export the rows to files, one for each batch (kind: files)"
            )

    def offers(self) -> list[Offer]:
        return [Offer(name, f"{self.period} {name}", may_be_empty=True) for name in self._periods]

    def read(self, name: str) -> pl.DataFrame:
        from sqlalchemy import literal_column, select

        if name not in self._periods:
            raise InputError(f"source.query holds no finished {self.period} {name!r}")
        start, end = self._periods[name]
        # A database compares times in its own zone, and SQLite as text, with or without an offset:
        # a day more on each side, then cut by the time itself.
        room, batch = timedelta(days=1), self._batch()
        moment = batch.c[self.dataset.time]
        around = (moment >= self._edge(start - room)) & (moment < self._edge(end + room))
        rows = self._select(select(literal_column("*")).select_from(batch).where(around))
        times = parse(rows[self.dataset.time], pl.Datetime("us"))
        inside = (times >= start) & (times < end)
        return blank(
            rows.filter(inside.fill_null(value=True)).sort(
                [name for name in (self.dataset.time, *self.dataset.key) if name in rows.columns]
            ),
            self.nulls,
        )

    @cached_property
    def _periods(self) -> dict[str, tuple[datetime, datetime]]:
        oldest, newest = (self._moment(name) for name in ("oldest", "newest"))
        every, form = PERIODS[self.period]
        starts = pl.select(
            pl.datetime_range(
                pl.lit(oldest).dt.truncate(every), pl.lit(newest).dt.offset_by(every), every
            )
        ).to_series()
        finished = max(newest, datetime.now(UTC).replace(tzinfo=None) - self.lag)
        return {
            start.strftime(form): (start, end) for start, end in pairwise(starts) if end <= finished
        }

    @cached_property
    def _edges(self) -> pl.DataFrame:
        """The oldest and the newest time of the rows, and how many have none."""
        from sqlalchemy import func, select

        batch = self._batch()
        moment = batch.c[self.dataset.time]
        oldest, newest = func.min(moment).label("oldest"), func.max(moment).label("newest")
        edges = self._select(
            select(
                oldest, newest, (func.count() - func.count(moment)).label("timeless")
            ).select_from(batch)
        )
        if edges["timeless"].item():
            raise InputError(
                f"source.query: {edges['timeless'].item():,} rows have no {self.dataset.time}, and "
                "would be in no batch: exclude them in the query, with WHERE "
                f"{self._quoted(self.dataset.time)} IS NOT NULL"
            )
        return edges

    def _moment(self, name: str) -> datetime:
        """Return the oldest or the newest time in UTC."""
        value = self._edges[name].item()
        if value is None:
            raise InputError(f"source.query returns no row with a time in {self.dataset.time!r}")
        moment: datetime | None = parse(self._edges[name], pl.Datetime("us")).item()
        if moment is None:
            column, dialect = self._quoted(self.dataset.time), self._engine().dialect.name
            seconds = EPOCHS.get(dialect, EPOCHS["postgresql"]).format(column)
            how = (
                f"{seconds} AS {column}" if isinstance(value, (int, float)) else "2024-05-03 08:30"
            )
            raise InputError(
                f"source.query returns no times in {self.dataset.time!r}, but {value!r}: "
                f"convert them to times in the query, such as {how}"
            )
        return moment

    def _edge(self, moment: datetime) -> Any:
        """Return a moment as the time column has it: text, date or time.

        As text it is an ISO date, which sorts before all times of its day.
        """
        from sqlalchemy import literal

        oldest = self._edges["oldest"].item()
        if isinstance(oldest, str):
            return literal(moment.strftime("%Y-%m-%d"))
        aware = isinstance(oldest, datetime) and oldest.tzinfo is not None
        return literal(moment.replace(tzinfo=UTC) if aware else moment)

    def _batch(self) -> FromClause:
        """Return the query as a table called `batch`, its time column quoted for the database."""
        from sqlalchemy import column, quoted_name, text

        # Lower case stands for upper case, unquoted
        folds = self._engine().dialect.requires_name_normalize
        moment: ColumnClause[Any] = column(quoted_name(self.dataset.time, None if folds else True))
        return text(f"\n{self.query}\n").columns(moment).subquery("batch")

    def _quoted(self, name: str) -> str:
        return str(self._engine().dialect.identifier_preparer.quote(name))

    def _select(self, statement: Select[Any]) -> pl.DataFrame:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._engine().connect() as connection:
                result = connection.execute(statement)
                names, rows = list(result.keys()), result.fetchall()
        except (SQLAlchemyError, ImportError, ValueError, TypeError) as error:
            said = first_line(getattr(error, "orig", None) or error)
            if self.dataset.personal:
                said = without_values(said, self.query)
            raise InputError(f"source.query failed: {said}") from None
        try:
            return to_frame(names, rows)
        except InputError as error:
            raise InputError(f"source.query: {error}") from None

    def _engine(self) -> Engine:
        return open_engine(self.url, "source.url")


def fill_in(url: str, where: str) -> str:
    """Return a URL with the environment's values in place of `${NAME}`.

    Raises InputError where one is not set, and where a driver would take a part of the password for
    the host.
    """
    filled = expand(url)
    if lacking := re.findall(r"[$][{](\w+)[}]", filled):
        raise InputError(f"{where}: the environment lacks {', '.join(lacking)}")
    if filled.partition("://")[2].partition("?")[0].count("@") > 1:
        raise InputError(
            f"{where}: the name or password before the host holds '@': "
            "write %40 for it (%3A for :, %2F for /)"
        )
    return filled


def open_engine(url: str, where: str) -> Engine:
    """Return the database behind a URL that may name variables of the environment.

    Raises InputError, with no part of what these hold.
    """
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import SQLAlchemyError

    filled = fill_in(url, where)
    try:
        # A connection is closed when its work is done
        engine = create_engine(filled, poolclass=NullPool)
        if "@" in (engine.url.host or ""):  # the end of a password, which each error would tell
            raise ValueError
        return engine
    except (SQLAlchemyError, ImportError) as error:
        raise InputError(f"{where}: {first_line(error).replace(filled, url)}") from None
    except (ValueError, TypeError):  # their words may hold a part of a password
        raise InputError(
            f"{where}: {url!r} is no URL of a database: write %40 for @, %3A for :, %2F for /"
        ) from None
