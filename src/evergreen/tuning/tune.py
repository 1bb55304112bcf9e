"""Tune: search for a better way of training, and believe it only where it holds on fresh ground.

The best of many trials looks better than it is, on the rows that chose it. So the newest cut is
kept out of the search: there the best meets the present way, both with seeds that no trial had,
and counts as better only where the interval of its lead lies above zero and the lead is as large as
matters (`gate.min_gain`). The holdout is left to the gate, for which the change is a challenger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen.finding import count
from evergreen.params import Params
from evergreen.tuning.comparison import Comparison, compare_trials
from evergreen.tuning.cuts import Cut
from evergreen.tuning.search import PRESENT, Searched, Tried, search
from evergreen.tuning.space import present, with_values
from evergreen.tuning.trial import Matrices, run_trial

STUDIES = "tune.db"  # below stores/


@dataclass(frozen=True)
class Tuned:
    """What a tuning found. `changes`: of `train`, by name; empty where nothing is surely better.

    `confirmed`: the best beside the present way, on the cut called `fresh` with the seeds
    `fresh_seeds`; None where none was so far ahead that it had to be.
    """

    searched: Searched
    fresh: str
    fresh_seeds: tuple[int, ...]
    confirmed: Comparison | None
    changes: dict[str, Any]
    finding: str


def tune(
    cuts: Sequence[Cut],
    params: Params,
    file: Path,
    tell: Callable[[Tried], None] = lambda tried: None,
    confirm: Callable[[Tried], None] = lambda tried: None,
) -> Tuned:
    """Return the better way of training that was found, if any; the newest of `cuts` confirms it.

    `file`: holds the trials, so that a killed tuning goes on. `tell` is called with each trial,
    `confirm` with the best before it is confirmed.
    """
    *earlier, fresh = cuts
    searched = search(earlier, params, file, tell=tell)
    best, now = searched.best, searched.tried[PRESENT]
    first = searched.seeds[-1] + 1
    seeds = tuple(range(first, first + params.tune.confirm_seeds))
    least = params.gate.min_gain * params.metrics[searched.metric].unit(now.score)
    tried = count(len(searched.tried), "way of training", "ways of training")
    if best.number == PRESENT or best.lead < least:
        finding = (
            f"nothing better was found: of {tried} none is ahead of the present one by as much as "
            f"matters ({least:.4f} in {searched.metric})"
        )
        return Tuned(searched, fresh.name, seeds, None, {}, finding)
    confirm(best)
    found, changed = _confirm(fresh, params, best, seeds), _changes(params, best)
    said = found.says("the present way", f"trial {best.number}")
    where = f"on {fresh.name}, which chose nothing, with {len(seeds)} fresh seeds"
    if found.is_better:
        return Tuned(searched, fresh.name, seeds, found, changed, f"{said}, {where}")
    finding = (
        f"nothing better was found: trial {best.number}, the best of {tried}, was ahead by "
        f"{best.lead:.4f} where it was chosen; {where}, {said}"
    )
    return Tuned(searched, fresh.name, seeds, found, {}, finding)


def _confirm(fresh: Cut, params: Params, best: Tried, seeds: Sequence[int]) -> Comparison:
    matrices = Matrices()
    now, other = (
        run_trial([fresh], how, seeds, matrices=matrices)
        for how in (params, with_values(params, best.values))
    )
    return compare_trials([fresh], now, other, params, confidence=params.tune.confidence)


def _changes(params: Params, best: Tried) -> dict[str, Any]:
    now = present(params)
    return {name: value for name, value in best.values.items() if value != now[name]}
