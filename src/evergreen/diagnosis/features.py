"""Features: what each does for a prediction (SHAP values), which are useless, and which leak."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evergreen.diagnosis.fault import COPIES, LEAK, USELESS, Fault, Found
from evergreen.diagnosis.lab import Gain, Lab, Trial, losses_of, thin
from evergreen.diagnosis.learning import told
from evergreen.finding import Finding, percent
from evergreen.params import Leaks
from evergreen.quality.leaks import GUESSING, find_leaks, listed_names, stands_out
from evergreen.quality.univariate import MEASURES, score_features
from evergreen.training.learner import find_learner
from evergreen.training.tables import Table, Tables

Array = np.ndarray[Any, np.dtype[Any]]
EXPLAINED = 2000  # rows whose predictions are explained at most
SHARE_OF_LEAST = 0.5  # of the smallest gain that matters: what shuffling a needed feature costs


@dataclass(frozen=True)
class Explained:
    """What each feature adds to the predictions of some judged rows, on the scale of the margin.

    `rows`: their places. `values`: SHAP values, shape (rows, features). `order`: columns, the
    strongest first.
    """

    rows: Array = field(repr=False)
    values: Array = field(repr=False)
    order: tuple[int, ...]

    @property
    def strength(self) -> Array:
        """The mean size of what each feature adds, shape (features,)."""
        return np.asarray(np.abs(self.values).mean(axis=0))


def explain(lab: Lab) -> Explained | None:
    """Return the SHAP values of the model of the first seed; None where its learner has none.

    Trees have exact ones (Lundberg et al., From local explanations to global understanding with
    explainable AI for trees, 2020), which XGBoost computes itself. Of classes, those of each are
    added up in size.
    """
    learner = find_learner(lab.params.learner)
    model = learner.load(lab.base.trained[0].booster)
    contributions = getattr(model, "contributions", None)
    if contributions is None:
        return None
    places = thin(len(lab.tables.holdout), EXPLAINED, seed=5)
    values = contributions(lab.tables.holdout.x[places])
    strength = np.abs(values).mean(axis=0)
    return Explained(places, values, tuple(int(at) for at in np.argsort(-strength, kind="stable")))


def shuffle_each(lab: Lab) -> list[Gain]:
    """Return for each feature what it costs to shuffle it among the judged rows."""
    tables, draw = lab.tables, np.random.default_rng(11)
    load = find_learner(lab.params.learner).load
    models = [load(model.booster) for model in lab.base.trained]
    before = lab.base.losses.mean(axis=0)
    found = []
    for at in range(len(tables.features)):
        x = tables.holdout.x.copy()
        x[:, at] = draw.permutation(x[:, at])
        after = np.mean(
            [losses_of(tables.task, tables.holdout.y, model.predict(x)) for model in models], axis=0
        )
        found.append(lab.gain_of_losses(before, after, seeds=False))
    return found


def without(lab: Lab, columns: set[int]) -> Trial:
    """Return the trial without some features."""
    tables = lab.tables
    kept = [at for at in range(len(tables.features)) if at not in columns]
    names = tuple(tables.features[at] for at in kept)

    def cut(part: Table) -> Table:
        return replace(part, x=np.ascontiguousarray(part.x[:, kept]))

    fewer = replace(
        tables,
        features=names,
        categories=tuple(name for name in tables.categories if name in names),
        train=cut(tables.train),
        validation=cut(tables.validation),
        holdout=cut(tables.holdout),
        encoder=None,
    )
    return lab.fit(fewer)


def find_useless(lab: Lab, costs: list[Gain]) -> Found:
    """Return the features that can be dropped together at no cost beyond noise.

    Suspected are those whose shuffling costs nothing that matters. A model without all of them
    decides; where it is worse, the costlier half of them is spared, until it is not.
    """
    names, least = lab.tables.features, lab.least
    suspects = sorted(
        (
            at
            for at, cost in enumerate(costs)
            if cost.value < SHARE_OF_LEAST * least and cost.low <= 0
        ),
        key=lambda at: costs[at].value,
    )
    table = _cost_table(lab, costs)
    question = "Is every feature of use?"
    while suspects and len(suspects) < len(names):
        lost = lab.gain(lab.base, without(lab, {*suspects}))
        if lost.low <= 0 and lost.value < least:
            break
        suspects = suspects[: len(suspects) // 2]
    if not suspects or len(suspects) == len(names):
        answer = "Yes: shuffling or dropping any of them costs more than noise."
        return Found(answers=((question, answer),), tables=(table,))
    listed = listed_names([names[at] for at in suspects])
    says = f"without {listed} a model is worse by {told(lost)}: nothing beyond noise"
    remedy = (
        "take it out of features in dataset.py"
        if len(suspects) == 1
        else "take them out of features in dataset.py"
    )
    return Found(
        faults=(Fault(USELESS, says, f"{remedy}; each is one more thing that can break or drift"),),
        tables=(table,),
    )


def _cost_table(lab: Lab, costs: list[Gain]) -> Finding:
    order = sorted(range(len(costs)), key=lambda at: -costs[at].value)
    return Finding(
        "features",
        "what shuffling each feature costs",
        100 * costs[order[0]].value if order else None,
        "How many points of skill are lost once the values of a feature are shuffled among the "
        "judged rows. Of features that say the same, neither costs much.",
        "number",
        columns={"feature": "text", "points of skill": "number", "±": "number"},
        rows=tuple(
            (lab.tables.features[at], _points(costs[at].value), _points(2 * costs[at].error))
            for at in order
        ),
        drawn="points of skill",
    )


def _points(share: float) -> float:
    return round(100 * share, 2) + 0.0  # no -0.0


def find_leaking(lab: Lab, params: Leaks) -> Found:
    """Return what is too good to be true: features, rows in two parts, and copies of rows.

    Nearly exact ones are what stops a run; here one that stands far out is a fault as well, for a
    person to answer.
    """
    tables = lab.tables
    faults = []
    for leak in find_leaks(tables, params):
        kind = COPIES if leak.kind == "duplicate" else LEAK
        says, _, remedy = leak.says.replace("holdout rows", "judging rows").partition(": ")
        faults.append(Fault(kind, says, remedy, 1.0))
    if not faults:
        faults = _standing_out(lab, params)
    answer = (
        (
            "Does a feature give the label away?",
            "None stands out, alone or together, and no row is in two parts.",
        ),
    )
    return Found(faults=tuple(faults), answers=() if faults else answer)


def _standing_out(lab: Lab, params: Leaks) -> list[Fault]:
    tables: Tables = lab.tables
    known = {
        name: score.highest
        for name, score in score_features(tables).items()
        if np.isfinite(score.highest) and name not in params.trusted
    }
    if len(known) < 2 or params.stand_out is None:
        return []
    first, second = sorted(known, key=lambda name: -known[name])[:2]
    if not stands_out(known[first], known[second], GUESSING[tables.task], params.stand_out):
        return []
    alone = without(lab, {tables.features.index(first)})
    lost = lab.gain(lab.base, alone)
    says = (
        f"feature {first!r} alone tells the label with {MEASURES[tables.task]} "
        f"{known[first]:.3f}, the next best "
        f"{second!r} with {known[second]:.3f}; without it the skill falls from "
        f"{percent(lab.skill(lab.base))} "
        f"to {percent(max(0.0, lab.skill(alone)))}"
    )
    remedy = (
        f"is {first!r} known when a prediction is asked for? If not, take it out of features and "
        "add its columns to "
        "known_later in dataset.py; if so, name it in leaks.trusted in params.yaml"
    )
    return [Fault(LEAK, says, remedy, lost.value)]
