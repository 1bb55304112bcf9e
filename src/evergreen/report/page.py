"""Page: what the HTML reports share: one look, one way to show values, and no way out.

A page stands alone: no script, and a policy that forbids the browser to fetch anything. Values come
from data, so all are escaped. The same findings give the same bytes: a page carries no time of its
own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from evergreen.redact import redact

# No HTML allows them, or they reorder what follows
UNSEEN = r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]"
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
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
.ruled, .ruled tbody tr { border-top: 1px solid var(--line); } .ruled thead th { color: var(--soft); font-weight: 500; }
th.number, td.number { text-align: right; } .number, .word, .ruled thead th { white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .bad, .warn, .broken th { font-weight: 600; }
code { font: .92em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--paper);
  border: 1px solid var(--line); border-radius: 4px; padding: 0 .3em; unicode-bidi: isolate; }
.card, details { overflow-x: auto; } .card { padding: .75rem; } details { margin-top: .5rem; }
summary { display: grid; gap: .9rem; align-items: center; padding: .65rem 1rem; cursor: pointer; list-style: none;
  border-radius: 10px; }
summary::-webkit-details-marker { display: none; } summary::before { content: "▸"; color: var(--soft); }
details[open] > summary::before { content: "▾"; } em { font-style: normal; }
summary:focus-visible, .card:focus-visible { outline: 2px solid var(--good); outline-offset: -2px; }
.bar { display: flex; height: .6rem; border-radius: .3rem; overflow: hidden; background: var(--line); }
.bar i { min-width: 3px; }
.unseen { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; white-space: nowrap; }
@media print { body { background: none; font-size: 10pt; } main { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } .card, details { overflow: visible; }
  .tiles div, .faults, tr, summary { break-inside: avoid; } h2, .note { break-after: avoid; } }
"""


def lay_out(title: str, verdict: str, sections: Iterable[str], style: str = "") -> str:
    """Return a whole page; `sections` are HTML already, `style` is what it needs beside the common one."""
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)} · {text(verdict)}</title>\n<style>{STYLE}{style}</style>\n</head>\n"
        "<body>\n<main>\n" + "\n".join(sections) + "\n</main>\n</body>\n</html>\n"
    )
    return redact(page)


def header(kicker: str, verdict: str, kind: str) -> str:
    """Return the head of a page: a mark for `kind` (good, bad, or empty), a line above, the verdict."""
    mark = {"good": "✓", "bad": "✗"}.get(kind, "–")
    return (
        f'<header><span class="{kind}" aria-hidden="true">{mark}</span>'
        f"<div><p>{text(kicker)}</p><h1>{text(verdict)}</h1></div></header>"
    )


def faults(heading: str, items: Iterable[str]) -> str:
    """Return a box that says what is wrong."""
    listed = "".join(f"<li>{text(one)}</li>" for one in items)
    return f'<section class="faults"><h2>{text(heading)}</h2><ul>{listed}</ul></section>'


def tiles(shown: Sequence[tuple[str, str, str]]) -> str:
    """Return a row of figures, each with its name above and a few words below."""
    found = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}<small>{text(small)}</small></dd></div>"
        for name, value, small in shown
    )
    return f'<dl class="tiles">{found}</dl>'


def text(value: str) -> str:
    """Return `value` as HTML that shows it and never obeys it."""
    return html.escape(re.sub(UNSEEN, "\N{REPLACEMENT CHARACTER}", value))


def share(part: int, whole: int) -> str:
    """Return a percentage that says 0% or 100% only where it is exactly that."""
    if not whole:
        return ""
    percent = 100 * part / whole
    return f"{percent:.0f}%" if part in (0, whole) else f"{min(max(percent, 0.01), 99.99):.2f}%"
