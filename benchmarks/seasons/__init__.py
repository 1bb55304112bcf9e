"""When to retrain on data of another kind: two years of made-up sales, month by month.

Run `python -m benchmarks.seasons`. Regression, generated with a fixed seed: what a shop sells in an
hour, with a season that differs by shop, a week, prices, a trend of each shop's own, and noise. No
feature says how much time has passed, so that the trend has to be learnt again. Neither these data
nor params.yaml were chosen by what came out here; two details of the rules were (docs/replay.md).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from benchmarks.seasons.dataset import dataset

START, MONTHS, ROWS, SHOPS, SEED = datetime(2011, 1, 1), 24, 2500, 12, 2011  # noqa: DTZ001
NOISE = 15.0  # standard deviation, in sales


def batches() -> list[str]:
    """Return the names of the months."""
    return [f"{START.year + at // 12}-{at % 12 + 1:02}" for at in range(MONTHS)]


def origin() -> str:
    """Return what tells these data from others."""
    return f"generated with seed {SEED}"


def read(batch: str) -> pl.DataFrame:
    """Return the sales of one month, shape (ROWS, 6)."""
    at = batches().index(batch)
    world, draw = np.random.default_rng(SEED), np.random.default_rng([SEED, at])
    # What sells in summer, or in winter
    level, swing = world.uniform(80, 160, SHOPS), world.uniform(-40, 40, SHOPS)
    trend = world.normal(1.0, 2.0, SHOPS)  # sales more each month
    start = START.replace(year=START.year + at // 12, month=at % 12 + 1)
    days = ((start + timedelta(days=31)).replace(day=1) - start).days
    hours = np.sort(draw.integers(0, 24 * days, ROWS))
    times = [start + timedelta(hours=int(hour)) for hour in hours]
    passed = np.array([(time - START).days for time in times])
    season = -np.cos(2 * np.pi * passed / 365.25)  # 1 in July
    shop, weekend = draw.integers(0, SHOPS, ROWS), np.array([time.weekday() >= 5 for time in times])
    price = np.round(draw.normal(10, 1.5, ROWS), 2)
    warmth = np.round(12 + 10 * season + draw.normal(0, 4, days)[hours // 24], 1)
    busy = np.sin(np.pi * (hours % 24) / 24) ** 2
    sales = (level[shop] + swing[shop] * season + trend[shop] * passed / 30.44) * (0.6 + 0.6 * busy)
    sales += (
        15 * weekend
        - 6 * (price - 10) * (1 + weekend)
        + 0.4 * (warmth - 12)
        + draw.normal(0, NOISE, ROWS)
    )
    named = pl.Series(shop).replace_strict({at: f"shop {at}" for at in range(SHOPS)})
    columns = {"number": at * ROWS + np.arange(ROWS), "hour": times, "shop": named, "price": price,
               "temperature": warmth, "sales": sales}  # fmt: skip
    return pl.DataFrame(columns).cast(dict(dataset.columns))  # type: ignore[arg-type]
