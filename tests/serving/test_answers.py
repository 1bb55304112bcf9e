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


@pytest.mark.parametrize(
    ("without", "says"), [({"key": ()}, "names no key"), ({"known_later": ()}, "known later")]
)
def test_labels_need_a_key_and_something_known_later(without, says, tmp_path):
    service = service_of(tmp_path, rules=lambda _: [], on=replace(dataset, **without))
    found = asked(service, "/feedback", json=plain(IN_TIME[:1])[0])
    assert found.status_code == 409
    assert says in found.json()["error"]


def test_a_key_that_comes_twice_is_refused(tmp_path):
    row = plain(IN_TIME[:1])[0]
    found = asked(service_of(tmp_path), json=[row, row])
    assert found.status_code == 422
    assert {fault["rule"] for fault in found.json()["faults"]} == {
        "scheduled_departure, carrier, flight, origin: unique together"
    }
