"""Extensions: what a project adds to the library, in one object of its own package.

It is checked where it is made.
`extensions.py` of the package defines it; a project that adds nothing needs none. A learner and a
source are modules of the package instead, named in params.yaml (`train.learner`, `source.module`),
and a step is a line in `flows/`: each must be found by what was stored, or stands in an order.
`evergreen.testing` has a check for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from evergreen.decision import Rule
from evergreen.errors import InputError
from evergreen.files import sha256_of_own
from evergreen.metrics.metric import Metric, Metrics
from evergreen.metrics.table import LIBRARY

What = Literal[
    "promoted",
    "refused",
    "waits for approval",
    "rolled back",
    "held back",
    "retraining requested",
    "failed",
]


@dataclass(frozen=True)
class Event:
    """What happened to a model or its data, as a notifier is told; it holds no secret.

    `model`: its name (tracking.model). `version`: of the model, empty where it is about none.
    `batch`: likewise. `says`: in sentences.
    """

    what: What
    model: str
    version: str = ""
    batch: str = ""
    says: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as a line for a person."""
        about = f"{self.model} version {self.version}" if self.version else self.model
        where = f" ({self.batch})" if self.batch else ""
        told = ": " + " ".join(self.says) if self.says else ""
        return f"{about} {self.what}{where}{told}"


# What is given to each: a rule the gate's `Evidence` and `Gate` (params.yaml), a report what it is
# of (`evergreen.report.finished.Finished`) and the folder to write into.
GateRule = Callable[[Any, Any], Iterator[Rule]]
Report = Callable[[Any, Path], Path | None]
Notifier = Callable[[Event], None]
POINTS = ("metrics", "rules", "reports", "notifiers")
# Names below reports/ that the library writes itself
WRITTEN = (
    "adopt", "bias", "comparison", "croissant", "curves", "diagnosis", "learning_rate", "licences",
    "losses", "model_card", "monitoring", "replay", "result", "sbom", "schedules", "staleness",
    "tune", "validation",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Extensions:
    """What a project adds.

    metrics: to those of the library; `gate.metric` chooses one by its name.
    rules: of the gate, beside the library's, none of which can be taken away.
    reports: written after the library's own, and kept with the run in MLflow.
    notifiers: told of each event.

    Raises InputError where one is of another kind, or a name is taken.
    """

    metrics: Sequence[Metric] = ()
    rules: Sequence[GateRule] = ()
    reports: Sequence[Report] = ()
    notifiers: Sequence[Notifier] = ()
    file: str = field(default="", repr=False)  # that defines it; the library fills it in

    def __post_init__(self) -> None:
        """Check what was given."""
        for point in POINTS:
            given = getattr(self, point)
            if not isinstance(given, (list, tuple)):
                raise InputError(
                    f"extensions.py: {point} must be a list, such as {point}=[...], not "
                    f"{type(given).__name__}"
                )
        for metric in self.metrics:
            if not isinstance(metric, Metric):
                raise InputError(f"extensions.py: metrics holds {metric!r}: write Metric(...)")
        try:
            LIBRARY.add(self.metrics)
        except InputError as error:
            raise InputError(f"extensions.py: {error}") from None
        for point in POINTS[1:]:
            _check_functions(point, getattr(self, point))
        if taken := [name_of(report) for report in self.reports if name_of(report) in WRITTEN]:
            raise InputError(
                f"extensions.py: reports holds {taken[0]!r}, which the library writes itself: "
                "rename yours"
            )

    @property
    def all_metrics(self) -> Metrics:
        """The library's metrics, and then these."""
        return LIBRARY.add(self.metrics)

    def at(self, file: str) -> Extensions:
        """Return these, known to be defined in `file`."""
        return replace(self, file=file)

    @property
    def code(self) -> str | None:
        """Return a digest of the code that decides, metrics and rules; None without any."""
        decides = self.file and (self.metrics or self.rules)
        return sha256_of_own(self.file) if decides else None


def name_of(function: object) -> str:
    """Return what a rule, report or notifier is called: as its function, or its class."""
    return str(getattr(function, "__name__", type(function).__name__))


def _check_functions(point: str, given: Sequence[object]) -> None:
    names: list[str] = []
    for function in given:
        if not callable(function) or isinstance(function, type):
            kind = "the class" if isinstance(function, type) else "what is no function:"
            raise InputError(f"extensions.py: {point} holds {kind} {function!r}: name a function")
        if (name := name_of(function)) in names:
            raise InputError(f"extensions.py: {point} holds two called {name!r}: rename one")
        names.append(name)
