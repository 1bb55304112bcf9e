"""The tasks of scoring: no champion is a user's mistake, and the UI shows what came of each row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import month
from prefect.logging import disable_run_logger
from serving.served import model_of

from evergreen.errors import InputError
from evergreen.features.definition import Definition
from evergreen.features.featurize import featurize_unlabelled
from evergreen.orchestration.tasks import scoring
from evergreen.orchestration.tasks.job import Job
from evergreen.scoring.predictions import Kept, Scorer, keep, read_sketch
from evergreen.scoring.score import Scores, Summary, score_rows
from evergreen.scoring.unlabelled import Given
from evergreen.statistics.sketch import sketch
from late_flights.dataset import dataset

ONE = Scorer("flights", "3", "run of 3")
ROWS = month("2013-04").head(6)
SAID = pl.DataFrame(
    {"key_flight": ROWS["flight"], "prediction": pl.Series([0.5] * 6, dtype=pl.Float32)}
)


class Registry:
    """A registry with or without a champion."""

    name = "flights"
    broken: str | None = None

    def __init__(self, held: dict[str, str]) -> None:
        self.held, self.opened = held, 0
        self.versions = self

    def aliases(self) -> dict[str, str]:
        return self.held

    def why_no_champion(self) -> str:
        return "version 2 was refused"

    def decision(self) -> Any:
        return SimpleNamespace(version=self.held["champion"]) if self.held else None

    def fault(self, event: Any) -> str | None:
        return self.broken

    def run_of(self, number: str) -> str:
        return f"run of {number}"

    def open(self, number: str) -> Any:
        self.opened += 1
        return SimpleNamespace(
            encoder=SimpleNamespace(levels={}), definition=Definition.of(dataset, "binary")
        )


@pytest.fixture
def job(make_job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job whose champion is version 3."""
    made = make_job(tmp_path)
    made.project.stores.mkdir()
    (made.project.stores / "mlflow.db").touch()
    registry = Registry({"champion": "3", "challenger": "4"})
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    monkeypatch.setattr(Job, "warn", lambda _: None)
    return made


def test_the_champion_scores(job: Job) -> None:
    assert scoring.champion(job) == ONE


def test_a_damaged_champion_is_one_error_with_the_remedy(job: Job) -> None:
    job.registry.broken = "version 3 was changed"  # type: ignore[misc]
    said = (
        r"^the champion cannot be used \(version 3 was changed\): "
        r"restore its files, or `evergreen run` \(a new one\)$"
    )
    with pytest.raises(InputError, match=said):
        scoring.champion(job)


@pytest.mark.parametrize("stored", [True, False])
def test_no_champion_is_one_error_and_makes_no_database(stored: bool, job: Job) -> None:
    job.registry.held.clear()  # type: ignore[attr-defined]
    if not stored:
        (job.project.stores / "mlflow.db").unlink()
    first = "`evergreen run` trains one, or says why it cannot"
    said = "version 2 was refused" if stored else first
    with pytest.raises(InputError, match=f"^there is no champion: {said}$"):
        scoring.champion(job)
    assert (job.project.stores / "mlflow.db").exists() is stored


@pytest.mark.slow
def test_reading_says_whether_the_rows_were_scored_before(job: Job, tmp_path: Path) -> None:
    ROWS.write_csv(tmp_path / "rows.csv")
    with disable_run_logger():
        plan = scoring.read.fn(job, str(tmp_path / "rows.csv"), "april")
        assert (plan.given.batch, plan.given.rows.height, plan.scorer, plan.kept) == (
            "april",
            6,
            ONE,
            None,
        )
        kept, _ = keep(
            job.project, dataset, plan.given, ONE, SAID, sketch(SAID, None), ROWS.clear(), {}
        )
        assert scoring.read.fn(job, str(tmp_path / "rows.csv"), "april").kept == kept


@pytest.mark.slow
def test_scoring_keeps_and_shows(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[Any] = []
    features, _ = featurize_unlabelled(dataset, ROWS)
    scores = Scores(SAID, features, {"cancelled": 2})
    monkeypatch.setattr("evergreen.scoring.score.score_rows", lambda *_: scores)
    monkeypatch.setattr(
        scoring, "create_table_artifact", lambda table, **about: tables.append((table, about))
    )
    plan, checked = (
        scoring.Plan(Given("april", ROWS), ONE),
        SimpleNamespace(valid=ROWS, quarantined=ROWS.head(1)),
    )
    with disable_run_logger():
        kept, fresh = scoring.score.fn(job, plan, checked)
        assert fresh
        # Tried again after it was kept
        assert scoring.score.fn(job, plan, checked) == (kept, False)
    assert pl.read_parquet(kept.path)["prediction"].to_list() == [0.5] * 6
    assert list(read_sketch(job.project, "april", "3").columns) == list(dataset.features)
    table, about = tables[0]
    assert about["key"] == "scoring"
    assert str(kept.path) in about["description"]
    assert {row["what"]: row["value"] for row in table} == {
        "rows scored": "6",
        "rows quarantined": "1",
        "rows left out, cancelled": "2",
        "prediction, mean": "0.5",
        "prediction, 5 %": "0.5",
        "prediction, median": "0.5",
        "prediction, 95 %": "0.5",
    }


def test_the_table_counts_unknown_levels_and_needs_no_row(tmp_path: Path) -> None:
    kept = Kept("april", ONE, "", 4, 0, 4, {}, "", {}, tmp_path)
    assert scoring.tabulate(kept, Summary({}, {"dest": 3})) == [
        {"what": "rows scored", "value": "0"},
        {"what": "rows quarantined", "value": "4"},
        {"what": "rows with a level of 'dest' unknown to the model", "value": "3"},
    ]


@pytest.mark.slow
def test_the_graph_scores_in_place_of_the_package(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of("1")
    monkeypatch.setattr(Registry, "open", lambda *_: model)
    monkeypatch.setattr(scoring, "create_table_artifact", lambda *_, **about: None)
    rows = month("2013-04").head(40)
    plan = scoring.Plan(Given("april", rows), ONE)
    checked = SimpleNamespace(valid=rows, quarantined=rows.clear())
    with disable_run_logger():
        kept, fresh = scoring.score.fn(job, plan, checked, "onnx")
    assert (fresh, kept.engine, Kept.read(kept.folder / "3.json")) == (True, "onnx", kept)
    found = pl.read_parquet(kept.path)["prediction"].to_numpy()
    expected = score_rows(model, dataset, rows).predictions["prediction"].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
