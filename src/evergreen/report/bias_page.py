"""Bias page: how the training data differs from what it stands for, with all comparisons.

It is one HTML file that stands alone, like every page (`page.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evergreen.files import write_whole
from evergreen.finding import Finding, count
from evergreen.params import Bias
from evergreen.project import Project
from evergreen.quality.bias import BiasReport, list_faults
from evergreen.report.finding_table import cells, class_of, show
from evergreen.report.page import render

LONGEST = 25  # rows of a table that is open from the start
HEADINGS = {  # by topic, in order
    "survivorship": "Rows left out",
    "sampling": "Rows that train, beside others",
    "balance": "Balance of the label",
    "missing": "Missing values by group",
    "labels": "Labels in doubt",
    "duplicates": "Duplicates",
}
NOTES = {
    "survivorship": "Rows that the model never learns from. Where they differ from those kept, "
    "it has learnt less about such rows.",
    "sampling": "Whether the training window is like the rest of history, and like the newest "
    "rows, which are the closest to what the model will meet.",
    "balance": "Of a class with few rows the model learns little.",
    "missing": "Where a feature is missing more often in one group, a missing value gives away the "
    "group of a row. Levels with fewer than 30 rows are not compared.",
    "labels": "Labels that are contradicted by a model that has not learnt from them.",
    "duplicates": "Rows that are there twice.",
}
LEGEND = (
    "Means are compared in standard deviations (Cohen's d: 0.2 is small, 0.5 medium, 0.8 large), "
    "categories by the share of rows that would need another value (total variation distance). "
    "Beside each difference stands what two random samples of so many independent rows would show "
    "on average; a bar is grey where it is less than twice that."
)


def write_bias_page(
    project: Project, report: BiasReport, title: str, bounds: Bias | None = None
) -> Path:
    """Write `reports/bias.html` of the project, and return its path.

    What is beyond `bounds`, if anything, comes first.
    """
    path = project.reports / "bias.html"
    content = bias_page(report, title, bounds or Bias())
    write_whole(path, lambda part: part.write_text(content, encoding="utf-8"))
    return path


def bias_page(report: BiasReport, title: str, bounds: Bias) -> str:
    """Return the whole page."""
    faults = list_faults(report, bounds)
    bounded = any(value is not None for value in bounds.model_dump().values())
    first, last = report.batches[0], report.batches[-1]
    rows = count(report.rows, "row")
    trained = first if first == last else f"{first} to {last}"
    findings: dict[str, list[Finding]] = {}
    for finding in report.findings:
        findings.setdefault(finding.topic, []).append(finding)
    return render(
        "bias.html",
        title=title,
        kicker=f"{title} · {rows} of {trained} train · newest batch {report.newest}",
        verdict=_verdict(faults, bounded),
        kind="bad" if faults else "good" if bounded else "",
        broken=faults,
        figures=_figures(report),
        legend=LEGEND,
        headings=HEADINGS,
        notes=NOTES,
        findings=findings,
        longest=LONGEST,
        show=show,
        class_of=class_of,
        cells=cells,
    )


def _verdict(faults: Sequence[str], bounded: bool) -> str:
    if faults:
        return (
            "1 finding is beyond its bound"
            if len(faults) == 1
            else f"{len(faults)} findings are beyond their bounds"
        )
    return (
        "within every bound that is set"
        if bounded
        else "no bound is set, so nothing here stops a run"
    )


def _figures(report: BiasReport) -> list[tuple[str, str, str]]:
    """Return the largest finding of each kind that a bound may be set for, and the balance."""
    chosen: dict[str, Finding] = {}
    for finding in report.findings:
        if (finding.bound or finding.topic == "balance") and finding.value is not None:
            place = finding.bound or finding.topic
            if place not in chosen or (chosen[place].value or 0) < finding.value:
                chosen[place] = finding
    return [(finding.name, show(finding.value, finding.kind), "") for finding in chosen.values()]
