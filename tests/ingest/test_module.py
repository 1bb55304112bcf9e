"""Module: one's own code delivers batches, or is refused by name, and tells no secret."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.ingest.module import Python
from evergreen.ingest.sources import open_source
from evergreen.params import Source
from late_flights import flights
from late_flights.dataset import dataset


def test_example_offers_its_months_in_order() -> None:
    source = open_source(Source(kind="python", module="late_flights.flights"), dataset)
    offers = source.offers()
    assert [offer.name for offer in offers] == [f"2013-{number:02}" for number in range(1, 13)]
    assert all(offer.origin.startswith(f"{flights.origin()} ") for offer in offers)
    assert_frame_equal(source.read("2013-02"), flights.read("2013-02"))


WHOLE = """
def batches(): return ["b", "a"]
def origin(): return "today"
def read(name): return name
"""


def test_own_module_is_read_and_another_code_is_another_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_source.py").write_text(WHOLE)
    first = open_source(Source(kind="python", module="own_source"), dataset)
    assert [offer.name for offer in first.offers()] == ["a", "b"]
    assert first.read("a") == "a"
    before = first.offers()[0].origin
    (tmp_path / "own_source.py").write_text(WHOLE + "# changed\n")
    assert before.startswith("today ")
    assert first.offers()[0].origin != before


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, ("'own_source_not_there' cannot be imported",)),
        (WHOLE.replace("def read", "def write"), ("lacks the function read()",)),
        ("import nothing_of_that_name", ("cannot be imported", "nothing_of_that_name")),
    ],
)
def test_module_that_is_no_source_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None, said: tuple[str, ...]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = "own_source_not_there" if code is None else f"own_source_{abs(hash(code))}"
    if code is not None:
        (tmp_path / f"{name}.py").write_text(code)
    with pytest.raises(InputError) as caught:
        open_source(Source(kind="python", module=name), dataset)
    assert [part for part in said if part not in str(caught.value)] == []


def test_what_a_module_of_a_person_says_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> None:
        raise ConnectionError("no answer from https://host/x?sig=hunter2")

    module = SimpleNamespace(
        __file__=__file__,
        origin=lambda: "https://me:hunter2@host/1.0",
        batches=lambda: ["may"],
        read=read,
    )
    monkeypatch.setattr("importlib.import_module", lambda _: module)
    source = Python(Source(kind="python", module="mine"), dataset)
    (offer,) = source.offers()
    assert offer.origin.startswith("https://***@host/1.0 ")
    with pytest.raises(ConnectionError) as error:
        source.read("may")
    assert str(error.value) == "no answer from https://host/x?sig=***"
