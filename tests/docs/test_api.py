"""The page of what is public says what the code says."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest
from docs.api import COMMAND, PAGE, public, render

import evergreen


def test_the_page_is_what_the_docstrings_say() -> None:
    assert PAGE.read_text() == render(), f"docs/api.md is stale: run `{COMMAND}`"


@pytest.mark.parametrize("name", public(evergreen))
def test_every_public_name_is_explained(name: str) -> None:
    assert f"## `evergreen.{name}`\n" in PAGE.read_text()
    value = getattr(evergreen, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__


def test_another_docstring_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evergreen.Dataset, "__doc__", "Another.\n\nMore of it.")
    assert "Another.\n\n```text\nMore of it.\n```\n" in render()
    assert PAGE.read_text() != render()


def test_a_module_without_a_list_shows_what_it_defines() -> None:
    made = ModuleType("made")
    exec("import os\ndef check(x, *, y=1): 'Check x.'\ndef _no(): pass", made.__dict__)
    assert [*public(made)] == ["check"]
