"""Replays of a made-up history, and its source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest import mock

import polars as pl
import pytest
from conftest import settings_of
from replay.history import BATCHES, SECTIONS, Told, history

from evergreen import params
from evergreen.params import Params
from evergreen.replay import challenge as challenging
from evergreen.replay import replay as module
from evergreen.replay.outcome import Options
from evergreen.replay.replay import replay
from evergreen.training import xgboost as learner
from evergreen.validation.contract import Contract
from evergreen.validation.report import BatchReport, Outcome
from late_flights.dataset import dataset


def check_quickly(_: Any, frame: pl.DataFrame, batch: str) -> Outcome:
    """As the contract of the flights, without Great Expectations, which takes most of the time."""
    missing = tuple(
        f"missing column(s) {name!r}" for name in dataset.columns if name not in frame.columns
    )
    good = frame.clear() if missing else frame.select(*dataset.columns)
    return Outcome(
        BatchReport(batch, frame.height, good.height, 0, (), missing), good, frame.clear()
    )


@pytest.fixture(scope="module")
def quick_checks() -> Iterator[None]:
    with mock.patch.object(Contract, "check", check_quickly):
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Params]:
    """Parameters whose source is a folder that holds these batches."""

    def make(batches: tuple[str, ...] = BATCHES, **sections: Any) -> Params:
        inbox = tmp_path_factory.mktemp("inbox")
        for name in batches:
            history(name).write_parquet(inbox / f"{name}.parquet")
        merged = {
            name: SECTIONS.get(name, {}) | sections.get(name, {})
            for name in {**SECTIONS, **sections}
        }
        return params.parse(
            {"source": {"kind": "files", "path": str(inbox)}, **merged}, "params.yaml"
        )

    return make


COUNTED = {  # by the module that calls it
    challenging: (
        "load_tables",
        "load_all",
        "linear_of",
        "check_leaks",
        "choose",
        "face",
        "decide",
    ),
    module: ("decide_retraining", "find_staleness", "validate", "prepare"),
}
LEARNS = ("build_matrix", "train")  # of the learner


@pytest.fixture(scope="module")
def told(
    source: Callable[..., Params], tmp_path_factory: pytest.TempPathFactory, quick_checks: None
) -> Told:
    """The whole history under all policies."""
    calls: Counter[str] = Counter()
    champions: dict[str, list[str]] = {}

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            calls[name] += 1
            found = real(*args, **options)
            if name == "find_staleness" and found is not None:
                calls[f"{args[0].model.learner} fresh"] += 1
            return found

        return call

    def observe(name: str, *args: Any) -> Any:
        champions.setdefault(args[3].version, []).append(name)
        return real_observe(name, *args)

    real_observe = module.monitor.observe
    root = tmp_path_factory.mktemp("project")
    with ExitStack() as stack:
        for caller, names in {**COUNTED, learner: LEARNS}.items():
            counted = {name: counting(name, getattr(caller, name)) for name in names}
            stack.enter_context(mock.patch.multiple(caller, **counted))
        stack.enter_context(mock.patch.object(module.monitor, "observe", observe))
        found = replay(settings_of(root), source(), Options(every=2))
    return Told(found, settings_of(root).workspace, calls, champions)
