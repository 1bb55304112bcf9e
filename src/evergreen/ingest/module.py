"""Module: batches from three functions of one's own, in Python."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.files import sha256_of_own
from evergreen.ingest.naming import natural
from evergreen.ingest.sources import Offer, first_line
from evergreen.params import Source as SourceParams
from evergreen.redact import redact, redact_error


class Python:
    """A module with three functions: `batches()`, `read(name)` and `origin()`.

    `batches()` returns the names of the batches, `read(name)` the rows of a batch as a frame,
    `origin()` what identifies this copy of the data (a version, a date); the module's code counts
    as well.
    """

    passed_over: tuple[str, ...] = ()

    def __init__(self, params: SourceParams, _: Dataset) -> None:
        name = params.module or ""
        try:
            self.module = importlib.import_module(name)
        except ImportError as error:
            raise InputError(
                f"source.module: {name!r} cannot be imported ({first_line(error)})"
            ) from None
        lacking = [
            function
            for function in ("batches", "read", "origin")
            if not callable(getattr(self.module, function, None))
        ]
        if lacking:
            raise InputError(
                f"source.module: {name!r} lacks the function {lacking[0]}(): "
                "define batches(), read(name) and origin()"
            )

    def offers(self) -> list[Offer]:
        code = sha256_of_own(str(self.module.__file__))
        with _without_secrets():
            origin, names = (
                redact(str(self.module.origin())),
                sorted(self.module.batches(), key=natural),
            )
        return [Offer(name, f"{origin} {code}") for name in names]

    def read(self, name: str) -> pl.DataFrame:
        with _without_secrets():
            frame: pl.DataFrame = self.module.read(name)
        return frame


@contextmanager
def _without_secrets() -> Iterator[None]:
    """Let errors of other people's code name no secret: they are shown and kept."""
    try:
        yield
    except Exception as error:
        redact_error(error)
        raise
