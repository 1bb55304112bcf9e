"""Formats: one number for how this library stores what it stores.

What is stored says the number of the library that wrote it, and is of format 1 where it says none.
A library writes its own and reads every one from the oldest it knows up to that. Raise `FORMAT` by
one, for all at once, in a release that stores anything in another way, and keep reading the old.

| what | where it says its number |
|---|---|
| batches of `data/`: rows, reports | the batch's entry in `manifest.json` of the folder |
| profile, sketch, `held.json` | in each: the JSON, the head of the .npz, a batch's entry |
| `split.json`, encoders | in the JSON |
| predictions | `<version>.json`, which makes them count |
| a model | `made.json` of its package |
| `held_out.npz` | an array of that name |
| runs, seeds, events, journal, replays in MLflow | a tag of the experiment that they are in |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evergreen.errors import InputError

FORMAT = 1  # what this library writes, and the newest that it reads
OLDEST = 1  # the oldest that it reads
NUMBER = "format"  # the key beside what is stored


def stamp(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be stored with its format's number; the first has none."""
    return {**content, NUMBER: FORMAT} if FORMAT > 1 else dict(content)


def unstamp(content: Mapping[str, Any], where: object) -> dict[str, Any]:
    """Return what was stored, without the number. Raises InputError as `check` does."""
    check(content.get(NUMBER, 1), where)
    return {name: value for name, value in content.items() if name != NUMBER}


def check(number: Any, where: object) -> None:
    """Raise InputError where this library does not read the format of what is stored at `where`."""
    number = int(number)
    if number > FORMAT:
        raise InputError(
            f"{where}: written by a newer evergreen (format {number}, this one reads up to "
            f"{FORMAT}): update the library with `evergreen update`, then `make setup`"
        )
    if number < OLDEST:
        raise InputError(
            f"{where}: written by an older evergreen (format {number}, this one reads from "
            f"{OLDEST} on): update to a release between the two first, with `evergreen update REF`"
        )
