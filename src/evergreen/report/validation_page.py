"""Validation page: one HTML file that says which batches hold what is expected of them, and what broke where.

The page stands alone: no script, and a policy that forbids the browser to fetch anything. Values come from data, so all
are escaped. The same reports give the same bytes: the page carries no time of its own.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.files import write_whole
from evergreen.project import Project

if TYPE_CHECKING:
    from evergreen.data.validate import BatchReport, Check

NEWEST = 24  # batches that are shown; more columns fit no screen
DATE = r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?"
UNSEEN = r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]"  # no HTML allows them, or they reorder what follows
SCOPES = {"rows": "row → quarantine", "batch": "batch → stop"}
RESULTS = {"good": "✓ holds", "warn": "! broken", "bad": "✗ fails"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
LEGEND = "✓ holds · <b>12</b> rows break it · ✗ fails for the batch as a whole · – was not checked"

STYLE = """
:root { color-scheme: light dark; --paper: #f5f7f5; --card: #fff; --ink: #1c2922; --soft: #56655d; --line: #dfe6e1;
  --good: #1d7a4c; --warn: #d98a1b; --bad: #b3261e; --good-tint: #e7f4ec; --bad-tint: #fbe9e7; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #101613; --card: #18201c; --ink: #e2ebe5;
  --soft: #9cada3; --line: #2b3831; --good: #63c795; --warn: #e0a040; --bad: #ff8f86; --good-tint: #1b3026;
  --bad-tint: #3d211f; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", "Noto Sans", sans-serif; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
* { box-sizing: border-box; } main { max-width: 72rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
header { display: flex; gap: 1rem; align-items: center; } header p { margin: 0; color: var(--soft); }
header span { flex: none; width: 3.25rem; height: 3.25rem; border-radius: 50%; display: grid; place-items: center;
  font-size: 1.6rem; background: var(--good-tint); } header .bad { background: var(--bad-tint); }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; } h1::first-letter { text-transform: uppercase; }
h2 { margin: 2.5rem 0 .25rem; font-size: 1.15rem; } .note { margin: 0 0 .75rem; color: var(--soft); }
.faults { margin: 1.75rem 0 0; padding: 1rem 1.25rem; border-radius: 10px; background: var(--bad-tint);
  border: 1px solid var(--bad); border-left-width: 6px; }
.faults h2 { margin: 0; color: var(--bad); } .faults ul { margin: .5rem 0 0; padding-left: 1.2rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.75rem 0 0 }
.tiles div, .card, details { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tiles div { padding: .8rem 1rem; } dt, small, em { color: var(--soft); font-size: .8125rem; }
dd { margin: 0; font-size: 1.5rem; font-weight: 600; line-height: 1.35; } small { font-weight: 400; display: block; }
table { border-collapse: collapse; width: 100%; font-size: .8125rem; } .number { text-align: right; }
th, td { padding: .25rem .7rem; vertical-align: top; text-align: left; } tbody th { font-weight: 400; }
.checks, .checks tbody tr { border-top: 1px solid var(--line); } .checks tbody th { min-width: 15rem; width: 42%; }
.checks thead th { color: var(--soft); font-weight: 500; } .number, .word, .checks thead th { white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .bad, .warn, .broken th { font-weight: 600; }
code { font: .92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--paper);
  border: 1px solid var(--line); border-radius: 4px; padding: 0 .3em; unicode-bidi: isolate; }
.card, details { overflow-x: auto; } .card { padding: .75rem; } details { margin-top: .5rem; }
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
summary { display: grid; grid-template-columns: .8rem minmax(6rem, 14rem) 1fr 4.5rem minmax(11rem, 17rem); gap: .9rem;
  align-items: center; padding: .65rem 1rem; cursor: pointer; list-style: none; border-radius: 10px; }
summary::-webkit-details-marker { display: none; } summary::before { content: "▸"; color: var(--soft); }
details[open] > summary::before { content: "▾"; } em { font-style: normal; }
summary:focus-visible, .card:focus-visible { outline: 2px solid var(--good); outline-offset: -2px; }
.bar { display: flex; height: .6rem; border-radius: .3rem; overflow: hidden; background: var(--line); }
.bar i { min-width: 3px; } .bar .valid { background: var(--good); } .bar .quarantined { background: var(--warn); }
.bar .held { background: repeating-linear-gradient(135deg, var(--bad) 0 4px, var(--bad-tint) 4px 8px); }
.unseen { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; white-space: nowrap; }
@media (max-width: 46rem) { summary { grid-template-columns: .8rem 1fr auto; } summary em { grid-column: 2 / -1; }
  .bar { grid-column: 2 / -1; order: 1; } .map tbody th { min-width: 9rem; } }
@media print { body { background: none; font-size: 10pt; } main { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } .card, details { overflow: visible; }
  .tiles div, .faults, tr, summary { break-inside: avoid; } h2, .note { break-after: avoid; } }
"""


def write_validation_page(project: Project, reports: Sequence[BatchReport], model: str) -> Path:
    """Write `reports/validation.html` of the project; returns its path."""
    path = project.reports / "validation.html"
    page = validation_page(reports, f"Validation of {model}")
    write_whole(path, lambda part: part.write_text(page, encoding="utf-8"))
    return path


def validation_page(reports: Sequence[BatchReport], title: str) -> str:
    """Return the whole page for `reports`, oldest first."""
    bad = [one for one in reports if one.faults]
    shown = [one for place, one in enumerate(reports, start=1) if one.faults or place > len(reports) - NEWEST]
    verdict = _verdict(reports, bad)
    sections = [_header(reports, bad, verdict, title), *(_faults(one) for one in bad)]
    if reports:
        sections += [_tiles(reports, bad), _map(shown, len(reports)), _batches(shown, len(reports))]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)} · {_text(verdict)}</title>\n<style>{STYLE}</style>\n</head>\n"
        "<body>\n<main>\n" + "\n".join(sections) + "\n</main>\n</body>\n</html>\n"
    )


def _verdict(reports: Sequence[BatchReport], bad: Sequence[BatchReport]) -> str:
    if not reports:
        return "no batches yet"
    if not bad:
        return f"{_count(len(reports), 'batch', 'batches')} valid"
    names = ", ".join(one.batch for one in bad)
    return f"batch {names} is bad" if len(bad) == 1 else f"{len(bad)} batches are bad: {names}"


def _header(reports: Sequence[BatchReport], bad: Sequence[BatchReport], verdict: str, title: str) -> str:
    span = f" · {reports[0].batch} to {reports[-1].batch}" if len(reports) > 1 else ""
    kind, mark = ("bad", "✗") if bad else ("good", "✓") if reports else ("", "–")
    return (
        f'<header><span class="{kind}" aria-hidden="true">{mark}</span>'
        f"<div><p>{_text(title + span)}</p><h1>{_text(verdict)}</h1></div></header>"
    )


def _faults(report: BatchReport) -> str:
    items = "".join(f"<li>{_text(fault)}</li>" for fault in report.faults)
    return f'<section class="faults"><h2>What is wrong with batch {_text(report.batch)}</h2><ul>{items}</ul></section>'


def _tiles(reports: Sequence[BatchReport], bad: Sequence[BatchReport]) -> str:
    rows, valid = sum(one.rows for one in reports), sum(one.valid for one in reports)
    quarantined, held = sum(one.quarantined for one in reports), sum(_held(one) for one in reports)
    rules = sorted({len(one.checks) for one in reports})
    tiles = [
        ("batches", f"{len(reports):,}", f"{len(bad)} bad" if bad else ""),
        ("rows", f"{rows:,}", ""),
        ("valid", f"{valid:,}", _share(valid, rows)),
        ("quarantined", f"{quarantined:,}", _share(quarantined, rows)),
        *([("held back", f"{held:,}", _share(held, rows))] if held else []),  # so that the tiles add up
        ("rules per batch", f"{rules[0]} to {rules[-1]}" if len(rules) > 1 else f"{rules[0]}", ""),
    ]
    found = "".join(f"<div><dt>{name}</dt><dd>{value}<small>{small}</small></dd></div>" for name, value, small in tiles)
    return f'<dl class="tiles">{found}</dl>'


def _map(shown: Sequence[BatchReport], total: int) -> str:
    tall = " tall" if len(shown) > 8 or any(len(one.batch) > 12 for one in shown) else ""
    names = "".join(f'<th scope="col"><b>{_text("✗ " * bool(one.faults) + one.batch)}</b></th>' for one in shown)
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
    return f'<tr><th scope="row">{_text(name)}</th>{found}</tr>'


def _cell(check: Check | None, report: BatchReport) -> str:
    if check is None:
        return f'<td title="{_text(report.batch)}: not checked">–</td>'
    observed = f"; found {check.observed}" if check.observed else ""
    broken = f"; {_count(check.broken, 'row', 'rows')} break it" if check.broken else ""
    kind, mark = _result(check)
    share = check.broken / max(report.rows, 1)
    heat = f' style="--heat:{30 + 40 * min(1, share / 0.05):.0f}%"' if kind == "warn" else ""  # full heat from 5%
    return f'<td class="{kind}"{heat} title="{_text(f"{report.batch}: {check.says}{broken}{observed}")}">{mark}</td>'


def _result(check: Check) -> tuple[str, str]:
    if check.passed:
        return "good", "✓"
    return ("warn", f"{check.broken:,}") if check.scope == "rows" and check.broken else ("bad", "✗")


def _batches(shown: Sequence[BatchReport], total: int) -> str:
    bad = [one for one in shown if one.faults]
    parts = "\n".join(_batch(one, one in (bad or shown[-1:])) for one in reversed(shown))
    return f'<h2>Batch by batch</h2><p class="note">Newest first.{_cut(shown, total)}</p>\n{parts}'


def _batch(report: BatchReport, is_open: bool) -> str:
    body = "\n".join(_check(check) for check in sorted(report.checks, key=lambda check: check.passed))
    return (
        f"<details{' open' if is_open else ''}>{_summary(report)}\n"
        f'<table class="checks"><caption class="unseen">Checks of batch {_text(report.batch)}</caption>\n'
        '<thead><tr><th scope="col">rule</th><th scope="col">scope</th><th scope="col">result</th>'
        '<th scope="col" class="number">rows breaking it</th><th scope="col">examples</th><th scope="col">observed</th>'
        f"</tr></thead>\n<tbody>\n{body}\n</tbody></table></details>"
    )


def _summary(report: BatchReport) -> str:
    parts = (("valid", report.valid), ("quarantined", report.quarantined), ("held", _held(report)))
    bar = "".join(f'<i class="{name}" style="flex-grow:{rows}"></i>' for name, rows in parts if rows)
    words = f"{report.valid:,} of {_count(report.rows, 'row', 'rows')} valid"
    verdict = '<b class="bad">✗ bad: all rows held back</b>' if report.faults else f'<b class="good">✓</b> {words}'
    return (
        f'<summary><strong>{_text(report.batch)}</strong><span class="bar" aria-hidden="true">{bar}</span>'
        f'<span class="number">{_share(report.valid, report.rows)}</span><em>{verdict}</em></summary>'
    )


def _check(check: Check) -> str:
    kind, _ = _result(check)
    examples = " ".join(f"<code>{_text(one)}</code>" for one in check.examples)
    return (
        f'<tr{"" if check.passed else " class=broken"}><th scope="row">{_text(check.says)}</th>'
        f'<td class="word">{SCOPES[check.scope]}</td><td class="word {kind}">{RESULTS[kind]}</td>'
        f'<td class="number">{f"{check.broken:,}" if check.broken else ""}</td>'
        f"<td>{examples}</td><td>{_text(check.observed)}</td></tr>"
    )


def _cut(shown: Sequence[BatchReport], total: int) -> str:
    older = ", and older ones that are bad" if len(shown) > NEWEST else ""
    return f" Shown: the newest {NEWEST} of {total:,} batches{older}." if len(shown) < total else ""


def _held(report: BatchReport) -> int:
    return report.rows - report.valid - report.quarantined  # rows of a bad batch: neither taken nor quarantined


def _share(part: int, whole: int) -> str:
    """Return a percentage that says 0% or 100% only where it is exactly that."""
    if not whole:
        return ""
    percent = 100 * part / whole
    return f"{percent:.0f}%" if part in (0, whole) else f"{min(max(percent, 0.01), 99.99):.2f}%"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _text(value: str) -> str:
    return html.escape(re.sub(UNSEEN, "\N{REPLACEMENT CHARACTER}", value))
