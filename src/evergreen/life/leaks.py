"""Leaks: what looks too good to be known at prediction time stops the run before anything is trained.

Three things are looked at: what each feature tells of the label by itself, rows that two parts of the split share by
key, and rows of the holdout that earlier rows repeat, features and label alike. What is known only later is refused by
name already in `data/prepare.py`; here it is found by what it does, whatever it is called.

What this cannot see: a leak that takes two features together (arrival time and scheduled arrival time, each harmless
alone), and a leak so noisy that an honest feature of another project does as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.life.single_scores import FEWEST, MEASURES, Score, score_features
from evergreen.model.tables import Table, Tables
from evergreen.params import Leaks

Array = np.ndarray[Any, np.dtype[Any]]

PARTS = {"train": "training", "validation": "validation", "holdout": "holdout"}
BLOCKS = 10  # of the rows before the holdout
AHEAD = 2.0  # a feature stands out if it has so many times the skill of the next best


@dataclass(frozen=True)
class Leak:
    """One thing that is too good to be true.

    `kind`: "feature", "key" or "duplicate". `name`: the column, or the parts of the split whose rows these are.
    `value`: the score, the number of rows, or the share of rows. `says`: all of it in words, with bound and remedy.
    """

    kind: str
    name: str
    value: float
    says: str


@dataclass(frozen=True)
class _Found:
    leaks: tuple[Leak, ...] = ()
    notes: tuple[str, ...] = ()


def find_leaks(tables: Tables, params: Leaks) -> tuple[Leak, ...]:
    """Return every leak there is; those of a check that is switched off (null) are not looked for."""
    return tuple(leak for found in _look(tables, params) for leak in found.leaks)


def check_leaks(tables: Tables, params: Leaks) -> tuple[str, ...]:
    """Raise InputError naming every leak; return what a person must be told all the same.

    That is each check that is switched off or cannot judge, and repeated rows that coincidence explains.
    """
    found = _look(tables, params)
    if leaks := [leak for one in found for leak in one.leaks]:
        listed = "\n".join(f"  {leak.says}" for leak in leaks)
        raise InputError(f"{len(leaks)} leak(s) found, nothing was trained:\n{listed}")
    return tuple(note for one in found for note in one.notes)


def _look(tables: Tables, params: Leaks) -> tuple[_Found, ...]:
    return (
        _look_at_features(tables, params),
        _look_at_keys(tables),
        _look_at_duplicates(tables, params.max_duplicates),
    )


# --- features ---------------------------------------------------------------------------------------------------------


def _look_at_features(tables: Tables, params: Leaks) -> _Found:
    if unknown := sorted(set(params.trusted) - set(tables.features)):
        raise InputError(f"leaks.trusted: there is no feature {unknown[0]!r}; there are {', '.join(tables.features)}")
    notes = [
        f"leaks.{name} is null: no feature was checked for {what}"
        for name, what, bound in (
            ("max_single_score", "giving the label away by itself", params.max_single_score),
            ("stand_out", "knowing far more than every other", params.stand_out),
        )
        if bound is None
    ]
    notes += [f"feature {name!r} is trusted (leaks.trusted): it was not checked" for name in params.trusted]
    if len(notes) - len(params.trusted) == 2:
        return _Found(notes=tuple(notes))
    scores = score_features(tables)
    known = {name: one.highest for name, one in scores.items() if np.isfinite(one.highest)}
    if not known:
        what = (
            f"{FEWEST} labels that differ" if tables.task == "regression" else f"{FEWEST} rows of each of two classes"
        )
        lacking = (
            f"no feature could be checked for giving the label away: validation rows lack {what}, training rows too"
        )
        return _Found(notes=(*notes, lacking))
    leaks = [
        _giving_away(name, scores[name], tables.task, why)
        for name in known
        if name not in params.trusted and (why := _too_good(name, known, tables.task, params))
    ]
    return _Found(tuple(leaks), tuple(notes))


def _too_good(name: str, known: Mapping[str, float], task: str, params: Leaks) -> str | None:
    """Say why the score of a feature is not believed; None where it is."""
    if params.max_single_score is not None and known[name] > params.max_single_score:
        return f"beyond {params.max_single_score} (leaks.max_single_score)"
    others = {other: score for other, score in known.items() if other != name}
    if params.stand_out is None or not others:
        return None
    second = max(others, key=others.__getitem__)
    if not stands_out(known[name], others[second], task, params.stand_out):
        return None
    return f"where no other comes near ({second!r}: {others[second]:.3f}; leaks.stand_out)"


def _giving_away(name: str, score: Score, task: str, why: str) -> Leak:
    newer = score.validation == score.highest
    says = (
        f"feature {name!r} alone tells the label with {MEASURES[task]} {score.highest:.3f} on "
        f"{'validation rows' if newer else 'training rows (one half told by the other)'}, {why}: if it is known only "
        "after the event, take it out of FEATURES and add its columns to KNOWN_LATER in dataset.py; if it is honestly "
        "that good, name it in leaks.trusted in params.yaml"
    )
    return Leak("feature", name, score.highest, says)


def stands_out(score: float, second: float, task: str, least: float) -> bool:
    """Say whether a score has the `least` skill, and far more of it than the `second` best."""
    return _skill(score, task) >= max(least, AHEAD * _skill(second, task))


def _skill(score: float, task: str) -> float:
    return score if task == "regression" else 2 * score - 1  # 0: worth nothing, 1: perfect


# --- rows -------------------------------------------------------------------------------------------------------------


def _look_at_keys(tables: Tables) -> _Found:
    """Look for rows that are in two parts of the split; one is too many."""
    leaks = []
    for earlier, later in (("train", "validation"), ("train", "holdout"), ("validation", "holdout")):
        known, keys = getattr(tables, earlier).keys, getattr(tables, later).keys
        if known is None or keys is None:
            return _Found(notes=("the rows carry no keys: none was looked for that is in two parts of the split",))
        if shared := _count_in(keys, known):
            leaks.append(_shared(shared, len(keys), PARTS[earlier], PARTS[later]))
    return _Found(tuple(leaks))


def _shared(shared: int, rows: int, earlier: str, later: str) -> Leak:
    says = (
        f"{shared:,} of {rows:,} {later} rows have the key of a {earlier} row, where none may: keep each row once in "
        "the source, or let KEY in dataset.py name what tells rows apart"
    )
    return Leak("key", f"{earlier} and {later}", shared, says)


def _look_at_duplicates(tables: Tables, bound: float | None) -> _Found:
    """Look for holdout rows whose features and label, all of them, an earlier row has as well (missing equals missing).

    Where features have few values, equal rows are no copies: a flight like any other. How many to expect is seen in the
    rows before the holdout, cut by time into ten blocks: the largest share of a block's rows that other blocks repeat.
    Only what the holdout has beyond that counts against the bound, so nothing is found where earlier blocks repeat one
    another as much; a note says so then. Rows that equal one another within a block count nowhere.
    """
    if bound is None:
        note = "leaks.max_duplicates is null: no holdout row was compared with the rows that a model learns from"
        return _Found(notes=(note,))
    pool, rows = np.concatenate([_hash(tables.train), _hash(tables.validation)]), _hash(tables.holdout)
    repeated = _count_in(rows, pool)
    share = repeated / max(1, len(rows))
    if share <= bound:
        return _Found()
    expected = _share_by_chance(pool)
    told = f"{repeated:,} of {len(rows):,} holdout rows ({share:.1%}) have the features and the label of an earlier row"
    if share - expected <= bound:
        note = (
            f"{told}; up to {expected:.1%} of a block of earlier rows have so too, as where features have few values: "
            "if no two rows should be alike, look for copies in the source"
        )
        return _Found(notes=(note,))
    says = (
        f"{told}, where at most {expected:.1%} of a block of earlier rows have: that is more than {bound:.1%} beyond "
        "(leaks.max_duplicates): keep each row once in the source, or, if such rows do come again, raise the bound in "
        "params.yaml"
    )
    return _Found((Leak("duplicate", "holdout", share, says),))


def _share_by_chance(pool: Array) -> float:
    """Return the largest share of a block's rows that another block has as well; `pool`: hashes, in order of time."""
    blocks = np.arange(len(pool)) * BLOCKS // max(1, len(pool))
    distinct, at, which = np.unique(pool, return_index=True, return_inverse=True)
    last = np.zeros(len(distinct), dtype=blocks.dtype)
    last[which] = blocks  # blocks ascend: the last one stays
    elsewhere = blocks[at][which] != last[which]
    shares = np.bincount(blocks, elsewhere) / np.maximum(np.bincount(blocks), 1)
    return float(shares.max(initial=0))


def _count_in(rows: Array, known: Array) -> int:
    """Return how many of `rows` are among `known`; a sort of `known` is all it costs."""
    ordered = np.sort(known)
    found = np.searchsorted(ordered, rows, side="left") < np.searchsorted(ordered, rows, side="right")
    return int(found.sum())


def _hash(table: Table) -> Array:
    """Return a 64-bit hash of each row's features and label, shape (rows,); NaN equals NaN, and 0 equals -0."""
    import polars as pl

    return pl.from_numpy(table.x).with_columns(label=pl.Series(table.y)).hash_rows().to_numpy()
