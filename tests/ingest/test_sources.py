"""Sources: params.yaml says which source is opened."""

from __future__ import annotations

import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import refusal

from evergreen import code
from evergreen.dataset import Dataset
from evergreen.errors import BusyError
from evergreen.ingest.database import Sql
from evergreen.ingest.folder import Files
from evergreen.ingest.module import Python
from evergreen.ingest.personal import Key
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


PEOPLE = Dataset(
    columns={"email": pl.String(), "size": pl.Float64()},
    label=pl.col("size") > 1,
    features={"size": pl.col("size")},
    personal={"email": "hash"},
)
OWN = """
import polars as pl

class OddError(Exception): pass
def batches(): return ["a"]
def origin(): return "a checksum"
def read(name):
    frame = pl.DataFrame({"email": ["ann@x.org"], "size": [1.0], "note": ["tall"]})
    @HOW@
"""


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Open a source of one batch of people, whose module ends as given."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code, "is_own", lambda path: "own_people" in path)

    def opened(how: str, key: Key | None) -> Any:
        name = f"own_people_{zlib.crc32(how.encode())}"
        (tmp_path / f"{name}.py").write_text(OWN.replace("@HOW@", how))
        return open_source(Source(kind="python", module=name), PEOPLE, key)

    return opened


def test_rows_of_people_are_read_with_the_key_alone(people: Callable[..., Any]) -> None:
    key = Key("k" * 32)
    source, bare = people("return frame", key), people("return frame", None)
    assert source.read("a").to_dicts() == [{"email": key.hash("ann@x.org"), "size": 1.0}]
    refusal(lambda: bare.read("a"), "no key")
    (offer,), (plain,) = source.offers(), bare.offers()
    assert plain.origin.startswith("a checksum ")
    assert offer.origin == key.mark(plain.origin)


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("raise OddError(frame['email'][0])", "OddError at own_people"),
        ("return frame.select(pl.col('email').cast(pl.Int64))", "InvalidOperationError at own_"),
        ("return {'ann@x.org': 1}", "AttributeError"),
        ("return frame['ann@x.org']", "ColumnNotFoundError at own_people"),
    ],
)
def test_an_error_of_ones_own_code_is_named_and_not_quoted(
    people: Callable[..., Any], how: str, named: str
) -> None:
    with pytest.raises(BusyError) as caught:
        people(how, Key("k" * 32)).read("a")
    whole = "".join(traceback.format_exception(caught.value))
    assert named in str(caught.value)
    assert "ann@" not in whole
