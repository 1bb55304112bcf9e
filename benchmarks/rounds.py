"""How often to boost: `python -m benchmarks.rounds [EVERY]`, by default on every third flight.

Early stopping says it on the months that are known, in several ways; what is trained on all of them
is asked about the next month, which nobody has seen. Printed is how far the mean of the seeds is
above the lowest log loss, and below the highest ROC AUC, of all numbers of rounds: the first of the
ways is what a run does (`training/rounds.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import numpy as np
import polars as pl

from evergreen.features.encoder import fit_encoder
from evergreen.features.featurize import featurize, summarize
from evergreen.features.split import LABEL
from evergreen.metrics.table import LIBRARY
from evergreen.params import Params
from evergreen.replay.challenge import fit_seeds
from evergreen.training.rounds import FEWEST, ROUND_SEEDS, Cut, Rounds, find_rounds
from evergreen.training.tables import Table, Tables
from late_flights import flights
from late_flights.dataset import dataset

ENDS = range(3, 12)  # how many months are known
MOST, STEP = 500, 10  # rounds that are looked at
PARAMS = Params(sweep={"seeds": ROUND_SEEDS}, train={"device": "cpu"})
Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def median(found: Rounds, rows: int) -> float:
    """Return what is boosted on so many rows."""
    return found.on(rows)


def each(found: Rounds, rows: int) -> list[float]:
    """Return what each seed says of so many rows."""
    return [kept * rows / stop.rows for stop in found.stops for kept in stop.kept]


# The way -> on how many cuts, and what follows from what the seeds found, for so many rows
WAYS: dict[str, tuple[int, Callable[[Rounds, int], float]]] = {
    "median of three cuts": (3, median),
    "mean of three cuts": (3, lambda found, rows: float(np.mean(each(found, rows)))),
    "most of three cuts": (3, lambda found, rows: max(each(found, rows))),
    "larger of two cuts": (2, median),
    "mean of two cuts": (2, lambda found, rows: float(np.mean(found.each(rows)))),
    "median of three seeds, newest cut": (1, median),
    "the same, not scaled by rows": (
        1,
        lambda found, _: float(np.median(found.stops[0].kept)),
    ),
    "most of three seeds, newest cut": (1, lambda found, rows: max(each(found, rows))),
    "median, newest cut, twice": (1, lambda found, rows: 2.0 * found.on(rows)),
}


def main(every: str = "3") -> None:
    months = [
        featurize(dataset, flights.read(name).gather_every(int(every)), "binary")[0]
        for name in flights.batches()
    ]
    tried = np.array([measure_end(months, end) for end in ENDS])  # ends, ways, what is told
    for name, (rounds, loss, auc) in zip(WAYS, tried.mean(axis=0), strict=True):
        print(f"{name:34}  {rounds:5.0f} rounds  log loss +{loss:.2%}  ROC AUC -{auc:.4f}")


def measure_end(months: Sequence[pl.DataFrame], end: int) -> list[tuple[float, float, float]]:
    """Return of each way the rounds, and how far from the best log loss and ROC AUC these are."""
    tables = tables_of(months[:end], None)
    curve = curve_of(tables, months[end])
    known = {many: search(months[:end], many) for many in (1, 2, 3)}
    counts = [way(known[many], len(tables.train)) for many, way in WAYS.values()]
    grid = np.arange(STEP, MOST + 1, STEP)
    loss, auc = (np.interp(counts, grid, line) for line in curve)
    told = "/".join(f"{count:.0f}" for count in counts)
    print(f"{end} months, {len(tables.train):,} rows: {told}", flush=True)
    return [*zip(counts, loss / curve[0].min() - 1, curve[1].max() - auc, strict=True)]


def search(months: Sequence[pl.DataFrame], most: int) -> Rounds:
    """Find the rounds of what the newest of the months stays out of, on so many cuts at most."""

    def fit(_: Cut, tables: Tables, seeds: Sequence[int]) -> list[int]:
        return [model.rounds for model in fit_seeds(tables, PARAMS, "cpu", seeds)]

    cuts = cuts_of(months, tables_of)[:most]
    return find_rounds(cuts, PARAMS.sweep.seed_list(), PARAMS.train.rounds, fit)


def cuts_of(
    batches: Sequence[pl.DataFrame],
    tables: Callable[[Sequence[pl.DataFrame], pl.DataFrame], Tables],
) -> list[Cut]:
    """Return the cuts of batches of about one size, the newest of which judges, newest first."""
    last = len(batches) - 2
    return [
        Cut(f"batch {stops}", partial(tables, batches[:stops], batches[stops]))
        for stops in range(last, max(0, last - ROUND_SEEDS), -1)
        if stops >= FEWEST * last
    ]


def curve_of(tables: Tables, later: pl.DataFrame) -> tuple[Array, Array]:
    """Return the log loss and the ROC AUC of the mean of the seeds, after each `STEP` rounds."""
    import xgboost as xgb

    assert tables.encoder
    x, y = tables.encoder.transform(later), tables.encoder.transform_label(later[LABEL])
    said = []
    for model in fit_seeds(tables, PARAMS, "cpu", PARAMS.sweep.seed_list(), MOST):
        booster = xgb.Booster()
        booster.load_model(bytearray(model.booster))
        ends = range(STEP, MOST + 1, STEP)
        said.append([booster.inplace_predict(x, iteration_range=(0, end)) for end in ends])
    found = [LIBRARY.measure("binary", y, p) for p in np.mean(said, axis=0)]
    loss, auc = (np.array([told[name] for told in found]) for name in ("log_loss", "roc_auc"))
    return loss, auc


def tables_of(learnt: Sequence[pl.DataFrame], stops: pl.DataFrame | None) -> Tables:
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
