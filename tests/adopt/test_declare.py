"""Declare: dataset.py declares what was planned, and the formatter leaves it as it is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import ROOT

from evergreen.adopt.columns import MOMENT
from evergreen.adopt.declare import OPENING, declare
from evergreen.adopt.expect import expect
from evergreen.dataset import ORDER, Dataset

Through = Callable[..., Any]
LONG = (
    "How much did you spend in the last twelve months, all in all, "
    "taxes and everything else included, in your currency?"
)


def cycle(*values: str) -> list[str]:
    return [values[at % len(values)] for at in range(300)]


TABLES: dict[str, dict[str, Any]] = {
    "plain": {},
    "timeless": {"timeless": True},
    "no key": {"columns": {"customer_id": cycle("a", "b")}},
    "classes": {"columns": {"churn": [*["a", "b", "c"] * 99, "d", "e", "f"]}},
    "number": {"columns": {"churn": [f"{at / 7:.3f}" for at in range(300)]}},
    "typed": {"kind": "parquet"},
    "odd names": {
        "columns": {
            'x"); import os #': cycle("1", "2"),
            "a\\b\nc": cycle("1", "2"),
            "l'été": cycle("1", "3"),
        }
    },
    "look-alikes": {"columns": {"сора": ["3"] * 300}},
    "long names": {
        "columns": {LONG: cycle("1.5", "2"), "地" * 60: cycle("a", "b"), "V" * 75: cycle("1", "2")}
    },
    "many classes": {
        "columns": {"churn": cycle(*[f"a class of a long name, number {at}" for at in range(12)])}
    },
    "many columns": {"columns": {f"x{at}": cycle("1", "2", "3") for at in range(60)}},
    "doubtful": {
        "columns": {
            "nothing": [None] * 300,
            "mail": [f"u{at}@mail.org" for at in range(300)],
            "note": [f"called about {at} and {at * 3}" for at in range(300)],
            "sometimes": ["1", *["2.5"] * 298, None],
        }
    },
}


def declared(text: str) -> Dataset:
    names: dict[str, Any] = {}
    exec(text, names)
    found: Dataset = names["dataset"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("time", "declares"), [("visits", "visits"), ("order", ORDER)])
def test_numbers_and_the_order_of_rows_may_say_when(
    time: str, declares: str, work: Through
) -> None:
    adopted = work(time=time, columns={"day": ["x"] * 300})
    found = declared(declare(adopted.table, adopted.found, adopted.plan))
    assert (found.time, "visits" in found.features) == (declares, time == "order")


@pytest.mark.slow
def test_a_plain_table_is_declared(work: Through) -> None:
    adopted = work()
    found = declared(declare(adopted.table, adopted.found, adopted.plan))
    assert found.columns == {
        "customer_id": pl.String(),
        "day": MOMENT,
        "spend": pl.Float64(),
        "visits": pl.Int64(),
        "place": pl.String(),
        "churn": pl.String(),
    }
    assert (found.key, found.time, found.known_later) == (("customer_id",), "day", ("churn",))
    assert list(found.features) == ["spend", "visits", "place"]
    assert (found.left_out, found.slices, found.groups) == ({}, {}, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "values", "labels"),
    [
        ({}, ["yes", "no", None], [True, False, None]),
        ({"columns": {"churn": cycle("1", "0", "0")}}, [1, 0, None], [True, False, None]),
        ({"columns": {"churn": cycle("true", "false")}}, [True, False, None], [True, False, None]),
        ({"columns": {"churn": cycle("a", "b", "c")}}, ["a", "b", None], ["a", "b", None]),
        (
            {"kind": "parquet", "columns": {"churn": [1.0, 0.0, float("nan")] * 100}},
            [1.0, 0.0, float("nan"), None],
            [True, False, None, None],
        ),
    ],
)
def test_the_label_is_unknown_where_the_column_is(
    table: dict[str, Any], values: list[Any], labels: list[Any], work: Through
) -> None:
    adopted = work(**table)
    label = declared(declare(adopted.table, adopted.found, adopted.plan)).label
    assert pl.DataFrame({"churn": values}).select(label).to_series().to_list() == labels


@pytest.mark.slow
def test_rare_classes_are_left_out_with_a_reason(work: Through) -> None:
    adopted = work(**TABLES["classes"])
    rules = declared(declare(adopted.table, adopted.found, adopted.plan)).left_out
    rule = rules["too few rows of the class"]
    assert pl.DataFrame({"churn": ["a", "d", None]}).select(rule).to_series().to_list() == [
        False,
        True,
        None,
    ]


@pytest.mark.slow
def test_dates_become_days_before_the_time(work: Through) -> None:
    before = [f"2022-{1 + at % 12:02}-05" for at in range(300)]
    adopted = work(columns={"signup": before}, time="day")
    feature = declared(declare(adopted.table, adopted.found, adopted.plan)).features[
        "days since signup"
    ]
    rows = pl.DataFrame({"day": ["2023-01-05 08:30"], "signup": ["2022-12-31"]}).with_columns(
        pl.all().str.to_datetime()
    )
    assert rows.select(feature).item() == 5


@pytest.mark.slow
def test_each_column_left_out_says_why(work: Through) -> None:
    adopted = work(**TABLES["doubtful"])
    text = declare(adopted.table, adopted.found, adopted.plan)
    for line in (
        "    # - 'nothing' holds no value in any row",
        "    # - 'mail' holds e-mail addresses",
        "    # - 'note' holds 300",
        "    # - 'mail': \"drop\"",
    ):
        assert line in text
    assert '"mail"' not in text


@pytest.mark.slow
def test_a_name_of_a_file_cannot_end_the_docstring(work: Through) -> None:
    adopted = work(origin='a""" + open("x") #.csv')
    assert "a___ _ open__x__ _.csv" in str(
        ast.get_docstring(ast.parse(declare(adopted.table, adopted.found, adopted.plan)))
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("written")
    settings = ROOT / "evergreen_template" / "overlay" / "always" / "pyproject.toml"
    (root / "pyproject.toml").write_text(settings.read_text())
    return root


@pytest.mark.slow
def test_the_formatter_and_the_linter_leave_both_files_as_they_are(
    work: Through, written: Path
) -> None:
    for name, table in TABLES.items():
        adopted = work(**table)
        folder = written / "src" / name.replace(" ", "_").replace("-", "_")
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text('"""A table."""\n')
        (folder / "dataset.py").write_text(declare(adopted.table, adopted.found, adopted.plan))
        (folder / "expectations.py").write_text(
            expect(adopted.found, adopted.plan, adopted.batches, folder.name)
        )
    for command in (["format", "--diff", "-q"], ["check", "-q", "--no-cache"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "src"],
            cwd=written,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_long_name_of_a_file_makes_no_line_too_long() -> None:
    opening = OPENING.format(name=f"{'x' * 36}.csv", rows=1_234_567)
    assert max(map(len, opening.splitlines())) <= 120
