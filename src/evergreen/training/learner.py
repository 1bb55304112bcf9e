"""Learner: trains models and loads them again; chosen by `train.learner` in params.yaml.

Each is a module that defines what `Learner` asks for: one of the library's, or one of a project's
own package, named with it (`my_pipeline.forest`). A stored model names the learner that made it and
is loaded by that one, whatever trains now.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from evergreen import code
from evergreen.errors import InputError
from evergreen.params.train import USUAL

if TYPE_CHECKING:
    from evergreen.params import Params, Task, Train
    from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]
XGBOOST = "xgboost"
LEARNERS = (XGBOOST, "linear")  # the library's, each a module beside this one
PARTS = ("SUFFIX", "LIBRARIES", "LOSSES", "build_matrix", "train", "load")


@dataclass(frozen=True)
class Trained:
    """The model of one seed, as bytes, and its loss by round where validation rows stopped it."""

    seed: int
    booster: bytes = field(repr=False)
    rounds: int  # kept, up to and including the best
    validation_loss: float | None  # at the best round; None without validation rows
    # "train" and "validation": loss after each round
    history: dict[str, tuple[float, ...]] = field(repr=False)
    seconds: float = 0.0
    folds: int = 1  # how many models `booster` joins, one for each fold of a cross-validation


class Loaded(Protocol):
    """A model ready to predict."""

    def predict(self, x: Array) -> Array:
        """Return predictions for encoded rows of shape (rows, features).

        Shape (rows,), or (rows, classes) for multiclass.
        """

    def gains(self) -> dict[str, float]:
        """Return how much each feature that was used lowered the loss.

        Empty where the learner does not report it.
        """


class Learner(Protocol):
    """What a module has to define to be a learner.

    It may define `TAKES` as well, the losses of `train.loss` by task (else it has one of its own),
    and then `watched(task, params)`, what early stopping watches under a loss; and `SCHEDULED`,
    True where `train.schedule` is followed; and `check_external(task, params, device)`, which
    raises InputError where rows that lie on disk (`Table.on_disk`) cannot be trained on.
    """

    SUFFIX: str  # of the file of one seed's model
    LIBRARIES: tuple[str, ...]  # that a registered model needs to predict
    LOSSES: Mapping[str, str]  # task -> what early stopping watches
    __file__: str

    def build_matrix(self, tables: Tables, params: Train, threads: int = 0) -> Any:
        """Return the rows as the learner takes them, made once for all seeds.

        `threads`: 0 means all cores. There may be no validation rows (then a training takes exactly
        `params.rounds`).
        """

    def train(
        self, matrix: Any, params: Train, seed: int, *, device: str = "cpu", threads: int = 1
    ) -> Trained:
        """Return the model of one seed.

        On a CPU the same input and seed predict the same, bit for bit.
        """

    def load(self, content: bytes) -> Loaded:
        """Return the model in `content`, as `train` gave it; no pickle may be read for that."""


def is_seedless(name: str) -> bool:
    """Return True if the learner `name` does not depend on a seed, so that one model is enough."""
    return bool(getattr(find_learner(name), "SEEDLESS", False))


def losses_taken(name: str, task: Task) -> tuple[str, ...]:
    """Return the losses that the learner `name` takes for a task; the first is what auto means."""
    taken: Mapping[str, tuple[str, ...]] = getattr(find_learner(name), "TAKES", {})
    return taken.get(task, (USUAL[task],))


def watched_by(name: str, task: Task, params: Train) -> str:
    """Return what early stopping of the learner `name` watches, under its loss."""
    learner = find_learner(name)
    by_loss = getattr(learner, "watched", None)
    return str(by_loss(task, params) if by_loss else learner.LOSSES[task])


def check_takes(params: Params) -> None:
    """Raise InputError where the learner does not take the loss, or the schedule."""
    train, task = params.train, params.task
    loss, taken = train.loss_for(task), losses_taken(train.learner, task)
    if loss not in taken:
        raise InputError(
            f"train.loss is {loss}, which the learner {train.learner} does not take for {task}: "
            f"it takes {', '.join(taken)}; name one of these, or another learner (train.learner)"
        )
    if train.schedule == "constant":
        return
    if not getattr(find_learner(train.learner), "SCHEDULED", False):
        raise InputError(
            f"train.schedule is {train.schedule}, and the learner {train.learner} follows none: "
            "set it to constant, or name another learner (train.learner)"
        )
    if train.schedule_rounds > train.rounds:
        raise InputError(
            f"train.schedule_rounds is {train.schedule_rounds:,}, more than train.rounds "
            f"({train.rounds:,}), so that the schedule would be cut off: lower it"
        )


def is_librarys(name: str) -> bool:
    """Return True if the learner `name` comes with the library; any other is the user's code."""
    return name in LEARNERS


def find_learner(name: str) -> Learner:
    """Return the learner called `name`. Raises InputError where there is none.

    A stored model says which learner it needs: so none but the library's and modules of a project's
    own are imported.
    """
    module = f"{__package__}.{name}" if is_librarys(name) else name
    if not is_librarys(name):
        _check_own(name)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name in (module, module.rpartition(".")[0]):
            place = "src/" + module.replace(".", "/")
            raise InputError(
                f"there is no learner {name!r}: {place}.py is missing: restore it, "
                "or name another in train.learner"
            ) from None
        raise InputError(
            f"the learner {name!r} needs the library {error.name!r}: install it"
        ) from None
    if missing := [part for part in PARTS if not hasattr(found, part)]:
        raise InputError(f"{found.__file__} is no learner: it does not define {', '.join(missing)}")
    return cast("Learner", found)


@cache  # it is asked for each prediction
def _check_own(name: str) -> None:
    """Raise InputError where a learner is no module of a package that is a project's own."""
    known = (
        f"there are {', '.join(LEARNERS)}, and modules of your own package, such as "
        "'my_pipeline.forest'"
    )
    if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", name):
        raise InputError(f"there is no learner {name!r}: {known}")
    package = name.partition(".")[0]
    spec = find_spec(package) if package not in sys.stdlib_module_names else None
    if not spec or not spec.origin or not code.is_users(Path(spec.origin).resolve()):
        raise InputError(
            f"there is no learner {name!r}: {package!r} is no package of a project's own; {known}"
        )
    code.keep(Path(spec.origin).parent)
