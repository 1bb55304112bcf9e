"""A small world for the gate: rows as in a features file, and candidates trained on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from evergreen.decision import Decision
from evergreen.evaluation import intervals
from evergreen.evaluation.baselines import predict_baselines
from evergreen.features.definition import Definition
from evergreen.features.encoder import Encoder
from evergreen.features.keys import KEY, hash_keys, hash_rows
from evergreen.features.split import GROUP, LABEL, SLICE, TIME
from evergreen.params import Params, Train
from evergreen.promotion.candidate import Candidate
from evergreen.promotion.compare import Side, check_unseen
from evergreen.promotion.gate import decide
from evergreen.promotion.judge import Judged, judge
from evergreen.promotion.refit import distance
from evergreen.scoring.package import Learnt, Model
from evergreen.training.seeds import choose
from evergreen.training.tables import Table, Tables
from evergreen.training.xgboost import build_matrix, train

Spoil = Callable[[pl.DataFrame], pl.DataFrame]
QUICK = Train(device="cpu", rounds=60, early_stopping_rounds=15, learning_rate=0.3, max_depth=3,
              min_child_weight=1.0, max_bin=64, colsample_bytree=0.75)  # fmt: skip
CLASSES = {"binary": ("no", "yes"), "multiclass": ("low", "middle", "high"), "regression": ()}
PLACES = {"ash": 0.0, "bay": 1.0, "cove": -1.0, "dell": 2.0}  # what each adds to the score
FEATURES = ("first", "second", "member", "place")
STARTS = {
    role: datetime.fromisoformat(day)
    for role, day in (
        ("train", "2013-01-01"),
        ("validation", "2013-03-01"),
        ("holdout", "2013-04-01"),
    )
}
SEEDS = 4


def draw_rows(task: str, count: int, seed: int, role: str = "train") -> pl.DataFrame:
    """Rows with something to learn that no linear model can; the group says nothing of the label.

    Over 30 days from the start of the role; no key is drawn twice, whatever the seed and role.
    """
    draw = np.random.default_rng([seed, list(STARTS).index(role)])
    first, second, member = (
        draw.normal(size=count),
        draw.normal(size=count),
        draw.random(count) < 0.5,
    )
    place = draw.choice(list(PLACES), count, p=(0.3, 0.3, 0.25, 0.15))
    bend = np.where(second > 0, 2 * first, -first)
    score = bend - second + np.array([PLACES[name] for name in place]) + draw.normal(size=count)
    label: Any = {
        "binary": lambda: np.where(score > 0.5, "yes", "no"),
        "multiclass": lambda: np.array(CLASSES["multiclass"])[np.digitize(score, [-0.7, 1.5])],
        "regression": lambda: score,
    }[task]()
    start = STARTS[role]
    return pl.DataFrame(
        {
            f"{KEY}id": [f"{role} {seed} {at}" for at in range(count)],
            TIME: [start + timedelta(days=30) * (at / count) for at in range(count)],
            LABEL: label,
            f"{SLICE}place": place,
            f"{GROUP}member": np.where(member, "us", "them"),
            "first": first.astype(np.float32),
            "second": np.where(draw.random(count) < 0.1, np.nan, second).astype(np.float32),
            "member": member.astype(np.float32),
            "place": place,
        },
        schema_overrides={TIME: pl.Datetime("us")},
    )


def encoder_of(task: str, features: Iterable[str] = FEATURES) -> Encoder:
    return Encoder(task, tuple(features), {"place": tuple(PLACES)}, CLASSES[task], ("2013-01",))


def as_table(encoder: Encoder, rows: pl.DataFrame) -> Table:
    keys = hash_keys(rows, [name for name in rows.columns if name.startswith(KEY)])
    return Table(encoder.transform(rows), encoder.transform_label(rows[LABEL]), keys)


def learn(
    task: str,
    rows: pl.DataFrame,
    *,
    version: str = "2",
    seeds: Iterable[int] = range(SEEDS),
    model: str = "median",
    params: Train = QUICK,
) -> Candidate:
    """Train a sweep on `rows` and package it as the flow does."""
    encoder = encoder_of(task)
    parts = as_table(encoder, rows), as_table(encoder, draw_rows(task, 300, 0, "validation"))
    tables = Tables(task, FEATURES, ("place",), CLASSES[task], *parts, parts[1], encoder)
    matrix = build_matrix(tables, params, threads=1)
    trained = {seed: train(matrix, params, seed) for seed in seeds}
    chosen = choose({seed: model.validation_loss for seed, model in trained.items()}, model)
    learnt = Learnt.of(tables, str(STARTS["holdout"]))
    rounds = int(np.median([model.rounds for model in trained.values()]))
    packaged = Model(
        encoder, {seed: trained[seed].booster for seed in chosen}, learnt, rounds=rounds
    )
    return Candidate(version, packaged, tuple(model.booster for model in trained.values()))


@cache
def holdout_of(task: str, count: int = 1500) -> pl.DataFrame:
    return draw_rows(task, count, 0, "holdout")


@cache
def champion_of(task: str) -> Candidate:
    """A decent champion: from 400 rows."""
    return learn(task, draw_rows(task, 400, 1), version="1")


@cache
def better_of(task: str, model: str = "median") -> Candidate:
    """A challenger that is truly better: from seven times the rows and more."""
    return learn(task, draw_rows(task, 3000, 2), seeds=range(10, 10 + SEEDS), model=model)


@cache
def baselines_of(task: str, count: int = 1500) -> Mapping[str, Any]:
    encoder = encoder_of(task)
    parts = [as_table(encoder, rows) for rows in (draw_rows(task, 400, 1), holdout_of(task, count))]
    return predict_baselines(
        Tables(task, FEATURES, ("place",), CLASSES[task], parts[0], parts[1], parts[1]), 0
    )


def params_of(task: str, seeds: int = SEEDS, **gate: Any) -> Params:
    return Params(task=task, sweep={"seeds": seeds}, evaluate={"resamples": 200}, gate=gate)


@dataclass(frozen=True)
class Told(Candidate):
    """A candidate whose predictions are given."""

    side: Side = field(kw_only=True)

    def predict_unseen(self, rows: pl.DataFrame) -> Side:
        check_unseen(hash_rows(rows), **{f"model ({self.version})": self.model.learnt.keys})
        return self.side

    def predict(self, rows: pl.DataFrame) -> Side:
        return self.side


def tell(
    task: str, side: Side, version: str = "2", encoder: Encoder | None = None, learnt: Any = None
) -> Told:
    """A candidate that predicts what `side` holds, whatever the rows.

    It has learnt from one row that is in no holdout.
    """
    learnt = learnt or Learnt(np.array([1], np.uint64), str(STARTS["holdout"]))
    model: Any = SimpleNamespace(
        encoder=encoder or encoder_of(task),
        learnt=learnt,
        seeds=(0,),
        definition=Definition(task, None, {}),
        learner="xgboost",
        way="",
        refit=False,
    )
    return Told(version, model, (), side=side)


@pytest.fixture
def settle() -> Callable[..., tuple[Judged, Decision]]:
    """Judge and decide: `settle(task, challenger, champion)`.

    Other arguments replace rows, predictions or bounds. With groups only where asked for: fairlearn
    takes as long as all the rest.
    """

    def run(
        task: str,
        challenger: Candidate,
        champion: Candidate | None,
        *,
        rows: pl.DataFrame | None = None,
        reloaded: Any = None,
        baselines: Mapping[str, Any] | None = None,
        seeds: int = SEEDS,
        notes: tuple[str, ...] = (),
        groups: bool = False,
        refresh: bool = False,
        **gate: Any,
    ) -> tuple[Judged, Decision]:
        rows = holdout_of(task) if rows is None else rows
        rows = rows if groups else rows.drop(f"{GROUP}member", strict=False)
        if reloaded is None:
            real = type(challenger) is Candidate
            reloaded = (
                challenger.model.predict_rows(rows)
                if real
                else challenger.predict_unseen(rows).prediction
            )
        baselines = baselines_of(task, rows.height) if baselines is None else baselines
        params = params_of(task, seeds, **gate)
        judged = judge(rows, challenger, champion, baselines, params, notes, refresh=refresh)
        far = distance(reloaded, judged.predictions["challenger"])
        judged = replace(judged, evidence=replace(judged.evidence, reload=far))
        return judged, decide(judged.evidence, params.gate)

    return run


@pytest.fixture(scope="session")
def world() -> Any:
    """What draws rows and trains candidates."""
    return SimpleNamespace(
        draw_rows=draw_rows, learn=learn, tell=tell, holdout=holdout_of, champion=champion_of,
        better=better_of, encoder=encoder_of, baselines=baselines_of, params=params_of, quick=QUICK,
        seeds=SEEDS, features=FEATURES, classes=CLASSES, places=tuple(PLACES), starts=STARTS,
        keys=hash_rows,
    )  # fmt: skip


remember_weights = lru_cache(maxsize=32)(intervals._draw_weights)


@pytest.fixture(scope="module")
def same_resamples() -> Iterator[None]:
    """Draw the resamples of a number of rows once for all comparisons, the same from run to run.

    And multiply matrices in one thread: small ones take three times as long where threads wait for
    a busy core.
    """
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1, "blas"):
        patch.setattr(intervals, "_draw_weights", remember_weights)
        yield
