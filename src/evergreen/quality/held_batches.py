"""Held batches: batches so unlike those before them that no model learns from them.

One such batch may be poisoned: a unit that changed, inverted labels, a column that got stuck. Where
the next one is unlike in all of these columns too, and like the first, the world has changed, and
both count, the new one unless it is unlike in others besides; labels wait for a person, who can
accept any batch (drift.accepted). What is held never has more rows than what counts.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from evergreen import formats, recipes
from evergreen.errors import InputError
from evergreen.features.split import LABEL
from evergreen.files import read_entries, sha256_of, write_entries
from evergreen.ingest.manifest import Entry, Manifest
from evergreen.params import Drift
from evergreen.quality.batch_anomalies import are_large, find_anomalies, is_same_anomaly
from evergreen.statistics.sketch import SKETCH, Sketch

BEFORE = 12  # batches that a new one is compared with, so that its cost does not grow with history
RECENT = 5 * BEFORE  # batches among which the small ones are found
SHORTEST = timedelta(days=6)  # from the first row to the last, where rows have a time: a week
HELD = "held.json"  # in data/features: what was found of each batch


def find_held(done: Manifest, batches: Sequence[str], params: Drift) -> dict[str, dict[str, str]]:
    """Return batch -> column -> a sentence why the batch is held back.

    `batches`: all of them, in order of time. A batch is compared with those before it, but for
    small ones; the first three, which nothing came before, count. So does one with which more rows
    would be held than count: it is then rather the world; and one of less than a week: a few days
    of rain are like no other days, and no fault. What was found of a batch is kept in
    `data/features/held.json`, and looked for again only where the batches beside it, the parameters
    or the recipe have changed.
    """
    known = _read(done)
    versions = {name: done.version(name, SKETCH) for name in batches}
    read = lru_cache(BEFORE + 2)(lambda name: Sketch.read(done.file(name, SKETCH)))
    trusted: list[str] = []
    held: dict[str, dict[str, str]] = {}
    found: dict[str, Any] = {}
    last = ""
    for name in batches:
        earlier = _large(trusted[-RECENT:], done)[-BEFORE:]
        fingerprint = sha256_of(
            [versions[other] for other in (*earlier, name)],
            params.hold,
            params.confidence,
            recipes.HOLD,
        )
        last_found = known.get(name, {})
        if last_found.get("stamp") != fingerprint:
            why = find_anomalies(read(name), [*map(read, earlier)], params)
            last_found = {"stamp": fingerprint, "why": why}
        why = last_found["why"]
        found[name] = {"stamp": fingerprint, "why": why}
        if (
            LABEL not in held.get(last, [LABEL])
            and set(held[last]) <= set(why)
            and versions[last] != versions[name]
        ):
            beside = found[last]["stamp"]
            if last_found.get("beside") != beside:
                past = [read(before) for before in earlier if before != last]
                is_same = is_same_anomaly(read(name), read(last), past, params, held[last])
                last_found |= {"beside": beside, "alike": is_same}
            found[name] |= {"beside": beside, "alike": last_found["alike"]}
            if last_found["alike"]:  # the world has changed
                why = {column: says for column, says in why.items() if column not in held[last]}
                trusted.append(last)
                del held[last]
        outweighs = _rows([*held, name], done) > _rows(trusted, done)
        if (
            why
            and not outweighs
            and not _is_short(done.entries[name])
            and name not in params.accepted
        ):
            held[name] = why
        else:
            trusted.append(name)
        last = name
    for name, entry in found.items():
        entry["held"] = held.get(name, {})
    if found != known:
        write_entries(
            done.folder / HELD, {name: formats.stamp(entry) for name, entry in found.items()}
        )
    return held


def read_held(done: Manifest) -> dict[str, dict[str, str]]:
    """Return what `find_held` found last."""
    return {name: entry["held"] for name, entry in _read(done).items() if entry["held"]}


def _read(done: Manifest) -> dict[str, Any]:
    path = done.folder / HELD
    return {name: formats.unstamp(entry, path) for name, entry in read_entries(path).items()}


def describe_held(done: Manifest) -> list[str]:
    """Return a sentence for each batch that is held back: its rows, why, and what to do."""
    held, every = read_held(done), _rows(done.entries, done)
    return [
        f"{name} ({_rows([name], done):,} of {every:,} rows): {'; '.join(why.values())}; "
        f"if it is right, add {name!r} to drift.accepted in params.yaml"
        for name, why in held.items()
        if name in done.entries
    ]


def check_left(
    done: Manifest, used: Collection[str], learnt: Collection[str], least: float | None
) -> None:
    """Raise InputError where too few rows are left of those that the champion has learnt from.

    That is where the batches `used` have less than a share `least` of the rows of the batches
    `learnt`, of those that are still there. A history that falls out of training takes what it
    taught with it.
    """
    now, before = (
        _rows([name for name in names if name in done.entries], done) for names in (used, learnt)
    )
    if least is None or now >= least * before:
        return
    held = [name for name in read_held(done) if name in learnt]
    lost = sorted(set(learnt) & set(done.entries) - set(used))
    remedy = (
        f"{', '.join(held)}: held back (`evergreen status` says why): "
        "add what is right to drift.accepted"
        if held
        else f"{', '.join(lost)}: no longer among the newest split.train_batches: "
        "raise it, or set it to null for all of history"
    )
    raise InputError(
        f"only {now:,} rows are left to learn from, and the champion has learnt from {before:,}: "
        f"nothing is trained. Missing: {remedy}; where fewer rows are intended, lower "
        f"split.min_share ({least:g}) in params.yaml"
    )


def _is_short(entry: Entry) -> bool:
    """Return whether the rows have times, and these span less than a week."""
    if not entry["start"]:
        return False
    first, last = (datetime.fromisoformat(entry[edge]) for edge in ("start", "end"))
    return first < last < first + SHORTEST


def _rows(names: Iterable[str], done: Manifest) -> int:
    return sum(int(done.entries[name]["rows"]) for name in names)


def _large(names: Sequence[str], done: Manifest) -> list[str]:
    """Return the batches that are not small beside the others."""
    rows = [int(done.entries[name]["rows"]) for name in names]
    return [name for name, is_large in zip(names, are_large(rows), strict=True) if is_large]


def check_accepted(params: Drift, batches: Collection[str]) -> None:
    """Raise InputError where `drift.accepted` seems to misspell one of `batches`.

    A batch that is gone may stay there.
    """
    for name in params.accepted:
        near = difflib.get_close_matches(name, batches, n=1)
        if name not in batches and near:
            raise InputError(
                f"drift.accepted: data/raw holds no batch {name!r}: did you mean {near[0]!r}?"
            )
