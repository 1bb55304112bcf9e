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
from evergreen.params import Serve
from evergreen.scoring.unlabelled import BadRowsError, check_given
from evergreen.scoring.unlabelled import Given as GivenRows
from evergreen.serving.body import JSON, PACKED, SHOWN, BodyError, Rows, read_rows
from evergreen.serving.live import Live
from evergreen.serving.unpacker import Unpacker
from evergreen.validation.contract import Contract
from evergreen.validation.report import QUARANTINE_ROW, REASONS
from evergreen.validation.row_rules import BATCH, Broken, RowRules

MOST_FAULTS = 20  # that an answer names
SMALL = 64 * 1024  # bytes that are read at once, in no thread


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

    def __init__(self, contract: Contract, params: Serve, key: Key | None = None) -> None:
        self._contract, self._rules = contract, RowRules(contract)
        self.dataset: Dataset = contract.dataset
        self._key = key  # of personal columns
        self._most, self._threads = params.max_rows, ThreadPoolExecutor(params.at_once, "rows")
        self._unpacker = Unpacker(params.max_rows, int(params.max_body_mb * 2**20))
        self.engine = self._rules.engine

    async def predict(self, kind: str, body: bytes, live: Callable[[], Live]) -> Predicted:
        """Return the answer to rows; `live`: gives the model, once for the whole answer.

        A few rows are answered at once, many in a thread. Raises BodyError.
        """
        dataset = self.dataset
        if len(body) < SMALL and kind not in PACKED:
            rows = self._read(dataset.known_in_time, kind, body)
            if rows.typed.height <= FEW:
                checked = self._check_few(rows)
                if checked:
                    return self._answer(checked, rows.typed.height, live())
        work = partial(self._predict_many, kind, body, live())
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def read_labels(self, kind: str, body: bytes) -> pl.DataFrame:
        """Return the key and what is known later of labelled rows, each once. Raises BodyError."""
        if len(body) < SMALL and kind not in PACKED:
            return self._read_labels(kind, body)
        work = partial(self._read_labels, kind, body)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _read_labels(self, kind: str, body: bytes) -> pl.DataFrame:
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
        labels = rows.typed.select(names).unique(maintain_order=True)
        twice = labels.filter(labels.select(dataset.key).is_duplicated())
        if twice.height:
            key = ", ".join(f"{name} {str(twice[name][0])[:SHOWN]}" for name in dataset.key)
            raise BodyError(422, f"labels that differ for the same key, {key}: send the right one")
        return labels

    def _predict_many(self, kind: str, body: bytes, live: Live) -> Predicted:
        rows = self._read(self.dataset.known_in_time, kind, body)
        try:
            outcome = check_given(GivenRows(BATCH, rows.delivered), self._contract)
        except BadRowsError as error:
            found = error.outcome
            raise FaultsError(_faults(found.broken), "; ".join(found.report.faults)) from None
        except InputError as error:
            raise BodyError(422, str(error)) from None
        faults = _faults(outcome.quarantined)
        left = np.ones(rows.typed.height, bool)
        left[[fault.row for fault in faults]] = False
        checked = Checked(outcome.valid, np.flatnonzero(left).tolist(), faults, ())
        return self._answer(checked, rows.typed.height, live)

    def _read(self, names: Sequence[str], kind: str, body: bytes) -> Rows:
        if kind in PACKED:
            kind, body = JSON, self._unpacker.unpack(kind, body, names)
        return read_rows(self.dataset, names, kind, body, self._most, self._key)

    def close(self) -> None:
        """End what it has started."""
        self._threads.shutdown()
        self._unpacker.close()

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


def _faults(bad: pl.DataFrame | None) -> list[Broken]:
    """Return what a batch's check found in rows, each with the value or values it is about."""
    found: list[Broken] = []
    if bad is None or REASONS not in bad.columns:
        return found
    for row in bad.iter_rows(named=True):
        for rule in row[REASONS]:
            names = rule.partition(": ")[0].split(", ")
            values = tuple(row[name] for name in names if name in row)
            value = values[0] if len(values) == 1 else ", ".join(map(str, values))
            found.append(Broken(row[QUARANTINE_ROW] - 1, rule, value if values else None))
    return found


def as_plain(faults: Sequence[Broken]) -> list[dict[str, Any]]:
    """Return what is odd about rows as JSON can hold it, the first of many."""
    return [
        {"row": fault.row, "rule": fault.rule, "value": _plain(fault.value)}
        for fault in sorted(faults, key=lambda fault: fault.row)[:MOST_FAULTS]
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return str(value)
    return value if len(str(value)) <= 200 else str(value)[:200]
