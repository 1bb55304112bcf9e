"""Diagnose: all checks of one lab, in the order in which one spoils another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from evergreen.diagnosis import features, learning, rows, sanity, slices, stale
from evergreen.diagnosis.fault import Fault, Found, in_order
from evergreen.diagnosis.features import Explained
from evergreen.diagnosis.lab import Lab
from evergreen.diagnosis.learning import Path, Sizes
from evergreen.diagnosis.stale import Live
from evergreen.finding import Finding
from evergreen.params import Leaks
from evergreen.training.learner import XGBOOST

NAMED = 4  # strongest features that are shown of the worst rows
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong, the most important first; what was asked besides; and what pictures show."""

    faults: tuple[Fault, ...]
    answers: tuple[tuple[str, str], ...]
    tables: tuple[Finding, ...] = field(repr=False)
    lab: Lab = field(repr=False)
    sizes: Sizes = field(repr=False)
    paths: tuple[Path, ...] = field(repr=False)
    explained: Explained | None = field(repr=False)


def diagnose(
    lab: Lab,
    leaks: Leaks | None = None,
    live: Live | None = None,
    whole: Lab | None = None,
    tell: Tell | None = None,
) -> Diagnosis:
    """Return what is wrong with what `lab` trains.

    What is wrong with its parameters is mended before rows, slices and features are looked at: else
    one fault would be found again in many places. `live`: the champion, if there is one. `whole`:
    the lab with all rows, where `lab` has some of them. `tell` is called with what is looked at
    next.
    """
    tell = tell or (lambda _: None)
    found: list[Found] = []
    tell("rows, and whether anything is learnt")
    found += [sanity.find_memory(lab), rows.find_diversity(lab.tables)]
    found.append(rows.find_rows_copied(lab.tables))
    found.append(features.find_leaking(lab, leaks or Leaks()))
    found += [
        sanity.find_shuffled(lab),
        rows.find_noise(lab),
        rows.find_loss(lab),
        stale.find_stale(lab, live, whole),
    ]
    paths: list[Path] = []
    before = lab
    if lab.params.learner == XGBOOST:
        tell("learning rate, capacity and regularisation")
        rate, lab = learning.find_rate(lab)
        paths = learning.walk_paths(lab)
        capacity, lab = learning.find_capacity(lab, paths)
        found += [rate, capacity]
    found.append(sanity.find_skill(lab))
    tell("more rows, newer rows")
    sizes = learning.grow(lab)
    found += [learning.find_hunger(lab, sizes), learning.find_age(lab)]
    tell("features and slices")
    explained, costs = features.explain(lab), features.shuffle_each(lab)
    by_cost = sorted(range(len(costs)), key=lambda at: -costs[at].value)
    strongest = list(explained.order) if explained else by_cost
    found += [features.find_useless(lab, costs), slices.find_slices(lab, strongest)]
    named = {lab.tables.features[at]: at for at in strongest[:NAMED]}
    found.append(Found(tables=(rows.worst_rows(lab, named),)))
    return Diagnosis(
        tuple(in_order([fault for check in found for fault in check.faults])),
        tuple(answer for check in found for answer in check.answers),
        tuple(table for check in found for table in check.tables),
        before,
        sizes,
        tuple(paths),
        explained,
    )
