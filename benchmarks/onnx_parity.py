"""Does the ONNX graph say what the package says? `python -m benchmarks.onnx_parity [ROWS]`.

For each task: the mean of ten seeds on a month of flights; a million rows (or ROWS) drawn from
it, a tenth of all cells without a value, a tenth of all texts unseen, a hundredth of all numbers
infinite. Prints the
largest difference, CPU seconds for all and milliseconds for one row, in alternation; then
the same rows by numpy and onnxruntime alone, in a process that cannot import XGBoost.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import numpy as np
import polars as pl

from evergreen.export.onnx_file import OnnxModel, build
from evergreen.features.encoder import fit_encoder
from evergreen.features.featurize import featurize, summarize
from evergreen.features.split import LABEL
from evergreen.metrics.metric import Task
from evergreen.params import Params
from evergreen.replay.challenge import fit_seeds
from evergreen.scoring.package import Learnt, Model
from evergreen.training.tables import Table, Tables
from late_flights import flights
from late_flights.dataset import dataset

ROWS, SEEDS, ROUNDS, REPEATS = 1_000_000, 10, 100, 200
DELAY = pl.col("arr_delay")
LABELS: dict[Task, Any] = {
    "binary": dataset.label,
    "multiclass": pl.when(DELAY <= 0).then(pl.lit("early")).when(DELAY <= 15)
    .then(pl.lit("in time")).otherwise(pl.lit("late")),
    "regression": DELAY.cast(pl.Float64),
}  # fmt: skip
ALONE = """
import sys, numpy as np
sys.modules["xgboost"] = None  # cannot be imported
import onnxruntime
given = dict(np.load(sys.argv[2], allow_pickle=False))
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
text = {feature.name for feature in session.get_inputs() if feature.type == "tensor(string)"}
given = {name: values.astype(object) if name in text else values for name, values in given.items()}
np.save(sys.argv[3], session.run(["prediction"], given)[0])
assert not [name for name in sys.modules if name.startswith(("xgboost.", "evergreen"))]
"""


def main(count: str = str(ROWS)) -> None:
    print(f"{int(count):,} rows, the mean of {SEEDS} seeds of {ROUNDS} rounds, one thread")
    print(
        "task        largest difference         all rows: package  graph   one row: package  graph"
        "  onnxruntime alone"
    )
    for task in LABELS:
        model, rows = made(task, int(count))
        content = build(model).SerializeToString()
        graph = OnnxModel(content)
        ours, theirs = model.predict_rows(rows), graph.predict_rows(rows)
        apart = np.abs(np.asarray(ours, float) - theirs).max()
        share = apart / np.abs(ours).max()
        many, few = alternate(model, graph, rows, 0), alternate(model, graph, rows[:1], REPEATS)
        same = alone(content, graph, rows[:10_000], theirs[:10_000])
        print(
            f"{task:11} {apart:.1e} ({share:.0e} of most)   {many[0]:15.2f} s {many[1]:9.2f} s"
            f"   {1000 * few[0]:12.2f} ms {1000 * few[1]:6.2f} ms    {same}",
            flush=True,
        )


def made(task: Task, count: int) -> tuple[Model, pl.DataFrame]:
    """Return a model of a month, and a million rows with all that may be odd in them."""
    changed = replace(dataset, label=LABELS[task])
    rows = featurize(changed, flights.read("2013-01"), task)[0]
    counts = summarize(changed, rows, {})
    levels = {name: kept for name, kept in counts.kept.levels.items() if name in dataset.features}
    classes = counts.classes if task != "regression" else {}
    encoder = fit_encoder(task, list(dataset.features), levels, classes, 20, ["flights"])
    table = Table(encoder.transform(rows), encoder.transform_label(rows[LABEL]))
    names = encoder.features, tuple(encoder.levels), encoder.classes
    tables = Tables(task, *names, table, table.none(), table.none(), encoder)
    params = Params(task=task, sweep={"seeds": SEEDS}, train={"device": "cpu"})
    seeds = fit_seeds(tables, params, "cpu", params.sweep.seed_list(), ROUNDS)
    learnt = Learnt(np.empty(0, np.uint64), "2013-01-31")
    model = Model(encoder, {seed.seed: seed.booster for seed in seeds}, learnt)
    model.expect_few()
    return model, odd(rows, encoder, count)


def odd(rows: pl.DataFrame, encoder: Any, count: int) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    chosen = rows.select(encoder.features)[draw.integers(0, rows.height, count)]

    def spoilt(column: pl.Series) -> pl.Series:
        number = column.dtype.is_numeric()
        values = column.cast(pl.Float64) if number else column.cast(pl.String)
        other = pl.repeat(np.inf if number else "new", count, dtype=values.dtype, eager=True)
        unseen = pl.Series(draw.random(count) < (0.01 if number else 0.1))
        replaced = values.zip_with(~unseen, -other if number and draw.random() < 0.5 else other)
        return replaced.zip_with(
            pl.Series(draw.random(count) >= 0.1),
            pl.repeat(None, count, dtype=values.dtype, eager=True),
        ).alias(column.name)

    return pl.DataFrame([spoilt(chosen[name]) for name in encoder.features])


def alternate(
    model: Model, graph: OnnxModel, rows: pl.DataFrame, repeats: int
) -> tuple[float, float]:
    """Return the median CPU seconds of either, called in turn; the first time counts if alone."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 1):
        for predict, seconds in zip((model.predict_rows, graph.predict_rows), took, strict=True):
            began = time.process_time()
            predict(rows)
            seconds.append(time.process_time() - began)
    return statistics.median(took[0][1:] or took[0]), statistics.median(took[1][1:] or took[1])


def alone(content: bytes, graph: OnnxModel, rows: pl.DataFrame, expected: Any) -> str:
    """Return how far onnxruntime by itself is, in a process without XGBoost."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, name) for name in ("model.onnx", "rows.npz", "said.npy")]
        places[0].write_bytes(content)
        given: dict[str, Any] = graph.inputs(rows)
        for name in (name for name, text in graph.features.items() if text):
            given[name] = given[name].astype(str)
        np.savez(places[1], **given)
        subprocess.run([sys.executable, "-I", "-c", ALONE, *map(str, places)], check=True)
        return f"{np.abs(np.load(places[2]) - expected).max():.1e} apart"


if __name__ == "__main__":
    main(*sys.argv[1:])
