"""Evidence: what the gate knows of a challenger; its rules see nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evergreen.promotion.compare import Comparison, Difference
from evergreen.promotion.fairness import Gap


@dataclass(frozen=True)
class Refit:
    """The model that goes live beside the judged one.

    On rows that both have learnt from, and on the holdout.
    `earlier`, `holdout`: the difference in the metric that decides, more being better; None where
    they say nothing.
    `slack`: how much it may fall on earlier rows since it has learnt from more rows, and each the
    less overfitted to them.
    `influence`: what learning from the newest batch does on rows before it that no model has learnt
    (`influence.py`).
    `same`: it is the champion, bit for bit.
    """

    rows: int  # that it has learnt from
    until: str  # time of the newest
    rounds: int
    earlier: Difference | None
    holdout: Difference | None
    slack: float = 0.0
    influence: Difference | None = None
    same: bool = False


@dataclass(frozen=True)
class Evidence:
    """What is known of the challenger beside what the comparison says.

    `champion`: a version, None where there is none.
    `calibration`: error of the champion (None without one) and of the challenger. `groups`: the
    largest difference between two groups by kind, of the challenger. `reload`: largest distance
    between what the model says that is loaded from the registry in a fresh process and what the
    trained one said; None where it is not registered yet. `notes`: checks that were switched off
    before. `faults`: what kept the comparison from being made. `questions`: what only a person can
    answer before it is promoted. `changed`: what was changed in dataset.py since the champion was
    made, so that no comparison can be made. `refresh`: the challenger is trained as the champion
    was, on newer data; else what trains it has changed. `refit`: the model that goes live beside
    the one that was judged, None where that is the same or not made yet. `seedless`: which of the
    two are trained without luck, so that one model is all there is.
    `simplest`: why it is the linear model or the trees. `cross_validated`: rows are few, and all
    judge; their noise is larger than what a refresh may lose, so the loss itself counts. `useful`:
    where nothing is live, the loss (a proper score, so of calibration too) in which the challenger
    is surely better than a constant, if it is.
    """

    comparison: Comparison
    champion: str | None
    champion_age_days: float | None
    calibration: tuple[float | None, float]
    groups: Mapping[str, Gap]
    reload: float | None
    seeds_expected: int
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    refresh: bool = False
    refit: Refit | None = None
    seedless: tuple[str, ...] = ()
    simplest: str = ""
    cross_validated: bool = False
    useful: str = ""
