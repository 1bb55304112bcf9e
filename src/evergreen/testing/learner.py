"""Learner: does one of the user's keep its contract?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.metrics.metric import TASKS, Task
from evergreen.metrics.table import LIBRARY
from evergreen.params import Train
from evergreen.testing.made import CLASSES, draw_tables

Array = np.ndarray[Any, np.dtype[Any]]
QUICK = Train(device="cpu", rounds=20, early_stopping_rounds=5, learning_rate=0.3, max_depth=3)


def check_learner(learner: str | ModuleType, tasks: Sequence[Task] = TASKS) -> None:
    """Raise AssertionError where `learner` cannot train models that are kept.

    `learner`: a module, or its name in params.yaml. `tasks`: those that it is for.
    """
    found = _learner(learner)
    assert isinstance(found.SUFFIX, str), f"SUFFIX must be a text, not {found.SUFFIX!r}"
    assert found.SUFFIX.startswith("."), (
        f"SUFFIX must begin with a dot, as '.json': {found.SUFFIX!r}"
    )
    for library in found.LIBRARIES:
        try:
            version(library)
        except PackageNotFoundError:
            raise AssertionError(f"LIBRARIES names {library!r}, which is not installed") from None
    for task in tasks:
        assert task in found.LOSSES, f"LOSSES does not say what early stopping watches for {task}"
        _check_training(found, task)
    _check_no_pickle(found)


def _learner(learner: str | ModuleType) -> Any:
    from evergreen.training.learner import PARTS, find_learner

    if isinstance(learner, str):
        try:
            return find_learner(learner)
        except InputError as error:
            raise AssertionError(str(error)) from None
    lacking = [part for part in PARTS if not hasattr(learner, part)]
    assert not lacking, f"{learner.__name__} is no learner: it does not define {', '.join(lacking)}"
    return learner


def _check_training(learner: Any, task: Task) -> None:
    tables = draw_tables(task)
    matrix = learner.build_matrix(tables, QUICK, 1)
    first, again = (learner.train(matrix, QUICK, 3) for _ in range(2))
    assert isinstance(first.booster, bytes), (
        f"{task}: booster must be bytes, not {first.booster!r:.80}"
    )
    assert first.seed == 3, f"{task}: it was trained with seed 3, and says {first.seed}"
    loaded = learner.load(first.booster)
    p = np.asarray(loaded.predict(tables.holdout.x))
    same = learner.load(again.booster).predict(tables.holdout.x)
    assert p.tobytes() == np.asarray(same).tobytes(), (
        f"{task}: the same seed and rows gave two models: no run could be made once more"
    )
    _check_predictions(task, p, len(tables.holdout))
    unknown = set(loaded.gains()) - set(tables.features)
    assert not unknown, (
        f"{task}: gains() names {sorted(unknown)}, which are no features of {tables.features}"
    )
    loss, y = LIBRARY[LIBRARY.loss(task)], tables.holdout.y
    shuffled = p[np.random.default_rng(0).permutation(len(p))]
    assert loss.measure(y, p) < loss.measure(y, shuffled), (
        f"{task}: it has learnt nothing from 600 easy rows"
    )
    blind = replace(tables, validation=tables.train.none())
    whole = learner.train(learner.build_matrix(blind, QUICK, 1), QUICK, 3)
    assert whole.validation_loss is None, (
        f"{task}: without validation rows validation_loss must be None"
    )
    assert whole.rounds in (1, QUICK.rounds), (
        f"{task}: without validation rows it must train params.rounds, {QUICK.rounds}, not "
        f"{whole.rounds}"
    )


def _check_predictions(task: Task, p: Array, rows: int) -> None:
    shape = (rows, len(CLASSES[task])) if task == "multiclass" else (rows,)
    assert p.shape == shape, f"{task}: predictions have shape {p.shape}, not {shape}"
    assert np.isfinite(p).all(), (
        f"{task}: {int((~np.isfinite(p)).sum())} predictions are no numbers"
    )
    if task != "regression":
        assert ((p >= 0) & (p <= 1)).all(), (
            f"{task}: predictions are no probabilities: {p.min()} to {p.max()}"
        )
    if task == "multiclass":
        assert np.allclose(p.sum(axis=1), 1, atol=1e-3), (
            f"{task}: probabilities of a row do not sum to one"
        )


_SPRUNG: list[bool] = []


def _spring() -> None:
    _SPRUNG.append(True)


class _Trap:
    """What runs a function when a pickle of it is loaded."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _spring, ()


def _check_no_pickle(learner: Any) -> None:
    import pickle

    _SPRUNG.clear()
    with suppress(Exception):  # to refuse is right, however
        learner.load(pickle.dumps(_Trap()))
    assert not _SPRUNG, "load() reads pickle: a model could run any code; keep it as plain data"
