"""Leaks: what looks too good to be known at prediction time stops the run before anything is trained.

Looked at are: what each feature tells of the label by itself; what a few numbers tell together;
rows that two parts of the split share by key; and rows of the holdout that earlier rows repeat,
features and label, all or nearly. What tells the label nearly exactly stops the run; what is merely
strong is asked about, for only a person knows when it is known. What is known only later is refused
by name already in `data/prepare.py`.

What this cannot see: a leak as noisy as an honest feature is, and texts that tell the label only
together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evergreen.errors import InputError
from evergreen.params import Leaks
from evergreen.quality.multivariate import find_joint
from evergreen.quality.near_duplicates import BLOCKS, find_copies, find_near_copies
from evergreen.quality.univariate import FEWEST, MEASURES, Score, score_features
from evergreen.training.tables import Tables

PARTS = {"train": "training", "validation": "validation", "holdout": "holdout"}
NEARLY = "have, but for one feature and for rounding, the features and the label of"
LUCK = 3  # standard errors that a share of copies may be above what coincidence explains
STRONG = 0.98  # AUC or R2 of a feature that a person should look at
REMEDY = "take it out of features and add its columns to known_later in dataset.py"
# Of a holdout, and of a block of training rows, that near copies are looked for in
FEWEST_ROWS = 30
AHEAD = 2.0  # a feature stands out if it has so many times the skill of the next best


@dataclass(frozen=True)
class Leak:
    """One thing that is too good to be true.

    `kind`: "feature", "key" or "duplicate". `name`: the column, or the parts of the split whose
    rows these are.
    `value`: the score, the number of rows, or the share of rows. `says`: all of it in words, with
    bound and remedy.
    `columns`: the features that it is about.
    """

    kind: str
    name: str
    value: float
    says: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    leaks: tuple[Leak, ...] = ()
    notes: tuple[str, ...] = ()


def find_leaks(tables: Tables, params: Leaks) -> tuple[Leak, ...]:
    """Return every leak there is; those of a check that is switched off (null) are not looked for."""
    return tuple(leak for found in _look(tables, params) for leak in found.leaks)


def check_leaks(tables: Tables, params: Leaks) -> tuple[str, ...]:
    """Raise InputError naming every leak; return what a person must be told all the same.

    That is each check that is switched off or cannot judge, and repeated rows that coincidence
    explains.
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
        _look_at_copies(tables, params.max_duplicates),
    )


# --- features
# --------------------------------------------------------------------------------------------------


def _look_at_features(tables: Tables, params: Leaks) -> _Found:
    if unknown := sorted(set(params.trusted) - set(tables.features)):
        raise InputError(
            f"leaks.trusted: there is no feature {unknown[0]!r}; there are {', '.join(tables.features)}"
        )
    notes = [
        f"leaks.{name} is null: no feature was checked for {what}"
        for name, what, bound in (
            ("max_single_score", "giving the label away", params.max_single_score),
            ("stand_out", "knowing far more than every other", params.stand_out),
        )
        if bound is None
    ]
    notes += [
        f"feature {name!r} is trusted (leaks.trusted): it was not checked"
        for name in params.trusted
    ]
    if params.max_single_score is None and params.stand_out is None:
        return _Found(notes=tuple(notes))
    scores = {
        name: score for name, score in score_features(tables).items() if np.isfinite(score.highest)
    }
    if not scores:
        what = (
            f"{FEWEST} labels that differ"
            if tables.task == "regression"
            else f"{FEWEST} rows of each of two classes"
        )
        lacking = f"no feature could be checked for giving the label away: validation rows lack {what}, training rows too"
        return _Found(notes=(*notes, lacking))
    exact = [
        name for name, score in scores.items() if score.sure > (params.max_single_score or np.inf)
    ]
    leaks = [
        _giving_away(name, scores[name], tables.task, params)
        for name in exact
        if name not in params.trusted
    ]
    if params.max_single_score is not None:
        leaks += _look_at_formulas(tables, exact, params.trusted)
    named = {*exact, *params.trusted, *(name for leak in leaks for name in leak.columns)}
    return _Found(tuple(leaks), (*_strong(scores, named, tables.task, params.stand_out), *notes))


def _look_at_formulas(
    tables: Tables, exact: Collection[str], trusted: Collection[str]
) -> list[Leak]:
    """Look for features that together tell the label nearly exactly, besides those that do so alone."""
    found = find_joint(tables, [name for name in tables.features if name not in exact])
    if found is None or set(found.names) <= set(trusted):
        return []
    names = listed_names(found.names)
    how = "alone tells" if len(found.names) == 1 else "together tell"
    says = (
        f"feature{'s' if found.names[1:] else ''} {names} {how} the label nearly exactly, as a formula of numbers, their "
        f"logarithms and products does ({MEASURES[tables.task]} {found.score:.4f}): if one of them is known only after "
        f"the event, {REMEDY}; if all are known in time, name each in leaks.trusted in params.yaml"
    )
    return [Leak("feature", " and ".join(found.names), found.score, says, found.names)]


def listed_names(names: Sequence[str]) -> str:
    """Return names in quotes, as a sentence lists them."""
    *others, last = (repr(name) for name in names)
    return f"{', '.join(others)} and {last}" if others else last


def _strong(
    scores: Mapping[str, Score], named: Collection[str], task: str, least: float | None
) -> list[str]:
    """Return a question for each feature that is strong, and not nearly exact: a person knows whether it may be."""
    known, notes = {name: score.highest for name, score in scores.items()}, []
    for name, score in known.items():
        if name in named:
            continue
        others = {other: value for other, value in known.items() if other not in (name, *named)}
        second = max(others, key=others.__getitem__, default=None)
        alone = (
            second is not None
            and least is not None
            and stands_out(score, others[second], task, least)
        )
        if not alone and not scores[name].sure >= STRONG:
            continue
        beside = (
            f", where no other comes near ({second!r}: {others[second]:.3f})"
            if alone and second
            else ""
        )
        notes.append(
            f"LOOK AT THIS FIRST: feature {name!r} alone tells the label with {MEASURES[task]} {score:.3f}{beside}: is it "
            f"known when a prediction is asked for? If not, {REMEDY}; if it is, name it in leaks.trusted in params.yaml"
        )
    return notes


def _giving_away(name: str, score: Score, task: str, params: Leaks) -> Leak:
    newer = score.validation == score.highest
    says = (
        f"feature {name!r} alone tells the label with {MEASURES[task]} {score.highest:.3f} on "
        f"{'validation rows' if newer else 'training rows (one half told by the other)'}, beyond "
        f"{params.max_single_score} (leaks.max_single_score): if it is known only after the event, {REMEDY}; if it is "
        "honestly that good, name it in leaks.trusted in params.yaml"
    )
    return Leak("feature", name, score.highest, says, (name,))


def stands_out(score: float, second: float, task: str, least: float) -> bool:
    """Say whether a score has the `least` skill, and far more of it than the `second` best."""
    return _skill(score, task) >= max(least, AHEAD * _skill(second, task))


def _skill(score: float, task: str) -> float:
    return score if task == "regression" else 2 * score - 1  # 0: worth nothing, 1: perfect


# --- rows
# --------------------------------------------------------------------------------------------------


def _look_at_keys(tables: Tables) -> _Found:
    """Look for rows that are in two parts of the split; one is too many."""
    leaks = []
    for earlier, later in (
        ("train", "validation"),
        ("train", "holdout"),
        ("validation", "holdout"),
    ):
        known, keys = getattr(tables, earlier).keys, getattr(tables, later).keys
        if known is None or keys is None:
            return _Found(
                notes=(
                    "the rows carry no keys: none was looked for that is in two parts of the split",
                )
            )
        if shared := int(np.isin(keys, known).sum()):
            leaks.append(_shared(shared, len(keys), PARTS[earlier], PARTS[later]))
    return _Found(tuple(leaks))


def _shared(shared: int, rows: int, earlier: str, later: str) -> Leak:
    says = (
        f"{shared:,} of {rows:,} {later} rows have the key of a {earlier} row, where none may: keep each row once in "
        "the source, or let key in dataset.py name what tells rows apart"
    )
    return Leak("key", f"{earlier} and {later}", shared, says)


def _look_at_copies(tables: Tables, bound: float | None) -> _Found:
    """Look for holdout rows whose features and label an earlier row has as well, all of them or nearly.

    Where features have few values, equal rows are no copies: a flight like any other. Only what the
    holdout has beyond what earlier blocks repeat of one another counts against the bound; a note
    says so then.
    """
    if bound is None:
        note = "leaks.max_duplicates is null: no holdout row was compared with the rows that a model learns from"
        return _Found(notes=(note,))
    if not len(tables.holdout):
        return _Found()
    exact = _judge_copies(
        *find_copies(tables), len(tables.holdout), bound, "have the features and the label of"
    )
    if (
        exact.leaks
        or len(tables.features) < 2
        or min(len(tables.holdout), len(tables.train) // BLOCKS) < FEWEST_ROWS
    ):
        return exact
    near = _judge_copies(*find_near_copies(tables), len(tables.holdout), bound, NEARLY)
    return _Found(near.leaks, exact.notes)


def _judge_copies(count: int, expected: float, rows: int, bound: float, how: str) -> _Found:
    """Hold the `count` of holdout rows that repeat others against the bound and the share `expected` by coincidence."""
    share = count / rows
    if share <= bound:
        return _Found()
    told = f"{count:,} of {rows:,} holdout rows ({share:.1%}) {how} an earlier row"
    error = (expected * (1 - expected) / rows) ** 0.5
    if share - expected <= bound + LUCK * error:
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
