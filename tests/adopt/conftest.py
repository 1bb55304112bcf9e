"""Tables of customers as a CSV file gives them, all of it text, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from evergreen.adopt.batching import Batches, cut_into_batches
from evergreen.adopt.columns import Inferred
from evergreen.adopt.infer import infer
from evergreen.adopt.plan import Plan, plan
from evergreen.adopt.read import Table
from evergreen.adopt.wishes import Wishes
from evergreen.params import Leaks


@dataclass(frozen=True)
class Work:
    """A table, and what the steps make of it."""

    table: Table
    found: Inferred
    plan: Plan
    batches: Batches


def draw_customers(rows: int = 300, days: int = 300, seed: int = 0) -> dict[str, list[str | None]]:
    """Columns of text: a key, a day, two numbers, a category, and a label that depends on them."""
    draw = np.random.default_rng(seed)
    spend, visits = draw.normal(500, 120, rows), draw.poisson(4, rows)
    place = draw.choice(["east", "north", "south"], rows)
    score = (spend - 500) / 80 - (visits - 4) / 2 + (place == "north") + draw.normal(size=rows)
    on = [
        datetime(2023, 1, 1) + timedelta(days=int(day))  # noqa: DTZ001
        for day in np.sort(draw.integers(0, days, rows))
    ]
    return {
        "customer_id": [f"C{at:05}" for at in range(rows)],
        "day": [f"{day:%Y-%m-%d}" for day in on],
        "spend": [f"{euros:.2f}" for euros in spend],
        "visits": [str(visit) for visit in visits],
        "place": list(place),
        "churn": ["yes" if points > 0.5 else "no" for points in score],
    }


def table_of(columns: dict[str, Any], kind: str = "csv", **more: Any) -> Table:
    """Return columns as a table; of text, unless of a kind that has types."""
    made = {
        name: pl.Series(name, values, pl.String if kind in ("csv", "tsv") else None)
        for name, values in columns.items()
    }
    given = {"name": "customers", "origin": f"customers.{kind}", "lines": kind == "csv", **more}
    return Table(pl.DataFrame(made), kind=kind, **given)


@pytest.fixture
def customers() -> Callable[..., dict[str, list[str | None]]]:
    """Draw columns of customers, all text."""
    return draw_customers


@pytest.fixture
def make_table() -> Callable[..., Table]:
    """Make a table of columns."""
    return table_of


@pytest.fixture
def work() -> Callable[..., Work]:
    """Take a table of customers, with some columns replaced or added, through all steps."""

    def through(
        rows: int = 300, days: int = 300, kind: str = "csv", allowed: float = 0.02, **changes: Any
    ) -> Work:
        wishes = {
            key: changes.pop(key)
            for key in ("target", "time", "key", "task", "timeless", "period")
            if key in changes
        }
        table = table_of(draw_customers(rows, days) | changes.pop("columns", {}), kind, **changes)
        found = infer(table)
        planned = plan(found, replace(Wishes("churn"), **wishes), Leaks())
        return Work(
            table,
            found,
            planned,
            cut_into_batches(table, found, planned, allowed, wishes.get("period")),
        )

    return through


@pytest.fixture
def planned(customers: Any, make_table: Any) -> Callable[..., Plan]:
    def make(
        columns: dict[str, Any] | None = None,
        kind: str = "csv",
        target: str = "churn",
        **wishes: Any,
    ) -> Plan:
        table = make_table(customers(300) | (columns or {}), kind)
        return plan(infer(table), Wishes(target, **wishes), Leaks())

    return make
