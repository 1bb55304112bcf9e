"""The tasks on data: a bad batch leaves its page and its table behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evergreen.errors import InputError
from evergreen.files import write_entries
from evergreen.orchestration.tasks import data
from evergreen.orchestration.tasks.job import Job
from evergreen.orchestration.tasks.run import Run
from evergreen.validation.report import BatchReport, Check


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The tables that would be shown in the UI."""
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(
        data,
        "create_table_artifact",
        lambda table, **about: shown.append({"table": table, **about}),
    )
    return shown


def test_a_batch_that_nobody_has_cannot_be_vouched_for(
    make_job: Callable[..., Job], tmp_path: Path
) -> None:
    job = make_job(tmp_path, drift={"accepted": ["2013-05", "2013-5"]})
    write_entries(tmp_path / "data" / "raw" / "manifest.json", {"2013-05": {}})
    with pytest.raises(
        InputError,
        match=r"drift.accepted: data/raw holds no batch '2013-5': did you mean '2013-05'\?",
    ):
        data.prepare.fn(Run(job, ""))


def test_the_table_of_validation_says_what_is_wrong(
    tables: list[dict[str, Any]], make_job: Callable[..., Job], tmp_path: Path
) -> None:
    checks = (
        Check("temp: -40 to 120", "rows", passed=False, broken=3),
        Check("dest: is there", "rows", passed=True),
    )
    reports = [
        BatchReport("2013-01", 100, 97, 3, checks),
        BatchReport("2013-02", 50, 0, 0, (), ("missing column(s) 'dest'",)),
    ]
    data.publish_validation(make_job(tmp_path), reports)
    assert tables[0]["key"] == "validation"
    assert [list(row.values()) for row in tables[0]["table"]] == [
        ["2013-01", 100, 97, 3, "valid", "temp: -40 to 120 (3)"],
        ["2013-02", 50, 0, 0, "bad", "missing column(s) 'dest'"],
    ]
    assert (tmp_path / "reports" / "validation.html").stat().st_size > 1000
