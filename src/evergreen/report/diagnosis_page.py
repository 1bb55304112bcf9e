"""Diagnosis page: why the model is bad, the most important first, and the pictures behind.

It is one HTML file that stands alone, like every page (`page.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evergreen.diagnosis.diagnose import Diagnosis
from evergreen.diagnosis.speed import Speed
from evergreen.files import write_whole
from evergreen.finding import count, percent
from evergreen.project import Project
from evergreen.report.diagnosis_plots import (
    draw_dependence,
    draw_path,
    draw_rounds,
    draw_sizes,
    draw_summary,
)
from evergreen.report.finding_table import cells, class_of
from evergreen.report.page import render
from evergreen.report.plot import draw

UNIT = (
    "Skill is the share of the loss of a constant prediction that a model saves (log loss, or "
    "squared error: then it is "
    "R2); a point of skill is a hundredth of it, and ± is two standard errors."
)


def write_diagnosis_page(
    project: Project, found: Diagnosis, title: str, judged: str, speed: Speed | None = None
) -> Path:
    """Write `reports/diagnosis.html` of the project, and return its path."""
    path = project.reports / "diagnosis.html"
    content = diagnosis_page(found, title, judged, speed)
    write_whole(path, lambda part: part.write_text(content, encoding="utf-8"))
    return path


def diagnosis_page(found: Diagnosis, title: str, judged: str, speed: Speed | None = None) -> str:
    """Return the whole page. `judged`: which rows learn and judge, and what was left out."""
    summary = draw_summary(found)
    learning = [
        draw_rounds(found),
        draw_sizes(found),
        *(draw_path(found, path) for path in found.paths),
    ]
    return render(
        "diagnosis.html",
        title=title,
        kicker=title,
        verdict=verdict([fault.kind for fault in found.faults]),
        kind="bad" if found.faults else "good",
        judged=judged,
        figures=_figures(found),
        faults=found.faults,
        unit=UNIT,
        answers=found.answers,
        learning=[draw(plot) for plot in learning],
        summary=draw(summary) if summary else None,
        dependence=[draw(plot) for plot in draw_dependence(found)],
        tables=found.tables,
        steps=speed.table() if speed else None,
        device=speed.says if speed else "",
        class_of=class_of,
        cells=cells,
    )


def verdict(kinds: Sequence[str]) -> str:
    """Return what was found in a few words, the most important first."""
    return f"{count(len(kinds), 'finding')}: {kinds[0]}" if kinds else "nothing found"


def _figures(found: Diagnosis) -> list[tuple[str, str, str]]:
    lab = found.lab
    base, rows = lab.base, lab.tables
    return [
        ("skill", percent(max(0.0, lab.skill(base))), "on the rows that judge"),
        ("skill", percent(max(0.0, 1 - base.fitted / lab.constant)), "on the rows learnt from"),
        ("rounds", f"{base.rounds:,}", f"of at most {lab.params.rounds:,}"),
        ("rows", f"{len(rows.train):,}", f"learnt from; {len(rows.holdout):,} judge"),
        ("features", str(len(rows.features)), ""),
    ]
