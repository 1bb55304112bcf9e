"""How often does monitoring raise a false alarm?

`python -m benchmarks.drift_simulation` prints tables and draws docs/drift.png. Batches are drawn
that have not drifted, and batches that have, a little or a lot, at once or bit by bit; each rule
says for each batch whether it has. 20 columns: 14 numbers (normal, skewed, mostly zero) and 6
categories of up to 50 levels.

The rules, all beside the same ten past batches: ours (`find_drift`, without the trees); any p-value
of a Kolmogorov-Smirnov or chi-square test below 0.05; and the default rules of two libraries,
*emulated* here from their
documentation: Evidently (Wasserstein over the standard deviation of a number, Jensen-Shannon
distance of a category, at least 0.1 in any column) and NannyML (Jensen-Shannon distance above mean
+ 3 standard deviations of the chunks of the reference, in any column). Batches of a million rows
have six columns, all others 20.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from evergreen.monitoring.drift import find_drift
from evergreen.params import Drift
from evergreen.statistics.columns import Column, Levels, Numbers
from evergreen.statistics.pooling import pool
from evergreen.statistics.psi import Shift, margin_of, usual
from evergreen.statistics.sketch import Sketch, sketch

Array = np.ndarray[Any, np.dtype[Any]]
Change = Callable[[dict[str, Array], int], None]
NUMBERS, SIZES, DAYS, PAST = 14, (2, 3, 5, 10, 25, 50), 30, 10
FEW = (0, 1, 4, 8), (2, 4)  # columns of large batches
BATCHES = 200
NATURAL = float(np.log(2) ** 0.5)  # Evidently takes the natural logarithm, NannyML that to base 2
FIGURE = Path(__file__).resolve().parents[1] / "docs" / "drift.png"
RULES = {
    "ours": "Evergreen",
    "ks": "any KS or χ² p < 0.05",
    "evidently": "Evidently's rule, emulated",
    "nannyml": "NannyML's rule, emulated",
}


def main(batches: str = str(BATCHES)) -> None:
    count, start = int(batches), time.perf_counter()
    quiet = [
        (kind, rows)
        for rows in (10_000, 1_000_000)
        for kind in ("independent", "correlated", "jitter", "days")
    ]
    with ProcessPoolExecutor(
        os.cpu_count(), get_context("spawn"), threadpool_limits, (1,)
    ) as workers:
        alarms: dict[tuple[str, int], Mapping[str, float]] = {}
        for kind, rows in quiet:
            parts = list(workers.map(false_alarms, *zip(*_jobs(kind, rows, count), strict=True)))
            alarms[kind, rows] = {
                rule: float(np.mean([hit for part in parts for hit in part[rule]]))
                for rule in RULES
            }
            print(f"{time.perf_counter() - start:6.0f} s  {kind}, {rows:,} rows", file=sys.stderr)
        powers = dict(zip(SHIFTS, workers.map(detection, SHIFTS), strict=True))
        slow = list(workers.map(slow_drift, range(20)))
    print(f"\nfalse alarms: share of {count} batches that did not drift and raise one")
    print(f"{'batches':38s}" + "".join(f"{name:>28s}" for name in RULES.values()))
    for (kind, rows), shares in alarms.items():
        print(
            f"{kind + f', {rows:,} rows':38s}"
            + "".join(f"{share:28.1%}" for share in shares.values())
        )
    print("\nsudden shifts, 10,000 rows: share of 40 batches that raise an alarm")
    for name, shares in powers.items():
        print(f"{name:38s}" + "".join(f"{shares[rule]:28.1%}" for rule in RULES))
    print(
        "\nslow drift, +0.01 standard deviations a batch in 3 of 20 columns: first alarm, median "
        "(range) of 20 runs"
    )
    for rule, label in RULES.items():
        firsts = np.array([run[rule] for run in slow])
        print(f"{label:38s}{np.median(firsts):6.0f}  ({firsts.min()} to {firsts.max()})")
    draw(alarms, powers)


def _jobs(kind: str, rows: int, count: int) -> list[tuple[str, int, int, int]]:
    each = 25 if rows < 100_000 else 100
    return [(kind, rows, seed, min(each, count - each * seed)) for seed in range(-(-count // each))]


def false_alarms(kind: str, rows: int, seed: int, count: int) -> dict[str, list[bool]]:
    """Return, by rule, whether each of `count` batches alarms, all beside the same past."""
    make = Maker(kind, rows, np.random.default_rng([seed, rows]))
    judge = Judge([make() for _ in range(PAST)])
    found = [judge(make()) for _ in range(count)]
    return {rule: [alarms[rule] for alarms in found] for rule in RULES}


class Maker:
    """Draws batches of one kind, and keeps their sketches."""

    def __init__(self, kind: str, rows: int, draw: np.random.Generator) -> None:
        self.kind, self.rows, self.draw = kind, rows, draw
        self.days = np.sort(draw.integers(0, DAYS, rows))
        few = rows > 100_000
        self.numbers, self.categories = (
            FEW if few else (tuple(range(NUMBERS)), tuple(range(len(SIZES))))
        )

    def __call__(self, change: Change | None = None, at: int = 0) -> Sketch:
        rows, draw = self.rows, self.draw
        common = draw.standard_normal(rows, np.float32) if self.kind == "correlated" else None
        columns = {f"n{place}": self._number(place, common) for place in self.numbers}
        for place in self.categories:
            share = 1 / np.arange(1, SIZES[place] + 1)
            columns[f"c{place}"] = np.searchsorted(
                np.cumsum(share)[:-1] / share.sum(), draw.random(rows, np.float32)
            )
        if change is not None:
            change(columns, at)
        names = pl.Series([f"level {number:02}" for number in range(60)])
        frame = pl.DataFrame(
            {
                name: values if name[0] == "n" else names.gather(values)
                for name, values in columns.items()
            }
        )
        found = sketch(frame, pl.Series(self.days) if self.kind == "days" else None)
        return replace(found, sample=found.sample[:0], blocks=found.blocks[:0])  # no rows, no trees

    def _number(self, place: int, common: Array | None) -> Array:
        values = self.draw.standard_normal(self.rows, np.float32)
        if common is not None:
            values = np.float32(0.6**0.5) * common + np.float32(0.4**0.5) * values
        if self.kind == "days":
            weather = 0.2**0.5 * self.draw.standard_normal(DAYS)
            values = np.float32(0.8**0.5) * values + weather.astype(np.float32)[self.days]
        if self.kind == "jitter":
            values += np.float32(0.01 * self.draw.standard_normal())
        if 4 <= place < 8:
            return np.exp(values)
        return np.where(values > 1, values, np.float32(0)) if 8 <= place < 10 else values


class Judge:
    """All rules beside the same past, whose pool is the reference of each."""

    def __init__(self, past: Sequence[Sketch]) -> None:
        self.reference = pool(past)
        margins = {
            name: margin_of(effect, Drift().smallest_shift) for name, effect in usual(past).items()
        }
        self.params = Drift(columns=margins)  # worked out once: find_drift does so for each batch
        chunks = [jensen_shannon(chunk, self.reference) for chunk in past]
        self.limits = {
            name: np.mean([chunk[name] for chunk in chunks])
            + 3 * np.std([chunk[name] for chunk in chunks])
            for name in chunks[0]
        }

    def __call__(self, batch: Sketch) -> dict[str, bool]:
        report = find_drift(batch, self.reference, (), self.params)
        shifts = [column.shift for column in report.columns if column.shift.kind != "missing"]
        apart = jensen_shannon(batch, self.reference)
        return {
            "ours": bool(report.drifted),
            "ks": any(
                p_value(batch.columns[shift.column], self.reference.columns[shift.column], shift)
                < 0.05
                for shift in shifts
            ),
            "evidently": any(
                (shift.distance if shift.kind == "number" else apart[shift.column] * NATURAL) >= 0.1
                for shift in shifts
            ),
            "nannyml": any(apart[name] > limit for name, limit in self.limits.items()),
        }


def p_value(new: Column, old: Column, shift: Shift) -> float:
    """Return the p-value of the plain test: Kolmogorov-Smirnov's, or chi-square on levels."""
    from scipy.stats import chi2_contingency, kstwobign

    if isinstance(new, Numbers):
        return float(
            kstwobign.sf(shift.ks * (new.values * old.values / (new.values + old.values)) ** 0.5)
        )
    table = np.array(list(_levels(new, old)))
    return (
        float(chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue)
        if table.shape[1] > 1
        else 1.0
    )


def _levels(new: Column, old: Column) -> Iterator[Array]:
    assert isinstance(new, Levels)
    assert isinstance(old, Levels)
    names = sorted({*new.counts, *old.counts})
    for column in (new, old):
        yield np.array([column.counts.get(level, 0) for level in names])


def jensen_shannon(batch: Sketch, reference: Sketch) -> dict[str, float]:
    """Return the distance of each column; of numbers in 30 cells of equal rows of the reference."""
    from scipy.spatial.distance import jensenshannon

    found = {}
    for name, old in reference.columns.items():
        new = batch.columns[name]
        if isinstance(new, Numbers) and isinstance(old, Numbers):
            cuts = old.cuts(30)
            p, q = (
                np.diff(column.count_upto(cuts), prepend=0, append=column.values).clip(0)
                for column in (new, old)
            )
        else:
            p, q = _levels(new, old)
        found[name] = float(np.nan_to_num(jensenshannon(p, q, base=2)))
    return found


def _move(columns: int, deviations: float) -> Change:
    def change(values: dict[str, Array], at: int) -> None:
        for place in range(columns):
            values[f"n{place}"] = values[f"n{place}"] + np.float32(deviations)

    return change


def _creep(values: dict[str, Array], at: int) -> None:
    _move(3, 0.01 * at)(values, at)


def _widen(values: dict[str, Array], at: int) -> None:
    values["n0"] = values["n0"] * np.float32(1.3)


def _new_level(values: dict[str, Array], at: int) -> None:
    values["c5"] = np.where(np.arange(len(values["c5"])) % 50 == 0, 55, values["c5"])


def _lose(values: dict[str, Array], at: int) -> None:
    values["n0"] = np.where(
        np.arange(len(values["n0"])) % 20 == 0, np.float32(np.nan), values["n0"]
    )


SHIFTS: dict[str, Change | None] = {
    "none": None,
    "small: 0.1 sd in 3 of 20": _move(3, 0.1),
    "medium: 0.2 sd in 3 of 20": _move(3, 0.2),
    "large: 0.5 sd in 1 of 20": _move(1, 0.5),
    "spread x 1.3 in 1 of 20": _widen,
    "a new level in 2% of the rows": _new_level,
    "5% missing, none before": _lose,
}


def detection(name: str) -> dict[str, float]:
    make = Maker("independent", 10_000, np.random.default_rng(99))
    judge = Judge([make() for _ in range(PAST)])
    found = [judge(make(SHIFTS[name])) for _ in range(40)]
    return {rule: float(np.mean([alarms[rule] for alarms in found])) for rule in RULES}


def slow_drift(seed: int) -> dict[str, int]:
    """Return, by rule, the first batch that alarms, 60 where none of 60 does."""
    make = Maker("jitter", 10_000, np.random.default_rng([7, seed]))
    judge, first = Judge([make() for _ in range(PAST)]), dict.fromkeys(RULES, 60)
    for at in range(1, 61):
        for rule, alarm in judge(make(_creep, at)).items():
            if alarm:
                first[rule] = min(first[rule], at)
        if max(first.values()) < 60:
            break
    return first


def draw(
    alarms: Mapping[tuple[str, int], Mapping[str, float]], powers: Mapping[str, Mapping[str, float]]
) -> None:
    from matplotlib.figure import Figure

    from evergreen.report.panels import AMBER, DARK, GREEN, GREY

    colours = {"ours": GREEN, "ks": AMBER, "evidently": GREY, "nannyml": DARK}
    figure = Figure(figsize=(12, 5.2), dpi=110, layout="constrained")
    titles = ("False alarms: batches that did not drift", "Found: batches that did, 10,000 rows")
    words = {
        "independent": "nothing changes",
        "correlated": "columns correlated",
        "jitter": "jitter of 0.01 sd",
        "days": "rows alike in a day",
    }
    tables = (
        {f"{words[kind]}\n{rows:,} rows": shares for (kind, rows), shares in alarms.items()},
        {name.replace(": ", ":\n"): shares for name, shares in powers.items() if name != "none"},
    )
    for axes, table, title in zip(figure.subplots(1, 2), tables, titles, strict=True):
        places = np.arange(len(table))[::-1]
        for at, (rule, label) in enumerate(RULES.items()):
            values = [shares[rule] for shares in table.values()]
            axes.barh(places + 0.3 - 0.2 * at, values, 0.18, color=colours[rule], label=label)
            for place, value in zip(places + 0.3 - 0.2 * at, values, strict=True):
                axes.text(
                    value + 0.01, place, f"{value:.0%}", va="center", fontsize=6.5, color=DARK
                )
        axes.set_yticks(places, list(table), fontsize=8)
        axes.set(xlim=(0, 1.08), xlabel="share of batches that raise an alarm")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_title(title, loc="left", fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(FIGURE)
    print(f"drawn: {FIGURE}")


if __name__ == "__main__":
    main(*sys.argv[1:])
