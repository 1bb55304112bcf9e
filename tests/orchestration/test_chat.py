"""Chat: a line for each event; what cannot be sent is one sentence without the address."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

import pytest
from conftest import refusal
from http_server import serve

from evergreen.extensions import Event, Extensions
from evergreen.orchestration.chat import WEBHOOK, address, automation, tell_chat, tell_of_runs
from evergreen.orchestration.notify import notify
from evergreen.params import parse

EVENT = Event("promoted", "cars", "3", "2013-07", ("It is better.",))


@pytest.fixture
def chat(monkeypatch):
    """A chat: what it was told, and the status that it answers with."""

    class Chat(BaseHTTPRequestHandler):
        told, status = [], [200]

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.told.append(json.loads(body))
            self.send_response(self.status[0])
            self.end_headers()

    with serve(Chat) as port:
        monkeypatch.setenv(WEBHOOK, f"http://127.0.0.1:{port}/hooks/swordfish")
        yield Chat


def test_an_event_is_a_line(chat):
    tell_chat(EVENT)
    assert chat.told == [{"text": "cars version 3 promoted (2013-07): It is better."}]


def test_a_run_tells_it_beside_the_projects_own(chat, tmp_path):
    own, said = [], []
    given = parse({"tracking": {"model": "cars"}}, "params").choosing_from(
        Extensions(notifiers=[own.append])
    )
    notify(given, tmp_path, "refused", warn=said.append, version="4")
    assert [str(event) for event in own] == ["cars version 4 refused"]
    assert chat.told == [{"text": "cars version 4 refused"}]
    chat.status[0] = 404
    notify(given, tmp_path, "refused", warn=said.append, version="5")
    chat.status[0] = 200
    assert len(said) == 1
    assert said[0].startswith(
        "the notifier tell_chat failed (the chat of EVERGREEN_WEBHOOK refused"
    )
    assert "swordfish" not in said[0]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://chat", "chat.example", "//chat"])
def test_what_is_no_address_is_refused(monkeypatch, url):
    monkeypatch.setenv(WEBHOOK, url)
    for work in (address, lambda: tell_chat(EVENT), lambda: tell_of_runs("cars")):
        assert url not in refusal(work, "EVERGREEN_WEBHOOK is no address of a webhook")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/swordfish", "https:// /x", "http://["])
def test_a_chat_that_is_away_is_one_sentence(monkeypatch, url):
    monkeypatch.setenv(WEBHOOK, url)
    said = refusal(lambda: tell_chat(EVENT), "the chat of EVERGREEN_WEBHOOK does not answer (")
    assert "swordfish" not in said


def test_without_an_address_nobody_is_told(monkeypatch):
    monkeypatch.delenv(WEBHOOK, raising=False)
    assert address() == ""
    tell_of_runs("cars")  # no server is asked


@pytest.mark.slow
def test_prefect_takes_the_automation():
    from uuid import uuid4

    from prefect.automations import Automation
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    made = Automation(**automation("cars", uuid4()))
    assert made.trigger.match_related.model_dump() == {
        "prefect.resource.role": "work-pool", "prefect.resource.name": "cars",
    }  # fmt: skip
    block = CustomWebhookNotificationBlock(
        name="x", url="{{address}}", json_data={"text": "{{subject}}: {{body}}"},
        secrets={"address": "http://chat/swordfish"},
    )  # fmt: skip
    asked = block._build_request_args("it crashed", "cars")
    assert (asked["url"], asked["json"]) == ("http://chat/swordfish", {"text": "cars: it crashed"})
