"""Hold: batches so unlike those before them that nothing is trained, stopped or judged by them.

One such batch may be poisoned: a unit that changed, a label turned round, a column that stuck. Where the next one is
unlike in all of these columns too, and like the first, the world has changed, and both count, the new one unless it is
unlike in others besides; a person can vouch for one before (drift.accepted).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from evergreen.data.manifest import Manifest
from evergreen.data.shift import FEWEST_BATCHES
from evergreen.data.sketch import Sketch
from evergreen.data.suspects import find_suspects, is_alike, not_small
from evergreen.errors import InputError
from evergreen.files import read_entries, sha256_of, sha256_of_code, write_entries
from evergreen.params import Drift

SKETCH = ".npz"
BEFORE = 12  # batches that a new one is compared with, so that its cost does not grow with history
RECENT = 5 * BEFORE  # batches among which the small ones are told
CODE = (
    "finding.py",
    "grid.py",
    "hold.py",
    "relations.py",
    "shift.py",
    "sketch.py",
    "suspects.py",
)  # what is found depends on
HELD = "held.json"  # in data/features: what was found of each batch


def find_held(done: Manifest, batches: Sequence[str], params: Drift) -> dict[str, dict[str, str]]:
    """Return the batches that are held back, with a sentence for each column that is why; `batches` in order of time.

    A batch is compared with those before it, but for small ones; where these are fewer than 3, as it came late or
    first, with the next ones too. What was found of a batch is kept in `data/features/held.json`, and looked for again
    only where the batches beside it, the parameters or the code have changed.
    """
    known = read_entries(done.folder / HELD)
    code = sha256_of_code([Path(__file__).with_name(name) for name in CODE])
    versions = {name: done.version(name, SKETCH) for name in batches}
    read = lru_cache(BEFORE + 2)(lambda name: Sketch.read(done.file(name, SKETCH)))
    trusted: list[str] = []
    held: dict[str, dict[str, str]] = {}
    found: dict[str, Any] = {}
    last = ""
    for at, name in enumerate(batches):
        earlier = _telling(trusted[-RECENT:], done)[-BEFORE:]
        if len(earlier) < FEWEST_BATCHES:
            earlier += _telling(batches[at + 1 : at + 1 + BEFORE], done)[: FEWEST_BATCHES - len(earlier)]
        stamp = sha256_of([versions[one] for one in (*earlier, name)], params.hold, params.confidence, code)
        one = known.get(name, {})
        if one.get("stamp") != stamp:
            one = {"stamp": stamp, "why": find_suspects(read(name), [*map(read, earlier)], params)}
        found[name], why = {"stamp": stamp, "why": one["why"]}, one["why"]
        if last in held and set(held[last]) <= set(why) and versions[last] != versions[name]:
            beside = found[last]["stamp"]
            if one.get("beside") != beside:
                past = [read(before) for before in earlier if before != last]
                one |= {"beside": beside, "alike": is_alike(read(name), read(last), past, params, held[last])}
            found[name] |= {"beside": beside, "alike": one["alike"]}
            if one["alike"]:  # the world has changed
                why = {column: says for column, says in why.items() if column not in held[last]}
                trusted.append(last)
                del held[last]
        if why and name not in params.accepted:
            held[name] = why
        else:
            trusted.append(name)
        last = name
    for name, one in found.items():
        one["held"] = held.get(name, {})
    if found != known:
        write_entries(done.folder / HELD, found)
    return held


def read_held(done: Manifest) -> dict[str, dict[str, str]]:
    """Return what `find_held` found last."""
    return {name: one["held"] for name, one in read_entries(done.folder / HELD).items() if one["held"]}


def _telling(names: Sequence[str], done: Manifest) -> list[str]:
    """Return the batches that are not small beside the others."""
    rows = [int(done.entries[name]["rows"]) for name in names]
    return [name for name, says in zip(names, not_small(rows), strict=True) if says]


def check_accepted(params: Drift, batches: Collection[str]) -> None:
    """Raise InputError where `drift.accepted` names a batch much like one of `batches`; who is gone may stay there."""
    for name in params.accepted:
        near = difflib.get_close_matches(name, batches, n=1)
        if name not in batches and near:
            raise InputError(f"drift.accepted: data/raw holds no batch {name!r}: did you mean {near[0]!r}?")
