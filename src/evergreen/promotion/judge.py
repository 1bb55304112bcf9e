"""Judge: what the gate must know of a challenger, from the newest rows and the two models."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from evergreen.errors import InputError
from evergreen.evaluation.calibration import calibration_error
from evergreen.evaluation.held_out import HeldOut
from evergreen.features.definition import LostError
from evergreen.features.keys import hash_rows
from evergreen.features.split import GROUP, LABEL, SLICE, TIME
from evergreen.params import Params
from evergreen.promotion.candidate import Candidate, days_of, resampling_of
from evergreen.promotion.compare import (
    FEWEST_OF_CLASS,
    FEWEST_ROWS,
    Comparison,
    Rows,
    Side,
    check_unseen,
    compare,
    difference,
    is_defined,
)
from evergreen.promotion.evidence import Evidence
from evergreen.promotion.fairness import find_group_differences
from evergreen.quality.leaks import listed_names, stands_out
from evergreen.training.learner import is_seedless

Array = np.ndarray[Any, np.dtype[Any]]
# Of the holdout's rows that both can be judged by; with fewer nothing is compared
FEWEST_SHARE = 0.5
# Skill, twice the champion's, that new features are not believed to bring unasked: how far from
# guessing (0) to perfect (1), by AUC, R2 or, for several classes, balanced accuracy
LEAP = 0.5
SKILL = {"binary": "roc_auc", "regression": "r2", "multiclass": "balanced_accuracy"}


NOTHING = HeldOut(np.empty(0, np.uint64), np.empty(0), ())


@dataclass(frozen=True)
class Judged:
    """What the gate must know; for pictures, labels and predictions of the same rows."""

    evidence: Evidence
    y: Array = field(repr=False)
    # "champion" (where there is one), "challenger"
    predictions: dict[str, Array] = field(repr=False)
    held_out: HeldOut = field(repr=False, default=NOTHING)  # the challenger's predictions


def judge(
    rows: pl.DataFrame,
    challenger: Candidate,
    champion: Candidate | None,
    baselines: Mapping[str, Array],
    params: Params,
    notes: tuple[str, ...] = (),
    *,
    refresh: bool = False,
    simplest: str = "",
) -> Judged:
    """Return how the challenger does on `rows` beside the champion and the baselines.

    `rows`: columns of a features file. For a champion that was refit on some of them its
    predictions from before the refit count. What keeps it from being compared becomes a fault in
    the evidence, which no gate lets pass; but where dataset.py was changed so that no comparison
    can ever be made, a person decides.
    `refresh`, `simplest`: see `Evidence`.
    """
    encoder = challenger.model.encoder
    y, faults = encoder.transform_label(rows[LABEL]), []
    side = challenger.predict_unseen(rows) if challenger.held_out else challenger.predict(rows)
    held_out = HeldOut.of(hash_rows(rows), side.prediction, side.seeds)
    other, changed = None, find_changes(champion, challenger) if champion else ()
    try:
        _check_claims(rows, challenger, side)
    except InputError as error:
        faults.append(f"it cannot be compared: {error}")
    try:
        if champion and not changed:
            both = champion.can_judge(champion.with_own_features(rows))
            # Of few rows, all judge
            many = FEWEST_ROWS if challenger.held_out else FEWEST_SHARE * len(both)
            if many <= both.sum() < len(both) and (champion.held_out or challenger.held_out):
                notes = (*notes, _left_out(both))
                rows, y, side = rows.filter(both), y[both], _some(side, both)
                baselines = {name: predicted[both] for name, predicted in baselines.items()}
            other = predict_champion(rows, champion)
    except LostError as error:
        changed = (str(error),)
    except InputError as error:
        faults.append(f"it cannot be compared: {error}")
    metric = params.metrics.pick(params.gate.metric, encoder.task)
    if not is_defined(encoder.task, y):
        faults.append(
            f"it cannot be compared: the {len(y):,} rows of the holdout are too few, or of one "
            f"class; {metric} needs {FEWEST_ROWS} rows, and {FEWEST_OF_CLASS} of either class of a "
            "binary label: wait for more rows"
        )
    if faults:
        other = None  # a number beside the fault would be taken for a result
    how = resampling_of(params)
    found = compare(
        Rows(encoder.task, y, _slices(rows), days_of(rows), params.metrics),
        other,
        side,
        baselines,
        metric,
        how,
    )
    declared = [name for name in rows.columns if name.startswith(GROUP)]
    groups = {
        name.removeprefix(GROUP): rows[name].fill_null("missing").to_numpy() for name in declared
    }
    evidence = Evidence(
        comparison=found,
        champion=champion.version if champion else None,
        champion_age_days=_age(rows, champion) if champion else None,
        calibration=(
            _miss(encoder.task, y, other, params) if other else None,
            _miss(encoder.task, y, side, params),
        ),
        groups=find_group_differences(
            encoder.task, y, side.prediction, groups, params.gate.threshold
        ),
        reload=None,
        seeds_expected=params.sweep.seeds,
        notes=notes,
        faults=tuple(faults),
        questions=_questions(found, challenger, champion, params.leaks.trusted),
        changed=changed,
        refresh=refresh and champion is not None,
        cross_validated=challenger.held_out is not None,
        useful=""
        if champion or faults
        else _find_use(encoder.task, y, side, baselines, days_of(rows), params),
        seedless=tuple(
            name
            for name, model in (("champion", champion), ("challenger", challenger))
            if model and is_seedless(model.model.learner)
        ),
        simplest=simplest,
    )
    seen = {"champion": other.prediction} if other else {}
    return Judged(evidence, y, seen | {"challenger": side.prediction}, held_out)


def _miss(task: str, y: Array, side: Side, params: Params) -> float:
    """Return the calibration error of a model's predictions, of what `train.loss` aims at."""
    return calibration_error(task, y, side.prediction, quantile=params.train.aimed_quantile())


def _find_use(
    task: str,
    y: Array,
    side: Side,
    baselines: Mapping[str, Array],
    days: Array | None,
    params: Params,
) -> str:
    """Return the loss in which the model surely beats a constant; empty where it does not."""
    loss = params.metrics.loss(task)
    if "constant" not in baselines:
        return ""
    lead = difference(
        Rows(task, y, blocks=days, metrics=params.metrics),
        loss,
        Side(baselines["constant"]),
        Side(side.prediction),
        resampling_of(params),
    )
    return loss if lead and lead.low > 0 else ""


def _left_out(both: Array) -> str:
    return (
        f"{int((~both).sum()):,} of {len(both):,} rows of the holdout are left out of the "
        "comparison: the champion has learnt from them, and was not judged by them before"
    )


def _some(side: Side, mask: Array) -> Side:
    return Side(side.prediction[mask], tuple(seed[mask] for seed in side.seeds), side.averaged)


def _questions(
    found: Comparison, challenger: Candidate, champion: Candidate | None, trusted: Collection[str]
) -> tuple[str, ...]:
    """Return what a person must answer where new features make predictions far better.

    A feature that improves a model so much may be known only after prediction time.
    """
    lead = found.whole.get(SKILL[found.task])
    classes = challenger.model.encoder.classes
    guessing = 1 / len(classes) if classes else 0.0  # by each of these metrics
    if (
        champion is None
        or lead is None
        or not stands_out(lead.challenger, lead.champion, guessing, LEAP)
    ):
        return ()
    known = {*champion.model.encoder.features, *trusted}
    new = [name for name in challenger.model.encoder.features if name not in known]
    if not new:
        return ()
    says = (
        f"with {listed_names(new)}, which the champion lacks, it predicts far better than the "
        "champion: are they known at prediction time? If not, take them out of features; if they "
        "are, `evergreen promote --approve`, or name them in leaks.trusted in params.yaml"
    )
    return (says,)


def _check_claims(rows: pl.DataFrame, challenger: Candidate, side: Side) -> None:
    """Raise InputError where what a package records of its own making cannot be true."""
    learnt = challenger.model.learnt
    if not len(learnt.keys):
        raise InputError(
            "the package of the challenger does not record which rows it has learnt from"
        )
    if challenger.held_out is None:
        check_unseen(hash_rows(rows), challenger=learnt.keys)
    first = rows[TIME].cast(pl.Datetime("us")).min()
    judged_before = challenger.model.definition.is_timed and challenger.held_out is None
    if (
        judged_before
        and isinstance(first, datetime)
        and datetime.fromisoformat(learnt.newest) > first
    ):
        raise InputError(
            f"the challenger has learnt from rows up to {learnt.newest}, later than some of those "
            "that it is judged by"
        )
    whole = np.mean(side.seeds, axis=0) if side.averaged else None
    known = [whole] if whole is not None else side.seeds
    if not any(prediction.tobytes() == side.prediction.tobytes() for prediction in known):
        raise InputError(
            "the packaged model is not of its own sweep: neither a seed's model nor their mean "
            "predicts the same"
        )


def find_changes(champion: Candidate, challenger: Candidate) -> tuple[str, ...]:
    """Return why the two can never be compared: they predict different things, say."""
    found = tuple(champion.model.definition.changes(challenger.model.definition))
    old, new = champion.model.encoder, challenger.model.encoder
    if not found and (old.task, old.classes) != (new.task, new.classes):
        was, now = (
            f"{encoder.task} of {', '.join(encoder.classes) or 'a number'}"
            for encoder in (old, new)
        )
        return (f"it predicts {was}, the challenger {now}",)
    return found


def predict_champion(rows: pl.DataFrame, champion: Candidate) -> Side:
    """Return what the champion predicts for `rows`, by its own features, as before its refit."""
    return champion.predict_unseen(champion.with_own_features(rows))


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
