"""The tasks on data: a bad batch leaves its page and its table behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evergreen.errors import InputError
from evergreen.files import write_entries
from evergreen.finding import Finding
from evergreen.orchestration.tasks import data
from evergreen.orchestration.tasks.job import Job
from evergreen.orchestration.tasks.run import Run
from evergreen.quality.bias import BiasReport
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


@pytest.mark.parametrize(("bound", "stops"), [(0.2, True), (0.4, False), (None, False)])
def test_training_data_beyond_a_bound_stop_the_run_once_their_page_is_written(
    bound: float | None,
    stops: bool,
    tables: list[dict[str, Any]],
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    says = "30% of the rows lack a label."
    found = Finding("survivorship", "rows left out", 0.3, says, bound="max_left_out")
    report = BiasReport("binary", ("2013-01",), "2013-01", 100, (found,))
    monkeypatch.setattr(Job, "dataset", property(lambda _: None))
    monkeypatch.setattr("evergreen.quality.bias_findings.Evidence.read", lambda *_: None)
    monkeypatch.setattr("evergreen.quality.bias.find_bias", lambda *_, **__: report)
    job = make_job(tmp_path, bias={"max_left_out": bound})
    if stops:
        with pytest.raises(InputError, match=r"rows left out is 30.00%, more than 20.00%"):
            data.bias.fn(job)
    else:
        assert data.bias.fn(job) is report
    assert [table["key"] for table in tables] == ["bias"]
    assert says in (tmp_path / "reports" / "bias.html").read_text(encoding="utf-8")
