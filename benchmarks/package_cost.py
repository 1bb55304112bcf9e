"""What the mean of ten seeds costs beside the median seed: `python -m benchmarks.package_cost`.

Size of the package, milliseconds for one row (asked booster by booster, then all together, as they
are once a few rows were asked for often), seconds for a million (of CPU); of models as a run on a
month of flights makes them (200 rounds). The process is one that has loaded the model.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from late_flights.dataset import dataset

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import numpy as np
import polars as pl

from benchmarks.rounds import tables_of
from evergreen.features.featurize import featurize
from evergreen.params import Params
from evergreen.replay.challenge import fit_seeds
from evergreen.scoring.package import OFTEN, Learnt, Model, read_package, write_package
from late_flights import flights

SEEDS, ROUNDS, REPEATS = 10, 200, 100


def main() -> None:
    rows = featurize(dataset, flights.read("2013-01"), "binary")[0]
    tables, params = (
        tables_of([rows], None),
        Params(sweep={"seeds": SEEDS}, train={"device": "cpu"}),
    )
    trained = {
        seed.seed: seed.booster
        for seed in fit_seeds(tables, params, "cpu", params.sweep.seed_list(), ROUNDS)
    }
    million = pl.concat([rows] * (1_000_000 // rows.height + 1))[:1_000_000]
    print("                 package   one row: at first  soon  a million rows")
    for name, boosters in (("median seed", {0: trained[0]}), (f"mean of {SEEDS}", trained)):
        with tempfile.TemporaryDirectory() as folder:
            assert tables.encoder
            learnt = Learnt(np.empty(0, np.uint64), "2013-01-31")
            made = Model(tables.encoder, boosters, learnt)
            package = write_package(Path(folder, "package"), made)
            size = sum(path.stat().st_size for path in package.iterdir()) / 1e6
            model = read_package(package)
        asked = partial(model.predict_rows, rows[:1])
        before = 1000 * median(asked, OFTEN - 2)
        model.expect_few()
        single = 1000 * median(asked, REPEATS)
        many = median(partial(model.predict_rows, million), 1)
        print(
            f"{name:15} {size:5.1f} MB  {before:7.2f} ms  {single:11.2f} ms   {many:6.1f} s",
            flush=True,
        )


def median(work: Callable[[], object], repeats: int) -> float:
    """Return the seconds that it takes, by the median, after a first time that does not count."""
    work() if repeats > 1 else None
    took = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return statistics.median(took)


if __name__ == "__main__":
    main()
