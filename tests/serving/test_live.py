"""Live: the bits of a batch in the order given; the watch asks only when something changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from conftest import refusal
from serving.served import ROWS, Registry, model_of

from evergreen.errors import InputError
from evergreen.features.definition import Definition
from evergreen.scoring.predictions import Scorer
from evergreen.scoring.score import score_rows
from evergreen.serving.live import Live, Watch
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow

WHOLE = ROWS.with_columns(
    pl.lit(None, dataset.columns[name]).alias(name) for name in dataset.known_later
)
ONE = Scorer("late_flights", "1", "run")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("height", [1, 3, 100, 400])
def test_rows_in_any_order_get_the_bits_of_a_batch(height, task):
    model, rows = model_of("1", task), WHOLE.sample(height, seed=height, shuffle=True)
    found = Live(ONE, model, dataset).answer(rows).predicted
    scored = score_rows(model, dataset, rows).predictions
    names = [name for name in scored.columns if name.startswith("prediction")]
    by_key = rows.select(pl.col(dataset.key).name.prefix("key_")).join(
        scored, on=[f"key_{name}" for name in dataset.key], maintain_order="left", nulls_equal=True
    )
    assert found.tobytes() == by_key.select(names).to_numpy().astype(np.float32).tobytes()


def test_rows_left_out_in_time_are_named():
    made = replace(
        dataset,
        left_out={"far": pl.col("distance") > 2000, "unknown": pl.col("dest").is_null(),
                  "later": pl.col("dep_time").is_null()},
    )  # fmt: skip
    rows = WHOLE[:3].with_columns(
        distance=pl.Series([100, 3000, None], dtype=pl.Int32), dest=pl.Series(["BOS", None, "BOS"])
    )
    found = Live(ONE, model_of("1"), made).answer(rows)
    assert found.left_out == {1: "far", 2: "far"}
    assert "dest" not in found.unseen


def test_a_definition_that_no_longer_fits_is_refused():
    gone = replace(dataset, columns={n: t for n, t in dataset.columns.items() if n != "temp"})
    refusal(lambda: Live(ONE, model_of("1"), gone), "temp", "no longer exists")
    model = model_of("1")
    text = replace(dataset, features=dict(dataset.features) | {"temp": pl.col("dest")})
    other = type(model)(
        model.encoder, model.boosters, model.learnt, definition=Definition.of(text, "binary")
    )
    refusal(lambda: Live(ONE, other, dataset), "'temp' is text")


def test_a_watch_asks_again_only_where_something_changed():
    registry, stamps, failures = Registry(), ["a"], []
    asked = []
    whole = registry.decision
    registry.decision = lambda: (asked.append(1), whole())[1]
    watch = Watch(registry, dataset, lambda: stamps[0], lambda: failures.append(1))
    for _ in range(3):
        watch.look()
    assert (len(asked), watch.live.scorer) == (1, Scorer("late_flights", "1", "run of 1"))
    registry.champion, stamps[0] = "2", "b"
    first = watch.live
    watch.look()
    assert (watch.live.scorer.version, first.scorer.version, failures) == ("2", "1", [])


@pytest.mark.parametrize(("champion", "times"), [(None, 1), ("1", 3)])
def test_a_watch_without_a_champion_waits_for_a_change_and_after_a_failure_does_not(
    champion, times
):
    registry, asked = Registry(champion), []
    registry.broken, whole = {"1"}, registry.decision
    registry.decision = lambda: (asked.append(1), whole())[1]
    watch = Watch(registry, dataset, lambda: "a")
    for _ in range(3):
        watch.look()
    assert (watch.live, len(asked), bool(watch.trouble)) == (None, times, True)


def test_a_watch_makes_no_registry_where_there_is_none():
    there, registry = [False], Registry()
    watch = Watch(registry, dataset, is_there=lambda: there[0])
    registry.decision, whole = None, registry.decision  # asking would make it
    watch.look()
    assert (watch.live, watch.trouble) == (None, "there is no champion yet")
    there[0], registry.decision = True, whole
    watch.look()
    assert (watch.live.scorer.version, watch.trouble) == ("1", "")


@pytest.mark.parametrize("how", ["broken", "another"])
def test_a_version_that_is_not_as_decided_is_not_taken(how, monkeypatch):
    registry, failures = Registry(), []
    watch = Watch(registry, dataset, on_failure=lambda: failures.append(1))
    watch.look()
    registry.champion = "2"
    if how == "broken":
        registry.broken = {"2"}
    else:
        monkeypatch.setattr(Registry, "checksum_of", lambda self, number: "other")
    for _ in range(2):
        watch.look()
    assert (watch.live.scorer.version, len(failures)) == ("1", 2)
    assert watch.trouble


def test_a_model_that_predicts_no_number_is_not_taken(monkeypatch):
    model = model_of("1")
    monkeypatch.setattr(model, "predict_rows", lambda rows: np.full(rows.height, np.nan))
    with pytest.raises(InputError, match="predicts no number"):
        Live(ONE, model, dataset)
