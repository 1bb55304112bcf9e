"""Source: does a module of the user's deliver batches?"""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import numpy as np

from evergreen.dataset import Dataset
from evergreen.ingest.naming import natural

Array = np.ndarray[Any, np.dtype[Any]]


def check_source(source: ModuleType, dataset: Dataset | None = None) -> None:
    """Raise AssertionError where the module `source` does not deliver batches.

    Reads its first and its last. `dataset`: has its columns looked for in them.
    """
    for part in ("batches", "read", "origin"):
        assert callable(getattr(source, part, None)), f"it does not define {part}()"
    names = list(source.batches())
    assert names, "batches() names none: there is nothing to look at"
    for name in names:
        assert isinstance(name, str), f"batches() names {name!r}, which is no text"
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name), (
            f"batches() names {name!r}, which is to be a folder: use letters, digits, '.', '_' and "
            "'-'"
        )
    assert len({*names}) == len(names), f"batches() names one twice: {names}"
    assert names == list(source.batches()), "batches() names others when asked again"
    origin = source.origin()
    assert isinstance(origin, str), f"origin() must be a text, not {origin!r}"
    assert origin, "origin() is empty: it tells this copy of the data from another"
    assert origin == source.origin(), (
        "origin() says otherwise when asked again: every run would read everything anew"
    )
    names.sort(key=natural)
    for name in dict.fromkeys((names[0], names[-1])):
        _check_batch(source, name, dataset)


def _check_batch(source: ModuleType, name: str, dataset: Dataset | None) -> None:
    import polars as pl

    frame = source.read(name)
    assert isinstance(frame, pl.DataFrame), (
        f"read({name!r}) must return a polars frame: {type(frame)}"
    )
    assert frame.height, f"read({name!r}) has no rows"
    missing = [column for column in (dataset.columns if dataset else ()) if column not in frame]
    assert not missing, f"read({name!r}) lacks {', '.join(missing)}, which dataset.py declares"
    assert frame.equals(source.read(name)), (
        f"read({name!r}) gives other rows when asked again: nothing could be made once more"
    )
