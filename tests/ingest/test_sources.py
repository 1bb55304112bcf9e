"""Sources: params.yaml says which source is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evergreen.ingest.database import Sql
from evergreen.ingest.folder import Files
from evergreen.ingest.module import Python
from evergreen.ingest.sources import first_line, open_source
from evergreen.params import Source
from late_flights.dataset import dataset


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"kind": "files", "path": "inbox"}, Files),
        ({"kind": "sql", "url": "sqlite:///a.db", "query": "SELECT 1"}, Sql),
        ({"kind": "python", "module": "late_flights.flights"}, Python),
    ],
    ids=["files", "sql", "python"],
)
def test_the_source_is_of_the_kind_that_is_named(options: dict[str, Any], kind: type) -> None:
    assert isinstance(open_source(Source(**options), dataset), kind)


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("first\nsecond"), "first"), (ValueError(), "ValueError"), ("  said ", "said")],
)
def test_the_first_line_of_an_error_is_never_empty(error: object, line: str) -> None:
    assert first_line(error) == line


def test_nothing_is_read_when_a_source_is_opened(tmp_path: Path) -> None:
    source = open_source(Source(kind="files", path=str(tmp_path / "nowhere")), dataset)
    assert source.passed_over == ()
