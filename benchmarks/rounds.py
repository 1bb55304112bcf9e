"""How rounds carry over from fewer to more rows: `python -m benchmarks.rounds [EVERY]`.

By default on every third flight. Early stopping finds the rounds on all months but the newest two,
as a run does; what is trained on all months is boosted as often times a factor, and asked about the
next month, which nobody has seen. Printed is the mean ROC AUC of the seeds' mean, and how far each
factor is from the best. "rows" is the factor by which there are more rows: `seeds.scale_rounds`.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import numpy as np
import polars as pl

from evergreen.evaluation.evaluate import predict
from evergreen.features.encoder import fit_encoder
from evergreen.features.featurize import featurize, summarize
from evergreen.features.split import LABEL
from evergreen.metrics.table import LIBRARY
from evergreen.params import Params
from evergreen.replay.challenge import fit_seeds
from evergreen.training.seeds import ROUND_SEEDS, scale_rounds
from evergreen.training.tables import Table, Tables
from late_flights import flights
from late_flights.dataset import dataset

FACTORS = (0.5, 0.75, 1.0, 1.5, 2.0)  # of the rounds that early stopping kept
ENDS = (3, 5, 7, 9, 11)  # how many months are known
PARAMS = Params(sweep={"seeds": ROUND_SEEDS}, train={"device": "cpu"})


def main(every: str = "3") -> None:
    months = [
        featurize(dataset, flights.read(name).gather_every(int(every)), "binary")[0]
        for name in flights.batches()
    ]
    print(
        "months  rows    rounds found  "
        + "  ".join(f"x{factor:<5g}" for factor in FACTORS)
        + "  x rows (factor)"
    )
    table = [measure_end(months, end) for end in ENDS]
    mean = np.mean(table, axis=0)
    print("mean below the best factor of each month: " + "  ".join(f"{loss:+.4f}" for loss in mean))


def measure_end(months: list[pl.DataFrame], end: int) -> np.ndarray:
    """Return how far each factor, the last that of rows, is below the best of them.

    Measured on the month after `end`.
    """
    *earlier, stops = months[: end - 1]
    tables, everything = tables_of(earlier, stops), tables_of(months[:end], None)
    seeds = PARAMS.sweep.seed_list()
    found = [seed.rounds for seed in fit_seeds(tables, PARAMS, "cpu", seeds)]
    before, after = len(tables.train), len(everything.train)
    rows = scale_rounds(found, before, after, PARAMS.train.rounds)
    tried = [*(max(1, round(float(np.median(found)) * factor)) for factor in FACTORS), rows]
    known = {count: ask(everything, months[end], count) for count in dict.fromkeys(tried)}
    values = np.array([known[count] for count in tried])
    told = "  ".join(f"{value:.4f}" for value in values)
    print(
        f"{end:6}  {after:6,}  {'/'.join(map(str, found)):12}  {told} ({after / before:.2f})",
        flush=True,
    )
    return np.asarray(values - values.max())


def ask(tables: Tables, later: pl.DataFrame, rounds: int) -> float:
    assert tables.encoder
    x, y = tables.encoder.transform(later), tables.encoder.transform_label(later[LABEL])
    models = fit_seeds(tables, PARAMS, "cpu", PARAMS.sweep.seed_list(), rounds)
    mean = np.mean([predict(model.booster, x) for model in models], axis=0)
    return float(LIBRARY.measure("binary", y, mean)["roc_auc"])


def tables_of(learnt: list[pl.DataFrame], stops: pl.DataFrame | None) -> Tables:
    rows = pl.concat(learnt)
    counts = summarize(dataset, rows, {})
    levels = {name: kept for name, kept in counts.kept.levels.items() if name in dataset.features}
    encoder = fit_encoder("binary", list(dataset.features), levels, counts.classes, 20, ["flights"])

    def table(part: pl.DataFrame) -> Table:
        return Table(encoder.transform(part), encoder.transform_label(part[LABEL]))

    train = table(rows)
    later = table(stops) if stops is not None else train.none()
    return Tables(
        "binary",
        encoder.features,
        tuple(encoder.levels),
        encoder.classes,
        train,
        later,
        later,
        encoder,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
