"""Score and keep: the same rows twice are kept once, with the sketch of today's features."""

from __future__ import annotations

import polars as pl
import pytest
from serving.served import ROWS, model_of

from evergreen.project import Project
from evergreen.scoring.predictions import PACKAGE, Scorer, read, read_sketch
from evergreen.scoring.score_and_keep import score_and_keep
from evergreen.scoring.unlabelled import Given
from evergreen.validation.report import BatchReport, Outcome
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow


def test_rows_are_scored_and_kept_once(tmp_path):
    project, scorer = Project(tmp_path), Scorer("flights", "3", "run")
    rows = ROWS[:50]
    outcome = Outcome(BatchReport("april", 50, 50, 0, ()), rows, rows.clear())
    how = (project, dataset, "binary", model_of("1"), scorer, Given("april", rows), outcome)
    kept, fresh, scores = score_and_keep(*how)
    assert (fresh, kept.scored, kept.engine) == (True, 50, PACKAGE)
    said = read(project, "april", "3")
    assert said.drop("model", "version", "scored_at").equals(scores.predictions)
    assert list(read_sketch(project, "april", "3").columns) == list(dataset.features)
    assert score_and_keep(*how)[:2] == (kept, False)
    assert "engine" not in (kept.folder / "3.json").read_text()
    assert said["prediction"].dtype == pl.Float32
