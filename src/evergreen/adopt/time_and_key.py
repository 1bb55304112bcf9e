"""Time and key: which column says when a row happened, and which columns name a row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from evergreen.adopt.checks import PEOPLE
from evergreen.adopt.columns import MOMENT, Column, Inferred
from evergreen.adopt.names import MOMENTS, NAMES_ROWS, plain_name
from evergreen.adopt.warning import ColumnWarning, listed, shown
from evergreen.adopt.wishes import Wishes, find_column, show_few
from evergreen.dataset import ORDER
from evergreen.errors import InputError
from evergreen.finding import count

IN_ORDER = "order"  # what people say for ORDER


def find_time(found: Inferred, wishes: Wishes, target: str) -> tuple[str, list[ColumnWarning]]:
    """Return the column that says when a row happened, or "", and warnings about that."""
    columns = found.columns
    if wishes.timeless:
        return "", []
    if wishes.time in (ORDER, IN_ORDER) and wishes.time not in columns:
        return ORDER, []
    if wishes.time:
        return _check_time_column(found, wishes.time, target), []
    dated = [
        column for column in columns.values() if column.dtype == MOMENT and column.name != target
    ]
    usable = [column for column in dated if not _why_not(column)]
    if len(usable) == 1:
        says = "says when each row happened (if it does not: --no-time)"
        return usable[0].name, [ColumnWarning(usable[0].name, "time", says)]
    if usable:
        names = listed([shown(column.name) for column in usable])
        return "", [
            ColumnWarning(
                "",
                "time",
                f"{names} hold dates: name the one that says when a row happened with --time",
            )
        ]
    warnings = [
        ColumnWarning(
            column.name,
            "time",
            f"holds dates, but {_why_not(column)}: --time {column.name!r} takes it all the same",
        )
        for column in dated
    ]
    warnings += [
        ColumnWarning(name, "time", says)
        for name, says in found.maybe.items()
        if name != target and not PEOPLE.search(plain_name(name))
    ]
    says = (
        "no column surely says when: where rows, and later files, come in the order of time, say "
        "--time order"
    )
    return "", [*warnings, ColumnWarning("", "time", says)]


def _check_time_column(found: Inferred, name: str, target: str) -> str:
    """Return the column that a person says tells when. Raises InputError where it cannot."""
    column = found.columns[find_column(found.columns, name, "--time")]
    if column.name == target:
        raise InputError(
            f"--time {column.name!r} is the target: name the column that says when a row happened"
        )
    if column.dtype != MOMENT and not column.is_number:
        raise InputError(
            f"--time {column.name!r} holds no dates, but {show_few(column.known)}: write them as "
            "2026-05-03 08:30, or say how they are written with --dates, such as --dates "
            "'%d.%m.%Y'"
        )
    if column.levels < 3:
        raise InputError(
            f"--time {column.name!r} holds {count(column.levels, 'moment')}: rows cannot be split "
            "by so few"
        )
    return column.name


def _why_not(column: Column) -> str:
    """Return why a column of dates is not taken for when a row happened, or nothing."""
    times = column.known.sort()
    if column.missing > 0.01:
        return f"{column.missing:.1%} of the rows have none"
    if PEOPLE.search(plain_name(column.name)):
        return "sounds like a person's"
    if column.levels < MOMENTS:
        return f"there are only {count(column.levels, 'moment')}"
    span: timedelta = times[-1] - times[0]
    return "" if span > timedelta(days=1) else "they span no more than a day"


def find_key(
    columns: Mapping[str, Column], wishes: Wishes, target: str, time: str
) -> tuple[str, ...]:
    """Return the columns that name a row; empty where none do."""
    if wishes.key:
        key = tuple(dict.fromkeys(find_column(columns, name, "--key") for name in wishes.key))
        if target in key:
            raise InputError(
                f"--key {target!r} is the target: rows that are scored would have no key"
            )
        if twice := _count_twice(columns, key):
            raise InputError(
                f"--key {', '.join(key)}: {twice[0]:,} rows share it with another, such as "
                f"{twice[1]}: name more columns (--key again), or none"
            )
        return key
    named = [
        name
        for name, column in columns.items()
        if name not in (target, time)
        and not column.missing
        and not column.broken.any()
        and _may_be_key(column)
    ]
    candidates: list[tuple[str, ...]] = [(name,) for name in named]
    candidates += [(time, name) for name in named if time in columns and not columns[time].missing]
    return next((candidate for candidate in candidates if not _count_twice(columns, candidate)), ())


def _may_be_key(column: Column) -> bool:
    """Return whether a column names things.

    Its own name says so, or it holds texts without blanks that are all different.
    """
    if column.dtype not in (pl.String(), pl.Int64()) or PEOPLE.search(plain_name(column.name)):
        return False
    if NAMES_ROWS.search(plain_name(column.name)):
        return True
    return (
        column.dtype == pl.String()
        and column.levels == len(column.values)
        and not column.known.str.contains(r"[\s@]").any()
    )


def _count_twice(columns: Mapping[str, Column], key: tuple[str, ...]) -> tuple[int, str] | None:
    rows = pl.DataFrame({name: columns[name].values for name in key}).filter(
        ~pl.any_horizontal(*(columns[name].broken for name in key))
    )
    twice = rows.filter(rows.is_duplicated())
    if twice.is_empty():
        return None
    return twice.height, ", ".join(str(value) for value in twice.row(0))
