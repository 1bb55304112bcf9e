"""WATCH: what monitoring sees in batches of every kind, and when it asks for a retraining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from recipes.people import NAMES, candidate, encoder_of, people
from recipes.plain import (
    CLASSES,
    TASKS,
    Outputs,
    params_of,
    plain,
    within,
)

from evergreen.evaluation.intervals import Estimate
from evergreen.features.keys import KEY, hash_rows
from evergreen.features.split import LABEL, TIME
from evergreen.metrics.table import LIBRARY
from evergreen.monitoring import monitor, retrain, staleness
from evergreen.monitoring.windows import ChampionState, Window
from evergreen.params import Retrain
from evergreen.statistics.sketch import sketch
from evergreen.training.tables import Table, Tables


def without_fit(seen: monitor.Observation) -> Any:
    """Return what was seen; how well trees tell the batch apart nearly, since they are fitted."""
    told = seen.as_plain()
    drift = told["drift"]
    for name in ("auc", "auc_low", "auc_high"):
        drift[name] = within(0.05, drift[name])
    drift["says"] = ""
    return plain(told)


def watched(task: str) -> Any:
    """Return what is seen of batches beside what the champion has learnt from."""
    champion, params = candidate(task, 1.0, "7").model, params_of(task=task)

    def summary(rows: pl.DataFrame) -> Any:
        labelled = [LABEL] if LABEL in rows.columns else []
        return sketch(rows.select(*NAMES, *labelled), rows[TIME])

    holdout = people(task, 600, 20)
    past = [summary(people(task, 600, 21 + at, f"2013-0{at + 1}-01")) for at in range(3)]
    reference = monitor.Reference.of(
        "7", champion, past, holdout, champion.predict_rows(holdout), params, 0.55
    )
    rows = people(task, 600, 30, "2013-06-01")
    batches = {
        "as usual": rows,
        "shifted": rows.with_columns(pl.col("first") + 1),
        "missing": rows.with_columns(second=pl.lit(np.nan, pl.Float32())),
        "a new level": rows.with_columns(
            place=pl.when(pl.col("place") == "ash").then(pl.lit("elm")).otherwise("place")
        ),
        "without labels": rows.drop(LABEL),
        "few rows": rows[:20],
    }
    found: Outputs = {"expected": plain(reference.expected)}
    before: list[Any] = []
    for name, batch in batches.items():
        seen = monitor.observe(
            name,
            batch,
            summary(batch),
            None,
            reference,
            params,
            before,
            ("odd",) if name == "missing" else (),
        )
        found[name] = without_fit(seen)
        before.append(seen.as_plain())
    later = rows.select(f"{KEY}id", TIME, LABEL, *NAMES)[:400]
    seen = monitor.observe(
        "later", rows.drop(LABEL), summary(rows.drop(LABEL)), later, reference, params, before
    )
    found["labels that came later"] = without_fit(seen)
    metric = LIBRARY.pick(None, task)
    windows = [monitor.window_of(fact, metric) for fact in before if not fact["answered"]]
    life = ChampionState(
        "7",
        datetime.fromisoformat("2013-03-31"),
        reference.expected[metric],
        metric,
        (),
        5000,
        30_000,
    )
    found["retrain"] = decided(windows, life)
    return found


def decided(windows: list[Window], life: ChampionState, **params: Any) -> Any:
    found = retrain.decide_retraining(windows, life, Retrain(**params), metrics=LIBRARY)
    return [found.action, len(found.reasons), [[rule["name"], rule["met"]] for rule in found.rules]]


def policies() -> Any:
    """Return what is decided of batches in every state."""
    start = datetime.fromisoformat("2013-06-01")
    good, bad = Estimate(0.7, 0.695, 0.705), Estimate(0.65, 0.645, 0.655)
    life = ChampionState("3", start, good, "roc_auc", (start,), 5000, 50_000)

    def three(**more: Any) -> list[Window]:
        known: dict[str, Any] = {"rows": 900, "labelled": 900, "real": good}
        return [
            Window(
                **known
                | {"batch": f"2013-{7 + at:02}", "end": start + timedelta(days=30 * (at + 1))}
                | more
            )
            for at in range(3)
        ]

    unlabelled = {"labelled": 0, "real": None}
    cases: dict[str, tuple[list[Window], ChampionState, dict[str, Any]]] = {
        "well": (three(), life, {}),
        "lost": (three(real=bad), life, {}),
        "lost once": ([*three()[:2], three(real=bad)[2]], life, {}),
        "lost, and drift": (three(real=bad, drifted=("first",), together=True), life, {}),
        "drift": (three(drifted=("first",), together=True, prediction_drifted=True), life, {}),
        "label drift": (three(label_drifted=True), life, {}),
        "stale": (three(staleness=Estimate(0.02, 0.01, 0.03)), life, {}),
        "not surely stale": (three(staleness=Estimate(0.02, -0.01, 0.03)), life, {}),
        "estimated loss": (three(**unlabelled, estimated=bad), life, {}),
        "unlabelled": (three(**unlabelled), life, {}),
        "unfit": (three(real=bad, unfit=("odd",)), life, {}),
        "old": (three(), replace(life, learnt_until=start - timedelta(days=300)), {}),
        "cooling down": (
            three(real=bad),
            replace(life, retrainings=(start + timedelta(days=80),)),
            {},
        ),
        "few new rows": (three(real=bad), replace(life, new_rows=10), {}),
        "budget": (three(real=bad), life, {"budget": 0}),
        "no batch": ([], life, {}),
        "out of order": ([*reversed(three(real=bad))], life, {}),
        "rmse": (three(real=bad), replace(life, metric="rmse"), {}),
        "never by age": (
            three(),
            replace(life, learnt_until=start - timedelta(days=300)),
            {"max_age_days": None},
        ),
    }
    return {name: decided(*case[:2], **case[2]) for name, case in cases.items()}


def stale(task: str) -> Any:
    """Return nearly what it costs that a champion lacks newer rows, in a world that has turned."""
    turned = [
        people(task, 800, seed, start).with_columns(-pl.col("first"))
        for seed, start in ((40, "2013-05-01"), (41, "2013-06-01"))
    ]
    encoder = encoder_of(task)
    table = Table(
        encoder.transform(turned[0]),
        encoder.transform_label(turned[0][LABEL]),
        hash_rows(turned[0]),
    )
    given = Tables(task, NAMES, ("place",), CLASSES[task], table, table.none(), table, encoder)
    metric, params = LIBRARY.pick(None, task), params_of(task=task)
    found = staleness.find_staleness(
        candidate(task, 1.0, "1"), given, turned[1], metric, params, device="cpu", threads=1
    )
    return found and within(0.05, [found.value, found.low, found.high])


CASES: dict[str, Callable[[], Any]] = {
    **{f"{task}: seen": partial(watched, task) for task in TASKS},
    **{f"{task}: stale": partial(stale, task) for task in TASKS},
    "policies": policies,
}
