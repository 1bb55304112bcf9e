"""Report: what validation found in a batch, and the batch split into valid and bad rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from evergreen.errors import InputError

# Why, and which row of the batch it was, from 1 on
REASONS, QUARANTINE_ROW = "quarantine_reasons", "quarantine_row"


@dataclass(frozen=True)
class Check:
    """One expectation of one batch, and what came of it."""

    says: str
    scope: str  # rows: breaking rows go to quarantine | batch: a failure stops the flow
    passed: bool
    broken: int = 0  # rows that break it
    examples: tuple[str, ...] = ()
    observed: str = ""


@dataclass(frozen=True)
class BatchReport:
    """What validation found in one batch; `faults` is empty unless the batch as a whole is bad."""

    batch: str
    rows: int
    valid: int
    quarantined: int
    checks: tuple[Check, ...]
    faults: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> BatchReport:
        """Return the report that `asdict` turned into `content`."""
        checks = tuple(
            Check(**{**check, "examples": tuple(check["examples"])}) for check in content["checks"]
        )
        return cls(**{**content, "checks": checks, "faults": tuple(content["faults"])})


@dataclass(frozen=True)
class Validated:
    """What a validation did."""

    new: tuple[str, ...]  # batches that were checked now
    reports: tuple[BatchReport, ...]  # of the newest batches
    batches: int  # how many there are


@dataclass(frozen=True)
class Outcome:
    """A batch split: its report, valid rows in declared types, quarantined rows with reasons.

    Of a batch that is bad as a whole no row is valid, and none goes to quarantine; `broken` are its
    rows that break rules, with reasons.
    """

    report: BatchReport
    valid: pl.DataFrame = field(repr=False)
    quarantined: pl.DataFrame = field(repr=False)
    broken: pl.DataFrame | None = field(default=None, repr=False)


class BadBatchError(InputError):
    """A batch as a whole is bad; `report` says how."""

    def __init__(self, report: BatchReport) -> None:
        self.report = report
        faults = "\n".join(f"  {fault}" for fault in report.faults)
        super().__init__(
            f"batch {report.batch!r} is bad, and no later batch was changed:\n"
            f"{faults}\n"
            "correct the file and ingest it again with "
            f"`evergreen ingest {report.batch} --replace`; or remove it from the source and run "
            f"`evergreen ingest {report.batch} --drop`; or change what is expected, in dataset.py "
            "(columns), expectations.py or params.yaml (validate); see reports/validation.html"
        )
