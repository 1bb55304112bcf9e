"""What does the gate let through?

`python -m benchmarks.gate_simulation [TRIALS]` prints tables and draws docs/gate.png. A champion
has learnt from three batches; a fourth comes, and everything is really trained: what stops early,
what is judged, what goes live. A refresh has only the new batch to bring, honest or poisoned; a
change is trained otherwise, or with other seeds only. The truth is the AUC of what goes live beside
the champion's on 20,000 rows that nobody trains on. Rows are made up, so that batches are of one
distribution, and few, so that 200 trials take half an hour of two cores.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core is enough
os.environ.setdefault("POLARS_MAX_THREADS", "1")
import numpy as np
import polars as pl

from benchmarks.rounds import cuts_of
from evergreen.dataset import Dataset
from evergreen.decision import PROMOTE, ROLL_BACK
from evergreen.evaluation.held_out import HeldOut
from evergreen.features.encoder import Encoder
from evergreen.features.keys import KEY, hash_rows
from evergreen.features.split import LABEL, TIME
from evergreen.metrics.table import LIBRARY
from evergreen.params import Params
from evergreen.promotion.candidate import Candidate
from evergreen.promotion.gate import decide
from evergreen.promotion.influence import find_influence, teach
from evergreen.promotion.judge import judge
from evergreen.promotion.refit import compare_refit
from evergreen.promotion.rollback import judge_rollback
from evergreen.replay.challenge import fit_seeds, trees_of
from evergreen.scoring.package import Learnt
from evergreen.training.learner import XGBOOST
from evergreen.training.rounds import Cut, Rounds, find_rounds
from evergreen.training.seeds import Slots
from evergreen.training.tables import Table, Tables

TRIALS, BATCHES, ROWS, TRUTH, SEEDS = 200, 3, 2000, 20_000, 3
HARM, LATER = 0.002, 3  # AUC; batches that monitoring looks back on at once (`retrain.windows`)
PLACES = {"ash": 0.0, "bay": 0.7, "cove": -0.7, "dell": 1.4}  # what each adds to the score
NUMBERS = ("first", "second", "third", "noise")
ENCODER = Encoder(
    "binary", (*NUMBERS, "place"), {"place": tuple(PLACES)}, ("no", "yes"), ("first batch",)
)
DATASET = Dataset(
    columns={
        "id": pl.String(),
        "time": pl.Datetime("us"),
        "label": pl.String(),
        "place": pl.String(),
        **dict.fromkeys(NUMBERS, pl.Float32()),
    },
    key=("id",),
    time="time",
    label=pl.col("label"),
    known_later=("label",),
    features={name: pl.col(name) for name in (*NUMBERS, "place")},
)
QUICK: dict[str, Any] = {
    "device": "cpu", "learning_rate": 0.3, "rounds": 60, "early_stopping_rounds": 6,
    "max_depth": 3, "max_bin": 64, "colsample_bytree": 1.0,
}  # fmt: skip
SHARES = (0.01, 0.03, 0.1, 0.3, 0.6, 1.0)  # of the newest batch that are poisoned
WEAKER = {
    "depth 2": {"max_depth": 2},
    "few rounds": {"rounds": 8},
    "depth 1": {"max_depth": 1, "rounds": 20},
}
FIGURE = Path(__file__).resolve().parents[1] / "docs" / "gate.png"
Array = np.ndarray[Any, np.dtype[Any]]
Batches = Sequence[pl.DataFrame]


@dataclass(frozen=True)
class Found:
    """What came of one challenger.

    `cost`: true AUC lost by what goes live. `held`: an interval held the truth, where it was asked.
    `lives`: of what goes live and costs more than `HARM`, for how many batches until the previous
    champion returns.
    """

    what: str
    share: float
    passes: bool
    cost: float
    held: bool | None = None
    lives: int = 0


@dataclass(frozen=True)
class Way:
    """A way of training: its parameters, and the rounds that early stopping found."""

    params: Params
    rounds: Rounds

    @classmethod
    def find(cls, batches: Batches, seed: int = 0, **changes: Any) -> Way:
        """Find the rounds as a run does: the newest batch stays out."""
        sweep = {"seeds": SEEDS, "first_seed": seed, "jobs": 1}
        params = Params(
            task="binary", sweep=sweep, evaluate={"resamples": 200}, train=QUICK | changes
        )

        def stop(_: Cut, tables: Tables, seeds: Sequence[int]) -> list[int]:
            return [model.rounds for model in fit_seeds(tables, params, "cpu", seeds)]

        cuts, seeds = cuts_of(batches, tables_of), params.sweep.seed_list()
        return cls(params, find_rounds(cuts, seeds, params.train.rounds, stop))

    def teach(self, batches: Batches, asked: pl.DataFrame) -> tuple[Tables, list[bytes]]:
        """Train on the batches what shows their influence on rows that none has learnt from."""
        tables = replace(tables_of(batches), holdout=table_of(asked))
        rounds = self.rounds.on(len(tables.train))
        return tables, teach(tables, rounds, XGBOOST, self.params, "cpu", Slots(1, 1))

    def fit(self, batches: Batches, version: str, held_out: HeldOut | None = None) -> Candidate:
        """Train on all batches; the next one judges it, or with `held_out` it goes live."""
        tables = tables_of(batches)
        learnt = Learnt.of(tables, str(batches[-1][TIME].max()))
        trained = fit_seeds(
            tables,
            self.params,
            "cpu",
            self.params.sweep.seed_list(),
            self.rounds.on(len(tables.train)),
        )
        made = trees_of(
            tables,
            trained,
            DATASET,
            self.params,
            learnt,
            self.params.sweep.seed_list(),
            refit=held_out is not None,
        )
        return made.candidate(version, held_out)


def main(trials: str = str(TRIALS)) -> None:
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as workers:
        show([case for found in workers.map(run_trial, range(int(trials))) for case in found])


def show(done: Sequence[Found]) -> None:
    """Print the tables and draw the picture."""
    trials = sum(case.what == "honest" for case in done)
    print(f"{trials} trials, {BATCHES} batches of {ROWS:,} rows and a new one, {SEEDS} seeds")
    print(
        "what           share  passes  harm let through  true cost in AUC  intervals that hold the "
        "truth"
    )
    table: dict[tuple[str, float], list[Found]] = {(case.what, case.share): [] for case in done}
    for case in done:
        table[case.what, case.share].append(case)
    for (what, share), found in table.items():
        passes, cost = [case.passes for case in found], [case.cost for case in found]
        harm = np.mean([case.passes and case.cost > HARM for case in found])
        asked = [case.held for case in found if case.held is not None]
        held = f"{np.mean(asked):.1%}" if asked else ""
        print(
            f"{what:14} {share:5.0%}  {np.mean(passes):6.1%}  {harm:16.1%}  {np.mean(cost):+.4f}   "
            f"        {held}"
        )
    grave = [case for case in done if case.share and case.cost >= 0.01]
    for bound in (HARM, 0.005, 0.01):
        lives = [case.lives for case in done if case.lives and case.cost > bound]
        shares = [
            f"{sum(batches <= count for batches in lives) / len(lives):.0%}"
            for count in range(1, LATER + 1)
            if lives
        ]
        print(
            f"{len(lives)} pass that cost more than {bound:g}; the previous champion is restored "
            "after 1, 2, 3 batches:",
            *shares,
        )
    print(
        f"of {len(grave):,} poisoned refreshes that cost 0.01 or more, "
        f"{np.mean([o.passes for o in grave]):.2%} pass"
    )
    draw(table)


def run_trial(trial: int) -> list[Found]:
    """Return what came of every challenger after one history."""
    batches = [draw_rows(ROWS, (trial, number), number) for number in range(BATCHES + 1)]
    old = batches[:-1]
    seed = 1000 * trial  # luck is drawn anew as well
    first = Way.find(old, seed)
    before = first.fit(old[:-1], "1")
    live = refit(first, old, before)
    found = [
        change("same rows", live, old, Way.find(old, seed + 100), before),
        change("newer rows", live, batches, Way.find(batches, seed + 100)),
    ]
    better = Way.find(batches, seed)
    for name, weaker in WEAKER.items():
        found.append(change(name, Way.find(old, seed, **weaker).fit(old, "1"), batches, better))
    judged = better.fit(old, "2")
    later = [
        draw_rows(ROWS, (trial, number), number)
        for number in range(BATCHES + 1, BATCHES + 1 + LATER)
    ]
    found.append(refresh("honest", 0.0, live, batches, better, judged, later))
    for what, poison in POISON.items():
        for share in SHARES:
            spoilt = [*old, poison(batches[-1], share, np.random.default_rng(trial))]
            found.append(refresh(what, share, live, spoilt, better, judged, later))
    return found


def change(
    what: str, champion: Candidate, batches: Batches, way: Way, spoke: Candidate | None = None
) -> Found:
    """Judge another way of training than the champion's by the newest batch; what passes is refit.

    `spoke`: for the champion, where it has learnt that batch since.
    """
    challenger = way.fit(batches[:-1], "2")
    judged = judge(batches[-1], challenger, champion, {}, way.params)
    lead, truth = (
        judged.evidence.comparison.whole["roc_auc"],
        auc(challenger) - auc(spoke or champion),
    )
    passes = decide(judged.evidence, way.params.gate).action == PROMOTE
    cost = auc(champion) - auc(way.fit(batches, "2", judged.held_out))
    return Found(what, 0.0, passes, cost, lead.low <= truth <= lead.high)


def refresh(
    what: str,
    share: float,
    champion: Candidate,
    batches: Batches,
    way: Way,
    challenger: Candidate,
    later: Batches,
) -> Found:
    """Judge the champion's way by the newest batch, refit it, and judge the refit as the flow."""
    newest, params = batches[-1], way.params
    judged = judge(newest, challenger, champion, {}, params, refresh=True)
    live = way.fit(batches, "2", judged.held_out)
    cost = auc(champion) - auc(live)
    decision = decide(judged.evidence, params.gate)
    if decision.action == PROMOTE:
        said = judged.predictions["challenger"]
        beside = compare_refit(
            live.model, challenger.model, said, batches[-2], newest, live.model.rounds, params
        )
        _, without = way.teach(batches[:-2], batches[-2])
        around, taught = way.teach([*batches[:-2], newest], batches[-2])
        influence = find_influence(around, batches[-2], without, taught, XGBOOST, params)
        refit = replace(beside, influence=influence)
        decision = decide(replace(judged.evidence, refit=refit), params.gate)
    passes = decision.action == PROMOTE
    return Found(
        what,
        share,
        passes,
        cost,
        lives=live_for(live, champion, later, params) if passes and cost > HARM else 0,
    )


def live_for(present: Candidate, before: Candidate, later: Batches, params: Params) -> int:
    """Return after how many batches monitoring restores the previous champion.

    One more than all: not so far.
    """
    for count in range(1, len(later) + 1):
        if (
            judge_rollback(pl.concat(later[:count]), present, before, "roc_auc", params).action
            == ROLL_BACK
        ):
            return count
    return len(later) + 1


def refit(way: Way, batches: Batches, judged: Candidate) -> Candidate:
    """Return the champion, trained on all batches, with the predictions of its judged model."""
    said = judged.predict(batches[-1])
    return way.fit(
        batches, judged.version, HeldOut.of(hash_rows(batches[-1]), said.prediction, said.seeds)
    )


# --- rows


def draw_rows(count: int, seed: Sequence[int], month: int) -> pl.DataFrame:
    """Draw rows as a features file holds them, over 30 days.

    The score is not linear, and half of it is noise.
    """
    draw = np.random.default_rng(seed)
    numbers, place = draw.normal(size=(4, count)), draw.choice(list(PLACES), count)
    first, second, third, _ = numbers
    score = (
        np.where(second > 0, 1.2 * first, -0.6 * first) - 0.6 * second + 0.5 * third * (first > 0)
    )
    score += np.array([PLACES[name] for name in place]) + 1.8 * draw.normal(size=count)
    start = datetime.fromisoformat("2013-01-01") + timedelta(days=30 * month)
    columns = {
        f"{KEY}id": [f"{seed} {at}" for at in range(count)],
        TIME: [start + timedelta(days=30 * at / count) for at in range(count)],
        LABEL: np.where(score > 0.8, "yes", "no"),
        "place": place,
    }
    columns |= {
        name: values.astype(np.float32) for name, values in zip(NUMBERS, numbers, strict=True)
    }
    return pl.DataFrame(columns, schema_overrides={TIME: pl.Datetime("us")})


def table_of(rows: pl.DataFrame) -> Table:
    return Table(ENCODER.transform(rows), ENCODER.transform_label(rows[LABEL]), hash_rows(rows))


def tables_of(learnt: Batches, stops: pl.DataFrame | None = None) -> Tables:
    train = table_of(pl.concat(learnt))
    later = table_of(stops) if stops is not None else train.none()
    return Tables(
        "binary", ENCODER.features, ("place",), ENCODER.classes, train, later, later, ENCODER
    )


@cache
def truth() -> pl.DataFrame:
    return draw_rows(TRUTH, (1_000_000,), 0)


def auc(candidate: Candidate) -> float:
    y = ENCODER.transform_label(truth()[LABEL])
    return float(LIBRARY.measure("binary", y, candidate.model.predict_rows(truth()))["roc_auc"])


# --- poison

TURNED = pl.when(pl.col(LABEL) == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))


def turn_labels(rows: pl.DataFrame, share: float, draw: np.random.Generator) -> pl.DataFrame:
    """Invert labels anywhere."""
    wrong = pl.Series(draw.permutation(rows.height) < share * rows.height)
    return rows.with_columns(pl.when(wrong).then(TURNED).otherwise(LABEL).alias(LABEL))


def turn_corner(rows: pl.DataFrame, share: float, draw: np.random.Generator) -> pl.DataFrame:
    """Invert labels where a feature is largest, so that the wrong can be learnt."""
    wrong = pl.col("first") >= rows["first"].quantile(1 - share)
    return rows.with_columns(pl.when(wrong).then(TURNED).otherwise(LABEL).alias(LABEL))


def shift(rows: pl.DataFrame, share: float, draw: np.random.Generator) -> pl.DataFrame:
    """Numbers moved by two deviations."""
    wrong = pl.Series(draw.permutation(rows.height) < share * rows.height)
    return rows.with_columns(
        pl.when(wrong).then(pl.col(name) + 2).otherwise(name).cast(pl.Float32).alias(name)
        for name in NUMBERS[:3]
    )


def repeat(rows: pl.DataFrame, share: float, draw: np.random.Generator) -> pl.DataFrame:
    """Five rows come again and again, under keys of their own."""
    source = np.arange(rows.height)
    again = draw.permutation(rows.height)[: int(share * rows.height)]
    source[again] = draw.choice(draw.choice(rows.height, 5), len(again))
    return rows[source].with_columns(rows[f"{KEY}id"], rows[TIME])


POISON = {
    "labels inverted": turn_labels,
    "corner inverted": turn_corner,
    "shifted": shift,
    "repeated": repeat,
}


# --- the picture


def draw(table: dict[tuple[str, float], list[Found]]) -> None:
    from matplotlib.figure import Figure

    from evergreen.report.panels import AMBER, DARK, GREEN, GREY

    def points(names: Sequence[str]) -> tuple[Array, Array]:
        found = [
            (np.mean([o.cost for o in t]), [o.passes for o in t])
            for (n, _), t in table.items()
            if n in names
        ]
        found.sort(key=lambda point: point[0])
        return np.array([cost for cost, _ in found]), np.array(
            [passes for _, passes in found], float
        )

    figure = Figure(figsize=(10, 4.2), dpi=110, layout="constrained")
    power, poison = figure.subplots(1, 2)
    cost, passes = points(("same rows", "newer rows", *WEAKER))
    bars: dict[str, Any] = {"marker": "o", "capsize": 3, "lw": 0, "elinewidth": 2}
    power.errorbar(
        -cost, passes.mean(axis=1), binomial(passes), color=GREEN, label="a change", **bars
    )
    cost, passes = points(("honest",))
    power.errorbar(
        -cost, passes.mean(axis=1), binomial(passes), color=AMBER, label="a refresh", **bars
    )
    power.set(
        xlabel="true gain in AUC over the champion",
        ylabel="share of trials that promote",
        ylim=(0, 1.03),
    )
    power.set_title("Who is promoted", loc="left", fontweight="bold")
    for name, marker in zip(POISON, "osD^", strict=True):
        cost, passes = points((name,))
        poison.plot(
            cost, passes.mean(axis=1), marker=marker, color=DARK, lw=1, alpha=0.8, label=name
        )
    poison.axvline(0.01, color=GREY, ls="--", lw=1)
    poison.set(
        xlabel="true AUC lost, were it live", ylabel="share of trials that promote", ylim=(0, 1.03)
    )
    poison.set_title("A refresh whose newest batch is poisoned", loc="left", fontweight="bold")
    for axes in (power, poison):
        axes.axhline(0.05, color=GREY, ls="--", lw=1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.savefig(FIGURE)
    print(f"drawn: {FIGURE}")


def binomial(found: Array) -> Array:
    """Return how far Wilson's 95% interval reaches below and above each share, (2, points)."""
    from scipy.stats import binomtest

    shares = found.mean(axis=1)
    edges = [
        binomtest(int(passes.sum()), len(passes)).proportion_ci(method="wilson") for passes in found
    ]
    return np.array(
        [
            [s - e.low for s, e in zip(shares, edges, strict=True)],
            [e.high - s for s, e in zip(shares, edges, strict=True)],
        ]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
