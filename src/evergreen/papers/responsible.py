"""Responsible AI: the fields of Croissant's vocabulary of that name, by machine and by people.

http://mlcommons.org/croissant/RAI/1.0: how the data was collected, cleaned and labelled, what is
skewed or missing in it, what it may be used for, and what it tells of persons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from evergreen.dataset import DROP, HASH, Dataset
from evergreen.features.definition import Written
from evergreen.finding import Finding, count, percent
from evergreen.ingest.manifest import Manifest
from evergreen.papers.columns import BIG_SKEW, ColumnStatistics
from evergreen.papers.datasheet import Datasheet
from evergreen.params import Params
from evergreen.project import Project
from evergreen.validation.validate import read_reports

KINDS = {"files": "files", "sql": "a database", "python": "a Python module"}


def describe_responsibly(
    project: Project,
    params: Params,
    datasheet: Datasheet,
    columns: Sequence[ColumnStatistics],
    findings: Sequence[Finding] = (),
) -> dict[str, Any]:
    """Return the fields that something is known for, by their names less `rai:`.

    `findings`: of the report on bias.
    """
    answer, dataset = datasheet.get, project.dataset
    known = {
        **_collected(project, params, datasheet, columns),
        "dataImputationProtocol": "Nothing is filled in: what is missing stays missing.",
        "dataManipulationProtocol": "Columns get the types that dataset.py declares; no value "
        f"is changed{' but for what is personal' if dataset.personal else ''}, and no row drawn, "
        "weighted or repeated.",
        "dataPreprocessingProtocol": [*_given(answer("cleaning")), *_cleaning(project)],
        "dataAnnotationProtocol": "The label is computed from columns of the row: "
        f"{Written.of(dataset.label).says}",
        "dataBiases": [*(finding.says for finding in findings), *_skews(columns)],
        "dataLimitations": [
            *_given(answer("known_faults"), answer("relations")),
            *(f"Left out of learning: {why}" for why in dataset.left_out),
            *(f"Not answered in datasheet.yaml: {question}" for question in datasheet.tell()),
        ],
        "dataUseCases": _given(answer("purpose"), answer("intended_use"), answer("other_uses")),
        "personalSensitiveInformation": [
            *_given(answer("privacy"), answer("consent"), answer("security")),
            *tell_personal(dataset),
        ],
        "dataReleaseMaintenancePlan": _given(answer("upkeep")),
    }
    return {name: said for name, said in known.items() if said}


def tell_personal(dataset: Dataset) -> list[str]:
    """Return what is done with each personal column, before anything is stored."""
    told = {HASH: "kept as a keyed hash of its value only", DROP: "not kept"}
    return [f"{name} is personal, and {told[what]}." for name, what in dataset.personal.items()]


def _collected(
    project: Project, params: Params, datasheet: Datasheet, columns: Sequence[ColumnStatistics]
) -> dict[str, Any]:
    """Return how the data came here: from where, when, what is kept, what is missing."""
    entries = list(Manifest(project.validated).in_order().values())
    starts, ends = ([entry[edge] for entry in entries if entry[edge]] for edge in ("start", "end"))
    span = [min(starts), max(ends)] if starts and ends and project.dataset.has_dates else []
    batches = count(len(entries), "batch", "batches")
    lacking = [
        f"{column.name} {percent(column.missing / column.rows)}"
        for column in columns
        if column.missing
    ]
    taken = f"{batches} were taken from {KINDS[params.source.kind]}, each once."
    less = ", less what is personal" if project.dataset.personal else ""
    kept = (
        f"data/raw keeps each batch as it was delivered{less}, its hash in manifest.json; rows "
        "that were put aside lie in data/quarantine with their reasons."
    )
    return {
        "dataCollection": "\n".join(_given(datasheet.get("collected"), taken)),
        "dataCollectionRawData": "\n".join(_given(datasheet.get("raw_kept"), kept)),
        "dataCollectionMissingData": ", ".join(lacking) or "No value is missing.",
        "dataCollectionTimeframe": [edge.replace(" ", "T") for edge in span],
    }


def _cleaning(project: Project) -> Iterator[str]:
    """Yield what validation did, and each rule."""
    reports = read_reports(project)
    rows, bad = sum(part.rows for part in reports), sum(part.quarantined for part in reports)
    yield f"Of {count(rows, 'row')} {bad:,} broke a rule and were put aside."
    for rule in dict.fromkeys(check.says for part in reports for check in part.checks):
        yield f"Rule: {rule}"


def _skews(columns: Sequence[ColumnStatistics]) -> Iterator[str]:
    for column in columns:
        if abs(column.skewness) >= BIG_SKEW:
            side = "right" if column.skewness > 0 else "left"
            yield f"{column.name} is skewed to the {side}: skewness {column.skewness:.2f}."


def _given(*answers: str) -> list[str]:
    return [answer for answer in answers if answer]
