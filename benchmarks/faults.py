"""In how many months is a fault noticed?

`python -m benchmarks.faults` prints a line for each fault, and for shorter batches. Each month of
flights from April on gets the fault, one at a time, and stands beside the true months before it, as
`prepare` looks at a new batch. A month without a fault should never be held back.
"""

from __future__ import annotations

import polars as pl

from evergreen.features.featurize import featurize
from evergreen.features.split import LABEL, TIME
from evergreen.params import Drift
from evergreen.quality.batch_anomalies import find_anomalies
from evergreen.quality.held_batches import BEFORE
from evergreen.statistics.psi import FEWEST_BATCHES
from evergreen.statistics.sketch import Sketch, sketch
from late_flights import flights
from late_flights.dataset import dataset

FAULTS: dict[str, pl.Expr | None] = {
    "none": None,
    "labels inverted": pl.when(pl.col(LABEL) == "true")
    .then(pl.lit("false"))
    .otherwise(pl.lit("true"))
    .alias(LABEL),
    "temperature in Celsius": (pl.col("temp") - 32) / 1.8,
    "dew point in Celsius": (pl.col("dewp") - 32) / 1.8,
    "distance in kilometres": pl.col("distance") * 1.609344,
    "departure in hours": pl.col("departure_minute") / 60,
    "pressure in inches of mercury": pl.col("pressure") * 0.02953,
    "visibility in kilometres": pl.col("visib") * 1.609344,
    "wind in metres a second": pl.col("wind_speed") * 0.44704,
    "wind in knots": pl.col("wind_speed") * 0.868976,
    "rain in millimetres": pl.col("precip") * 25.4,
    "distance constant": pl.lit(500.0).alias("distance"),
    "temperature lost": pl.lit(None, pl.Float32).alias("temp"),
    "carriers in small letters": pl.col("carrier").str.to_lowercase(),
    "one destination always late": pl.when(pl.col("dest") == "LAX")
    .then(pl.lit("true"))
    .otherwise(LABEL)
    .alias(LABEL),
    "60% of a carrier called late": pl.when(
        (pl.col("carrier") == "UA") & (pl.int_range(pl.len()) % 5 < 3)
    )
    .then(pl.lit("true"))
    .otherwise(LABEL)
    .alias(LABEL),
}


def main() -> None:
    months = [featurize(dataset, flights.read(name), "binary")[0] for name in flights.batches()]
    true = [of(rows) for rows in months]
    for fault, change in FAULTS.items():
        found = [
            set(
                find_anomalies(
                    of(months[at] if change is None else months[at].with_columns(change)),
                    true[:at],
                    Drift(),
                )
            )
            for at in range(FEWEST_BATCHES, len(months))
        ]
        named = sorted(set.union(*found))
        print(f"{fault:32s}{sum(map(bool, found))} of {len(found)}  {', '.join(named)}", flush=True)
    year = pl.concat(months).sort(TIME)
    for span in ("2w", "1w"):  # shorter batches are never held back
        parts = [
            of(part)
            for _, part in year.group_by(pl.col(TIME).dt.truncate(span), maintain_order=True)
        ]
        trusted, held = list[Sketch](), 0
        for part in parts:
            odd = find_anomalies(part, trusted[-BEFORE:], Drift())
            held += bool(odd)
            trusted += [] if odd else [part]
        print(f"{'none, in batches of ' + span:32s}{held} of {len(parts)}", flush=True)


def of(rows: pl.DataFrame) -> Sketch:
    return sketch(rows.select(LABEL, *dataset.features), rows[TIME])


if __name__ == "__main__":
    main()
