"""Sanity: are a few rows memorized, is anything learnt, and nothing of shuffled labels?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evergreen.diagnosis.fault import ANY_LABELS, NO_MEMORY, NO_SKILL, Fault, Found
from evergreen.diagnosis.lab import Lab, constant_losses, losses_of, thin
from evergreen.finding import percent
from evergreen.params import Train
from evergreen.training.cross_validation import fit_side_by_side
from evergreen.training.learner import find_learner
from evergreen.training.tables import Table

FEW = 128  # rows to be memorized
BY_HEART = 0.8  # least share of their own loss that a model without bounds must save
SHUFFLES, KEPT = 2, 0.2  # of labels, and of the skill that none may keep so much of
FREE = Train(
    rounds=60,
    learning_rate=0.3,
    max_depth=8,
    min_child_weight=0.0,
    reg_lambda=0.0,
    subsample=1.0,
    colsample_bytree=1.0,
)


def find_memory(lab: Lab) -> Found:
    """Return whether trees without bounds memorize a few rows: else features are amiss."""
    tables = lab.tables
    few = tables.train.take(thin(len(tables.train), FEW, seed=1))
    only = replace(tables, train=few, validation=few.none(), holdout=few, folds=())
    model = fit_side_by_side(only, FREE, [0], device="cpu", jobs=1, threads=1)[0]
    said = find_learner(FREE.learner).load(model.booster).predict(few.x)
    saved = 1 - losses_of(tables.task, few.y, said).mean() / (
        float(constant_losses(only).mean()) or 1.0
    )
    question = "Can it memorize a few rows?"
    if saved >= BY_HEART:
        return Found(
            answers=((question, f"Yes: {percent(float(saved))} of the loss of {len(few)} rows."),)
        )
    alike = _share_alike(few)
    says = (
        f"trees without any bound explain only {percent(max(0.0, float(saved)))} of {len(few)} "
        "rows that "
        f"they have learnt; {percent(alike)} of these have the features of another"
    )
    remedy = (
        "look at features in dataset.py: add what tells rows apart, and check that none is empty "
        "or "
        "constant after prepare"
    )
    return Found(faults=(Fault(NO_MEMORY, says, remedy),))


def _share_alike(few: Table) -> float:
    _, which, counts = np.unique(few.x, axis=0, return_inverse=True, return_counts=True)
    return float((counts[which.ravel()] > 1).mean())


def find_shuffled(lab: Lab) -> Found:
    """Return whether models of shuffled labels predict the true ones: then something leaks.

    One shuffle may be near the truth by chance: so two are tried, and the worse counts, where it
    keeps a good part of the skill that there is.
    """
    constant, draw = constant_losses(lab.tables), np.random.default_rng(3)
    gains = []
    for _ in range(SHUFFLES):
        train, stop = (
            replace(part, y=draw.permutation(part.y))
            for part in (lab.tables.train, lab.tables.validation)
        )
        trial = lab.fit(replace(lab.tables, train=train, validation=stop))
        gains.append(lab.gain_of_losses(trial.losses.mean(axis=0), constant))
    gain = min(gains, key=lambda gain: gain.low)
    question = "Does it fail on shuffled labels?"
    if not lab.matters(gain) or gain.value < KEPT * lab.skill(lab.base):
        return Found(answers=((question, "Yes, as it must: nothing hands the labels over."),))
    says = (
        f"a model of shuffled labels still explains {percent(gain.value)} of the rows that judge, "
        "where it should explain nothing"
    )
    remedy = (
        "find what hands the label over beside the features: a learner or a feature of your own "
        "that reads it"
    )
    return Found(faults=(Fault(ANY_LABELS, says, remedy, gain.value),))


def find_skill(lab: Lab) -> Found:
    """Return whether the model is surely better than a constant prediction at all."""
    base = lab.base
    gain = lab.gain_of_losses(base.losses.mean(axis=0), constant_losses(lab.tables))
    question = "Is anything learnt?"
    if gain.low > 0:
        answer = f"Yes: {percent(gain.value)} of the loss of a constant prediction is saved."
        return Found(answers=((question, answer),))
    says = (
        f"on {len(lab.tables.holdout):,} rows the model is not surely better than a constant "
        f"prediction ({100 * gain.value:.1f} ± {200 * gain.error:.1f} points of its loss)"
    )
    remedy = "bring features that have to do with the label, or more rows: no parameter mends this"
    return Found(faults=(Fault(NO_SKILL, says, remedy),))
