"""Live: the model that answers, whole, and the watch that replaces it by the next champion."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.definition import check_columns
from evergreen.features.encoder import FEW
from evergreen.features.featurize import in_time
from evergreen.scoring.package import Model
from evergreen.scoring.predictions import Scorer
from evergreen.scoring.score import check_kinds

if TYPE_CHECKING:
    from evergreen.stores.events import Event as Decided
    from evergreen.stores.registry import Registry

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Answer:
    """What a model predicts for rows, in their order.

    `predicted`: float32, shape (rows,) or (rows, classes). `left_out`: row -> why it is left out.
    `unseen`: category -> rows whose level no training row had.
    """

    predicted: Array = field(repr=False)
    left_out: Mapping[int, str]
    unseen: Mapping[str, int]


class Live:
    """One version of the model, loaded whole and tried, with its features as expressions.

    They are those of `featurize`, computed in a single pass: each row by itself, in the order
    given. Raises InputError where they cannot be computed any more, or the model predicts nothing.
    """

    def __init__(self, scorer: Scorer, model: Model, dataset: Dataset) -> None:
        self.scorer, self.model = scorer, model
        wanted = model.definition.expressions(dataset)
        empty = pl.DataFrame(schema=dict(dataset.columns))
        check_columns(wanted, empty.columns)
        try:
            kinds = empty.select(expr.alias(name) for name, expr in wanted.items()).schema
        except pl.exceptions.PolarsError as error:
            raise InputError(f"dataset.py: features cannot be computed: {error}") from None
        check_kinds(kinds, model.encoder)
        self._features = [
            (expr if kinds[name] == pl.String() else expr.cast(pl.Float32)).alias(name)
            for name, expr in wanted.items()
        ]
        reasons = in_time(dataset)
        self._reasons = {f"{at} left out": why for at, why in enumerate(reasons)}
        left_out = zip(self._reasons, reasons.values(), strict=True)
        self._left_out = [why.fill_null(value=True).alias(name) for name, why in left_out]
        self.answer(pl.DataFrame({name: [None] for name in dataset.columns}, dataset.columns))

    def answer(self, rows: pl.DataFrame) -> Answer:
        """Return what is predicted for valid rows, shape (rows, columns of dataset.py).

        Raises InputError where a feature cannot be computed, or a prediction is no number.
        """
        try:
            # One after another: a few rows must not wake every core
            select = rows.select_seq if rows.height <= FEW else rows.select
            found = select(*self._features, *self._left_out)
        except pl.exceptions.PolarsError as error:
            raise InputError(f"dataset.py: features cannot be computed: {error}") from None
        predicted = np.asarray(self.model.predict_rows(found), np.float32)
        if np.isnan(predicted).any():
            raise InputError("the model predicts no number: do not use it")
        left_out: dict[int, str] = {}
        for name, why in self._reasons.items():
            for at in found[name].arg_true().to_list():
                left_out.setdefault(at, why)
        unseen = {}
        for name, codes in self.model.encoder.codes.items():
            if number := sum(level not in codes for level in found[name].to_list()):
                unseen[name] = number
        return Answer(predicted, left_out, unseen)


class Watch:
    """Keeps the champion loaded: `live` is one whole model, replaced in one step, or None.

    `stamp`: what changes when the registry may have; the registry is asked only then, and only if
    it `is_there`: asking would make it. A version that cannot be used is told of in `trouble`, and
    the one before stays. `stale`: why what was edited since the start is not used.
    """

    def __init__(
        self,
        registry: Registry,
        dataset: Dataset,
        stamp: Callable[[], object] = lambda: None,
        on_failure: Callable[[], object] = lambda: None,
        is_there: Callable[[], bool] = lambda: True,
    ) -> None:
        self._registry, self._dataset, self._stamp = registry, dataset, stamp
        self._on_failure, self._seen, self._stop = on_failure, object(), threading.Event()
        self._is_there = is_there
        self._thread: threading.Thread | None = None
        self.live: Live | None = None
        self.trouble = self.stale = ""

    @property
    def told(self) -> str:
        """What a person should know: why something newer is not used."""
        return self.trouble or self.stale

    def champion(self) -> Decided | None:
        """Return the decision that made the champion; None where there is none."""
        return self._registry.decision() if self._is_there() else None

    def look(self) -> None:
        """Load the champion where it is another one by now."""
        if not self._is_there():
            self.trouble = "there is no champion yet"
            return
        stamp = self._stamp()
        if stamp is not None and stamp == self._seen:
            return
        try:
            event = self._registry.decision()
            if event and self._is_other(event.version):
                self.live = self.load(event.version, event.package)
            self.trouble = "" if event else self._registry.why_no_champion()
            self._seen = stamp
        # Whatever a store raises: the old one goes on answering
        except (Exception, pl.exceptions.PanicException) as error:
            self.trouble = str(error) or type(error).__name__
            self._seen = object()  # look again, whether or not something changes
            self._on_failure()

    def start(self, seconds: float) -> None:
        """Look now, and from then on in a thread of its own."""
        self.look()

        def watch() -> None:
            while not self._stop.wait(seconds):
                self.look()

        self._thread = threading.Thread(target=watch, name="registry", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=10)

    def _is_other(self, number: str) -> bool:
        return self.live is None or self.live.scorer.version != number

    def load(self, number: str, package: str = "") -> Live:
        """Return a version; `package`: the checksum that it must have.

        Raises InputError where it cannot be used.
        """
        if self.live and self.live.scorer.version == number:
            return self.live
        versions = self._registry.versions
        if package and package != versions.checksum_of(number):
            raise InputError(f"version {number} is not the one that was decided on: do not use it")
        scorer = Scorer(self._registry.name, number, versions.run_of(number))
        model = versions.open(number)
        model.expect_few()
        return Live(scorer, model, self._dataset)
