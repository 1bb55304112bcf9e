"""Connections: none is held for long by who sends nothing, sends slowly, or reads nothing."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = 10.0  # seconds until the head of a request is whole, from the connection or answer before
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: application/json\r\n"
    b'content-length: 35\r\n\r\n{"error": "too many are connected"}'
)


class Connection(H11Protocol):
    """A connection of uvicorn's with an end to each wait.

    `most`: how many there may be; beyond it the one that has waited longest for the head of a
    request makes room, and where all are being answered the new one is refused. `seconds`: from a
    head to the end of its answer.
    """

    most: ClassVar[int]
    seconds: ClassVar[float]
    head: ClassVar[float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._end: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._allow(self.head)
        if len(self.connections) > self.most:
            others: Any = self.connections - {self}
            idle = [other for other in others if not other.busy and other.ends]
            if idle:
                min(idle, key=lambda other: other.ends).close()
            else:
                transport.write(FULL)
                transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        if self._end:
            self._end.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Give a request whose head is whole its own time."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and self.busy:
            self._allow(self.seconds)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if not self.busy:
            self._allow(self.head)

    @property
    def ends(self) -> float:
        """When its wait ends, by the loop's clock."""
        return self._end.when() if self._end else 0.0

    def close(self) -> None:
        """End it, whatever is still to be sent."""
        self.connections.discard(self)
        self.transport.abort()

    def _allow(self, seconds: float) -> None:
        if self._end:
            self._end.cancel()
        self._end = self.loop.call_later(seconds, self.close)


def bounded(most: int, seconds: float, head: float = HEAD) -> type[Connection]:
    """Return the kind of connection with these bounds, for uvicorn."""
    return type("Bounded", (Connection,), {"most": most, "seconds": seconds, "head": head})
