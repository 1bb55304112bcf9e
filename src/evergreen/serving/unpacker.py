"""Unpacker: packed bodies as JSON, by a process that may crash, and holds nothing (`unpack.py`)."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

from evergreen.serving import unpack
from evergreen.serving.body import BodyError

ALONE = {  # what the process is told: to be of one thread, as what forks should
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "OMP_NUM_THREADS": "1",
}
GROWTH = 4  # times the bytes of the largest body: more JSON is not taken


class Unpacker:
    """The process that forks for each body: started by the first one, and again where it died.

    `rows`: at most of a body. `size`: the bytes of the largest body.
    """

    def __init__(self, rows: int, size: int) -> None:
        self._rows, self._most = rows, GROWTH * size
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def unpack(self, kind: str, body: bytes, names: Sequence[str]) -> bytes:
        """Return the columns `names` of a body as JSON. Raises BodyError where that fails."""
        mine, theirs = socket.socketpair()
        asked = {"kind": kind, "names": list(names), "most": self._rows}
        with mine:
            with theirs:
                self._send(theirs)
            mine.settimeout(3 * unpack.SECONDS)
            content = bytearray()
            with suppress(OSError):  # it is gone, or takes too long
                mine.sendall(json.dumps(asked).encode() + b"\n" + body)
                mine.shutdown(socket.SHUT_WR)
                while len(content) <= self._most and (part := mine.recv(2**20)):
                    content += part
        if len(content) > self._most:
            raise BodyError(413, "what is packed in it is too large: send fewer rows")
        if not content.endswith(unpack.END):
            raise BodyError(400, f"it cannot be read: it is no {kind}, or damaged, or too large")
        if content.startswith(b'{"error"'):
            said = json.loads(content)
            raise BodyError(int(said["status"]), str(said["error"])[:300])
        return bytes(content)

    def close(self) -> None:
        """End the process."""
        if self._control:
            self._control.close()
        if self._process:
            self._process.wait()
        self._control = self._process = None

    def _send(self, theirs: socket.socket) -> None:
        """Hand a socket to the process."""
        with self._lock:
            for _ in range(2):
                try:
                    socket.send_fds(self._control or self._start(), [b"x"], [theirs.fileno()])
                except OSError:
                    self.close()
                else:
                    return
        raise BodyError(503, "what unpacks bodies does not start: send JSON")

    def _start(self) -> socket.socket:
        self._control, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-I", unpack.__file__],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=ALONE,
                start_new_session=True,  # Ctrl-C is not for it: it ends with this process
            )
        return self._control
