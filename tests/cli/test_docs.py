"""`evergreen docs`: every page is found, listed and shown."""

from __future__ import annotations

import re

from commands import error_of, invoke, output_of
from conftest import ROOT

from evergreen.cli.docs import find_docs


def test_every_page_of_the_documentation_is_found() -> None:
    pages = {path.stem: path for path in (ROOT / "docs").glob("*.md")}
    assert find_docs() == pages | {
        "another_model.py": ROOT / "docs" / "another_model.py",
        "changelog": ROOT / "CHANGELOG.md",
    }


def test_docs_are_shown() -> None:
    listed = output_of(ROOT, "docs")
    assert re.search(r"^gate +When a challenger replaces the champion$", listed, re.MULTILINE)
    assert output_of(ROOT, "docs", "gate") == (ROOT / "docs" / "gate.md").read_text()
    said = error_of(invoke(ROOT, "docs", "gates"))
    assert said.startswith("there is no page 'gates': there are ")
    assert ", gate, " in said
