"""Record: what was answered is kept with the same bits; labels become whole rows once."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import polars as pl
import pytest
from serving.served import IN_TIME, ROWS, asked, called, plain, service_of

from evergreen.ingest.values import typed
from evergreen.project import Project
from evergreen.scoring.predictions import Kept, known, read
from evergreen.serving import record
from evergreen.serving.record import Recorder, sweep
from evergreen.serving.spool import Spool
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow

KEYS = list(dataset.key)
LABELS = ROWS.select(*KEYS, *dataset.known_later)


def feedback(project):
    return sorted((project.root / "feedback").glob("*.parquet"))


def test_what_was_predicted_is_kept_as_a_batch_with_the_same_bits(tmp_path):
    rows = plain(IN_TIME[:30])

    async def work(client):
        said = [(await client.post("/predict", json=row)).json() for row in [*rows, rows[0]]]
        await client.post("/predict", json=rows[0] | {"origin": "XXX"})
        return [answer["predictions"][0] for answer in said]

    answered, project = called(service_of(tmp_path), work), Project(tmp_path)
    ((batch, version),) = known(project)
    assert (batch[:7], version) == ("serving", "1")
    kept = read(project, batch, version)
    assert kept.height == 30  # each key once, and none that was refused
    by_key = dict(
        zip(kept.select(f"key_{n}" for n in KEYS).rows(), kept["prediction"], strict=True)
    )
    expected = [by_key[key] for key in IN_TIME[:30].select(KEYS).rows()]
    assert np.array(answered[:30]).tobytes() == np.array(expected).tobytes()
    facts = Kept.read(project.predictions / batch / "1.json")
    assert (facts.delivered, facts.quarantined) == (30, 0)


def test_labels_make_whole_rows_that_a_source_reads(tmp_path):
    async def work(client):
        await client.post("/predict", json=plain(IN_TIME[:20]))
        return await client.post("/feedback", json=plain(LABELS[10:25]))

    for turn in (1, 2):  # again: what was labelled before is not labelled twice
        service = service_of(tmp_path)
        answer = called(service, work)
        assert (answer.status_code, answer.json()) == (202, {"taken": 15})
        page = service.counts.page(service.watch)[0].decode()
        told = {"labelled": 10, "unknown": 5} if turn == 1 else {"repeated": 10, "unknown": 5}
        for what, rows in told.items():
            assert f'evergreen_record_rows_total{{what="{what}"}} {rows}.0' in page
    (path,) = feedback(Project(tmp_path))
    found = pl.read_parquet(path)
    wanted = typed(ROWS[10:20].select(*dataset.columns), dataset.columns)
    assert found.sort(KEYS).equals(wanted.sort(KEYS))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"arr_delay": "soon"}, "row 0: arr_delay is no Int32: 'soon'"),
        ({"flight": None}, "a row has no flight"),
    ],
)
def test_labels_that_fit_nothing_are_refused(rows, says, tmp_path):
    found = asked(service_of(tmp_path), "/feedback", json=plain(LABELS[:1])[0] | rows)
    assert (found.status_code, found.json()["error"]) == (422, says) or says in found.text


def differing(rows):
    """Labels of which two are of the same key, and differ."""
    return [*rows, rows[3] | {"arr_delay": (rows[3]["arr_delay"] or 0) + 1}]


def test_labels_that_contradict_each_other_are_refused_by_their_key(tmp_path):
    rows = plain(LABELS[:5])
    said = asked(service_of(tmp_path), "/feedback", json=differing(rows))
    assert said.status_code == 422
    key = LABELS.row(3, named=True)
    assert said.json()["error"] == (
        f"labels that differ for the same key, scheduled_departure {key['scheduled_departure']}, "
        f"carrier {key['carrier']}, flight {key['flight']}, origin {key['origin']}: send the right "
        "one"
    )
    again = asked(service_of(tmp_path), "/feedback", json=[*rows, rows[3]])
    assert (again.status_code, again.json()) == (202, {"taken": 5})


def waiting(project):
    return sorted((project.stores / "serving" / "waiting").glob("*.spool"))


@pytest.mark.parametrize("at", ["answered", "taken", "joined"])
def test_what_was_answered_survives_a_kill(at, tmp_path, monkeypatch):
    """Killed when labels are answered, taken from the spool, or joined and not yet noted."""

    async def work(client):
        await client.post("/predict", json=plain(IN_TIME[:20]))
        await client.post("/feedback", json=plain(LABELS[:10]))

    class Kill(BaseException):
        pass

    def kill(*_):
        raise Kill

    first = service_of(tmp_path)
    moments = {"answered": (Recorder, "_flush"), "taken": (Recorder, "_keep")}
    with monkeypatch.context() as patch:
        patch.setattr(*moments.get(at, (record, "_save")), kill)
        patch.setattr(threading, "excepthook", lambda *_: None)
        called(first, work)
    assert len(feedback(Project(tmp_path))) == (at == "joined")
    second = service_of(tmp_path)
    called(second, lambda client: client.get("/health"))
    (path,) = feedback(Project(tmp_path))
    wanted = typed(ROWS[:10].select(*dataset.columns), dataset.columns)
    assert pl.read_parquet(path).sort(KEYS).equals(wanted.sort(KEYS))
    assert [version for _, version in known(Project(tmp_path))] == ["1"]
    assert not waiting(Project(tmp_path))


def test_labels_that_cannot_be_joined_are_tried_again(tmp_path, monkeypatch):
    async def work(client):
        await client.post("/predict", json=plain(IN_TIME[:3]))
        return (await client.post("/feedback", json=plain(LABELS[:3]))).status_code

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "_label", lambda *_: (_ for _ in ()).throw(OSError("full")))
        service = service_of(tmp_path)
        assert called(service, work) == 202
    page = service.counts.page(service.watch)[0].decode()
    assert 'evergreen_record_rows_total{what="late"} 3.0' in page
    called(service_of(tmp_path), lambda client: client.get("/health"))
    assert [pl.read_parquet(path).height for path in feedback(Project(tmp_path))] == [3]


def test_labels_that_cannot_be_written_are_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(Spool, "add", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
    found = asked(service_of(tmp_path), "/feedback", json=plain(LABELS[:3]))
    assert found.status_code == 503
    assert "send them again later" in found.json()["error"]


def test_labels_of_an_earlier_definition_are_counted_and_go(tmp_path):
    waits = Spool(tmp_path / "stores" / "serving" / "waiting", "labels")
    waits.add([("labels", pl.DataFrame({"id": [1, 2]}))])
    service = service_of(tmp_path)
    called(service, lambda client: client.get("/health"))
    assert 'rows_total{what="lost"} 2.0' in service.counts.page(service.watch)[0].decode()
    assert not waits.take()


def test_a_full_queue_drops_and_counts_and_never_waits(tmp_path):
    service = service_of(tmp_path, queue=1)
    service.watch.look()
    rows = pl.concat([IN_TIME[:2]])
    for _ in range(3):
        service.recorder.predicted(service.watch.live, rows)
    page = service.counts.page(service.watch)[0].decode()
    assert 'evergreen_record_rows_total{what="dropped"} 4.0' in page
    assert not asyncio.run(service.recorder.labelled(rows))


def test_a_batch_is_made_once_there_are_many_rows(tmp_path):
    service = service_of(tmp_path, keep_rows=5)
    done = threading.Event()
    recorder = Recorder(
        Project(tmp_path), dataset, "binary", service.params, service.watch.load,
        lambda what, rows: done.set() if what == "kept" else None,
    )  # fmt: skip
    service.watch.look()
    recorder.start()
    whole = IN_TIME[:5].with_columns(
        pl.lit(None, dataset.columns[name]).alias(name) for name in dataset.known_later
    )
    recorder.predicted(service.watch.live, whole.select(*dataset.columns))
    assert done.wait(20)
    assert len(known(Project(tmp_path))) == 1
    recorder.stop()
    assert len(known(Project(tmp_path))) == 1


def test_what_cannot_be_written_is_counted_and_ends_nothing(tmp_path, monkeypatch):
    service = service_of(tmp_path)
    monkeypatch.setattr(
        service.recorder, "_keep", lambda *_: (_ for _ in ()).throw(OSError("full"))
    )

    async def work(client):
        return (await client.post("/predict", json=plain(IN_TIME[:1])[0])).status_code

    assert called(service, work) == 200
    page = service.counts.page(service.watch)[0].decode()
    assert 'evergreen_record_rows_total{what="lost"} 1.0' in page


def test_what_a_kill_left_half_written_goes(tmp_path):
    for folder in ("feedback", "stores/serving"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / ".part-999999999-x.parquet").touch()
    sweep(Project(tmp_path))
    assert not list(tmp_path.rglob(".part-*"))
