"""Bias findings: what the bias report says of each topic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from evergreen.dataset import Dataset
from evergreen.features.columns import Columns
from evergreen.features.featurize import summarize_columns
from evergreen.features.split import GROUP, LABEL, SLICE, Split
from evergreen.finding import Finding, percent
from evergreen.project import Project
from evergreen.statistics.profile import Counts, Profile, Sample
from evergreen.statistics.two_sample import contrast

FEWEST_ROWS = 30  # below, a level's share of missing values means nothing
DRAWS = 200  # of the spread that chance alone would show


@dataclass(frozen=True)
class Evidence:
    """What the report is made from: the training rows, and profiles to compare them with.

    `train`: as in the features files (key, time, label, groups and features of each row).
    `window`: the training batches, with the rows they left out. `history`: all batches before the
    newest one, if any are. `latest`: the newest batch, or the holdout where there is only one
    (`alone`).
    """

    task: str
    batches: tuple[str, ...]
    newest: str
    train: Columns = field(repr=False)
    trained: Profile = field(repr=False)
    window: Profile = field(repr=False)
    history: Profile | None = field(repr=False)
    latest: Profile = field(repr=False)
    alone: bool = False

    @classmethod
    def read(cls, project: Project, dataset: Dataset) -> Evidence:
        """Return the evidence in `data/features/`."""
        from evergreen.features.encoder import Encoder
        from evergreen.ingest.manifest import Manifest

        done, split = Manifest(project.features), Split.of(project)
        order, newest = list(done.in_order()), split.holdout.batches[-1]
        # Else some of the newest trains as well
        before = order[: order.index(newest)] if split.newest_apart else []
        alone = split.batches() == [newest]
        train = Columns.of_part(project, split.train)
        whole = not split.newest_apart and not alone
        return cls(
            task=Encoder.read(project.features / "encoder.json").task,
            batches=split.train.batches,
            newest=newest,
            train=train,
            trained=summarize_columns(dataset, train),
            window=Profile.read(done.file(name, ".json") for name in split.train.batches),
            history=Profile.read(done.file(name, ".json") for name in before) if before else None,
            latest=Profile.read([done.file(newest, ".json")])
            if whole
            else summarize_columns(dataset, Columns.of_part(project, split.holdout)),
            alone=alone,
        )


def find_survivorship(window: Profile) -> Iterator[Finding]:
    """Yield how many rows were left out, and how these differ from the rows kept."""
    out = sum(sample.rows for sample in window.left_out.values())
    valid = out + window.kept.rows
    unknown = sorted(
        {
            name
            for sample in window.left_out.values()
            if sample.rows
            for name in _lost(window.kept, sample)
        }
    )
    yield Finding(
        "survivorship",
        "share of rows left out",
        out / valid,
        f"{out:,} of {valid:,} valid rows of the training batches ({percent(out / valid)}) were "
        "left out on purpose: the model learns nothing from such rows, and no metric counts them."
        + (
            f" Cannot be computed for some of them, so is not compared: {', '.join(unknown)}."
            if unknown
            else ""
        ),
        bound="max_left_out",
        columns={"left out because": "text", "rows": "count", "share": "share"},
        rows=tuple(
            (why, sample.rows, sample.rows / valid) for why, sample in window.left_out.items()
        ),
        drawn="share",
    )
    for why, sample in window.left_out.items():
        if sample.rows:
            left_out, kept = _name_groups(sample, window.kept)
            yield from contrast("survivorship", why, {"rows left out": left_out, "rows kept": kept})


def _lost(kept: Sample, left_out: Sample) -> set[str]:
    """Return the features of the rows kept that could not be computed for those left out."""
    return ({*kept.numbers} | {*kept.levels}) - ({*left_out.numbers} | {*left_out.levels})


def find_sampling(evidence: Evidence) -> Iterator[Finding]:
    """Yield how training rows differ from history, and from the newest batch."""
    newest = evidence.newest
    beside = "the holdout" if evidence.alone else f"the newest batch, {newest}"
    for about, name, other in (
        (
            f"training beside all history before {newest}",
            f"history before {newest}",
            evidence.history,
        ),
        (f"training beside {beside}", "the holdout" if evidence.alone else newest, evidence.latest),
    ):
        if other is None:
            continue
        labels = _label(evidence.trained), _label(other)
        for first, second in (labels, _name_groups(evidence.trained.kept, other.kept)):
            sides = {"training rows": first, name: second}
            yield from contrast("sampling", about, sides, nested=other is evidence.history)


def find_balance(evidence: Evidence) -> Iterator[Finding]:
    """Yield how rare the rarest class is, or how skewed a label that is a number."""
    if evidence.task == "regression":
        yield _spread(evidence.train.read([LABEL])[LABEL])
        return
    rows = evidence.trained.kept.rows
    ranked = sorted(evidence.trained.classes.items(), key=lambda pair: -pair[1])
    rarest, count = ranked[-1]
    yield Finding(
        "balance",
        "share of the rarest class",
        count / rows,
        f"{rarest!r} is the rarest of {len(ranked)} classes: {count:,} of {rows:,} training rows, "
        f"one in {rows / count:.3g}.",
        columns={"class": "text", "rows": "count", "share": "share"},
        rows=tuple((name, count, count / rows) for name, count in ranked),
        drawn="share",
    )


def _spread(label: pl.Series) -> Finding:
    column, edges = pl.col("label"), (0, 0.01, 0.25, 0.5, 0.75, 0.99, 1)
    wanted = (
        column.mean(),
        column.std(),
        column.skew(),
        *(column.quantile(edge) for edge in edges),
    )
    numbered = [value.fill_null(math.nan).alias(str(place)) for place, value in enumerate(wanted)]
    mean, deviation, skew, *quantiles = (
        label.cast(pl.Float64).alias("label").to_frame().select(numbered).row(0)
    )
    side = (
        "neither side"
        if abs(skew) < 1
        else "the side of large values"
        if skew > 0
        else "the side of small values"
    )
    return Finding(
        "balance",
        "skewness of the label",
        skew if math.isfinite(skew) else None,
        f"The label's mean is {mean:.4g}, its standard deviation {deviation:.4g}, its skewness "
        f"{skew:.2f}: a long tail on {side}; a squared error weighs such rows most."
        if math.isfinite(skew)
        else f"All labels are {mean:.4g}.",
        kind="number",
        columns={"share of rows at or below": "share", "label": "number"},
        rows=tuple(zip(edges, quantiles, strict=True)),
    )


def find_missing(window: Profile, seed: int) -> Iterator[Finding]:
    """Yield how missing values differ between the levels of each group."""
    for group, lacking in window.missing.items():
        rows = {
            level: rows for level, rows in window.kept.levels[group].items() if rows >= FEWEST_ROWS
        }
        name = group.removeprefix(SLICE).removeprefix(GROUP)
        spreads = _spreads(lacking, rows, seed) if len(rows) > 1 else []
        value = spreads[0][5] if spreads else 0.0
        if len(rows) < 2:
            said = (
                f"Fewer than two levels of {name} have {FEWEST_ROWS} rows: "
                "there is nothing to compare."
            )
        elif spreads:
            feature, low, at_low, high, at_high, _, chance = spreads[0]
            said = (
                f"{feature} differs most by {name}: it is missing in {percent(high)} of the rows "
                f"of {at_high!r} and in {percent(low)} of those of {at_low!r}; chance alone would "
                f"set levels {100 * chance:.1f} points apart."
            )
        else:
            said = f"No feature lacks a value in any of {len(rows)} levels of {name}."
        yield Finding(
            "missing",
            f"difference in missing values by {name}",
            value if len(rows) > 1 else None,
            said,
            bound="max_missing_difference" if len(rows) > 1 else "",
            columns={
                "feature": "text",
                "least": "share",
                "least in": "text",
                "most": "share",
                "most in": "text",
                "difference": "share",
                "by chance": "share",
            },
            rows=tuple(spreads),
            drawn="difference",
        )
    if not window.missing:
        said = (
            "No groups are named in dataset.py (slices, groups), "
            "so missing values cannot be compared between them."
        )
        yield Finding(
            "missing", "difference in missing values", None, said, bound="max_missing_difference"
        )


def _spreads(
    lacking: dict[str, Counts], rows: dict[str, int], seed: int
) -> list[tuple[str, float, str, float, str, float, float]]:
    """Return a row for each feature: how much more it is missing in some levels than in others.

    It holds the lowest and the highest share and where, their difference, and that by chance.
    Chance: the mean difference in binomial draws where every level lacks the feature equally often.
    """
    levels, counts, draw = list(rows), np.array(list(rows.values())), np.random.default_rng(seed)
    found = []
    for feature in sorted({feature for level in levels for feature in lacking.get(level, {})}):
        absent = np.array([lacking.get(level, {}).get(feature, 0) for level in levels])
        shares = absent / counts
        low, high = int(shares.argmin()), int(shares.argmax())
        draws = draw.binomial(counts, absent.sum() / counts.sum(), (DRAWS, len(levels))) / counts
        spread, chance = float(np.ptp(shares)), float(np.ptp(draws, axis=1).mean())
        found.append(
            (
                feature,
                float(shares[low]),
                levels[low],
                float(shares[high]),
                levels[high],
                spread,
                chance,
            )
        )
    return sorted(found, key=lambda row: -row[5])


def _label(profile: Profile) -> Sample:
    """Return the labels as if they were a feature."""
    return Sample(
        profile.kept.rows,
        {LABEL: profile.label} if profile.label else {},
        {} if profile.label else {LABEL: profile.classes},
    )


def _name_groups(first: Sample, second: Sample) -> tuple[Sample, Sample]:
    """Return both samples with groups named in words, and without those that repeat a feature."""
    names = {}
    for name in second.levels:
        plain = name.removeprefix(SLICE).removeprefix(GROUP)
        repeated = name != plain and all(
            sample.levels.get(plain) == sample.levels.get(name) for sample in (first, second)
        )
        if not repeated:
            names[name] = (
                plain
                if name == plain
                else f"{plain} ({'slice' if name.startswith(SLICE) else 'group'})"
            )
    kept = [
        replace(
            sample,
            levels={names[name]: counts for name, counts in sample.levels.items() if name in names},
        )
        for sample in (first, second)
    ]
    return kept[0], kept[1]
