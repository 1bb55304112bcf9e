"""Bias: where the rows that train differ from those the model will meet, by what was left out, sampled or mislabelled.

Nothing here says that a difference is wrong: each number stands with its meaning, beside what
chance alone would show, and all comparisons are given, not only the striking ones. A bound in
`params.yaml` lets a number stop the run. Rows in quarantine are not counted: they are on the
validation page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.featurize import summarize
from evergreen.features.keys import KEY
from evergreen.features.split import GROUP, LABEL, SLICE, TIME, Split, read_part
from evergreen.finding import Finding, percent
from evergreen.params import Bias
from evergreen.project import Project
from evergreen.quality.label_noise import Predicted, find_label_noise
from evergreen.statistics.profile import Counts, Profile, Sample
from evergreen.statistics.two_sample import contrast

FEWEST_ROWS = 30  # below, a level's share of missing values means nothing
DRAWS = 200  # of the spread that chance alone would show
BINS = 32  # of equal mass; numbers in the same one are nearly equal
ADVICE = {
    "max_left_out": "look at left_out in dataset.py, and whether the source lacks labels",
    "max_missing_difference": "look at how that feature is collected, or at slices and groups in dataset.py",
    "max_label_noise": "look at the rows named in reports/bias.html, and at label in dataset.py",
    "max_duplicates": "look whether the source delivers rows twice under other keys",
}


@dataclass(frozen=True)
class BiasReport:
    """All findings, of these topics: survivorship, sampling, balance, missing, labels, duplicates."""

    task: str
    batches: tuple[str, ...]  # that train
    newest: str
    rows: int  # that train
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Evidence:
    """What the report is made from: rows and profile of the training part, and profiles of what it is compared with.

    `train`: as in the features files, shape (rows, key + time + label + groups + features).
    `window`: the training batches, with the rows they left out. `history`: all batches before the
    newest one, if any are. `latest`: the newest batch, or the holdout where there is only one
    (`alone`).
    """

    task: str
    batches: tuple[str, ...]
    newest: str
    train: pl.DataFrame = field(repr=False)
    trained: Profile = field(repr=False)
    window: Profile = field(repr=False)
    history: Profile | None = field(repr=False)
    latest: Profile = field(repr=False)
    alone: bool = False

    @classmethod
    def read(cls, project: Project, dataset: Dataset) -> Evidence:
        """Read it from `data/features/`: the rows of the training and newest parts, the profile of every batch."""
        from evergreen.features.encoder import Encoder
        from evergreen.ingest.manifest import Manifest

        done, split = Manifest(project.features), Split.read(project.features / "split.json")
        order, newest = list(done.in_order()), split.holdout.batches[-1]
        # Else some of the newest trains as well
        before = order[: order.index(newest)] if split.newest_apart else []
        alone = split.batches() == [newest]
        train = read_part(project, split.train)
        whole = not split.newest_apart and not alone
        return cls(
            task=Encoder.read(project.features / "encoder.json").task,
            batches=split.train.batches,
            newest=newest,
            train=train,
            trained=summarize(dataset, train, {}),
            window=Profile.read(done.file(name, ".json") for name in split.train.batches),
            history=Profile.read(done.file(name, ".json") for name in before) if before else None,
            latest=Profile.read([done.file(newest, ".json")])
            if whole
            else summarize(dataset, read_part(project, split.holdout), {}),
            alone=alone,
        )


def find_bias(
    evidence: Evidence, predicted: Predicted | None = None, *, seed: int = 0
) -> BiasReport:
    """Return every finding; label noise is looked for where out-of-sample predictions are given.

    `seed`: of the draws that say how far shares of missing values differ by chance.
    """
    found = [
        *_survivorship(evidence.window),
        *_sampling(evidence),
        *_balance(evidence),
        *_missing(evidence.window, seed),
        *(find_label_noise(evidence.task, predicted) if predicted else ()),
        *_duplicates(evidence.train),
    ]
    return BiasReport(
        evidence.task, evidence.batches, evidence.newest, evidence.train.height, tuple(found)
    )


def list_faults(report: BiasReport, params: Bias) -> list[str]:
    """Return what is beyond which bound of section `bias`, and what to do; a bound that is null stops nothing."""
    faults = []
    for one in report.findings:
        bound = getattr(params, one.bound) if one.bound else None
        if bound is not None and (one.value is None or one.value > bound):
            beyond = (
                "cannot be judged"
                if one.value is None
                else f"is {one.value:.2%}, more than {bound:.2%}"
            )
            faults.append(
                f"{one.name} {beyond} (bias.{one.bound} in params.yaml). {one.says} What to do: {ADVICE[one.bound]}; "
                "where it is as it should be, raise the bound or set it to null"
            )
    return faults


def check_bias(report: BiasReport, params: Bias) -> None:
    """Raise InputError that names all that is beyond a bound of section `bias`."""
    if faults := list_faults(report, params):
        raise InputError(
            "\n".join(["the training data is beyond what params.yaml allows:", *faults])
        )


def _survivorship(window: Profile) -> Iterator[Finding]:
    out = sum(one.rows for one in window.left_out.values())
    valid = out + window.kept.rows
    unknown = sorted(
        {name for one in window.left_out.values() if one.rows for name in _lost(window.kept, one)}
    )
    yield Finding(
        "survivorship",
        "share of rows left out",
        out / valid,
        f"{out:,} of {valid:,} valid rows of the training batches ({percent(out / valid)}) were left out on purpose: "
        "the model learns nothing from such rows, and no metric counts them."
        + (
            f" Cannot be computed for some of them, so is not compared: {', '.join(unknown)}."
            if unknown
            else ""
        ),
        bound="max_left_out",
        columns={"left out because": "text", "rows": "count", "share": "share"},
        rows=tuple((why, one.rows, one.rows / valid) for why, one in window.left_out.items()),
        drawn="share",
    )
    for why, one in window.left_out.items():
        if one.rows:
            left_out, kept = _plain(one, window.kept)
            yield from contrast("survivorship", why, {"rows left out": left_out, "rows kept": kept})


def _lost(kept: Sample, left_out: Sample) -> set[str]:
    """Return the features of the rows kept that could not be computed for those left out."""
    return ({*kept.numbers} | {*kept.levels}) - ({*left_out.numbers} | {*left_out.levels})


def _sampling(evidence: Evidence) -> Iterator[Finding]:
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
        for first, second in (labels, _plain(evidence.trained.kept, other.kept)):
            sides = {"training rows": first, name: second}
            yield from contrast("sampling", about, sides, nested=other is evidence.history)


def _balance(evidence: Evidence) -> Iterator[Finding]:
    if evidence.task == "regression":
        yield _spread(evidence.train[LABEL])
        return
    rows = evidence.trained.kept.rows
    ranked = sorted(evidence.trained.classes.items(), key=lambda one: -one[1])
    rarest, count = ranked[-1]
    yield Finding(
        "balance",
        "share of the rarest class",
        count / rows,
        f"{rarest!r} is the rarest of {len(ranked)} classes: {count:,} of {rows:,} training rows, "
        f"one in {rows / count:.3g}.",
        columns={"class": "text", "rows": "count", "share": "share"},
        rows=tuple((name, one, one / rows) for name, one in ranked),
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
    numbered = [one.fill_null(math.nan).alias(str(place)) for place, one in enumerate(wanted)]
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
        f"The label's mean is {mean:.4g}, its standard deviation {deviation:.4g}, its skewness {skew:.2f}: a long tail "
        f"on {side}; a squared error weighs such rows most."
        if math.isfinite(skew)
        else f"All labels are {mean:.4g}.",
        kind="number",
        columns={"share of rows at or below": "share", "label": "number"},
        rows=tuple(zip(edges, quantiles, strict=True)),
    )


def _missing(window: Profile, seed: int) -> Iterator[Finding]:
    for group, lacking in window.missing.items():
        rows = {
            level: rows for level, rows in window.kept.levels[group].items() if rows >= FEWEST_ROWS
        }
        name = group.removeprefix(SLICE).removeprefix(GROUP)
        spreads = _spreads(lacking, rows, seed) if len(rows) > 1 else []
        value = spreads[0][5] if spreads else 0.0
        if len(rows) < 2:
            said = f"Fewer than two levels of {name} have {FEWEST_ROWS} rows: there is nothing to compare."
        elif spreads:
            feature, low, at_low, high, at_high, _, chance = spreads[0]
            said = (
                f"{feature} differs most by {name}: it is missing in {percent(high)} of the rows of {at_high!r} and in "
                f"{percent(low)} of those of {at_low!r}; chance alone would set levels {100 * chance:.1f} points apart."
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
        said = "No groups are named in dataset.py (slices, groups), so missing values cannot be compared between them."
        yield Finding(
            "missing", "difference in missing values", None, said, bound="max_missing_difference"
        )


def _spreads(
    lacking: dict[str, Counts], rows: dict[str, int], seed: int
) -> list[tuple[str, float, str, float, str, float, float]]:
    """Return, by feature, the lowest and highest share and where, their difference, and what chance would show.

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
    return sorted(found, key=lambda one: -one[5])


def _duplicates(train: pl.DataFrame) -> Iterator[Finding]:
    keys = train.select(pl.selectors.starts_with(KEY)).hash_rows()
    exact = train.select(
        name for name in train.columns if name != TIME and not name.startswith((KEY, SLICE, GROUP))
    )
    near = exact.with_columns(pl.selectors.float().fill_nan(None).bin_quantiles(BINS, labels=False))
    for kind, words, values in (
        ("exact", "the same features and label", exact),
        ("near", f"the same label, categories and, in {BINS} quantile bins, numbers", near),
    ):
        count = _count_twins(values.hash_rows(), keys)
        yield Finding(
            "duplicates",
            f"share of {kind} duplicates",
            count / train.height,
            f"{count:,} of {train.height:,} training rows ({percent(count / train.height)}) have {words} as a row with "
            "another key: "
            + (
                "they count more than once."
                if kind == "exact"
                else "some may be the same thing, measured twice."
            ),
            bound="max_duplicates" if kind == "exact" else "",
        )


def _count_twins(values: pl.Series, keys: pl.Series) -> int:
    """Return how many rows share their value (a hash) with a row of another key."""
    alike = pl.DataFrame({"value": values, "key": keys}).group_by("value")
    found = alike.agg(
        pl.len().alias("rows"),
        pl.col("key").min().alias("first"),
        pl.col("key").max().alias("last"),
    )
    return int(found.filter(pl.col("first") != pl.col("last"))["rows"].sum())


def _label(one: Profile) -> Sample:
    """Return the labels as if they were a feature."""
    return Sample(
        one.kept.rows,
        {LABEL: one.label} if one.label else {},
        {} if one.label else {LABEL: one.classes},
    )


def _plain(first: Sample, second: Sample) -> tuple[Sample, Sample]:
    """Name groups as a person would, and leave out those that repeat a feature."""
    names = {}
    for name in second.levels:
        plain = name.removeprefix(SLICE).removeprefix(GROUP)
        repeated = name != plain and all(
            one.levels.get(plain) == one.levels.get(name) for one in (first, second)
        )
        if not repeated:
            names[name] = (
                plain
                if name == plain
                else f"{plain} ({'slice' if name.startswith(SLICE) else 'group'})"
            )
    kept = [
        replace(
            one,
            levels={names[name]: counts for name, counts in one.levels.items() if name in names},
        )
        for one in (first, second)
    ]
    return kept[0], kept[1]
