"""Answers: what an answer names of many faults, and where labels have no place."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from serving.served import IN_TIME, asked, plain, service_of

from evergreen.serving.answers import MOST_FAULTS, as_plain
from evergreen.validation.row_rules import Broken
from late_flights.dataset import dataset


def test_an_answer_names_the_first_of_many_faults():
    assert len(as_plain([Broken(at, "rule", at) for at in range(100)])) == MOST_FAULTS
    odd = [datetime(2020, 1, 2), float("inf"), (1, None), "x" * 999]  # noqa: DTZ001
    said = [fault["value"] for fault in as_plain([Broken(0, "rule", value) for value in odd])]
    assert said == ["2020-01-02 00:00:00", "inf", [1, None], "x" * 200]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("without", "says"), [({"key": ()}, "names no key"), ({"known_later": ()}, "known later")]
)
def test_labels_need_a_key_and_something_known_later(without, says, tmp_path):
    service = service_of(tmp_path, rules=lambda _: [], on=replace(dataset, **without))
    found = asked(service, "/feedback", json=plain(IN_TIME[:1])[0])
    assert found.status_code == 409
    assert says in found.json()["error"]


@pytest.mark.slow
def test_a_refusal_of_many_rows_names_the_first_faults_and_how_many_there_are(tmp_path):
    rows = [row | {"flight": at} for at, row in enumerate(plain(IN_TIME[:150]), 1)]
    for at in range(50, 100):
        rows[at] |= {"origin": "XXX"}
    rows[7] |= {"flight": "many"}
    rows[9] |= {"flight": 9, **{name: rows[8][name] for name in dataset.key if name != "flight"}}
    found = asked(service_of(tmp_path), json=rows)
    said = found.json()
    assert (found.status_code, said["faults_in_all"]) == (422, 53)
    assert said["error"].startswith("53 of 150 rows (35.3%) are bad, more than validate.max_bad")
    assert len(said["faults"]) == MOST_FAULTS
    assert said["faults"][0] == {"row": 7, "rule": "flight: is a whole number", "value": "many"}
    twice = "scheduled_departure, carrier, flight, origin: unique together"
    assert [(fault["row"], fault["rule"]) for fault in said["faults"][1:3]] == [
        (8, twice),
        (9, twice),
    ]
    assert said["faults"][3] == {"row": 50, "rule": "origin: one of EWR, JFK, LGA", "value": "XXX"}


def test_a_key_that_comes_twice_is_refused(tmp_path):
    row = plain(IN_TIME[:1])[0]
    found = asked(service_of(tmp_path, rules=lambda _: []), json=[row, row])
    assert found.status_code == 422
    assert {fault["rule"] for fault in found.json()["faults"]} == {
        "scheduled_departure, carrier, flight, origin: unique together"
    }
