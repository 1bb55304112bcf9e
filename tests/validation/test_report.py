"""The report: it survives its file, and says what to do about a bad batch."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from evergreen.validation.report import BadBatchError, BatchReport, Check

CHECKS = (
    Check("origin: one of EWR, JFK, LGA", "rows", passed=False, broken=2, examples=("LHR", "CDG")),
    Check("batch: 1,000 to 100,000 rows", "batch", passed=True, observed="1,501"),
)
GOOD = BatchReport("2013-01", 1501, 1499, 2, CHECKS)
BAD = replace(GOOD, valid=0, quarantined=0, faults=("one thing", "another"))


@pytest.mark.parametrize("report", [GOOD, BAD], ids=["good", "bad"])
def test_report_survives_json(report: BatchReport) -> None:
    assert BatchReport.from_json(json.loads(json.dumps(asdict(report)))) == report


def test_a_bad_batch_is_named_with_its_faults_and_the_ways_out() -> None:
    lines = str(BadBatchError(BAD)).splitlines()
    assert lines[0] == "batch '2013-01' is bad, and no later batch was changed:"
    assert lines[1:3] == ["  one thing", "  another"]
    for way in ("--replace`", "--drop`", "dataset.py", "expectations.py", "params.yaml"):
        assert way in lines[3]
