"""Stale: would the champion's way of training do better, had it learnt from the rows since?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evergreen.diagnosis.fault import STALE, Fault, Found
from evergreen.diagnosis.lab import Lab, losses_of
from evergreen.diagnosis.learning import told
from evergreen.finding import count

Array = np.ndarray[Any, np.dtype[Any]]
FEWEST = 100  # judged rows that the champion has not learnt from
QUESTION = "Is the champion stale?"


@dataclass(frozen=True)
class Live:
    """The champion: its predictions for the judged rows, and which of them it has learnt from.

    `p`: shape (rows,) or (rows, classes); None where these rows lack what it needs. `learnt`: shape
    (rows,). `newest`: the time of its newest row, in words.
    """

    version: str
    newest: str
    p: Array | None = field(repr=False)
    learnt: Array = field(repr=False)


def find_stale(lab: Lab, live: Live | None, whole: Lab | None = None) -> Found:
    """Return whether a model of the same parameters and all earlier rows beats the champion.

    `whole`: with all rows, where `lab` has only some of them, which would be no match. Both are
    asked about judged rows that the champion has not learnt from; where there are few, it has
    learnt from all that a new model would.
    """
    if live is None:
        return Found(answers=((QUESTION, "There is no champion yet."),))
    if live.p is None:
        answer = f"Not known: the rows lack what version {live.version} was made with; run again."
        return Found(answers=((QUESTION, answer),))
    unknown = np.flatnonzero(~live.learnt)
    if len(unknown) < FEWEST:
        answer = (
            f"No: version {live.version} has learnt from rows up to {live.newest}, "
            "the judged ones among them; only newer batches could tell (`evergreen monitor`)."
        )
        return Found(answers=((QUESTION, answer),))
    tables = lab.tables
    fresh = lab.fit(replace(whole.tables, holdout=tables.holdout)) if whole else lab.base
    y = tables.holdout.y[unknown]
    old, new = losses_of(tables.task, y, live.p[unknown]), fresh.losses.mean(axis=0)[unknown]
    days = None if lab.days is None else lab.days[unknown]
    gain = lab.gain_of_losses(new, old, days=days)
    beside = (
        f"on {count(len(unknown), 'row')} that version {live.version} (newest row {live.newest}) "
        "has not learnt from, "
        f"a model of all earlier rows is better by {told(gain)}"
    )
    if not lab.matters(gain):
        return Found(answers=((QUESTION, f"No: {beside}, which is too little or too unsure."),))
    remedy = (
        "`evergreen run` trains on the rows since; see retrain.max_age_days and retrain.min_loss "
        "for when this is asked for"
    )
    return Found(faults=(Fault(STALE, beside, remedy, gain.value),))
