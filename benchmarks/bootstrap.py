"""The paired bootstrap beside a loop of scikit-learn's metric.

Run `python -m benchmarks.bootstrap [ROWS] [RESAMPLES]`. Two models, the same rows, the same number
of resamples; of the loop only some are run, and its time is scaled up.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from evergreen.promotion.compare import Rows, Side, difference
from evergreen.promotion.noise import Resampling

LOOPED = 60


def main(rows: str = "1000000", resamples: str = "1000") -> None:
    count, times = int(rows), int(resamples)
    draw = np.random.default_rng(0)
    y = (draw.random(count) < 0.2).astype(np.float32)
    signal = y + draw.normal(size=count)
    old, new = (
        (1 / (1 + np.exp(-signal - noise * draw.normal(size=count)))).astype(np.float32)
        for noise in (0.55, 0.5)
    )

    began = time.perf_counter()
    found = difference(
        Rows("binary", y), "roc_auc", Side(old), Side(new), Resampling(times, 0.95, 0)
    )
    ours = time.perf_counter() - began
    assert found is not None

    began = time.perf_counter()
    leads = []
    for _ in range(LOOPED):
        at = draw.integers(0, count, count)
        leads.append(roc_auc_score(y[at], new[at]) - roc_auc_score(y[at], old[at]))
    loop = (time.perf_counter() - began) / LOOPED * times
    half = 1.96 * float(np.std(leads, ddof=1))

    print(f"{count:,} rows, {times} resamples, 2 models, AUC")
    print(
        f"paired bootstrap  {ours:8.1f} s   lead {found.value:.5f} ({found.low:.5f} to "
        f"{found.high:.5f})"
    )
    low, high = found.value - half, found.value + half
    print(
        f"scikit-learn loop {loop:8.1f} s   lead {found.value:.5f} ({low:.5f} to {high:.5f}), from "
        f"{LOOPED} of them"
    )
    print(
        f"ratio {loop / ours:.0f}; largest memory "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
