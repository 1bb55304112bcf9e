"""The diagnosis of a project: which rows it looks at, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diagnosis.sick import sound

from evergreen.diagnosis.lab import thin
from evergreen.diagnosis.stale import Live
from evergreen.errors import InputError
from evergreen.orchestration.diagnosis import _of_lab, describe, diagnose_project, make_lab
from evergreen.params import Params
from evergreen.project import Project
from evergreen.tuning.cuts import Cut

TABLES = sound(rows=(4000, 1500, 1200))


def test_rows_are_thinned_alike_everywhere() -> None:
    days = np.arange(1200) // 100
    cut = Cut("2013-05", TABLES, days)
    lab = make_lab(cut, Params(), 1000)
    assert [
        len(part) for part in (lab.tables.train, lab.tables.validation, lab.tables.holdout)
    ] == [1000] * 3
    at = thin(1200, 1000)
    assert lab.days is not None
    np.testing.assert_array_equal(lab.days, days[at])
    live = _of_lab(Live("1", "2013", np.arange(1200.0), days > 5), cut, lab)
    assert live is not None
    assert live.p is not None
    np.testing.assert_array_equal(live.p, at)
    assert _of_lab(None, cut, lab) is None


def test_few_rows_are_all_looked_at_and_it_is_said_which() -> None:
    cut = Cut("2013-05", TABLES)
    whole, some = make_lab(cut, Params(), 20_000), make_lab(cut, Params(), 1000)
    assert len(whole.tables.train) == 4000
    assert whole.days is None
    said = describe(cut, whole, "2013-06")
    assert said.startswith("Judged on 1,200 rows of 2013-05, not on 2013-06")
    assert "drawn at random" not in said
    assert "1,000 of 4,000 rows learn" in describe(cut, some, "2013-06")


@pytest.mark.parametrize(("name", "in_time"), [("2013-05", True), ("fold 1", False)])
def test_folds_by_key_have_no_time(name: str, in_time: bool) -> None:
    assert make_lab(replace(Cut(name, TABLES)), Params(), 1000).in_time == in_time


def test_a_project_without_data_is_told_what_to_do(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(InputError, match="nothing is prepared yet"):
        diagnose_project(project, Params(), 1000, lambda _: None)
    assert not (project.stores / "mlflow.db").exists()
