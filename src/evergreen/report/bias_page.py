"""Bias page: one HTML file that says how the training data differs from what it stands for, all comparisons included.

It stands alone, like every page (`page.py`), and shows values without obeying them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from evergreen.files import write_whole
from evergreen.finding import Cell, Finding, Kind, count, percent
from evergreen.params import Bias
from evergreen.project import Project
from evergreen.quality.bias import BiasReport, list_faults
from evergreen.report import page
from evergreen.report.page import text

LONGEST = 25  # rows of a table that is open from the start
CHANCE = "by chance"
# A bar is full at the largest value of its column, which is at least this
FULL = {"effect": 0.8, "share": 0.1}
HEADINGS = {  # by topic, in order
    "survivorship": "Rows left out",
    "sampling": "Rows that train, beside others",
    "balance": "Balance of the label",
    "missing": "Missing values by group",
    "labels": "Labels in doubt",
    "duplicates": "Duplicates",
}
NOTES = {
    "survivorship": "What the model never sees. Where these rows differ from those kept, it has learnt the less.",
    "sampling": "Whether the training window is like the rest of history, and like the newest rows, which are the "
    "closest to what the model will meet.",
    "balance": "What the model sees little of, it learns little of.",
    "missing": "Where a feature is missing more often in one group, that it is missing says which group a row is from. "
    "Levels with fewer than 30 rows are not compared.",
    "labels": "Labels that a model which has not learnt from them contradicts.",
    "duplicates": "Rows that say the same twice.",
}
LEGEND = (
    "Means are compared in standard deviations (Cohen's d: 0.2 is small, 0.5 medium, 0.8 large), categories by the "
    "share of rows that would need another value (total variation distance). Beside each difference stands what two "
    "random samples of so many independent rows would show on average; a bar is grey where it is less than twice that."
)
STYLE = """
h3 { margin: 0; font-size: .95rem; } h3::first-letter { text-transform: uppercase; }
summary, .alone { grid-template-columns: .8rem 1fr auto; } summary strong, .alone strong { font-size: 1.15rem; }
.alone { display: flex; justify-content: space-between; padding: .4rem .25rem .65rem; }
.says { margin: 0 1rem .6rem; max-width: 62rem; } .card .says { margin: 0 .25rem; } .card { margin-top: .5rem; }
.ruled thead th.number { white-space: normal; } .ruled tbody th { min-width: 10rem; }
.legend { margin-top: 1.75rem; } .drawn { width: 22%; min-width: 9rem; }
.drawn .bar { display: inline-flex; width: calc(100% - 4rem); vertical-align: middle; }
.drawn b { display: inline-block; width: 3.75rem; font-weight: 400; }
.bar .beyond { background: var(--warn); } .bar .within { background: var(--soft); opacity: .45; }
.bar .part { background: var(--good); }
@media (max-width: 46rem) { .drawn { min-width: 4rem; } .drawn .bar { display: none; } }
"""


def write_bias_page(
    project: Project, report: BiasReport, title: str, bounds: Bias | None = None
) -> Path:
    """Write `reports/bias.html` of the project; returns its path. What is beyond `bounds`, if any, comes first."""
    path = project.reports / "bias.html"
    content = bias_page(report, title, bounds or Bias())
    write_whole(path, lambda part: part.write_text(content, encoding="utf-8"))
    return path


def bias_page(report: BiasReport, title: str, bounds: Bias) -> str:
    """Return the whole page."""
    faults = list_faults(report, bounds)
    bounded = any(value is not None for value in bounds.model_dump().values())
    verdict = _verdict(faults, bounded)
    first, last = report.batches[0], report.batches[-1]
    trained = first if first == last else f"{first} to {last}"
    kicker = f"{title} · {count(report.rows, 'row', 'rows')} of {trained} train · newest batch {report.newest}"
    sections = [page.header(kicker, verdict, "bad" if faults else "good" if bounded else "")]
    if faults:
        sections.append(page.faults("What is beyond its bound", faults))
    sections += [_tiles(report), f'<p class="note legend">{text(LEGEND)}</p>']
    for topic, heading in HEADINGS.items():
        if found := [one for one in report.findings if one.topic == topic]:
            sections.append(f'<h2>{text(heading)}</h2><p class="note">{text(NOTES[topic])}</p>')
            sections += [_finding(one) for one in found]
    return page.lay_out(title, verdict, sections, STYLE)


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


def _tiles(report: BiasReport) -> str:
    """Return the findings that a bound may be set for, and the balance; of several of a kind the largest."""
    chosen: dict[str, Finding] = {}
    for one in report.findings:
        if (one.bound or one.topic == "balance") and one.value is not None:
            place = one.bound or one.topic
            if place not in chosen or (chosen[place].value or 0) < one.value:
                chosen[place] = one
    return page.tiles([(one.name, _show(one.value, one.kind), "") for one in chosen.values()])


def _finding(one: Finding) -> str:
    head = f"<h3>{text(one.name)}</h3><strong>{text(_show(one.value, one.kind))}</strong>"
    said = f'<p class="says">{text(one.says)}</p>'
    if not one.rows:
        return f'<div class="card"><div class="alone">{head}</div>{said}</div>'
    is_open = " open" if len(one.rows) <= LONGEST else ""
    return f"<details{is_open}><summary>{head}</summary>{said}\n{_table(one)}</details>"


def _table(one: Finding) -> str:
    titles = "".join(
        f'<th scope="col"{_class(kind, title == one.drawn)}>{text(title)}</th>'
        for title, kind in one.columns.items()
    )
    body = "\n".join(_row(one, row) for row in one.rows)
    return (
        f'<table class="ruled"><caption class="unseen">{text(one.name)}</caption>\n'
        f"<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    )


def _row(one: Finding, row: tuple[Cell, ...]) -> str:
    named = dict(zip(one.columns, row, strict=True))
    cells = []
    for place, (title, kind) in enumerate(one.columns.items()):
        shown, drawn, tag = (
            text(_show(named[title], kind)),
            title == one.drawn,
            "td" if place else "th",
        )
        if title == CHANCE:
            shown = shown.replace("+", "±")
        if drawn:
            shown = f"{_bar(named[title], named.get(CHANCE), _scale(one))}<b>{shown}</b>"
        cells.append(f"<{tag}{'' if place else ' scope=row'}{_class(kind, drawn)}>{shown}</{tag}>")
    return f"<tr>{''.join(cells)}</tr>"


def _bar(value: Cell, chance: Cell, scale: float) -> str:
    length = abs(value) if isinstance(value, float) and not math.isnan(value) else 0.0
    kind = (
        "part" if not isinstance(chance, float) else "beyond" if length >= 2 * chance else "within"
    )
    fill = (
        f'<i class="{kind}" style="width:{100 * min(1.0, length / scale):.1f}%"></i>'
        if length
        else ""
    )
    return f'<span class="bar" aria-hidden="true">{fill}</span>'


def _scale(one: Finding) -> float:
    place = list(one.columns).index(one.drawn)
    values = [abs(row[place]) for row in one.rows if isinstance(row[place], float)]  # type: ignore[arg-type]
    return max(
        [
            FULL.get(one.columns[one.drawn], 1.0),
            *(value for value in values if math.isfinite(value)),
        ]
    )


def _class(kind: Kind, drawn: bool) -> str:
    names = " ".join([*(["drawn"] if drawn else []), *(["number"] if kind != "text" else [])])
    return f' class="{names}"' if names else ""


def _show(value: Cell, kind: Kind) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, str):
        return value
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if kind == "effect":
        return "0.00" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "−")
    return {"count": f"{value:,}", "share": percent(value), "number": f"{value:.5g}"}.get(
        kind, str(value)
    )
