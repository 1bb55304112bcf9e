from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from evergreen.errors import InputError
from evergreen.monitoring import drift
from evergreen.monitoring.drift import DriftReport, auc_of, find_drift, find_usual_auc, tell_apart
from evergreen.params import Drift
from evergreen.statistics.pooling import pool
from evergreen.statistics.psi import margin_of, measure, usual
from evergreen.statistics.sketch import Sketch, sketch

ROWS = 4000
PARAMS = Drift()


def draw(seed: int, rows: int = ROWS, together: float = 0.0) -> pl.DataFrame:
    """Six numbers (two of which may go together), two categories, a label and a prediction."""
    some = np.random.default_rng(seed)
    numbers = some.normal(size=(rows, 6))
    numbers[:, 1] = together * numbers[:, 0] + (1 - together**2) ** 0.5 * numbers[:, 1]
    return pl.DataFrame(
        {f"n{at}": numbers[:, at] for at in range(6)}
        | {f"c{at}": some.choice(list("abc"), rows, p=(0.6, 0.3, 0.1)) for at in range(2)}
        | {
            "label": some.choice(["no", "yes"], rows, p=(0.7, 0.3)),
            "prediction": some.beta(2, 5, rows),
        }
    )


def summed(frame: pl.DataFrame) -> Sketch:
    return sketch(frame, None)


@cache
def past() -> tuple[Sketch, ...]:
    return tuple(summed(draw(seed)) for seed in range(4))


def report(frame: pl.DataFrame, params: Drift = PARAMS, **others: Any) -> DriftReport:
    return find_drift(summed(frame), pool(past()), past(), params, **others)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 12))
def test_nothing_drifts_where_nothing_changed(seed: int) -> None:
    found = report(draw(seed))
    assert found.drifted == ()
    assert (found.together, found.label_drifted, found.prediction_drifted) == (False, False, False)
    assert found.says == "None of 10 columns drifted."
    assert found.auc_low < 0.52


CHANGES: dict[str, tuple[pl.Expr, tuple[str, ...], str]] = {
    "shift": (pl.col("n0") + 0.3, ("n0",), "n0 has median"),
    "spread": (pl.col("n1") * 1.4, ("n1",), "n1 has median"),
    "new level": (
        pl.when(pl.int_range(ROWS) % 50 == 0).then(pl.lit("z")).otherwise("c0").alias("c0"),
        ("c0",),
        "c0",
    ),
    "missing": (
        pl.when(pl.int_range(ROWS) % 20 > 0).then("n2"),
        ("n2 (missing)",),
        "n2 is missing in 5.0%",
    ),
    "label": (
        pl.when(pl.int_range(ROWS) % 4 > 0).then("label").otherwise(pl.lit("yes")).alias("label"),
        (),
        "label",
    ),
    "prediction": (pl.col("prediction") * 1.5, (), "prediction has median"),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.usefixtures("no_trees")
def test_a_change_is_found_where_it_is(change: str) -> None:
    expression, drifted, why = CHANGES[change]
    found = report(draw(20).with_columns(expression))
    assert found.drifted == drifted
    assert (found.label_drifted, found.prediction_drifted) == (
        change == "label",
        change == "prediction",
    )
    assert f"drifted, most of all {why}" in found.says


@pytest.mark.slow
def test_columns_that_go_together_now() -> None:
    """No column shows it by itself; only the trees see it."""
    found = report(draw(30, together=0.8))
    assert found.drifted == ()
    assert found.together
    assert found.auc_low > found.auc_margin == pytest.approx(0.52)
    assert "its rows as a whole differ from earlier ones" in found.says


@pytest.mark.slow
@pytest.mark.usefixtures("no_trees")
def test_margins_are_those_of_the_past_and_of_the_parameters() -> None:
    uneven = [
        summed(draw(seed).with_columns(pl.col("n0") + shift))
        for seed, shift in enumerate((0, 0.3, 0.1))
    ]
    params = Drift(smallest_shift=0.03, columns={"n1": 0.2})
    batch = summed(draw(9).with_columns(pl.col("n0") + 0.35, pl.col("n1") + 0.3))
    found = {
        column.shift.key: column
        for column in find_drift(batch, pool(uneven), uneven, params).columns
    }
    far = usual(uneven)
    assert found["n0"].shift.margin == pytest.approx(margin_of(far["n0"], 0.03))
    assert found["n1"].shift.margin == pytest.approx(margin_of(far["n1"], 0.2))
    assert not found["n0"].drifted, "batches were as far from one another before"
    assert not found["n1"].drifted, "its own margin is wider"
    strict = find_drift(batch, pool(uneven), [], replace_smallest(params, 0.01)).columns
    assert {column.shift.key for column in strict if column.drifted} == {"n0"}


def replace_smallest(params: Drift, smallest: float) -> Drift:
    return Drift(**(params.model_dump() | {"smallest_shift": smallest}))


@pytest.fixture
def no_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "tell_apart", lambda *_: (math.nan, math.nan, math.nan))


@pytest.mark.usefixtures("no_trees")
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_p_values_are_corrected_for_the_number_of_columns(confidence: float) -> None:
    frame = draw(40).with_columns(pl.col(f"n{at}") + 0.14 + 0.01 * at for at in range(6))
    found = report(frame, Drift(confidence=confidence)).columns
    plain = [column.shift.p for column in found]
    assert [column.p for column in found] == pytest.approx(stats.false_discovery_control(plain))
    assert [column.drifted for column in found] == [column.p <= 1 - confidence for column in found]
    assert all(column.p >= column.shift.p for column in found)
    shifts = measure(
        summed(frame),
        pool(past()),
        {column.shift.key: column.shift.margin for column in found},
        confidence,
    )
    assert tuple(column.shift for column in found) == shifts


@pytest.mark.slow
def test_auc_against_scikit_learn_and_its_error_against_many_draws() -> None:
    some, found = np.random.default_rng(0), []
    y = np.repeat([1, 0], [150, 250])
    for _ in range(300):
        score = np.round(some.normal(size=400) + y, 1)  # ties too
        found.append(auc_of(y, score, np.arange(400)))
    assert found[-1][0] == pytest.approx(roc_auc_score(y, score))
    aucs, variances = np.array(found).T
    assert variances.mean() == pytest.approx(aucs.var(), rel=0.25)


@pytest.mark.slow
def test_its_error_where_rows_of_a_block_are_alike() -> None:
    some, found, free = np.random.default_rng(0), [], []
    y, block = np.repeat([1, 0], [300, 500]), np.repeat(np.arange(40), 20)
    for _ in range(300):
        score = some.normal(size=800) + np.repeat(some.normal(size=40), 20) + y
        found.append(auc_of(y, score, block))
        free.append(auc_of(y, score, np.arange(800))[1])
    aucs, variances = np.array(found).T
    assert variances.mean() == pytest.approx(aucs.var(), rel=0.25)
    assert np.mean(free) < aucs.var() / 3


def weather(seed: int, warmer: float = 0.0) -> Sketch:
    """Thirty days, each with its own weather in three columns."""
    some = np.random.default_rng(seed)
    days = np.repeat(np.arange(30), 60)
    values = some.normal(size=(30, 3))[days] + 0.1 * some.normal(size=(1800, 3)) + warmer
    return sketch(pl.DataFrame(values, schema=["a", "b", "c"]), pl.Series(days))


@pytest.mark.slow
def test_days_that_the_trees_know_again_are_no_drift() -> None:
    reference = pool([weather(seed) for seed in range(3)])
    alike = [tell_apart(weather(seed), reference, ["a", "b", "c"], 0.95) for seed in range(10, 13)]
    assert all(low <= 0.52 for _, low, _ in alike)
    auc, low, high = tell_apart(weather(20, warmer=1.5), reference, ["a", "b", "c"], 0.95)
    assert 0.52 < low < auc < high
    blind = replace(weather(10), blocks=np.arange(1800))
    apart = replace(reference, blocks=np.arange(len(reference.blocks)))
    assert tell_apart(blind, apart, ["a", "b", "c"], 0.95)[1] > 0.8, (
        "split by rows, every day is known again"
    )


@pytest.mark.slow
def test_how_well_past_batches_are_told_apart_goes_into_the_margin() -> None:
    batches = [weather(seed, warmer) for seed, warmer in enumerate((0.0, 0.0, 2.0))]
    far = find_usual_auc(batches, PARAMS)
    assert far > 0.75
    assert find_usual_auc(batches[:1], PARAMS) == find_usual_auc([], PARAMS) == 0.5
    warm, before = weather(7, 2.0), pool(batches[:2])
    assert find_drift(warm, before, [], PARAMS).together
    found = find_drift(warm, before, [], PARAMS, usual_auc=far)
    assert not found.together
    assert far < found.auc_margin < 1
    certain = find_drift(warm, before, [], PARAMS, usual_auc=1.0)
    assert not certain.together
    assert certain.auc_margin < 1, "a check that can never fire is none"


@pytest.mark.slow
def test_the_same_seed_gives_the_same() -> None:
    first, same, other = (report(draw(50), seed=seed) for seed in (1, 1, 2))
    assert first == same
    assert first.auc != other.auc


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_too_few_rows_are_said_to_be(rows: int) -> None:
    found = report(draw(60, rows))
    assert math.isnan(found.auc)
    assert not found.together
    assert found.drifted == ()
    plain = json.loads(json.dumps(found.as_plain(), allow_nan=False))
    assert plain["auc"] is None
    assert plain["rows"] == rows


@pytest.mark.slow
def test_awkward_rows_go_through_the_trees() -> None:
    frame = draw(70).with_columns(
        pl.lit(float("inf")).alias("n0"),
        pl.lit(None, pl.Float64).alias("n1"),
        pl.lit(None, pl.String).alias("c0"),
    )
    found = report(frame)
    assert {"n0", "n1 (missing)", "c0 (missing)"} == {*found.drifted}
    assert found.together
    json.dumps(found.as_plain(), allow_nan=False)


def test_no_columns_at_all() -> None:
    found = find_drift(
        sketch(pl.DataFrame({"a": [1.0]}), None),
        sketch(pl.DataFrame({"b": [1.0]}), None),
        [],
        PARAMS,
    )
    assert (found.columns, found.says) == ((), "None of 0 columns drifted.")


def test_a_margin_for_a_column_that_is_none_is_an_error() -> None:
    with pytest.raises(
        InputError, match=r"drift.columns: there is no 'n9'; there are c0, c1, label, n0,"
    ):
        report(draw(0), Drift(columns={"n0": 0.1, "n9": 0.1}))
