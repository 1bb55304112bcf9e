"""Made: small rows that an extension is tried on."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.metric import Task
from evergreen.project import Project

if TYPE_CHECKING:
    from evergreen.report.finished import Finished
    from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]
CLASSES: dict[str, tuple[str, ...]] = {
    "binary": ("no", "yes"), "multiclass": ("high", "low", "middle"), "regression": (),
}  # fmt: skip
LEVELS = ("ash", "bay", "cove", "dell")
ROWS = 2000


def draw(task: Task, rows: int = ROWS, seed: int = 0) -> tuple[Array, Array]:
    """Return labels, and predictions that are worth what they say, shapes as in `Metric`."""
    source = np.random.default_rng(seed)
    if task == "binary":
        p = source.random(rows)
        return (source.random(rows) < p).astype(np.float32), p.astype(np.float32)
    if task == "multiclass":
        p = source.dirichlet([0.7] * 3, rows)
        y = (p.cumsum(axis=1) > source.random(rows)[:, None]).argmax(axis=1)
        return y.astype(np.float32), p.astype(np.float32)
    p = 10 + 3 * source.normal(size=rows)
    return (p + source.normal(size=rows)).astype(np.float32), p.astype(np.float32)


def draw_tables(task: Task) -> Tables:
    """Return encoded rows whose label depends on two numbers and a category.

    Some numbers are missing.
    """
    from evergreen.training.tables import Table, Tables

    source, sizes = np.random.default_rng(0), (600, 200, 200)
    x = source.normal(size=(sum(sizes), 3)).astype(np.float32)
    x[:, 2] = source.integers(3, 7, len(x))
    score = 2 * x[:, 0] - x[:, 1] + x[:, 2] + 0.5 * source.normal(size=len(x))
    x[source.random(len(x)) < 0.1, 1] = np.nan
    y = {"binary": score > 5, "multiclass": np.digitize(score, [4, 6]), "regression": score}[task]
    edges = np.cumsum(sizes)[:-1]
    train, validation, holdout = (
        Table(part, label.astype(np.float32))
        for part, label in zip(np.split(x, edges), np.split(y, edges), strict=True)
    )
    return Tables(
        task, ("first", "second", "place"), ("place",), CLASSES[task], train, validation, holdout
    )


def draw_run(folder: Path, task: Task) -> Finished:
    """Return a training run of made-up rows of a project in `folder`.

    The gate has judged its model, a first one.
    """
    import polars as pl

    from evergreen.evaluation.baselines import fit_linear
    from evergreen.features.encoder import Encoder
    from evergreen.features.keys import KEY
    from evergreen.features.split import LABEL, TIME
    from evergreen.params import parse
    from evergreen.promotion.candidate import Candidate
    from evergreen.promotion.gate import decide
    from evergreen.promotion.judge import judge
    from evergreen.report.finished import Finished
    from evergreen.scoring.package import Learnt, Model

    tables, params = (
        draw_tables(task),
        parse({"task": task, "evaluate": {"resamples": 100}}, "made"),
    )
    classes, (x, y) = CLASSES[task], (tables.holdout.x, tables.holdout.y)
    encoder = Encoder(task, tables.features, {"place": LEVELS}, classes, ("2024-01",))
    begin, count = datetime(2024, 2, 1), len(y)  # noqa: DTZ001  # features files have no zone
    rows = pl.DataFrame(
        {
            f"{KEY}id": range(count),
            TIME: [begin + timedelta(days=28 * at / count) for at in range(count)],
            LABEL: [classes[int(code)] for code in y] if classes else y,
            "first": x[:, 0],
            "second": x[:, 1],
            "place": [LEVELS[int(code) - 3] for code in x[:, 2]],
        },
        schema_overrides={TIME: pl.Datetime("us")},
    )
    learnt = Learnt(np.arange(1, dtype=np.uint64), "2024-01-31T00:00:00", ("2024-01",))
    model = Model(encoder, {0: fit_linear(tables, 0)}, learnt, "linear")
    said = model.predict_rows(rows)
    constant = np.broadcast_to(said.mean(axis=0), said.shape)
    judged = judge(
        rows, Candidate("1", model, (model.boosters[0],)), None, {"constant": constant}, params
    )
    decision = decide(judged.evidence, params.gate)
    return Finished(Project(folder), params, "made", "1", model, rows, judged, decision)
