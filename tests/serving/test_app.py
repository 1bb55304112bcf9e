"""The endpoints, in this process: the bits of a batch, one clear answer to whatever is wrong."""

from __future__ import annotations

import asyncio
import json

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from prometheus_client.parser import text_string_to_metric_families
from serving.served import (
    CLASSES,
    IN_TIME,
    ROWS,
    Registry,
    asked,
    called,
    model_of,
    packed,
    plain,
    service_of,
)

from evergreen.orchestration.guard import Guard
from evergreen.scoring.score import score_rows
from evergreen.serving.body import JSON, PACKED
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow

ROW = plain(IN_TIME[:1])[0]


def expected(number="1", task="binary", rows=ROWS):
    """Key -> prediction, as `evergreen score` computes it."""
    scored = score_rows(model_of(number, task), dataset, rows).predictions
    names = [name for name in scored.columns if name.startswith("prediction")]
    keys = scored.select(pl.col(r"^key_.*$")).rows()
    return dict(zip(keys, scored.select(names).rows(), strict=True))


@pytest.mark.parametrize(
    ("how", "task"),
    [
        *((how, task) for how in ("a row", "rows", "many") for task in CLASSES),
        *((how, "binary") for how in PACKED),
    ],
)
def test_predictions_are_those_of_a_batch(how, task, tmp_path):
    height = {"a row": 1, "rows": 40}.get(how, 150)
    rows = IN_TIME[:height]
    said = plain(rows)
    body = {"json": said[0] if how == "a row" else {"rows": said}}
    if how in PACKED:
        body = {"content": packed(rows, how), "headers": {"content-type": how}}
    found = asked(service_of(tmp_path, Registry(task=task), bad=1), **body)
    assert found.status_code == 200, found.text
    answer = found.json()
    assert answer["version"] == "1"
    wanted = expected(task=task)
    keys = rows.select(dataset.key).rows()
    got = np.array(answer["predictions"], np.float32).reshape(height, -1)
    assert got.tobytes() == np.array([wanted[key] for key in keys], np.float32).tobytes()
    assert answer.get("classes") == (["a", "b", "c"] if task == "multiclass" else None)


WRONG = [
    ({"origin": "XXX"}, 422, "origin: one of EWR, JFK, LGA", "XXX"),
    ({"distance": -5}, 422, "distance: 10 to 6,000", -5),
    ({"flight": None}, 422, "flight: not missing", None),
    ({"flight": 1.5}, 422, "flight: is a whole number", "1.5"),
    ({"flight": True}, 422, "flight: is a whole number", "true"),
    ({"temp": "warm"}, 422, "temp: is a number", "warm"),
    ({"temp": [1]}, 422, "temp: is a number", "[1]"),
    ({"scheduled_departure": "soon"}, 422, "scheduled_departure: is a date or time", "soon"),
    ({"scheduled_departure": "2013-02-31T10:00:00"}, 422,
     "scheduled_departure: is a date or time", "2013-02-31T10:00:00"),
    ({"carrier": "é!"}, 422, "carrier: looks like ^[A-Z0-9]{2}$", None),
]  # fmt: skip


@pytest.mark.parametrize(("odd", "status", "rule", "value"), WRONG)
def test_an_odd_row_is_refused_with_the_rule_and_the_value(odd, status, rule, value, tmp_path):
    found = asked(service_of(tmp_path), json=ROW | odd)
    assert found.status_code == status
    if "é!" in odd.values():  # the engine has the word
        assert rule in found.json()["error"]
    else:
        assert {"row": 0, "rule": rule, "value": value} in found.json()["faults"]


REFUSED = [
    ({"content": b"{"}, 400, "no JSON"),
    ({"content": b'{"temp": NaN}'}, 400, "write null"),
    ({"content": b"\xff"}, 400, "no JSON"),
    ({"content": b"[" * 100_000}, 400, "no JSON"),
    ({"json": []}, 422, "no row"),
    ({"json": {"rows": []}}, 422, "no row"),
    ({"json": [1]}, 422, "row 0 is no object"),
    ({"json": {**ROW, "rows": 1} | {"dest": None}}, 422, "cannot be predicted"),
    (
        {"json": {name: ROW[name] for name in ROW if name != "temp"}},
        422,
        "missing column(s) 'temp'",
    ),
    ({"json": [ROW] * 11}, 413, "more than 10 rows"),
    ({"content": b" " * 200_000}, 413, "max_body_mb"),
    ({"content": b"a,b", "headers": {"content-type": "text/csv"}}, 415, "text/csv"),
    (
        {"content": b"PAR1", "headers": {"content-type": "application/vnd.apache.parquet"}},
        400,
        "cannot be read",
    ),
]


@pytest.mark.parametrize(("body", "status", "says"), REFUSED)
def test_what_cannot_be_taken_is_one_sentence(body, status, says, tmp_path):
    found = asked(service_of(tmp_path, max_rows=10, max_body_mb=0.15), **body)
    assert (found.status_code, next(iter(found.json()))) == (status, "error"), found.text
    assert says in found.json()["error"]


def test_a_few_bad_rows_among_good_ones_are_told_of(tmp_path):
    rows = [ROW, ROW | {"flight": 2, "origin": "XXX"}, ROW | {"flight": 3}]
    found = asked(service_of(tmp_path, bad=0.5), json=rows).json()
    assert found["predictions"][1] is None
    assert None not in (found["predictions"][0], found["predictions"][2])
    assert found["not_predicted"] == [{"row": 1, "why": "origin: one of EWR, JFK, LGA"}]


def test_what_most_rows_must_have_is_a_warning(tmp_path):
    found = asked(service_of(tmp_path), json=ROW | {"tailnum": None}).json()
    assert found["predictions"][0] is not None
    assert found["warnings"] == [
        {"row": 0, "rule": "tailnum: not missing in at least 95% of rows", "value": None}
    ]


def test_rules_of_other_kinds_are_the_engines(tmp_path):
    import great_expectations.expectations as gxe

    rule = gxe.ExpectColumnValueLengthsToEqual(column="dest", value=3)
    service = service_of(tmp_path, rules=lambda _: [rule])
    assert asked(service, json=ROW).status_code == 200
    found = asked(service_of(tmp_path, rules=lambda _: [rule]), json=ROW | {"dest": "ABCD"})
    assert found.status_code == 422
    assert "value lengths" in found.json()["error"]


def test_the_other_pages(tmp_path):
    async def work(client):
        await client.post("/predict", json=ROW | {"dest": "ZZZ"})
        await client.post("/predict", content=b"{")
        await client.get("/nowhere")
        paths = ("/health", "/ready", "/model", "/metrics", "/openapi.json")
        return {path: await client.get(path) for path in paths}

    found = called(service_of(tmp_path), work, ROW)
    assert {answer.status_code for answer in found.values()} == {200}
    assert found["/ready"].json() == {"version": "1"}
    model = found["/model"].json()
    assert (model["version"], model["task"], model["run"]) == ("1", "binary", "run of 1")
    assert model["metrics"] == {"auc": 0.7}
    page = found["/openapi.json"].json()["paths"]
    body = page["/predict"]["post"]["requestBody"]["content"]
    assert body[JSON]["examples"]["a row"]["value"] == ROW
    assert set(body) == {JSON, *PACKED}
    told = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(found["/metrics"].text)
        for sample in family.samples
    }
    assert told["evergreen_answers_total", ("path", "/predict"), ("status", "200")] == 1
    assert told["evergreen_answers_total", ("path", "/predict"), ("status", "400")] == 1
    assert told["evergreen_answers_total", ("path", "other"), ("status", "404")] == 1
    assert told["evergreen_unseen_levels_total", ("feature", "dest")] == 1
    assert told["evergreen_model", ("version", "1")] == 1


def test_without_a_champion_it_lives_and_is_not_ready(tmp_path):
    async def work(client):
        return [await client.get("/health"), await client.get("/ready"), await client.get("/model"),
                await client.post("/predict", json=ROW)]  # fmt: skip

    answers = called(service_of(tmp_path, Registry(champion=None)), work)
    assert [answer.status_code for answer in answers] == [200, 503, 503, 503]
    assert "the gate refused version 1" in answers[1].json()["error"]


def test_what_takes_too_long_is_ended(tmp_path):
    async def slow():
        yield b"{"
        await asyncio.sleep(5)

    found = asked(service_of(tmp_path, timeout=0.2), content=slow())
    assert found.status_code == 503
    assert "serve.timeout" in found.json()["error"]


@pytest.mark.parametrize(
    ("headers", "login", "status"),
    [
        ({}, None, 200),
        ({"host": "evil.example"}, None, 403),
        ({"origin": "http://evil.example"}, None, 403),
        ({"sec-fetch-site": "cross-site"}, None, 403),
        ({}, "evergreen:secret", 401),
        ({"authorization": "Basic ZXZlcmdyZWVuOnNlY3JldA=="}, "evergreen:secret", 200),
    ],
)
def test_it_is_guarded_as_other_servers_are(headers, login, status, tmp_path):
    async def work(client):
        return await client.post("/predict", json=ROW, headers=headers)

    found = called(service_of(tmp_path), work, wrap=lambda app: Guard(app, login))
    assert found.status_code == status


def test_each_answer_is_of_the_version_that_it_names_while_champions_change(tmp_path):
    registry = Registry()
    service = service_of(tmp_path, registry, poll=0.01, keep="off")
    rows, wanted = plain(IN_TIME[:20]), {number: expected(number) for number in ("1", "2", "3")}
    registry.broken = {"3"}
    keys = IN_TIME[:20].select(dataset.key).rows()

    async def ask(client, at, found):
        for turn in range(30):
            place = (at + turn) % 20
            answer = (await client.post("/predict", json=rows[place])).json()
            said = np.float32(answer["predictions"][0])
            found.append((answer["version"], said == wanted[answer["version"]][keys[place]][0]))

    async def work(client):
        found = []
        asking = [asyncio.create_task(ask(client, at, found)) for at in range(6)]
        for number in "2132121":
            registry.champion = number
            await asyncio.sleep(0.05)
        await asyncio.gather(*asking)
        return found

    found = called(service, work)
    assert len(found) == 180
    assert all(right for _, right in found)
    assert {version for version, _ in found} == {"1", "2"}


async def ready_with(client, version):
    """What /ready says once it names a version, or after a while."""
    for _ in range(200):
        if (said := (await client.get("/ready")).json()) == {"version": version}:
            break
        await asyncio.sleep(0.1)
    return said


def test_a_version_that_cannot_be_loaded_leaves_the_one_before(tmp_path):
    registry = Registry()
    service = service_of(tmp_path, registry, poll=0.01)
    registry.broken = {"2"}

    async def work(client):
        registry.champion = "2"
        await asyncio.sleep(0.1)
        before = (await client.get("/model")).json()
        page = (await client.get("/metrics")).text
        registry.broken = set()
        return before, page, await ready_with(client, "2")

    before, page, after = called(service, work)
    assert (before["version"], before["trouble"]) == ("1", "seed-0.ubj was cut off")
    assert "evergreen_trouble 1.0" in page
    assert after == {"version": "2"}


printed = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9)
odd = st.sampled_from([[], {}, [1], "2013-04-01T10:00:00", "EWR", "UA", 10**30])
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | printed | odd
rows = st.fixed_dictionaries(dict.fromkeys(IN_TIME.columns, values)) | st.sampled_from([ROW])
bodies = (
    rows | st.lists(rows, max_size=3) | st.fixed_dictionaries({"rows": st.lists(rows, max_size=3)})
)


def test_no_body_that_the_schema_allows_or_not_is_an_error_of_the_server(tmp_path):
    service = service_of(tmp_path, bad=1)

    async def work(client):
        @settings(max_examples=30, deadline=None)
        @given(st.lists(bodies | values, min_size=5, max_size=5))
        def draw(found):
            drawn.extend(found)

        drawn = []
        draw()
        return [
            (await client.post(path, content=json.dumps(body))).status_code
            for body in drawn
            for path in ("/predict", "/feedback")
        ]

    service.desk._rules.engine = ()
    found = called(service, work)
    assert set(found) <= {200, 202, 400, 422, 503}
    assert 200 in found
