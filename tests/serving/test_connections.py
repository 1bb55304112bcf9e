"""Connections: sockets that hang are closed in time, and others are answered meanwhile."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn

from evergreen.serving.connections import FULL, bounded

HEAD, SECONDS = 0.3, 0.6
PATIENCE = 60  # seconds, on a busy machine; what is not closed stays for good
GET = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\n"


async def app(scope, receive, send):
    """Answers when the body is whole; /long takes a second, /large has a large body."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/long":
        await asyncio.sleep(0.4)
    body = b"x" * (30_000_000 if scope["path"] == "/large" else 2)
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"%d" % len(body))]})  # fmt: skip
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(most=50):
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=bounded(most, SECONDS, HEAD), ws="none", lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: server.run(sockets=[taken]))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with ExitStack() as opened:

        def connect(*parts):
            made = opened.enter_context(
                socket.create_connection(taken.getsockname(), timeout=PATIENCE)
            )
            for part in parts:
                made.sendall(part)
            return made

        yield connect, server
    server.should_exit = True
    thread.join()


def seconds_until_closed(held, drip=b""):
    """How long a connection lasts, with a byte sent now and then."""
    began = time.monotonic()
    held.settimeout(0.05)
    while time.monotonic() - began < PATIENCE:
        try:
            if drip:
                held.sendall(drip)
            if not held.recv(65536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "drip", "wanted"),
    [
        (b"", b"", HEAD),
        (b"GET / HTTP/1.1\r\nx: ", b"a", HEAD),
        (GET, b"", HEAD),
        (GET + b"GET / HTTP/1.1\r\nx: ", b"a", HEAD),
        (POST, b"", SECONDS),
        (POST, b"a", SECONDS),
    ],
    ids=["nothing", "a slow head", "nothing more", "a slow second", "no body", "a slow body"],
)
def test_who_sends_nothing_or_slowly_is_closed(sent, drip, wanted):
    with serving() as (connect, _):
        took = seconds_until_closed(connect(sent), drip)
    assert wanted - 0.1 < took < PATIENCE


@pytest.mark.slow
def test_who_reads_nothing_is_closed():
    with serving() as (connect, server):
        connect(GET.replace(b"/ ", b"/large ", 1))
        until = time.monotonic() + PATIENCE
        while not server.server_state.connections and time.monotonic() < until:
            time.sleep(0.01)
        assert server.server_state.connections
        while server.server_state.connections and time.monotonic() < until:
            time.sleep(0.01)
        assert not server.server_state.connections


@pytest.mark.slow
def test_while_many_hang_others_are_answered():
    with serving(most=5) as (connect, server):
        for _ in range(40):
            connect(b"GET / HTTP/1.1\r\nx: ")
        assert b" 200 " in connect(GET).recv(65536)
        assert len(server.server_state.connections) <= 5


@pytest.mark.slow
def test_who_is_being_answered_makes_no_room():
    with serving(most=2) as (connect, _):
        long = [connect(GET.replace(b"/ ", b"/long ", 1)) for _ in range(2)]
        time.sleep(0.1)
        assert connect().recv(65536) == FULL
        assert all(b" 200 " in busy.recv(65536) for busy in long)


def test_the_refusal_is_whole():
    head, _, body = FULL.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
