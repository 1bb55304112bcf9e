"""Modules of an old project: the dataset becomes an object, imports find the library.

All else stays word for word.
"""

from __future__ import annotations

import polars as pl
import pytest
from conftest import refusal

from evergreen import Dataset
from evergreen.migrate.modules import as_dataset, imports_left, with_imports

OLD = '''"""YOURS: of churn."""

from __future__ import annotations

import polars as pl

# what a row holds
COLUMNS: dict[str, pl.DataType] = {
    "id": pl.Int64(),  # of the customer
    "price": pl.Float64(),
    "churn": pl.Boolean(),
}
KEY = ("id",)
TIME = ""
LABEL: pl.Expr = pl.col("churn")
KNOWN_LATER = ("churn",)


def cheap() -> pl.Expr:
    return pl.col("price") < CHEAP


CHEAP = 5  # euros
FEATURES: dict[str, pl.Expr] = {"price": pl.col("price"), "cheap": cheap()}
'''
GONE = {"src/churn/errors.py", "src/churn/data/moments.py", "src/churn/data/sources.py"}


def made(text: str) -> Dataset:
    world: dict[str, object] = {}
    exec(as_dataset(text), world)
    found = world["dataset"]
    assert isinstance(found, Dataset)
    return found


def test_the_object_says_what_the_constants_said() -> None:
    found = made(OLD)
    assert (found.key, found.time, found.known_later) == (("id",), "", ("churn",))
    assert [*found.columns] == ["id", "price", "churn"]
    assert [*found.features] == ["price", "cheap"]
    assert (found.slices, found.groups, found.left_out) == ({}, {}, {})
    assert pl.select(pl.lit(1)).height == 1


def test_every_line_of_the_owner_stays_in_its_order() -> None:
    lines = iter(as_dataset(OLD).splitlines())
    assert [line for line in OLD.splitlines() if line not in lines] == []


ODD = {
    "no import": ('COLUMNS = {"x": 1}\nLABEL = 2\nFEATURES = {}\n',
                  "from evergreen import Dataset"),
    "a docstring alone": ('"""Mine."""\nCOLUMNS = {}\nLABEL = 2\nFEATURES = {}\n', '"""Mine."""\n'),
    "an import of many lines": (
        "from polars import (\n    col,\n)\nCOLUMNS = {}\nLABEL = 2\nFEATURES = {}\n",
        "    col,\n)\n\nfrom evergreen",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_where_the_import_goes(kind: str) -> None:
    text, said = ODD[kind]
    found = as_dataset(text)
    assert said in found
    compile(found, "dataset.py", "exec")
    assert found.index("import Dataset") < found.index("COLUMNS")


@pytest.mark.parametrize("name", ["COLUMNS", "LABEL", "FEATURES"])
def test_what_is_no_definition_is_refused(name: str) -> None:
    refusal(lambda: as_dataset(OLD.replace(f"{name}: ", f"{name}_: ")), f"dataset.py lacks {name}")


def test_what_is_no_python_is_refused() -> None:
    refusal(lambda: as_dataset("def ("), "cannot be read")


IMPORTS = [  # what stands there, what shall, and what is left
    ("from churn.errors import InputError", "from evergreen.errors import InputError", []),
    ("from churn import errors", "from evergreen import errors", []),
    ("from churn import dataset", "from churn import dataset", []),
    ("from churn.dataset import KEY", "from churn.dataset import KEY", []),
    ("from churn.errors import Nothing", "from churn.errors import Nothing", ["churn.errors"]),
    ("from churn.data.moments import moments", None, ["churn.data.moments"]),
    ("from churn import dataset, errors", None, ["churn.errors"]),
    ("import churn.errors", None, ["churn.errors"]),
    ("import polars", None, []),
]


@pytest.mark.parametrize(("text", "wanted", "left"), IMPORTS, ids=[text for text, *_ in IMPORTS])
def test_imports(text: str, wanted: str | None, left: list[str]) -> None:
    found = with_imports(f"{text}  # why\nx = 1\n", "churn", GONE)
    assert found == f"{wanted or text}  # why\nx = 1\n"
    assert list(imports_left(found, "churn", GONE)) == left
