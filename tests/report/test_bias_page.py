"""The bias page: stands alone, shows every comparison, and says first what is beyond its bound."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from report.pages import ATTACKS, Page, check_harmless

from evergreen.finding import Finding, Kind
from evergreen.params import Bias
from evergreen.project import Project
from evergreen.quality.bias import BiasReport
from evergreen.report.bias_page import HEADINGS, LONGEST, NOTES, bias_page, write_bias_page

ATTACK = '<script>alert(\'1\')</script>" onclick="x"&\x00\u202e'
INF, NAN = float("inf"), float("nan")
COLUMNS: dict[str, Kind] = {
    "feature": "text",
    "difference": "effect",
    "by chance": "effect",
    "missing": "share",
}


def finding(
    topic: str = "sampling",
    value: float | None = 0.5,
    bound: str = "",
    count: int = 2,
    word: str = "x",
) -> Finding:
    rows = tuple((f"{word}{place}", 0.5 / (place + 1), 0.1, 0.25) for place in range(count))
    return Finding(
        topic,
        f"{word} of {topic}",
        value,
        f"{word} differs.",
        "share",
        bound,
        COLUMNS,
        rows,
        "difference",
    )


def report(*findings: Finding) -> BiasReport:
    return BiasReport("binary", ("2013-01", "2013-02"), "2013-04", 1234, findings)


WHOLE = report(
    finding("survivorship", 0.2, "max_left_out"),
    *map(finding, ("sampling", "balance")),
    finding("missing", 0.3, "max_missing_difference"),
    finding("labels", 0.1, "max_label_noise"),
    finding("duplicates", 0.05, "max_duplicates", count=0),
)
CASES = {
    "nothing": report(),
    "one": report(finding()),
    "whole": WHOLE,
    "long": report(finding(count=LONGEST + 1)),
}


@pytest.mark.parametrize("shown", CASES.values(), ids=CASES)
@pytest.mark.parametrize("bounds", [Bias(), Bias(max_left_out=0.1)], ids=["no bound", "bound"])
def test_page_is_whole_and_stands_alone(shown: BiasReport, bounds: Bias) -> None:
    content = bias_page(shown, "Data bias", bounds)
    page = Page(content)
    assert not page.unbalanced
    assert not page.open
    assert not page.unscoped
    assert not page.tags & {"script", "link", "img", "iframe", "base"}
    assert not re.search(r"https?://|\bsrc=|href=|<link|url\(|@import", content)


@pytest.mark.parametrize(
    ("bounds", "verdict", "mark"),
    [
        (Bias(), "no bound is set, so nothing here stops a run", "–"),
        (Bias(max_left_out=0.2, max_duplicates=1), "within every bound that is set", "✓"),
        (Bias(max_left_out=0.1), "1 finding is beyond its bound", "✗"),
        (Bias(max_left_out=0.1, max_label_noise=0), "2 findings are beyond their bounds", "✗"),
    ],
)
def test_headline(bounds: Bias, verdict: str, mark: str) -> None:
    page = Page(bias_page(WHOLE, "Data bias", bounds))
    assert page.found["h1"] == [verdict]
    assert page.found["title"] == [f"Data bias · {verdict}"]
    assert page.found["span"][0] == mark
    assert (
        page.found["p"][0]
        == "Data bias · 1,234 rows of 2013-01 to 2013-02 train · newest batch 2013-04"
    )


def test_what_is_beyond_its_bound_comes_first() -> None:
    content = bias_page(WHOLE, "Data bias", Bias(max_left_out=0.1))
    (fault,) = Page(content).found["li"]
    assert fault.startswith(
        "x of survivorship is 20.00%, more than 10.00% (bias.max_left_out in params.yaml). "
        "x differs."
    )
    assert content.index("<li>") < content.index("<dl")
    assert "li" not in Page(bias_page(WHOLE, "Data bias", Bias())).found


def test_figures_at_a_glance() -> None:
    more = replace(
        WHOLE,
        findings=(*WHOLE.findings, finding("missing", 0.9, "max_missing_difference", word="y")),
    )
    page = Page(bias_page(more, "Data bias", Bias()))
    found = dict(zip(page.found["dt"], page.found["dd"], strict=True))
    assert found == {
        "x of survivorship": "20.0%",
        "x of balance": "50.0%",
        "y of missing": "90.0%",  # the larger of its kind
        "x of labels": "10.0%",
        "x of duplicates": "5.0%",
    }


def test_topics_come_in_order_with_their_notes() -> None:
    backwards = replace(WHOLE, findings=WHOLE.findings[::-1])
    page = Page(bias_page(backwards, "Data bias", Bias()))
    assert page.found["h2"] == list(HEADINGS.values())
    assert [note in page.found["p"] for note in NOTES.values()] == [True] * len(HEADINGS)
    assert {*HEADINGS} == {*NOTES} == {finding.topic for finding in WHOLE.findings}
    assert Page(bias_page(report(finding("labels")), "Data bias", Bias())).found["h2"] == [
        HEADINGS["labels"]
    ]


@pytest.mark.parametrize("count", [1, LONGEST, LONGEST + 1, 200])
def test_every_comparison_is_shown(count: int) -> None:
    page = Page(bias_page(report(finding(count=count)), "Data bias", Bias()))
    (body,) = page.found["tbody"]
    assert body.count("x") == count
    assert page.opened == (count <= LONGEST)


def test_a_finding_without_a_table() -> None:
    page = Page(bias_page(report(finding(count=0)), "Data bias", Bias()))
    assert "table" not in page.tags
    assert "x differs." in page.found["p"]


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("effect", 0.5, "+0.50"),
        ("effect", -1.25, "−1.25"),
        ("effect", -0.001, "0.00"),
        ("effect", INF, "∞"),
        ("effect", -INF, "−∞"),
        ("effect", NAN, "–"),
        ("share", 0.25, "25.0%"),
        ("share", 0.0001, "<0.1%"),
        ("share", None, "–"),
        ("count", 1234567, "1,234,567"),
        ("number", 1234.5678, "1234.6"),
        ("number", 0, "0"),
        ("text", "a", "a"),
        ("text", ATTACK[:8], "<script>"),
    ],
)
def test_values_by_kind(kind: Kind, value: str | float | None, shown: str) -> None:
    shown_finding = Finding(
        "sampling",
        "name",
        None,
        "Says.",
        columns={"feature": "text", "it": kind},
        rows=(("x", value),),
        drawn="it",
    )
    page = Page(bias_page(report(shown_finding), "Data bias", Bias()))
    assert page.found["td"] == [shown]
    assert not page.unbalanced


@pytest.mark.parametrize(
    ("value", "chance", "kind", "width"),
    [
        (0.5, 0.1, "beyond", 62.5),
        (-0.5, 0.1, "beyond", 62.5),
        (0.16, 0.1, "within", 20.0),
        (3.0, 0.1, "beyond", 100.0),
        (INF, 0.1, "beyond", 100.0),
        (0.5, None, "part", 62.5),
    ],
)
def test_bars(value: float, chance: float | None, kind: str, width: float) -> None:
    columns: dict[str, Kind] = {"feature": "text", "difference": "effect", "by chance": "effect"}
    if chance is None:
        del columns["by chance"]
    row = ("x", value, *([] if chance is None else [chance]))
    shown_finding = Finding(
        "sampling", "name", None, "Says.", "effect", "", columns, (row,), "difference"
    )
    content = bias_page(report(shown_finding), "Data bias", Bias())
    assert re.findall(r'<i class="(\w+)" style="width:([\d.]+)%">', content) == [
        (kind, f"{width:.1f}")
    ]


def test_nothing_to_draw_draws_no_bar() -> None:
    shown_finding = Finding(
        "sampling",
        "name",
        0.0,
        "Says.",
        columns={"a": "text", "b": "share"},
        rows=(("x", 0.0), ("y", NAN)),
        drawn="b",
    )
    assert "<i " not in bias_page(report(shown_finding), "Data bias", Bias())


def test_data_is_shown_and_never_obeyed() -> None:
    hostile = Finding(
        "sampling",
        ATTACK,
        0.5,
        ATTACK,
        "share",
        "max_left_out",
        {ATTACK: "text", "n": "share"},
        ((ATTACK, 0.5),),
        ATTACK,
    )
    shown = replace(report(hostile), batches=(ATTACK,), newest=ATTACK)
    content = bias_page(shown, ATTACK, Bias(max_left_out=0.1))
    page = Page(content)
    assert "script" not in page.tags
    assert "onclick" not in page.attributes
    assert not page.unbalanced
    assert "<script>" not in content
    assert not set(content) & {"\x00", "\u202e"}


@pytest.mark.parametrize("bounds", [None, Bias(max_left_out=0.1)])
def test_page_is_written_where_reports_lie(tmp_path: Path, bounds: Bias | None) -> None:
    path = write_bias_page(Project(tmp_path), WHOLE, "Data bias", bounds)
    assert path == tmp_path / "reports" / "bias.html"
    assert path.read_text(encoding="utf-8") == bias_page(WHOLE, "Data bias", bounds or Bias())


@pytest.mark.parametrize("attack", ATTACKS)
def test_names_of_columns_levels_and_batches_are_text(attack: str) -> None:
    columns: dict[str, Kind] = {attack: "text", "n": "share"}
    hostile = Finding("missing", attack, 0.5, attack, "share", "", columns, ((attack, 0.5),), "n")
    shown = replace(report(hostile), batches=(attack,), newest=attack)
    check_harmless(bias_page(shown, attack, Bias()), attack)
