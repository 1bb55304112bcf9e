"""Leaks: features and rows that are too good to be true stop the run before training.

Checked are: how well each feature predicts the label by itself; how well a few numbers do together;
rows that two parts of the split share by key; and rows of the holdout that earlier rows repeat,
features and label, all or nearly. What predicts the label nearly exactly stops the run; what is
merely strong is asked about, for only a person knows when it is known. What is known only later is
refused by name already when features are made.

What this cannot find: a leak as noisy as an honest feature is, and texts that predict the label
only together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evergreen.errors import InputError
from evergreen.params import Leaks
from evergreen.quality.multivariate import find_joint
from evergreen.quality.near_duplicates import BLOCKS, find_copies, find_near_copies, is_among
from evergreen.quality.univariate import FEWEST, MEASURES, Score, score_features
from evergreen.training.tables import Tables

PARTS = {"train": "training", "validation": "validation", "holdout": "holdout"}
NEARLY = "have, but for one feature and for rounding, the features and the label of"
LUCK = 3  # standard errors that a share of copies may be above what coincidence explains
# AUC or R2 of a feature that tells nothing
GUESSING = {"binary": 0.5, "multiclass": 0.5, "regression": 0.0}
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
class _Result:
    leaks: tuple[Leak, ...] = ()
    notes: tuple[str, ...] = ()


def find_leaks(tables: Tables, params: Leaks) -> tuple[Leak, ...]:
    """Return every leak; a check that is switched off (null) finds none."""
    return tuple(leak for found in _check_all(tables, params) for leak in found.leaks)


def check_leaks(tables: Tables, params: Leaks) -> tuple[str, ...]:
    """Raise InputError naming every leak; return notes for a person.

    That is each check that is switched off or cannot judge, and repeated rows that coincidence
    explains.
    """
    found = _check_all(tables, params)
    if leaks := [leak for check in found for leak in check.leaks]:
        listed = "\n".join(f"  {leak.says}" for leak in leaks)
        raise InputError(f"{len(leaks)} leak(s) found, nothing was trained:\n{listed}")
    return tuple(note for check in found for note in check.notes)


def _check_all(tables: Tables, params: Leaks) -> tuple[_Result, ...]:
    return (
        _check_features(tables, params),
        _check_keys(tables),
        _check_copies(tables, params.max_duplicates),
    )


# --- features


def _check_features(tables: Tables, params: Leaks) -> _Result:
    if unknown := sorted(set(params.trusted) - set(tables.features)):
        raise InputError(
            f"leaks.trusted: there is no feature {unknown[0]!r}; "
            f"there are {', '.join(tables.features)}"
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
        return _Result(notes=tuple(notes))
    scores = {
        name: score for name, score in score_features(tables).items() if np.isfinite(score.highest)
    }
    if not scores:
        what = (
            f"{FEWEST} labels that differ"
            if tables.task == "regression"
            else f"{FEWEST} rows of each of two classes"
        )
        lacking = (
            "no feature could be checked for giving the label away: "
            f"validation rows lack {what}, training rows too"
        )
        return _Result(notes=(*notes, lacking))
    exact = [
        name for name, score in scores.items() if score.sure > (params.max_single_score or np.inf)
    ]
    leaks = [
        _giving_away(name, scores[name], tables.task, params)
        for name in exact
        if name not in params.trusted
    ]
    if params.max_single_score is not None:
        leaks += _check_formulas(tables, exact, params.trusted)
    named = {*exact, *params.trusted, *(name for leak in leaks for name in leak.columns)}
    return _Result(tuple(leaks), (*_strong(scores, named, tables.task, params.stand_out), *notes))


def _check_formulas(tables: Tables, exact: Collection[str], trusted: Collection[str]) -> list[Leak]:
    """Return features that predict the label nearly exactly together, besides `exact` ones."""
    found = find_joint(tables, [name for name in tables.features if name not in exact])
    if found is None or set(found.names) <= set(trusted):
        return []
    names = listed_names(found.names)
    how = "alone predicts" if len(found.names) == 1 else "together predict"
    says = (
        f"feature{'s' if found.names[1:] else ''} {names} {how} the label nearly exactly, as a "
        "formula of numbers, their logarithms and products does "
        f"({MEASURES[tables.task]} {found.score:.4f}): if one of them is known only after the "
        f"event, {REMEDY}; if all are known in time, name each in leaks.trusted in params.yaml"
    )
    return [Leak("feature", " and ".join(found.names), found.score, says, found.names)]


def listed_names(names: Sequence[str]) -> str:
    """Return names in quotes, as a sentence lists them."""
    *others, last = (repr(name) for name in names)
    return f"{', '.join(others)} and {last}" if others else last


def _strong(
    scores: Mapping[str, Score], named: Collection[str], task: str, least: float | None
) -> list[str]:
    """Return a question for each feature that is strong, and not nearly exact."""
    known, notes = {name: score.highest for name, score in scores.items()}, []
    for name, score in known.items():
        if name in named:
            continue
        others = {other: value for other, value in known.items() if other not in (name, *named)}
        second = max(others, key=others.__getitem__, default=None)
        alone = (
            second is not None
            and least is not None
            and stands_out(score, others[second], GUESSING[task], least)
        )
        if not alone and not scores[name].sure >= STRONG:
            continue
        beside = (
            f", where no other comes near ({second!r}: {others[second]:.3f})"
            if alone and second
            else ""
        )
        notes.append(
            f"LOOK AT THIS FIRST: feature {name!r} alone predicts the label with {MEASURES[task]} "
            f"{score:.3f}{beside}: is it known at prediction time? If not, {REMEDY}; if it is, "
            "name it in leaks.trusted in params.yaml"
        )
    return notes


def _giving_away(name: str, score: Score, task: str, params: Leaks) -> Leak:
    newer = score.validation == score.highest
    says = (
        f"feature {name!r} alone predicts the label with {MEASURES[task]} {score.highest:.3f} on "
        f"{'validation rows' if newer else 'training rows (one half told by the other)'}, beyond "
        f"{params.max_single_score} (leaks.max_single_score): if it is known only after the event, "
        f"{REMEDY}; if it is honestly that good, name it in leaks.trusted in params.yaml"
    )
    return Leak("feature", name, score.highest, says, (name,))


def stands_out(score: float, second: float, guessing: float, least: float) -> bool:
    """Return whether a score has the `least` skill, and twice that of the `second` best.

    Skill is how far a score is from that of `guessing` (0) to a perfect one (1): an AUC of 0.75 has
    half of what there is.

    >>> stands_out(0.95, 0.70, 0.5, least=0.5), stands_out(0.95, 0.80, 0.5, least=0.5)
    (True, False)
    """
    skill, other = ((value - guessing) / (1 - guessing) for value in (score, second))
    return skill >= max(least, AHEAD * other)


# --- rows


def _check_keys(tables: Tables) -> _Result:
    """Return the rows that are in two parts of the split; a single row is a leak."""
    leaks = []
    for earlier, later in (
        ("train", "validation"),
        ("train", "holdout"),
        ("validation", "holdout"),
    ):
        known, keys = getattr(tables, earlier).keys, getattr(tables, later).keys
        if known is None or keys is None:
            return _Result(
                notes=(
                    "the rows carry no keys: none was looked for that is in two parts of the split",
                )
            )
        if shared := int(is_among(keys, known).sum()):
            leaks.append(_shared(shared, len(keys), PARTS[earlier], PARTS[later]))
    return _Result(tuple(leaks))


def _shared(shared: int, rows: int, earlier: str, later: str) -> Leak:
    says = (
        f"{shared:,} of {rows:,} {later} rows have the key of a {earlier} row, where none may: "
        "keep each row once in the source, or let key in dataset.py name what identifies a row"
    )
    return Leak("key", f"{earlier} and {later}", shared, says)


def _check_copies(tables: Tables, bound: float | None) -> _Result:
    """Return the holdout rows whose features and label an earlier row has, exactly or nearly.

    Where features have few values, equal rows are no copies: a flight like any other. Only what the
    holdout has beyond what earlier blocks repeat of one another counts against the bound; a note
    says so then.
    """
    if bound is None:
        note = (
            "leaks.max_duplicates is null: no holdout row was compared with the rows that a model "
            "learns from"
        )
        return _Result(notes=(note,))
    if not len(tables.holdout):
        return _Result()
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
    return _Result(near.leaks, exact.notes)


def _judge_copies(count: int, expected: float, rows: int, bound: float, how: str) -> _Result:
    """Return a leak where too many holdout rows repeat others, a note where that is coincidence.

    How: the share of rows that repeat others must exceed the share `expected` by coincidence by
    more than the bound, and by three standard errors of such a share besides.
    """
    share = count / rows
    if share <= bound:
        return _Result()
    found = f"{count:,} of {rows:,} holdout rows ({share:.1%}) {how} an earlier row"
    error = (expected * (1 - expected) / rows) ** 0.5
    if share - expected <= bound + LUCK * error:
        note = (
            f"{found}; up to {expected:.1%} of a block of earlier rows do so "
            "too, as where features have few values: if no two rows should be equal, "
            "check the source for copies"
        )
        return _Result(notes=(note,))
    says = (
        f"{found}, where at most {expected:.1%} of a block of earlier rows have: "
        f"that is more than {bound:.1%} beyond (leaks.max_duplicates): keep each row once in the "
        "source, or, if such rows do come again, raise the bound in params.yaml"
    )
    return _Result((Leak("duplicate", "holdout", share, says),))
