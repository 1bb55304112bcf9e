"""Sections about the model: each says what is known, or that it is not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from report.judged import judged_of

from evergreen.dataset import Dataset
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.intervals import Estimate
from evergreen.papers import sections
from evergreen.papers.datasheet import QUESTIONS, Datasheet
from evergreen.papers.registration import Registration
from evergreen.params import parse
from evergreen.promotion.fairness import Gap
from evergreen.promotion.gate import decide
from evergreen.training.seeds import summarize

TASKS = ("binary", "multiclass", "regression")


def made_of(
    task: str = "binary", champion: bool = True, learner: str = "xgboost", **changed: Any
) -> Registration:
    """What is known of a model of made-up data."""
    judged = judged_of(task, champion=champion)
    params = parse({"task": task}, "params")
    names, y, p = list(params.metrics.of(task)), judged.y, judged.predictions["challenger"]
    estimates = {
        model: {name: Estimate(value, value - 0.1, value + 0.1) for name in names}
        for model, value in (("model", 0.7), ("constant", 0.5), ("linear", 0.6))
    }
    evaluation = Evaluation(
        task, len(y), (0, 1), estimates, {name: summarize([0.7, 0.8], 0.95) for name in names},
        y, {"model": p, "linear": p, "constant": p}, ("a", "b"),
    )  # fmt: skip
    encoder = SimpleNamespace(
        task=task, classes=("a", "b"), features=("first", "second"), levels={}
    )
    model = SimpleNamespace(
        encoder=encoder, seeds=(0, 1), boosters={0: b"abc", 1: b"de"}, learner=learner, rounds=7,
        refit=True, learnt=SimpleNamespace(keys=np.arange(1234), newest="2013-05-31 23:59:00"),
    )  # fmt: skip
    side = np.where(np.arange(len(y)) % 2, "left", "right")
    about: dict[str, Any] = {
        "project": None,
        "params": params,
        "dataset": Dataset(
            columns={"first": pl.Float64(), "sold": pl.Boolean()}, label=pl.col("sold"),
            known_later=("sold",), features={"first": pl.col("first")},
        ),
        "datasheet": Datasheet(),
        "version": "3",
        "run_id": "abc",
        "model": model,
        "evaluation": evaluation,
        "rows": pl.DataFrame({"slice_side": side, "group_side": side}),
        "evidence": judged.evidence,
        "decision": decide(judged.evidence, params.gate),
        "bias": None,
    }  # fmt: skip
    return Registration(**about | changed)


def text_of(section: Any) -> str:
    tables = [cell for table in section.tables for row in (table.head, *table.rows) for cell in row]
    return "\n".join([*section.says, *tables])


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (pl.col("arr_delay") > 15, "arr_delay > 15"),
        (pl.col("price"), "price"),
        (pl.col("a") / 2.5, "a / 2.5"),
        (pl.col("x").is_null(), "x.is_null()"),
    ],
)
def test_an_expression_is_read_by_people(expression: pl.Expr, shown: str) -> None:
    assert sections.readable(str(expression)) == shown


def test_the_model() -> None:
    facts = {
        "mlflow.source.git.commit": "f00d",
        "evergreen.git.dirty": "true",
        "library.numpy": "2.4",
    }
    told = text_of(sections.model(made_of(facts=facts)))
    for part in (
        "1,234 rows",
        "commit f00d with changes not committed",
        "numpy 2.4",
        "first, second",
    ):
        assert part in told
    assert "in no repository" in text_of(sections.model(made_of()))


def test_intended_use_has_the_answers_of_people() -> None:
    told = text_of(sections.intended_use(Datasheet({"licence": "CC0-1.0"})))
    assert "does not answer yet: intended_use, other_uses, known_faults, privacy." in told
    assert "CC0-1.0" in told
    whole = sections.intended_use(Datasheet(dict.fromkeys(QUESTIONS, "so")))
    assert "not answer" not in text_of(whole)


def test_the_decision_shows_every_rule() -> None:
    made = made_of()
    (table,) = sections.decision(made).tables
    assert [row[0] for row in table.rows] == [rule["name"] for rule in made.decision.rules]
    assert {row[1] for row in table.rows} <= {"met", "BROKEN"}


@pytest.mark.parametrize(
    ("champion", "told"), [(True, "The champion was version 7."), (False, "There was no champion")]
)
def test_the_comparison(champion: bool, told: str) -> None:
    section = sections.comparison(made_of(champion=champion))
    assert told in text_of(section)
    names = [row[0] for row in section.tables[0].rows]
    assert ("champion, roc_auc" in names) == champion
    assert "constant, roc_auc" in names


def test_a_champion_that_could_not_be_compared_is_said() -> None:
    evidence = replace(judged_of(champion=False).evidence, champion="7")
    assert "not compared with the champion, version 7" in text_of(
        sections.comparison(made_of(evidence=evidence))
    )


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("learner", "first", "value"), [("xgboost", "trees", "0.7000"), ("linear", "linear", "0.6000")]
)
def test_intervals_begin_with_what_was_registered(
    task: str, learner: str, first: str, value: str
) -> None:
    table, spread = sections.seeds_and_intervals(made_of(task, learner=learner)).tables
    assert table.head[1] == first
    assert all(row[1].startswith(f"{value} (") for row in table.rows)
    assert all(row[1] == "0.7500" and row[4] == "2" for row in spread.rows)


def test_failed_seeds_are_named() -> None:
    assert "; 3, 5 failed." in text_of(sections.seeds_and_intervals(made_of(failed=(3, 5))))
    assert "; none failed." in text_of(sections.seeds_and_intervals(made_of()))


@pytest.mark.parametrize("task", TASKS)
def test_slices(task: str) -> None:
    section = sections.slices(made_of(task))
    assert [row[0] for row in section.tables[0].rows] == ["side=left", "side=right"]
    assert "Least good: side=" in text_of(section)
    none = sections.slices(made_of(task, rows=pl.DataFrame({"first": [0.0] * 300})))
    assert none.says == ("dataset.py names no slices: nothing is known of parts.",)


@pytest.mark.parametrize("task", TASKS)
def test_calibration(task: str) -> None:
    section = sections.calibration(made_of(task))
    assert "Mean calibration error 0.0100, 0 being perfect; the champion's was 0.0200." in (
        section.says
    )
    assert len(section.tables[0].rows) == 10


def test_fairness() -> None:
    assert "names no groups" in text_of(sections.fairness(made_of()))
    made = made_of()
    with_groups = replace(made.dataset, groups={"side": pl.col("first")})
    gaps = replace(made.evidence, groups={"side": Gap(0.125, 0.05)})
    told = text_of(sections.fairness(made_of(dataset=with_groups, evidence=gaps)))
    assert "Largest difference by side: 0.125, surely 0.050; at most 0.1 is let through." in told
    assert "side=left" in told
    few = sections.fairness(made_of(dataset=with_groups))
    assert "No two groups had enough rows" in text_of(few)


def test_the_cost() -> None:
    told = sections.cost(made_of(seconds={"live": [1.0, 2.0], "rounds": [0.5]}))
    assert [row[0] for row in told.tables[0].rows] == ["to find the rounds", "to go live"]
    assert "3.5 seconds of training on cpu, added up over 3 models" in text_of(told)
    assert "have 5 bytes" in text_of(told)
    assert "0.0 seconds" in text_of(sections.cost(made_of()))


def test_no_lead_is_a_nothing_below_zero() -> None:
    judged = judged_of()
    lead = replace(judged.evidence.comparison.whole["roc_auc"], value=-1e-9, low=-0.0, high=0.5)
    found = replace(judged.evidence.comparison, whole={"roc_auc": lead})
    made = made_of(evidence=replace(judged.evidence, comparison=found))
    assert "+0.0000 (+0.0000 to +0.5000)" in text_of(sections.comparison(made))


def test_history_is_newest_first() -> None:
    past = [("2013-01-01", "1", "promoted", "x"), ("2013-02-01", "2", "refused", "y")]
    assert [row[1] for row in sections.history(past).tables[0].rows] == ["2", "1"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.12345, "0.1235"), (float("nan"), "–"), (None, "–"), (1234.5, "1,234.5"), (-2.0, "-2.0000")],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert sections.number(value) == shown
