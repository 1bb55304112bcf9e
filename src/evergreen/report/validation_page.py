"""Validation page: which batches meet their expectations, and which rules are broken where.

It is one HTML file that stands alone, like every page (`page.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.files import write_whole
from evergreen.finding import count
from evergreen.project import Project
from evergreen.report.page import render, share

if TYPE_CHECKING:
    from evergreen.validation.report import BatchReport, Check

NEWEST = 24  # batches that are shown; more columns fit no screen
DATE = r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?"
SCOPES = {"rows": "row → quarantine", "batch": "batch → stop"}
RESULTS = {"good": "✓ holds", "warn": "! broken", "bad": "✗ fails"}
FULL_HEAT = 0.05  # share of rows that break a rule, from which on its cell is as warm as can be


@dataclass(frozen=True)
class Cell:
    """What one rule found in one batch: its mark, its colour, and all of it in words.

    `kind`: good, warn, bad, or empty where it was not checked. `heat`: of a warning, in percent.
    """

    mark: str
    title: str
    kind: str = ""
    heat: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule, with a cell for each batch."""

    name: str
    cells: tuple[Cell, ...]


def write_validation_page(project: Project, reports: Sequence[BatchReport], model: str) -> Path:
    """Write `reports/validation.html` of the project, and return its path."""
    path = project.reports / "validation.html"
    content = validation_page(reports, f"Validation of {model}")
    write_whole(path, lambda part: part.write_text(content, encoding="utf-8"))
    return path


def validation_page(reports: Sequence[BatchReport], title: str) -> str:
    """Return the whole page for `reports`, oldest first."""
    bad = [report for report in reports if report.faults]
    shown = [
        report
        for place, report in enumerate(reports, start=1)
        if report.faults or place > len(reports) - NEWEST
    ]
    span = f" · {reports[0].batch} to {reports[-1].batch}" if len(reports) > 1 else ""
    return render(
        "validation.html",
        title=title,
        kicker=title + span,
        verdict=_verdict(reports, bad),
        kind="bad" if bad else "good" if reports else "",
        reports=reports,
        figures=_figures(reports, bad) if reports else [],
        cut=_cut(shown, len(reports)),
        tall=len(shown) > 8 or any(len(report.batch) > 12 for report in shown),
        shown=shown,
        opened=[report for report in shown if report.faults] or shown[-1:],
        rules=[_rule(checks, shown) for checks in _rules(shown)],
        scopes=SCOPES,
        results=RESULTS,
        result=_result,
        parts=_parts,
        share=share,
        count=count,
    )


def _verdict(reports: Sequence[BatchReport], bad: Sequence[BatchReport]) -> str:
    if not reports:
        return "no batches yet"
    if not bad:
        return f"{count(len(reports), 'batch', 'batches')} valid"
    names = ", ".join(report.batch for report in bad)
    return f"batch {names} is bad" if len(bad) == 1 else f"{len(bad)} batches are bad: {names}"


def _figures(
    reports: Sequence[BatchReport], bad: Sequence[BatchReport]
) -> list[tuple[str, str, str]]:
    rows, valid = sum(report.rows for report in reports), sum(report.valid for report in reports)
    quarantined, held = (
        sum(report.quarantined for report in reports),
        sum(_held(report) for report in reports),
    )
    rules = sorted({len(report.checks) for report in reports})
    return [
        ("batches", f"{len(reports):,}", f"{len(bad)} bad" if bad else ""),
        ("rows", f"{rows:,}", ""),
        ("valid", f"{valid:,}", share(valid, rows)),
        ("quarantined", f"{quarantined:,}", share(quarantined, rows)),
        # So that the tiles add up
        *([("held back", f"{held:,}", share(held, rows))] if held else []),
        ("rules per batch", f"{rules[0]} to {rules[-1]}" if len(rules) > 1 else f"{rules[0]}", ""),
    ]


def _rules(reports: Sequence[BatchReport]) -> list[list[Check | None]]:
    """Return for each rule its check in each batch; rules that differ only in dates are one."""
    found: dict[tuple[str, int], list[Check | None]] = {}
    for column, report in enumerate(reports):
        seen: Counter[str] = Counter()
        for check in report.checks:
            name = re.sub(DATE, "…", check.says)
            found.setdefault((name, seen[name]), [None] * len(reports))[column] = check
            seen[name] += 1  # the same words twice in one batch are two rules
    return list(found.values())


def _rule(checks: Sequence[Check | None], reports: Sequence[BatchReport]) -> Rule:
    sentences = {check.says for check in checks if check}
    name = sentences.pop() if len(sentences) == 1 else re.sub(DATE, "…", sentences.pop())
    return Rule(name, tuple(map(_cell, checks, reports)))


def _cell(check: Check | None, report: BatchReport) -> Cell:
    if check is None:
        return Cell("–", f"{report.batch}: not checked")
    observed = f"; found {check.observed}" if check.observed else ""
    broken = f"; {count(check.broken, 'row')} break it" if check.broken else ""
    kind, part = _result(check), check.broken / max(report.rows, 1)
    return Cell(
        mark={"good": "✓", "bad": "✗"}.get(kind, f"{check.broken:,}"),
        title=f"{report.batch}: {check.says}{broken}{observed}",
        kind=kind,
        heat=f"{30 + 40 * min(1, part / FULL_HEAT):.0f}" if kind == "warn" else "",
    )


def _result(check: Check) -> str:
    if check.passed:
        return "good"
    return "warn" if check.scope == "rows" and check.broken else "bad"


def _parts(report: BatchReport) -> tuple[tuple[str, int], ...]:
    return ("valid", report.valid), ("quarantined", report.quarantined), ("held", _held(report))


def _cut(shown: Sequence[BatchReport], total: int) -> str:
    older = ", and older ones that are bad" if len(shown) > NEWEST else ""
    return f" Shown: the newest {NEWEST} of {total:,} batches{older}." if len(shown) < total else ""


def _held(report: BatchReport) -> int:
    # Rows of a bad batch: neither taken nor quarantined
    return report.rows - report.valid - report.quarantined
