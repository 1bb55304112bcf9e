"""One seed that stops early against the mean of ten on all months: `python -m benchmarks.one_seed`.

Both are asked about the flights of June. The usual way trains on January to April and ends each
seed where it is best on May. The other takes the rounds that early stopping finds, as a run does,
and trains ten seeds on January to May.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from benchmarks.rounds import search, tables_of
from evergreen.evaluation.evaluate import predict
from evergreen.features.encoder import Encoder
from evergreen.features.featurize import featurize
from evergreen.features.split import LABEL
from evergreen.metrics.table import LIBRARY
from evergreen.params import Params
from evergreen.replay.challenge import fit_seeds
from late_flights import flights
from late_flights.dataset import dataset

PARAMS = Params(train={"device": "cpu"})


def main() -> None:
    *known, june = [
        featurize(dataset, flights.read(name), "binary")[0] for name in flights.batches()[:6]
    ]
    *earlier, may = known
    seeds = PARAMS.sweep.seed_list()

    usual = tables_of(earlier, may)
    alone = fit_seeds(usual, PARAMS, "cpu", seeds)
    assert usual.encoder
    values = [
        measure(june, usual.encoder, predict(model.booster, usual.encoder.transform(june)))
        for model in alone
    ]
    everything = tables_of(known, None)
    rounds = search([*known, june], most=3).on(len(everything.train))  # June only judges
    assert everything.encoder
    rows = everything.encoder.transform(june)
    together = [
        predict(model.booster, rows)
        for model in fit_seeds(everything, PARAMS, "cpu", seeds, rounds)
    ]
    mean = measure(june, everything.encoder, np.mean(together, axis=0))
    print(f"one seed, May spent on stopping: ROC AUC {np.median(values):.3f}, the median of ten")
    print(f"  from {min(values):.3f} to {max(values):.3f}")
    print(f"mean of ten seeds on all months: ROC AUC {mean:.3f}")


def measure(rows: pl.DataFrame, encoder: Encoder, p: np.ndarray) -> float:
    return float(LIBRARY.measure("binary", encoder.transform_label(rows[LABEL]), p)["roc_auc"])


if __name__ == "__main__":
    main()
