"""Judge: gather what the gate must know of a challenger, from the newest rows and the two models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from evergreen import dataset
from evergreen.data.definition import LostError
from evergreen.data.keys import hash_rows
from evergreen.data.split import GROUP, LABEL, SLICE, TIME
from evergreen.errors import InputError
from evergreen.life.compare import (
    FEWEST_OF_CLASS,
    FEWEST_ROWS,
    Comparison,
    Resampling,
    Rows,
    Side,
    blocks_of,
    check_unseen,
    compare,
    difference,
    is_defined,
)
from evergreen.life.decide import KEEP, Decision, Evidence
from evergreen.life.fairness import find_group_differences
from evergreen.life.leaks import listed_names, stands_out
from evergreen.life.rollback import decide_rollback
from evergreen.model.evaluate import predict
from evergreen.model.metrics import calibration_error, pick_metric
from evergreen.model.package import Model
from evergreen.params import Params

Array = np.ndarray[Any, np.dtype[Any]]
LEAP = 0.5  # skill (2 AUC - 1, or R2), twice the champion's, that new features are not believed to bring unasked


@dataclass(frozen=True)
class Candidate:
    """A version of the registry: its packaged model, and the boosters of every seed of its sweep.

    `own`: gives rows of features files the features that it was made for, where dataset.py has others by now.
    """

    version: str
    model: Model = field(repr=False)
    seeds: tuple[bytes, ...] = field(repr=False)
    own: Callable[[pl.DataFrame], pl.DataFrame] = field(repr=False, default=lambda rows: rows)

    def known(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return `rows` as it knows them. Raises LostError where it cannot know them all any more."""
        found = self.own(rows)
        if found.height != rows.height:
            raise LostError(
                f"{rows.height - found.height:,} of {rows.height:,} rows are none to version {self.version}"
            )
        return found

    def see(self, rows: pl.DataFrame) -> Side:
        """Return what it says of `rows`.

        Raises InputError where they lack a feature that it needs, or a prediction is no number.
        """
        x = self.model.encoder.transform(rows)
        seeds = tuple(predict(one, x, self.model.learner) for one in self.seeds)
        packaged = self.model.predict_rows(rows)
        for one in (packaged, *seeds):
            if unknown := int(np.isnan(one).reshape(len(one), -1).any(axis=1).sum()):
                raise InputError(f"version {self.version} predicts no number for {unknown:,} of {len(one):,} rows")
        return Side(packaged, seeds, averaged=len(self.model.seeds) > 1)


@dataclass(frozen=True)
class Judged:
    """What the gate must know; and for pictures the labels and each model's predictions for the same rows."""

    evidence: Evidence
    y: Array = field(repr=False)
    predictions: dict[str, Array] = field(repr=False)  # "champion" (where there is one), "challenger"


def judge(
    rows: pl.DataFrame,
    challenger: Candidate,
    champion: Candidate | None,
    baselines: Mapping[str, Array],
    afresh: Array,
    params: Params,
    notes: tuple[str, ...] = (),
) -> Judged:
    """Return what `rows` (a features file's columns) say of the challenger beside the champion and the baselines.

    `afresh`: what the challenger predicts for them where a new process loads it from the registry. What keeps the
    champion from being compared becomes a fault in the evidence, which no gate lets pass; but where dataset.py was
    changed so that no comparison can ever be made, a person decides.
    """
    encoder = challenger.model.encoder
    y, side, faults = encoder.transform_label(rows[LABEL]), challenger.see(rows), []
    other, changed = None, _changes(champion, challenger) if champion else ()
    try:
        _check_claims(rows, challenger, side)
        check_unseen(hash_rows(rows), challenger=challenger.model.learnt.keys)
    except InputError as error:
        faults.append(f"it cannot be compared: {error}")
    try:
        other = _see_champion(rows, champion) if champion and not changed else None
    except LostError as error:
        changed = (str(error),)
    except InputError as error:
        faults.append(f"it cannot be compared: {error}")
    metric = pick_metric(params.gate.metric, encoder.task)
    if not is_defined(encoder.task, y):
        faults.append(
            f"it cannot be compared: the {len(y):,} rows of the holdout are too few, or of one class; {metric} needs "
            f"{FEWEST_ROWS} at least, of a binary label {FEWEST_OF_CLASS} of either class: wait for more rows"
        )
    if faults:
        other = None  # a number beside the fault would be read as if it held
    how = Resampling(params.evaluate.resamples, params.evaluate.confidence, params.sweep.first_seed)
    found = compare(Rows(encoder.task, y, _slices(rows), days_of(rows)), other, side, baselines, metric, how)
    declared = [name for name in rows.columns if name.startswith(GROUP)]
    groups = {name.removeprefix(GROUP): rows[name].fill_null("missing").to_numpy() for name in declared}
    evidence = Evidence(
        comparison=found,
        champion=champion.version if champion else None,
        champion_age_days=_age(rows, champion) if champion else None,
        calibration=(
            calibration_error(encoder.task, y, other.prediction) if other else None,
            calibration_error(encoder.task, y, side.prediction),
        ),
        groups=find_group_differences(encoder.task, y, side.prediction, groups, params.gate.threshold),
        reload=_distance(afresh, side.prediction),
        seeds_expected=params.sweep.seeds,
        notes=notes,
        faults=tuple(faults),
        questions=_questions(found, challenger, champion, params.leaks.trusted),
        changed=changed,
    )
    seen = {"champion": other.prediction} if other else {}
    return Judged(evidence, y, seen | {"challenger": side.prediction})


def _questions(
    found: Comparison, challenger: Candidate, champion: Candidate | None, trusted: Collection[str]
) -> tuple[str, ...]:
    """Return what a person must say of features that the champion lacks, and that make far more of it than it knew."""
    one = found.whole.get("roc_auc" if found.task == "binary" else "r2")
    if champion is None or one is None or not stands_out(one.challenger, one.champion, found.task, LEAP):
        return ()
    known = {*champion.model.encoder.features, *trusted}
    new = [name for name in challenger.model.encoder.features if name not in known]
    if not new:
        return ()
    says = (
        f"with {listed_names(new)}, which the champion lacks, it knows far more than the champion: are they known when a "
        "prediction is asked for? If not, take them out of FEATURES; if they are, `evergreen promote --approve`, or name "
        "them in leaks.trusted in params.yaml"
    )
    return (says,)


def judge_rollback(rows: pl.DataFrame, present: Candidate, before: Candidate, metric: str, params: Params) -> Decision:
    """Return whether the champion `before` shall be back, by labelled `rows` that came after both.

    Both are seen as the gate sees them: with the noise of rows and of seeds. What cannot be compared stays.
    """
    try:
        if changed := _changes(before, present):
            raise InputError("; ".join(changed))
        for one in (present, before) if not dataset.TIME else ():  # rows that hold the same as one that was learnt from
            seen = np.isin(hash_rows(one.known(rows)), one.model.learnt.keys)
            rows = rows.filter(~seen)  # tell nothing
        old, new = _see_champion(rows, before), _see_champion(rows, present)
        y = present.model.encoder.transform_label(present.known(rows)[LABEL])
    except InputError as error:
        return Decision(KEEP, (f"the champion before cannot be compared: {error}",), {"rules": []})
    whole = Rows(present.model.encoder.task, y, {}, days_of(rows))
    how = Resampling(params.evaluate.resamples, params.evaluate.confidence, params.sweep.first_seed)
    seeds = difference(whole, metric, new, old, how)
    models = difference(whole, metric, Side(new.prediction), Side(old.prediction), how)
    return decide_rollback(seeds, models, params.retrain, params.gate.min_gain, params.gate.min_probability, metric)


def _check_claims(rows: pl.DataFrame, challenger: Candidate, side: Side) -> None:
    """Raise InputError where what a model says of its own making cannot be."""
    learnt = challenger.model.learnt
    if not len(learnt.keys):
        raise InputError("the challenger does not say which rows it has learnt from")
    first = rows[TIME].cast(pl.Datetime("us")).min()
    if dataset.TIME and isinstance(first, datetime) and datetime.fromisoformat(learnt.newest) > first:
        raise InputError(f"the challenger has learnt from rows up to {learnt.newest}, later than some it is judged by")
    whole = np.mean(side.seeds, axis=0) if side.averaged else None
    known = [whole] if whole is not None else side.seeds
    if not any(one.tobytes() == side.prediction.tobytes() for one in known):
        raise InputError("the packaged model is none of its own sweep: its seeds predict otherwise")


def _changes(champion: Candidate, challenger: Candidate) -> tuple[str, ...]:
    """Return why the two can never be compared: since they answer different questions, say."""
    found = tuple(champion.model.definition.changes(challenger.model.definition))
    old, new = champion.model.encoder, challenger.model.encoder
    if not found and (old.task, old.classes) != (new.task, new.classes):
        was, now = (f"{one.task} of {', '.join(one.classes) or 'a number'}" for one in (old, new))
        return (f"it predicts {was}, the challenger {now}",)
    return found


def _see_champion(rows: pl.DataFrame, champion: Candidate) -> Side:
    rows = champion.known(rows)
    check_unseen(hash_rows(rows), champion=champion.model.learnt.keys)
    return champion.see(rows)


def days_of(rows: pl.DataFrame) -> Array | None:
    """Return the day of each row: weather, strikes and sales make the rows of a day alike. None where days are few."""
    return blocks_of(rows[TIME].dt.date().to_physical().to_numpy())


def _slices(rows: pl.DataFrame) -> dict[str, Array]:
    found = {}
    for column in (name for name in rows.columns if name.startswith(SLICE)):
        counts = rows[column].drop_nulls().value_counts().sort(column)
        for level, count in counts.iter_rows():
            if count >= FEWEST_ROWS:
                found[f"{column.removeprefix(SLICE)}={level}"] = (
                    (rows[column] == level).fill_null(value=False).to_numpy()
                )
    return found


def _age(rows: pl.DataFrame, champion: Candidate) -> float:
    newest = datetime.fromisoformat(str(rows[TIME].max()))  # of a day or a moment
    return (newest - datetime.fromisoformat(champion.model.learnt.newest)).total_seconds() / 86_400


def _distance(one: Array, other: Array) -> float:
    if one.shape != other.shape:
        return float("inf")
    return (
        0.0
        if one.tobytes() == other.tobytes()
        else float(np.max(np.abs(one.astype(float) - other.astype(float)))) or 1e-300
    )
