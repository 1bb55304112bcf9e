"""Answers: what is made of a request for predictions, and of one with labels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.encoder import FEW
from evergreen.ingest.personal import Key
from evergreen.scoring.unlabelled import Given as GivenRows
from evergreen.scoring.unlabelled import check_given
from evergreen.serving.body import SHOWN, BodyError, Rows, read_rows
from evergreen.serving.live import Live
from evergreen.validation.contract import Contract
from evergreen.validation.report import QUARANTINE_ROW, REASONS
from evergreen.validation.row_rules import BATCH, Broken, RowRules

MOST_FAULTS = 20  # that an answer names


@dataclass(frozen=True)
class Checked:
    """Rows that may be predicted, where they stood in the request, and what is odd about others."""

    rows: pl.DataFrame = field(repr=False)
    places: Sequence[int] = field(repr=False)
    faults: Sequence[Broken]
    warnings: Sequence[Broken]


@dataclass(frozen=True)
class Predicted:
    """An answer as JSON can hold it, and what is counted and kept of it."""

    content: dict[str, Any] = field(repr=False)
    live: Live = field(repr=False)
    rows: pl.DataFrame = field(repr=False)
    unseen: dict[str, int]


class Desk:
    """Answers requests by one definition: that of `evergreen score`."""

    def __init__(
        self, contract: Contract, most_rows: int, at_once: int, key: Key | None = None
    ) -> None:
        self._contract, self._rules = contract, RowRules(contract)
        self.dataset: Dataset = contract.dataset
        self._key = key  # of personal columns
        self._most, self._threads = most_rows, ThreadPoolExecutor(at_once, "rows")
        self.engine = self._rules.engine

    async def predict(self, kind: str, body: bytes, live: Callable[[], Live]) -> Predicted:
        """Return the answer to rows; `live`: gives the model, once for the whole answer.

        A few rows are answered at once, many in a thread. Raises BodyError.
        """
        dataset = self.dataset
        if len(body) < 64 * 1024:
            rows = self._read(dataset.known_in_time, kind, body)
            if rows.typed.height <= FEW:
                checked = self._check_few(rows)
                if checked:
                    return self._answer(checked, rows.typed.height, live())
        work = partial(self._predict_many, kind, body, live())
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def read_labels(self, kind: str, body: bytes) -> pl.DataFrame:
        """Return the key and what is known later of labelled rows. Raises BodyError."""
        dataset = self.dataset
        if not dataset.key:
            raise BodyError(409, "dataset.py names no key: labels cannot be matched with rows")
        if not dataset.known_later:
            raise BodyError(409, "dataset.py has nothing that is known later: there is no label")
        names = (*dataset.key, *dataset.known_later)
        rows = self._read(names, kind, body)
        for name, its in rows.unfit.items():
            for at, value in its.items():
                said = repr(value)[:SHOWN]
                raise BodyError(422, f"row {at}: {name} is no {dataset.columns[name]}: {said}")
        for name in dataset.key:
            if rows.typed[name].null_count():
                raise BodyError(422, f"a row has no {name}, which is part of its key")
        return rows.typed.select(names)

    def _read(self, names: Sequence[str], kind: str, body: bytes) -> Rows:
        return read_rows(self.dataset, names, kind, body, self._most, self._key)

    def _predict_many(self, kind: str, body: bytes, live: Live) -> Predicted:
        rows = self._read(self.dataset.known_in_time, kind, body)
        try:
            outcome = check_given(GivenRows(BATCH, rows.delivered), self._contract)
        except InputError as error:
            raise BodyError(422, str(error)) from None
        bad = outcome.quarantined
        faults = [
            Broken(at - 1, rule, None)
            for at, rules in zip(bad[QUARANTINE_ROW], bad[REASONS], strict=True)
            for rule in rules
        ]
        left = np.ones(rows.typed.height, bool)
        left[[fault.row for fault in faults]] = False
        checked = Checked(outcome.valid, np.flatnonzero(left).tolist(), faults, ())
        return self._answer(checked, rows.typed.height, live)

    def _check_few(self, rows: Rows) -> Checked | None:
        """Return rows checked without the engine; None where that has to be asked.

        Raises BodyError where more of them are bad than a batch may have.
        """
        found = self._rules.check(rows.typed, rows.unfit)
        if found is None:
            return None
        faults, warnings = found
        bad, height = {fault.row for fault in faults}, rows.typed.height
        if len(bad) > self._contract.params.max_bad_rows * height:
            raise FaultsError(faults, f"{len(bad)} of {height} row(s) cannot be predicted")
        places = [at for at in range(height) if at not in bad]
        valid = rows.typed[places] if bad else rows.typed
        return Checked(valid, places, faults, [odd for odd in warnings if odd.row not in bad])

    def _answer(self, checked: Checked, height: int, live: Live) -> Predicted:
        try:
            answer = live.answer(checked.rows)
        except InputError as error:
            raise BodyError(500, str(error)) from None
        predictions: list[Any] = answer.predicted.tolist()
        not_predicted = {fault.row: fault.rule for fault in checked.faults}
        for at, why in answer.left_out.items():
            predictions[at] = None
            not_predicted[checked.places[at]] = f"left out: {why}"
        if len(predictions) < height:
            whole = [None] * height
            for at, value in zip(checked.places, predictions, strict=True):
                whole[at] = value
            predictions = whole
        content: dict[str, Any] = {
            "version": live.scorer.version,
            "predictions": predictions,
        }
        if live.model.encoder.task == "multiclass":
            content["classes"] = list(live.model.encoder.classes)
        if not_predicted:
            content["not_predicted"] = [
                {"row": at, "why": why} for at, why in sorted(not_predicted.items())
            ]
        if checked.warnings:
            content["warnings"] = as_plain(checked.warnings)
        return Predicted(content, live, checked.rows, dict(answer.unseen))


class FaultsError(BodyError):
    """Rows that break rules: which, which rule, and by what value."""

    def __init__(self, faults: Sequence[Broken], says: str) -> None:
        super().__init__(422, says)
        self.faults = faults


def as_plain(faults: Sequence[Broken]) -> list[dict[str, Any]]:
    """Return what is odd about rows as JSON can hold it, the first of many."""
    return [
        {"row": fault.row, "rule": fault.rule, "value": _plain(fault.value)}
        for fault in faults[:MOST_FAULTS]
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return str(value)
    return value if len(str(value)) <= 200 else str(value)[:200]
