"""Made: rows that are worth trying something on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evergreen.evaluation.calibration import calibration_error
from evergreen.metrics.metric import TASKS, Task
from evergreen.testing.made import draw, draw_run, draw_tables


@pytest.mark.parametrize("task", TASKS)
def test_predictions_are_worth_what_they_say(task: Task) -> None:
    y, p = draw(task)
    assert calibration_error(task, y, p) < 0.05
    assert np.array_equal(y, draw(task)[0])


@pytest.mark.parametrize("task", TASKS)
def test_some_numbers_of_the_tables_are_missing(task: Task) -> None:
    tables = draw_tables(task)
    assert 0.05 < np.isnan(tables.train.x[:, 1]).mean() < 0.15
    assert len({*tables.train.y}) == max(len(tables.classes), 2) or task == "regression"


@pytest.mark.parametrize("task", TASKS)
def test_a_run_has_a_model_that_knows_something(task: Task, tmp_path: Path) -> None:
    run = draw_run(tmp_path, task)
    assert run.judged.evidence.faults == ()
    assert run.judged.evidence.comparison.baselines["constant"].low > 0
    assert list(tmp_path.iterdir()) == []
