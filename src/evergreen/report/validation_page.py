"""Validation page: one HTML file that says which batches hold what is expected of them, and what broke where.

It stands alone, like every page (`page.py`), and shows values without obeying them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.files import write_whole
from evergreen.finding import count
from evergreen.project import Project
from evergreen.report import page
from evergreen.report.page import share, text

if TYPE_CHECKING:
    from evergreen.validation.report import BatchReport, Check

NEWEST = 24  # batches that are shown; more columns fit no screen
DATE = r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?"
SCOPES = {"rows": "row → quarantine", "batch": "batch → stop"}
RESULTS = {"good": "✓ holds", "warn": "! broken", "bad": "✗ fails"}
LEGEND = "✓ holds · <b>12</b> rows break it · ✗ fails for the batch as a whole · – was not checked"

STYLE = """
.checks tbody th { min-width: 15rem; width: 42%; }
.map { border-collapse: separate; border-spacing: 2px; line-height: 1.3; width: auto; }
.map th, .map td { padding: .14rem .5rem; vertical-align: middle; }
.map tbody th { position: sticky; left: 0; background: var(--card); min-width: 15rem; }
.map thead th { text-align: center; vertical-align: bottom; white-space: nowrap; min-width: 5rem; }
.map td { text-align: center; white-space: nowrap; border-radius: 3px; }
.map.tall { border-spacing: 1px; } .map.tall thead th { min-width: 0; padding: .14rem; }
.map.tall b { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); max-height: 14rem;
  overflow: hidden; text-overflow: ellipsis; }
.map.tall td { padding: .14rem .1rem; min-width: 1.6rem; } .map .good { background: var(--good-tint); }
.map td.warn { background: color-mix(in srgb, var(--warn) var(--heat), var(--card)); color: var(--ink); }
.map td.bad { background: var(--bad); color: var(--card); }
summary { grid-template-columns: .8rem minmax(6rem, 14rem) 1fr 4.5rem minmax(11rem, 17rem); }
.bar .valid { background: var(--good); } .bar .quarantined { background: var(--warn); }
.bar .held { background: repeating-linear-gradient(135deg, var(--bad) 0 4px, var(--bad-tint) 4px 8px); }
@media (max-width: 46rem) { summary { grid-template-columns: .8rem 1fr auto; } summary em { grid-column: 2 / -1; }
  .bar { grid-column: 2 / -1; order: 1; } .map tbody th { min-width: 9rem; } }
"""


def write_validation_page(project: Project, reports: Sequence[BatchReport], model: str) -> Path:
    """Write `reports/validation.html` of the project; returns its path."""
    path = project.reports / "validation.html"
    content = validation_page(reports, f"Validation of {model}")
    write_whole(path, lambda part: part.write_text(content, encoding="utf-8"))
    return path


def validation_page(reports: Sequence[BatchReport], title: str) -> str:
    """Return the whole page for `reports`, oldest first."""
    bad = [one for one in reports if one.faults]
    shown = [
        one
        for place, one in enumerate(reports, start=1)
        if one.faults or place > len(reports) - NEWEST
    ]
    verdict = _verdict(reports, bad)
    sections = [
        _header(reports, bad, verdict, title),
        *(page.faults(f"What is wrong with batch {one.batch}", one.faults) for one in bad),
    ]
    if reports:
        sections += [_tiles(reports, bad), _map(shown, len(reports)), _batches(shown, len(reports))]
    return page.lay_out(title, verdict, sections, STYLE)


def _verdict(reports: Sequence[BatchReport], bad: Sequence[BatchReport]) -> str:
    if not reports:
        return "no batches yet"
    if not bad:
        return f"{count(len(reports), 'batch', 'batches')} valid"
    names = ", ".join(one.batch for one in bad)
    return f"batch {names} is bad" if len(bad) == 1 else f"{len(bad)} batches are bad: {names}"


def _header(
    reports: Sequence[BatchReport], bad: Sequence[BatchReport], verdict: str, title: str
) -> str:
    span = f" · {reports[0].batch} to {reports[-1].batch}" if len(reports) > 1 else ""
    kind = "bad" if bad else "good" if reports else ""
    return page.header(title + span, verdict, kind)


def _tiles(reports: Sequence[BatchReport], bad: Sequence[BatchReport]) -> str:
    rows, valid = sum(one.rows for one in reports), sum(one.valid for one in reports)
    quarantined, held = sum(one.quarantined for one in reports), sum(_held(one) for one in reports)
    rules = sorted({len(one.checks) for one in reports})
    tiles = [
        ("batches", f"{len(reports):,}", f"{len(bad)} bad" if bad else ""),
        ("rows", f"{rows:,}", ""),
        ("valid", f"{valid:,}", share(valid, rows)),
        ("quarantined", f"{quarantined:,}", share(quarantined, rows)),
        # So that the tiles add up
        *([("held back", f"{held:,}", share(held, rows))] if held else []),
        ("rules per batch", f"{rules[0]} to {rules[-1]}" if len(rules) > 1 else f"{rules[0]}", ""),
    ]
    return page.tiles(tiles)


def _map(shown: Sequence[BatchReport], total: int) -> str:
    tall = " tall" if len(shown) > 8 or any(len(one.batch) > 12 for one in shown) else ""
    names = "".join(
        f'<th scope="col"><b>{text("✗ " * bool(one.faults) + one.batch)}</b></th>' for one in shown
    )
    body = "\n".join(_rule(cells, shown) for cells in _rules(shown))
    return (
        f'<h2>Rules and batches</h2><p class="note">{LEGEND}.{_cut(shown, total)}</p>\n'
        '<div class="card" tabindex="0" role="region" aria-label="Rules and batches">'
        f'<table class="map{tall}"><caption class="unseen">What each rule found in each batch</caption>\n'
        f'<thead><tr><th scope="col"><span class="unseen">rule</span></th>{names}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _rules(reports: Sequence[BatchReport]) -> list[list[Check | None]]:
    """Return one list per rule with one cell per batch; rules that differ only in their dates are one rule."""
    found: dict[tuple[str, int], list[Check | None]] = {}
    for column, report in enumerate(reports):
        seen: Counter[str] = Counter()
        for check in report.checks:
            name = re.sub(DATE, "…", check.says)
            found.setdefault((name, seen[name]), [None] * len(reports))[column] = check
            seen[name] += 1  # the same words twice in one batch are two rules
    return list(found.values())


def _rule(cells: Sequence[Check | None], reports: Sequence[BatchReport]) -> str:
    said = {check.says for check in cells if check}
    name = said.pop() if len(said) == 1 else re.sub(DATE, "…", said.pop())
    found = "".join(_cell(check, report) for check, report in zip(cells, reports, strict=True))
    return f'<tr><th scope="row">{text(name)}</th>{found}</tr>'


def _cell(check: Check | None, report: BatchReport) -> str:
    if check is None:
        return f'<td title="{text(report.batch)}: not checked">–</td>'
    observed = f"; found {check.observed}" if check.observed else ""
    broken = f"; {count(check.broken, 'row', 'rows')} break it" if check.broken else ""
    kind, mark = _result(check)
    part = check.broken / max(report.rows, 1)
    # Full heat from 5%
    heat = f' style="--heat:{30 + 40 * min(1, part / 0.05):.0f}%"' if kind == "warn" else ""
    return f'<td class="{kind}"{heat} title="{text(f"{report.batch}: {check.says}{broken}{observed}")}">{mark}</td>'


def _result(check: Check) -> tuple[str, str]:
    if check.passed:
        return "good", "✓"
    return ("warn", f"{check.broken:,}") if check.scope == "rows" and check.broken else ("bad", "✗")


def _batches(shown: Sequence[BatchReport], total: int) -> str:
    bad = [one for one in shown if one.faults]
    parts = "\n".join(_batch(one, one in (bad or shown[-1:])) for one in reversed(shown))
    return f'<h2>Batch by batch</h2><p class="note">Newest first.{_cut(shown, total)}</p>\n{parts}'


def _batch(report: BatchReport, is_open: bool) -> str:
    body = "\n".join(
        _check(check) for check in sorted(report.checks, key=lambda check: check.passed)
    )
    return (
        f"<details{' open' if is_open else ''}>{_summary(report)}\n"
        f'<table class="checks ruled"><caption class="unseen">Checks of batch {text(report.batch)}</caption>\n'
        '<thead><tr><th scope="col">rule</th><th scope="col">scope</th><th scope="col">result</th>'
        '<th scope="col" class="number">rows breaking it</th><th scope="col">examples</th><th scope="col">observed</th>'
        f"</tr></thead>\n<tbody>\n{body}\n</tbody></table></details>"
    )


def _summary(report: BatchReport) -> str:
    parts = (("valid", report.valid), ("quarantined", report.quarantined), ("held", _held(report)))
    bar = "".join(
        f'<i class="{name}" style="flex-grow:{rows}"></i>' for name, rows in parts if rows
    )
    words = f"{report.valid:,} of {count(report.rows, 'row', 'rows')} valid"
    verdict = (
        '<b class="bad">✗ bad: all rows held back</b>'
        if report.faults
        else f'<b class="good">✓</b> {words}'
    )
    return (
        f'<summary><strong>{text(report.batch)}</strong><span class="bar" aria-hidden="true">{bar}</span>'
        f'<span class="number">{share(report.valid, report.rows)}</span><em>{verdict}</em></summary>'
    )


def _check(check: Check) -> str:
    kind, _ = _result(check)
    examples = " ".join(f"<code>{text(one)}</code>" for one in check.examples)
    return (
        f'<tr{"" if check.passed else " class=broken"}><th scope="row">{text(check.says)}</th>'
        f'<td class="word">{SCOPES[check.scope]}</td><td class="word {kind}">{RESULTS[kind]}</td>'
        f'<td class="number">{f"{check.broken:,}" if check.broken else ""}</td>'
        f"<td>{examples}</td><td>{text(check.observed)}</td></tr>"
    )


def _cut(shown: Sequence[BatchReport], total: int) -> str:
    older = ", and older ones that are bad" if len(shown) > NEWEST else ""
    return f" Shown: the newest {NEWEST} of {total:,} batches{older}." if len(shown) < total else ""


def _held(report: BatchReport) -> int:
    # Rows of a bad batch: neither taken nor quarantined
    return report.rows - report.valid - report.quarantined
