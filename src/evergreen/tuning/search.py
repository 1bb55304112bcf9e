"""Search: ways of training are tried one after the other, each where earlier ones did well.

Optuna keeps them in a file, so that a search that was killed goes on; it comes to the same end,
since what is tried next depends on the trials so far and on how many there are, on nothing else.
The first is the present way. What is told after each seed is the lead over it, with the same seed
and on the same cuts, so that easy and hard cuts count alike; a trial in the worse half ends there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen import recipes
from evergreen.errors import InputError
from evergreen.files import sha256_of
from evergreen.params import Params
from evergreen.training.fingerprints import recipe_of
from evergreen.training.learner import find_learner
from evergreen.tuning.cuts import Cut
from evergreen.tuning.space import find_space, present, rounded, with_values
from evergreen.tuning.trial import Fit, Matrices, run_trial

if TYPE_CHECKING:
    from optuna import Study

STARTUP = 8  # trials at random, before those that learn from others
FEWEST = 4  # finished trials, before one can be worse than most
TRIED, PRESENT = "tried", 0


@dataclass(frozen=True)
class Tried:
    """One way of training that was tried.

    `values`: of what is tuned. `scores`: the metric, seed by seed, of each cut in order; fewer
    where it was ended early. `lead`: the mean over the present way's, so that more is better.
    `fault`: why it could not be tried.
    """

    number: int
    values: dict[str, Any]
    scores: tuple[float, ...] = ()
    lead: float = float("nan")
    rounds: int = 0
    seconds: float = field(default=0.0, compare=False)
    pruned: bool = False
    fault: str = ""

    @property
    def score(self) -> float:
        """The mean of the metric over seeds and cuts."""
        return float(np.mean(self.scores)) if self.scores else float("nan")

    @property
    def is_whole(self) -> bool:
        """Whether it was tried with every seed."""
        return not self.pruned and not self.fault


@dataclass(frozen=True)
class Searched:
    """All that was tried on `cuts` with `seeds`, in order; the first is the present way."""

    study: str
    metric: str
    cuts: tuple[str, ...]
    seeds: tuple[int, ...]
    tried: tuple[Tried, ...]

    @property
    def best(self) -> Tried:
        """The whole trial with the largest lead; the earliest of equals."""
        return max(filter(lambda tried: tried.is_whole, self.tried), key=lambda trial: trial.lead)


def search(
    cuts: Sequence[Cut],
    params: Params,
    file: Path,
    *,
    matrices: Matrices | None = None,
    tell: Callable[[Tried], None] = lambda tried: None,
) -> Searched:
    """Return what was tried on `cuts`, `params.tune.trials` ways, those in `file` among them.

    `tell` is called with each trial, those from `file` first. The cuts are all that is looked at.
    """
    seeds = seeds_of(params)
    metric = params.metrics.pick(params.gate.metric, params.task)
    name, matrices = study_of(cuts, params), matrices or Matrices()
    with closing(_Store(file, name)) as store:
        for tried in store.tried:
            tell(tried)
        while (number := len(store.tried)) < params.tune.trials:
            tell(_try(number, cuts, params, seeds, metric, store, matrices))
        found = store.tried[: params.tune.trials]
    return Searched(name, metric, tuple(cut.name for cut in cuts), seeds, tuple(found))


def seeds_of(params: Params) -> tuple[int, ...]:
    """Return the seeds that each way of training is tried with."""
    first = params.sweep.first_seed
    return tuple(range(first, first + params.tune.seeds))


def study_of(cuts: Sequence[Cut], params: Params) -> str:
    """Return the name of the search: of rows, way of training, space, seeds, metric, libraries."""
    learner = params.train.learner
    versions = [version(library) for library in ("optuna", *find_learner(learner).LIBRARIES)]
    metric = params.metrics.pick(params.gate.metric, params.task)
    how = (params.train.model_dump(), params.task, params.tune.space, seeds_of(params), metric)
    code = (recipe_of(learner), recipes.JUDGE, params.extensions.code)
    return sha256_of([cut.digest for cut in cuts], how, versions, code)[:16]


def _try(
    number: int,
    cuts: Sequence[Cut],
    params: Params,
    seeds: Sequence[int],
    metric: str,
    store: _Store,
    matrices: Matrices,
) -> Tried:
    """Try the next way of training, and keep what came of it."""
    from optuna.exceptions import TrialPruned

    trial = store.ask(number, params)
    values = rounded(trial.params) if number else present(params)
    before = store.tried[PRESENT].scores if number else ()
    sign, fits = params.metrics[metric].sign, list[Fit]()

    def lead() -> float:
        scores = np.array([fit.metrics[metric] for fit in fits])
        return float(np.mean(sign * (scores - (before or scores)[: len(scores)])))

    def report(so_far: Sequence[Fit]) -> None:
        fits[:] = so_far
        if len(fits) % len(cuts) == 0:
            trial.report(lead(), len(fits) // len(cuts))
            if len(fits) < len(cuts) * len(seeds) and trial.should_prune():
                raise TrialPruned

    pruned, fault = False, ""
    try:
        run_trial(cuts, with_values(params, values), seeds, matrices=matrices, report=report)
    except TrialPruned:
        pruned = True
    except InputError as error:
        if not number:
            raise
        fault = str(error)
    scores = tuple(fit.metrics[metric] for fit in fits)
    if not np.isfinite(scores).all():
        fault = fault or f"{metric} is not defined on some cut"
    return store.keep(
        trial,
        Tried(
            number,
            values,
            scores,
            lead() if fits and not fault else float("nan"),
            int(np.median([fit.trained.rounds for fit in fits])) if fits else 0,
            sum(fit.trained.seconds for fit in fits),
            pruned,
            fault,
        ),
    )


class _Store:
    """The trials of one study in a file of Optuna's."""

    def __init__(self, file: Path, name: str) -> None:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        file.parent.mkdir(parents=True, exist_ok=True)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=FEWEST, n_min_trials=FEWEST)
        try:
            self._storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
            self._study: Study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction="maximize",
                load_if_exists=True,
                pruner=pruner,
            )
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
            raise InputError(
                f"{file} cannot be read ({str(error).splitlines()[0]}): restore it, or remove it "
                "to begin the search again"
            ) from None
        self.tried = self._read()

    def ask(self, number: int, params: Params) -> Any:
        """Return the next trial of Optuna's; the first has the present values."""
        import optuna
        from optuna.trial import TrialState

        space = find_space(params)
        if number == PRESENT and not self._study.get_trials(states=(TrialState.WAITING,)):
            self._study.enqueue_trial(present(params))
        # A seed for each, so that it does not matter how often the search was begun
        self._study.sampler = optuna.samplers.TPESampler(
            seed=params.sweep.first_seed + number, n_startup_trials=STARTUP
        )
        return self._study.ask(space)

    def keep(self, trial: Any, tried: Tried) -> Tried:
        """Keep what came of a trial; it counts once this is done."""
        from optuna.trial import TrialState

        state = TrialState.COMPLETE
        if not tried.is_whole:
            state = TrialState.PRUNED if tried.pruned else TrialState.FAIL
        trial.set_user_attr(TRIED, json.dumps(asdict(tried)))
        self._study.tell(trial, tried.lead if state == TrialState.COMPLETE else None, state)
        self.tried.append(tried)
        return tried

    def close(self) -> None:
        """Let go of the file."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _read(self) -> list[Tried]:
        """Return the trials that were ended, in order; one that was killed does not count."""
        found = []
        for trial in self._study.get_trials(deepcopy=False):
            content = trial.user_attrs.get(TRIED)
            if content and trial.state.is_finished():
                known = json.loads(content)
                found.append(Tried(**known | {"scores": tuple(known["scores"])}))
        return found


def best_so_far(tried: Sequence[Tried]) -> Mapping[int, float]:
    """Return the largest lead after each whole trial, by number."""
    found, best = dict[int, float](), -np.inf
    for each in tried:
        if each.is_whole:
            best = max(best, each.lead)
            found[each.number] = float(best)
    return found
