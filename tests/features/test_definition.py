"""Definition: expressions come back as they were, without a pickle; what changed since is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.definition import Definition, LostError, Written, check_columns
from evergreen.files import write_json

pytestmark = pytest.mark.filterwarnings("ignore:.*Expr.map_elements")
EXPRESSIONS = {
    "a column": pl.col("a"),
    "numbers": pl.col("a") // 100 * 60.0 + pl.col("b") % 7,
    "a time": pl.col("day").dt.weekday() >= 5,
    "a list": pl.col("place").is_in(["ash", "bay"]),
    "a long list": pl.col("a").is_in(list(range(40))),
    "words": pl.col("place").replace_strict({"ash": 1, "bay": 2}, default=None),
    "cases": pl.when(pl.col("a") > 1).then(pl.lit("x")).otherwise(None),
    "a series": pl.lit(pl.Series(range(100))),
    "a format": pl.format("{} of {}", "a", "b"),
}
CODE = {
    "a function": lambda: pl.col("a").map_elements(lambda value: value, return_dtype=pl.Int64),
    "a function of a column": lambda: pl.col("a").map_batches(lambda column: column),
    "a function of names": lambda: pl.col("a").name.map(lambda name: name + "x"),
    "a function deep inside": lambda: (
        pl.when(pl.col("a").map_batches(lambda column: column) > 1).then(1).otherwise(2) + 1
    ),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_comes_back_as_it_was(name: str) -> None:
    written = Written.of(EXPRESSIONS[name])
    assert written.content
    assert written.read() is not None
    assert written.is_same(Written.of(EXPRESSIONS[name]))
    others = [Written.of(expression) for other, expression in EXPRESSIONS.items() if other != name]
    assert not any(written.is_same(other) for other in others)


def test_lists_that_look_alike_are_told_apart() -> None:
    assert not Written.of(pl.col("a").is_in(["x"])).is_same(Written.of(pl.col("a").is_in(["y"])))


@pytest.mark.parametrize("name", CODE)
def test_code_is_neither_written_nor_read(name: str) -> None:
    """It would be a pickle: whoever reads it runs it."""
    expression = CODE[name]()
    written = Written.of(expression)
    assert (written.content, written.read()) == (None, None)
    assert written.is_same(Written.of(expression))  # by its text
    with pytest.raises(InputError, match="holds code"):
        replace(written, content=expression.meta.serialize(format="json")).read()


def test_a_library_is_not_loaded() -> None:
    plugin = {
        "Function": {
            "input": [{"Column": "a"}],
            "function": {"FfiPlugin": {"lib": "/tmp/x.so", "symbol": "f"}},
        }
    }
    with pytest.raises(InputError, match="holds code"):
        Written("x", json.dumps(plugin)).read()


@pytest.mark.parametrize("content", ['{"Later": 1}', "[", "", '{"Alias": [1, 2]}'])
def test_what_this_version_of_polars_cannot_read_goes_by_its_text(content: str) -> None:
    later = Written('col("a")', content)
    assert later.read() is None
    assert later.is_same(Written.of(pl.col("a")))
    assert not later.is_same(Written.of(pl.col("b")))


COLUMNS = {
    "id": pl.Int64(),
    "other": pl.Int64(),
    "day": pl.Date(),
    "seen": pl.Date(),
    "y": pl.Float64(),
}
dataset = Dataset(
    columns=COLUMNS,
    key=("id",),
    time="day",
    label=pl.col("y"),
    features={"a": pl.col("a"), "b": pl.col("b") * 2},
)


@pytest.fixture
def said() -> Definition:
    """What a dataset.py of two features says."""
    return Definition.of(dataset, "regression")


def test_it_is_read_as_it_was_written(said: Definition, tmp_path: Path) -> None:
    said.write(tmp_path / "definition.json")
    assert Definition.read(tmp_path / "definition.json") == said
    assert said.is_present(dataset, "regression")
    assert list(said.changes(said)) == []


def test_one_with_code_is_refused(said: Definition, tmp_path: Path) -> None:
    said.write(tmp_path / "definition.json")
    plain = json.loads((tmp_path / "definition.json").read_text())
    plain["features"]["a"]["content"] = CODE["a function"]().meta.serialize(format="json")
    write_json(tmp_path / "definition.json", plain)
    with pytest.raises(InputError, match="holds code"):
        Definition.read(tmp_path / "definition.json")


@pytest.mark.parametrize(
    ("name", "value", "is_present", "change"),
    [
        ("features", {"a": pl.col("a"), "b": pl.col("b") * 2, "c": pl.col("c")}, True, None),
        ("features", {"a": pl.col("a")}, False, None),
        ("features", {"a": pl.col("a"), "b": pl.col("b") * 3}, False, None),
        (
            "label",
            pl.col("z"),
            False,
            'it predicts col("y") (regression), and label is col("z") (regression) now',
        ),
        ("key", ("other",), False, None),
        ("time", "seen", True, "time was 'day' and is 'seen' now"),
        ("time", "", True, "time was 'day' and is no column now"),
    ],
)
def test_what_is_otherwise_by_now(
    name: str, value: Any, is_present: bool, change: str | None, said: Definition
) -> None:
    now = replace(dataset, **{name: value})
    assert said.is_present(now, "regression") == is_present
    found = list(said.changes(Definition.of(now, "regression")))
    assert len(found) == (change is not None)
    assert all(difference.startswith(change or "") for difference in found)


def test_another_task_is_another_question(said: Definition) -> None:
    assert not said.is_present(dataset, "binary")
    assert "(regression), and label is" in next(said.changes(Definition.of(dataset, "binary")))


def test_features_are_those_of_then(said: Definition) -> None:
    now = replace(dataset, features={"b": pl.col("b") * 3})
    rows = pl.DataFrame({"a": [1], "b": [2]})
    assert rows.select(**said.expressions(now)).row(0) == (1, 4)
    check_columns(said.expressions(now), rows.columns)
    with pytest.raises(LostError, match=r"needs the column 'b' \(for b\)"):
        check_columns(said.expressions(now), ["a"])


def test_what_was_not_written_is_taken_by_its_name(said: Definition) -> None:
    old = replace(said, label=None, features=dict.fromkeys(said.features), key=None, time=None)
    assert old.is_present(dataset, "regression")
    now = replace(dataset, features={"a": pl.col("a") * 5})
    assert list(old.changes(Definition.of(now, "binary"))) == []
    with pytest.raises(LostError, match=r"needs the feature 'b', which is no longer in dataset.py"):
        old.expressions(now)
