"""JUDGE: what a training run says of its models and their data, and what the gate decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from recipes.farm import a_farm
from recipes.people import NAMES, candidate, encoder_of, formula, people
from recipes.plain import (
    CLASSES,
    TASKS,
    Outputs,
    params_of,
    plain,
    within,
)

from evergreen.errors import InputError
from evergreen.evaluation import evaluate
from evergreen.evaluation.baselines import predict_baselines
from evergreen.evaluation.calibration import calibration_error
from evergreen.evaluation.held_out import HeldOut
from evergreen.features import prepare
from evergreen.features.keys import KEY
from evergreen.features.split import LABEL
from evergreen.metrics.table import LIBRARY
from evergreen.params import Leaks
from evergreen.promotion import influence, judge, refit, rollback, simplest, trained_models
from evergreen.promotion.candidate import Candidate, resampling_of
from evergreen.promotion.compare import Rows, Side
from evergreen.promotion.gate import decide
from evergreen.quality import bias, label_noise, leaks
from evergreen.quality.held_batches import find_held
from evergreen.training import cross_validation, tables
from evergreen.training.seeds import choose
from evergreen.training.tables import Table, Tables


def judged(
    task: str,
    challenger: Candidate,
    champion: Candidate | None,
    count: int = 600,
    **how: Any,
) -> Any:
    """Return what the gate is told of two candidates, and what it decides."""
    rows = people(task, count, 7)
    y = encoder_of(task).transform_label(rows[LABEL])
    constant = (
        np.tile(np.bincount(y.astype(int)) / len(y), (len(y), 1))
        if task == "multiclass"
        else np.full(len(y), y.mean())
    )
    weak = candidate(task, 0.3, "0").model.predict_rows(rows)
    params = params_of(task=task, sweep={"seeds": 3}, gate=how.pop("gate", {}))
    baselines = {"constant": constant, "linear": weak}
    found = judge.judge(rows, challenger, champion, baselines, params, **how)
    known, held = replace(found.evidence, reload=0.0), found.held_out
    decision = decide(known, params.gate)
    said = [held.keys, held.packaged, *held.seeds, *found.predictions.values()]
    return plain(
        [
            known,
            decision.action,
            [[rule["name"], rule["met"]] for rule in decision.rules],
            [*found.predictions],
            [rows[::5] for rows in said],
        ]
    )


def gate_cases(task: str) -> Outputs:
    weak, strong, same = (
        candidate(task, 0.4, "1"),
        candidate(task, 1.0, "2"),
        candidate(task, 1.0, "3"),
    )
    return {
        "nothing lives": judged(task, strong, None),
        "better": judged(task, strong, weak),
        "worse": judged(task, weak, strong, refresh=True),
        "the same": judged(task, strong, same),
        "a refresh": judged(task, strong, same, refresh=True),
        "a bad one, nothing lives": judged(task, candidate(task, -1.0, "4"), None),
        "a person decides": judged(
            task, strong, weak, gate={"approval": "manual", "max_group_difference": 0.001}
        ),
        "few rows": judged(task, strong, weak, 30),
        "too few rows": judged(task, strong, weak, 8),
        "checks are off": judged(
            task,
            strong,
            weak,
            gate=dict.fromkeys(
                ("max_age_days", "slice_margin", "max_calibration_error", "max_group_difference")
            ),
        ),
        "notes": judged(
            task, strong, weak, notes=("a check was off",), simplest="the linear model"
        ),
    }


def a_pick(task: str) -> Any:
    """Return which of two models of a run faces the champion."""
    rows = people(task, 500, 8)
    baselines = {
        "constant": np.zeros((500, 3)) + 1 / 3 if task == "multiclass" else np.full(500, 0.4)
    }
    how, known = (
        params_of(task=task, sweep={"seeds": 3}),
        Rows(task, encoder_of(task).transform_label(rows[LABEL])),
    )
    metric, found = LIBRARY.pick(None, task), []
    for trees, straight in ((1.0, 0.3), (0.5, 0.5), (1.0, 0.99), (0.2, 1.0), (1.0, -1.0)):
        both = candidate(task, trees, "trees"), candidate(task, straight, "linear")
        said = {**baselines, "linear": both[1].model.predict_rows(rows)}
        for live in (None, "linear", "xgboost"):
            told = simplest.pick(
                known, both[0].predict_unseen(rows), said, metric, resampling_of(how), live
            )
            found.append(plain([told.linear, told.says]))
        champion = candidate(task, 0.6, "1")
        for live in (None, champion):
            chosen, seen = trained_models.face(rows, *both, said, live, how, ())
            found.append([chosen.version, plain(seen.evidence.comparison)])
    few = Rows(task, known.y[:9])
    said = {
        name: predicted[:9]
        for name, predicted in {**baselines, "linear": baselines["constant"]}.items()
    }
    told = simplest.pick(
        few, Side(baselines["constant"][:9]), said, metric, resampling_of(how), None
    )
    return [*found, told.linear]


def a_refit(task: str) -> Any:
    """Return the refit beside the judged model, the newest batch's influence, and the rollback."""
    first, other = candidate(task, 1.0, "1"), candidate(task, 0.9, "2")
    holdout, earlier = people(task, 400, 9), people(task, 400, 10, "2013-02-01")
    said, params = first.model.predict_rows(holdout), params_of(task=task)
    found = [
        plain(refit.compare_refit(other.model, first.model, said, given, holdout, 12, params))
        for given in (earlier, None)
    ]
    rows = Table(np.zeros((1, 3), np.float32), np.zeros(1, np.float32))
    known = Tables(task, NAMES, ("place",), CLASSES[task], rows, rows, rows, encoder_of(task))
    found.append(
        plain(influence.find_influence(known, earlier, first.seeds, other.seeds, "linear", params))
    )
    metric = LIBRARY.pick(None, task)
    for present, before in ((0.3, 1.0), (1.0, 0.3), (1.0, 1.0)):
        both = candidate(task, present, "2"), candidate(task, before, "1")
        back = rollback.judge_rollback(people(task, 400, 11, "2013-05-01"), *both, metric, params)
        found.append(
            [
                back.action,
                [[rule["name"], rule["met"]] for rule in back.rules],
                plain(back.evidence["comparison"]),
            ]
        )
    return found


def leaking(task: str) -> Iterator[tuple[str, Tables, dict[str, Any]]]:
    """Yield tables in which something is wrong, or nothing."""
    draw, total = np.random.default_rng(5), 1200
    y = (draw.random(total) < 0.3) * 1.0 if task == "binary" else draw.integers(0, 3, total) * 1.0
    y = draw.normal(size=total) if task == "regression" else y
    honest = y + 2 * draw.normal(size=(2, total))
    columns = {
        "nothing": draw.normal(size=total), "the label": 3 * y + 1,
        "nearly": y + 0.02 * draw.normal(size=total), "strong": y + 0.25 * draw.normal(size=total),
        "missing for some": np.where(y > 0.9, np.nan, draw.normal(size=total)),
    }  # fmt: skip

    def tables_of(x: Any, labels: Any, keys: Any) -> Tables:
        cuts = [700, 950]
        columns = x.astype(np.float32), labels.astype(np.float32), keys
        split = [np.split(column, cuts) for column in columns]
        parts = [Table(*part) for part in zip(*split, strict=True)]
        return Tables(task, ("helpful", "noise", "suspect"), (), CLASSES[task], *parts)

    keys = np.arange(total, dtype=np.uint64)
    for name, column in columns.items():
        yield name, tables_of(np.column_stack([*honest, column]), y, keys), {}
    whole = np.column_stack([*honest, columns["nothing"]])
    yield (
        "a sum tells",
        tables_of(np.column_stack([honest[0], 2 * y - honest[0], columns["nothing"]]), y, keys),
        {},
    )
    yield "keys shared", tables_of(whole, y, np.where(keys > 1100, keys - 1000, keys)), {}
    again = np.arange(total)
    again[1000:1100] = again[:100]
    yield "rows repeated", tables_of(whole[again], y[again], keys), {}
    near = whole[again].copy()
    near[1000:1100, 2] += 1
    yield "all but one repeated", tables_of(near, y[again], keys), {}
    yield (
        "all off",
        tables_of(whole, y, keys),
        {"max_single_score": None, "stand_out": None, "max_duplicates": None},
    )
    yield (
        "trusted",
        tables_of(np.column_stack([*honest, columns["the label"]]), y, keys),
        {"trusted": ("suspect",)},
    )


def leaks_of(task: str) -> Any:
    found = {}
    for name, given, params in leaking(task):
        told = [
            [leak.kind, leak.name, within(0.001, leak.value), list(leak.columns)]
            for leak in leaks.find_leaks(given, Leaks(**params))
        ]
        try:
            notes = len(leaks.check_leaks(given, Leaks(**params)))
        except InputError:
            notes = -1
        found[name] = [told, notes]
    return found


def biased() -> Any:
    """Return the report of what training data leave out, lack and repeat."""
    found = {}
    for variant in ("binary", "multiclass", "regression", "no time"):
        with a_farm(variant) as (project, dataset, params):
            prepare.prepare(project, dataset, params, find_held)
            given = bias.Evidence.read(project, dataset)
            report = bias.find_bias(given, seed=0)
            bounds = params.bias.model_copy(
                update={"max_left_out": 0.01, "max_missing_difference": 0.01, "max_duplicates": 0.0}
            )
            found[variant] = [plain(report), len(bias.list_faults(report, bounds))]
    return found


def noisy(task: str) -> Any:
    """Return which labels a model contradicts."""
    rows = people(task, 400, 12)
    y = encoder_of(task).transform_label(rows[LABEL]).copy()
    y[:20] = (y[:20] + 1) % max(2, len(CLASSES[task])) if task != "regression" else y[:20] + 30
    p = candidate(task, 1.0, "1").model.predict_rows(rows)
    given = label_noise.Predicted(y, p, CLASSES[task], rows.select(f"{KEY}id"))
    return [
        plain(label_noise.find_label_noise(task, given)),
        plain(label_noise.find_suspect_labels(task, y, p)),
    ]


def measured(task: str) -> Any:
    """Return every metric with its interval, and the spread over seeds."""
    rows, encoder = people(task, 300, 13), encoder_of(task)
    y, x = encoder.transform_label(rows[LABEL]), encoder.transform(rows)
    table = Table(x, y)
    given = Tables(task, NAMES, ("place",), CLASSES[task], table, table, table, encoder)
    boosters = {seed: formula(task, 1 + 0.1 * seed) for seed in range(3)}
    seeds = [
        evaluate.measure_seed(given, booster, "linear", metrics=LIBRARY)
        for booster in boosters.values()
    ]
    said = {"constant": np.zeros((300, 3)) + 1 / 3 if task == "multiclass" else np.full(300, 0.3)}
    found = evaluate.evaluate(
        given, boosters, seeds, said, params_of().evaluate, "linear", metrics=LIBRARY
    )
    fitted = {name: within(0.01, predicted.reshape(len(predicted), -1).mean(axis=0))
              for name, predicted in predict_baselines(given, 0).items()}  # fmt: skip
    chosen = [choose(dict(enumerate((0.4, 0.2, 0.3, 0.2))), model) for model in ("mean", "median")]
    return [
        plain([found.estimates, found.spread]),
        fitted,
        chosen,
        plain(calibration_error(task, y, said["constant"])),
    ]


def _two_folds() -> Tables:
    table = Table(np.zeros((4, 1), np.float32), np.zeros(4, np.float32))
    halves = tuple(tables.Fold(np.arange(2), np.arange(0), np.arange(2)) for _ in range(2))
    return Tables("regression", ("x",), (), (), table, table.none(), table, folds=halves)


def kept() -> Any:
    """Return what is kept of the holdout, and how models of folds are joined."""
    said = HeldOut.of(
        np.array([3, 1, 2], np.uint64), np.array([0.3, 0.1, 0.2]), (np.array([3.0, 1.0, 2.0]),)
    )
    joined = cross_validation.part_bytes(_two_folds(), cross_validation.join_bytes([b"a", b"bc"]))
    return plain([said, said.find(np.array([2, 3], np.uint64)), [part.decode() for part in joined]])


WORKS: dict[str, Callable[[str], Any]] = {
    "gate": gate_cases, "pick": a_pick, "refit": a_refit, "leaks": leaks_of, "label noise": noisy,
    "metrics": measured,
}  # fmt: skip
CASES: dict[str, Callable[[], Any]] = {
    **{f"{task}: {name}": partial(work, task) for task in TASKS for name, work in WORKS.items()},
    "bias": biased,
    "kept": kept,
}
