"""The page of parameters is of the code, and leaves none out."""

from __future__ import annotations

import pytest
from conftest import ROOT
from pydantic import BaseModel

from evergreen.params.page import render
from evergreen.params.read import Params

PAGE = ROOT / "docs" / "params.md"


def test_the_page_is_of_this_code() -> None:
    made = "python -m evergreen.params.page > docs/params.md"
    assert PAGE.read_text(encoding="utf-8") == render(), f"run `{made}`"


@pytest.mark.parametrize("name", [name for name in Params.model_fields if name != "task"])
def test_every_key_is_listed_with_its_meaning(name: str) -> None:
    field = Params.model_fields[name]
    _, _, after = render().partition(f"\n## {field.alias or name}\n")
    table, section = after.partition("\n## ")[0], field.default
    assert isinstance(section, BaseModel)
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows] == [f"| `{key}`" for key in type(section).model_fields]
    assert [row for row in rows if len(row) != 3 or len(row[2]) < 10] == []


def test_defaults_are_shown_as_yaml_writes_them() -> None:
    for shown in ('| `separator` | `","` |', "| `until` | `null` |", "| `hold` | `0.5` |",
                  "| `trusted` | `[]` |", "| `rollback` | `auto` |",
                  "| `max_age_days` | `180` |"):  # fmt: skip
        assert shown in render()
