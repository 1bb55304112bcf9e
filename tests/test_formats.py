"""Formats: what is stored says its format; a newer library's is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import MONTHS, month, refusal

from evergreen import formats
from evergreen.decision import Decision
from evergreen.evaluation.held_out import HeldOut
from evergreen.features.encoder import Encoder
from evergreen.features.prepare import prepare
from evergreen.features.split import Split
from evergreen.files import read_entries
from evergreen.ingest.manifest import Manifest
from evergreen.params import Params
from evergreen.project import Project
from evergreen.quality.held_batches import HELD, find_held, read_held
from evergreen.scoring import predictions
from evergreen.scoring.package import Learnt, Model, read_package, write_package
from evergreen.scoring.unlabelled import Given
from evergreen.statistics.profile import Profile
from evergreen.statistics.sketch import Sketch, sketch
from evergreen.stores.events import ASKED
from evergreen.stores.journal import Entry, Journal
from evergreen.stores.registry import Registry
from evergreen.stores.runs import Runs
from evergreen.stores.tracking import Tracker

NEWER = 3
SAYS = (
    f"written by a newer evergreen (format {NEWER}, this one reads up to 1): "
    "update the library with `evergreen update`, then `make setup`"
)
LINEAR = {
    "task": "binary", "classes": 2, "names": ["x"], "intercept": [0.5], "present": [0, 1],
    "levels": {}, "numbers": {"0": {"fill": 0.0, "mean": 0.0, "scale": 1.0, "weight": [0.1]}},
}  # fmt: skip


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Be a library that writes another format; what is returned ends it."""
    monkeypatch.setattr(formats, "FORMAT", NEWER)
    return lambda: monkeypatch.setattr(formats, "FORMAT", 1)


# --- the number


@pytest.mark.parametrize(
    ("number", "oldest", "newest"), [(1, 1, 1), (1, 1, 4), (2, 2, 4), (4, 2, 4)]
)
def test_every_format_from_the_oldest_to_the_newest_is_read(
    number: int, oldest: int, newest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "FORMAT", newest)
    monkeypatch.setattr(formats, "OLDEST", oldest)
    assert formats.unstamp({"a": 1, "format": number}, "here") == {"a": 1}


REFUSED = {  # the number of what is stored -> what is said of it
    5: "a newer evergreen (format 5, this one reads up to 4)",
    1: "an older evergreen (format 1, this one reads from 2 on)",
}


@pytest.mark.parametrize(("number", "says"), REFUSED.items())
def test_no_other_is(number: int, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMAT", 4)
    monkeypatch.setattr(formats, "OLDEST", 2)
    refusal(lambda: formats.unstamp({"format": number}, "data/x.json"), "data/x.json", says)


def test_what_says_no_number_is_of_the_first_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMAT", 1)
    assert formats.stamp({"a": 1}) == {"a": 1} == formats.unstamp({"a": 1}, "here")
    monkeypatch.setattr(formats, "FORMAT", 2)
    assert formats.stamp({"a": 1}) == {"a": 1, "format": 2}
    assert formats.unstamp({"a": 1}, "here") == {"a": 1}


# --- data


READERS: dict[str, Callable[[Path], Any]] = {  # of data/features
    "manifest": lambda folder: Manifest(folder),
    "profile": lambda folder: Profile.read([folder / f"{MONTHS[0]}.json"]),
    "sketch": lambda folder: Sketch.read(folder / f"{MONTHS[0]}.npz"),
    "split": lambda folder: Split.read(folder / "split.json"),
    "encoder": lambda folder: Encoder.read(folder / "encoder.json"),
    "live encoder": lambda folder: Encoder.read(folder / "live-encoder.json"),
    "held": lambda folder: read_held(bare_manifest(folder)),
}


def bare_manifest(folder: Path) -> Manifest:
    """A manifest without entries, so that nothing but what else lies in the folder is read."""
    found = Manifest(folder / "none")
    found.folder = folder
    return found


def prepare_all(site: Any) -> Path:
    site.accept({name: month(name) for name in MONTHS})
    prepare(site.project, site.dataset, site.params(), find_held)
    return Path(site.project.features)


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
def test_features_of_a_newer_library_are_refused(
    kind: str, site: Any, newer: Callable[[], None]
) -> None:
    folder = prepare_all(site)
    READERS[kind](folder)
    newer()
    refusal(lambda: READERS[kind](folder), str(folder), SAYS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
def test_features_of_an_older_library_are_read(
    kind: str, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepare_all(site)
    said = [path.read_text() for path in folder.glob("*.json")]
    assert not any('"format"' in text for text in said)
    monkeypatch.setattr(formats, "FORMAT", NEWER)
    READERS[kind](folder)


@pytest.mark.slow
def test_every_file_of_features_says_its_number(site: Any, newer: Callable[[], None]) -> None:
    folder = prepare_all(site)
    by_batch = {"manifest.json", HELD}
    for path in folder.glob("*.json"):
        content = read_entries(path)
        said = (
            [entry["format"] for entry in content.values()]
            if path.name in by_batch
            else [content["format"]]
        )
        assert {*said} == {NEWER}, path.name
    entries = Manifest(folder).entries
    assert list(Manifest(folder).altered()) == []
    assert len(entries) == len(MONTHS)


@pytest.mark.slow
def test_a_batch_of_before_stays_as_it_is(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = prepare_all(site)
    monkeypatch.setattr(formats, "FORMAT", NEWER)
    more = month("2013-08")
    site.accept({"2013-08": more})
    done = prepare(site.project, site.dataset, site.params(), find_held)
    assert done.new == ("2013-08",)
    entries = Manifest(folder).entries
    assert [name for name, entry in entries.items() if entry.get("format", 1) == NEWER] == [
        "2013-08"
    ]
    assert Profile.read(folder / f"{name}.json" for name in entries).kept.rows == sum(
        entry["rows"] for entry in entries.values()
    )


# --- models, predictions, what judged


def package(folder: Path) -> Path:
    encoder = Encoder("binary", ("x",), {}, ("no", "yes"), ("2013-01",))
    learnt = Learnt(np.arange(3, dtype=np.uint64), "2013-01-31T00:00:00")
    return write_package(folder, Model(encoder, {0: json.dumps(LINEAR).encode()}, learnt, "linear"))


def keep(folder: Path, site: Any) -> Path:
    rows = month("2013-04").head(5)
    said = rows.select(pl.lit(0.5, pl.Float32).alias("prediction"))
    seen, scorer = sketch(rows.select("distance"), None), predictions.Scorer("flights", "1", "run")
    made, _ = predictions.keep(
        site.project, site.dataset, Given("april", rows), scorer, said, seen, rows.head(0), {}
    )
    return made.folder / "1.json"


def hold_out(folder: Path) -> Path:
    keys = np.arange(3, dtype=np.uint64)
    HeldOut.of(keys, np.zeros(3), (np.zeros(3),)).write(folder / "held_out.npz")
    return folder / "held_out.npz"


OTHERS: dict[str, tuple[Callable[[Path, Any], Path], Callable[[Path], Any]]] = {
    "model": (lambda folder, _: package(folder / "package"), read_package),
    "predictions": (keep, predictions.Kept.read),
    "held out": (lambda folder, _: hold_out(folder), HeldOut.read),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_a_newer_library_made_is_refused(
    kind: str, site: Any, tmp_path: Path, newer: Callable[[], None]
) -> None:
    write, read = OTHERS[kind]
    path = write(tmp_path, site)
    read(path)
    newer()
    refusal(lambda: read(path), str(path), SAYS)


@pytest.mark.parametrize("kind", OTHERS)
def test_what_an_older_library_made_is_read(
    kind: str, site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = OTHERS[kind]
    path = write(tmp_path, site)
    monkeypatch.setattr(formats, "FORMAT", NEWER)
    read(path)


# --- MLflow


def train(tracker: Tracker) -> None:
    with Runs(tracker).open("fingerprint", "a run", {}):
        pass


def monitor(tracker: Tracker) -> None:
    Journal(tracker).write(
        Entry("2013-07", "1", "a"), {}, {}, Decision("watch", ("why.",), {"rules": []}), ask=False
    )


def decide(tracker: Tracker) -> None:
    Registry(tracker).record("1", ASKED, Decision("ask", ("why.",), {"rules": []}))


STORED: dict[str, tuple[Callable[[Tracker], None], Callable[[Tracker], Any]]] = {
    "runs": (train, lambda tracker: Runs(tracker).trainings()),
    "journal": (monitor, lambda tracker: Journal(tracker).entries()),
    "events": (decide, lambda tracker: Registry(tracker).events.history()),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", STORED)
def test_runs_of_a_newer_library_are_refused(
    kind: str, open_tracker: Callable[..., Tracker], newer: Callable[[], None]
) -> None:
    write, read = STORED[kind]
    write(open_tracker())
    read(open_tracker())
    assert open_tracker().stored_formats() >= {NEWER}
    newer()
    refusal(lambda: read(open_tracker()), "in MLflow", SAYS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", STORED)
def test_runs_of_an_older_library_are_read_and_written_on(
    kind: str, open_tracker: Callable[..., Tracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = STORED[kind]
    write(open_tracker())
    assert open_tracker().stored_formats() == {1}
    monkeypatch.setattr(formats, "FORMAT", 2)
    read(open_tracker())
    assert open_tracker().stored_formats() == {1}
    write(open_tracker())
    assert 2 in open_tracker().stored_formats()


def test_to_ask_for_formats_makes_no_store(tmp_path: Path) -> None:
    assert Tracker(Project(tmp_path), Params()).stored_formats() == set()
    assert list(tmp_path.iterdir()) == []
