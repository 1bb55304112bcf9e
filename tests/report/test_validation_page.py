"""The validation page: stands alone, shows data as text, and says what is wrong first."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from report.pages import ATTACKS, Page, check_harmless

from evergreen.report.validation_page import NEWEST, validation_page
from evergreen.validation.report import BatchReport, Check

ATTACK = '<script>alert(\'1\')</script>" onclick="x"&\x00\u202e'


def report(
    batch: str, quarantined: int = 0, faults: tuple[str, ...] = (), words: str = "temp: -40 to 120"
) -> BatchReport:
    checks = (
        Check(
            words,
            "rows",
            quarantined == 0,
            quarantined,
            (words,) if quarantined else (),
            "0.3% of rows",
        ),
        Check(f"time: smallest is {batch}-01", "batch", not faults, observed=words),
        Check(
            "tail: not missing in at least 95% of rows", "batch", True, 7, observed="0.7% of rows"
        ),
    )
    rows = 1000
    return BatchReport(
        batch,
        rows,
        0 if faults else rows - quarantined,
        0 if faults else quarantined,
        checks,
        faults,
    )


GOOD = [report("2013-06"), report("2013-07", quarantined=3)]
BAD = [
    *GOOD,
    report(
        "2013-08", quarantined=400, faults=("400 of 1,000 rows are bad", "newest row is too old")
    ),
]
MANY = [report(f"{2000 + month // 12}-{month % 12 + 1:02}") for month in range(NEWEST + 6)]
CASES = {
    "none": [],
    "one": GOOD[:1],
    "good": GOOD,
    "bad": BAD,
    "many": MANY,
    "old bad": [*BAD, *MANY],
}


@pytest.mark.parametrize("reports", CASES.values(), ids=CASES)
def test_page_is_whole_and_stands_alone(reports: list[BatchReport]) -> None:
    content = validation_page(reports, "Validation")
    page = Page(content)
    assert not page.unbalanced
    assert not page.open
    assert not page.unscoped
    assert not page.tags & {"script", "link", "img", "iframe", "base"}
    assert not re.search(r"https?://|\bsrc=|href=|<link|url\(|@import", content)


@pytest.mark.parametrize(
    ("reports", "verdict"),
    [
        ([], "no batches yet"),
        (GOOD[:1], "1 batch valid"),
        (GOOD, "2 batches valid"),
        (BAD, "batch 2013-08 is bad"),
        ([*BAD, report("2013-09", faults=("x",))], "2 batches are bad: 2013-08, 2013-09"),
    ],
)
def test_headline(reports: list[BatchReport], verdict: str) -> None:
    page = Page(validation_page(reports, "Validation"))
    assert page.found["h1"] == [verdict]
    assert page.found["title"] == [f"Validation · {verdict}"]


def test_faults_come_first() -> None:
    content = validation_page(BAD, "Validation")
    assert Page(content).found["li"] == list(BAD[-1].faults)
    assert content.index("<li>") < content.index("<dl")
    assert "li" not in Page(validation_page(GOOD, "Validation")).found


@pytest.mark.parametrize(
    ("reports", "tiles"),
    [
        (
            GOOD,
            ["batches2", "rows2,000", "valid1,99799.85%", "quarantined30.15%", "rules per batch3"],
        ),
        (
            BAD,
            [
                *("batches31 bad", "rows3,000", "valid1,99766.57%", "quarantined30.10%"),
                *("held back1,00033.33%", "rules per batch3"),
            ],
        ),
        (
            [BatchReport("a", 10**6, 10**6 - 1, 1, ())],  # never rounded to 'all' or 'none'
            [
                "batches1",
                "rows1,000,000",
                "valid999,99999.99%",
                "quarantined10.01%",
                "rules per batch0",
            ],
        ),
        (
            [BatchReport("a", 0, 0, 0, ())],
            ["batches1", "rows0", "valid0", "quarantined0", "rules per batch0"],
        ),
    ],
)
def test_totals(reports: list[BatchReport], tiles: list[str]) -> None:
    page = Page(validation_page(reports, "Validation"))
    found = [
        f"{name}{value}" for name, value in zip(page.found["dt"], page.found["dd"], strict=True)
    ]
    assert found == tiles


def test_map_has_a_row_per_rule_and_a_cell_per_batch() -> None:
    uneven = [
        *BAD,
        BatchReport("2013-09", 5, 0, 0, BAD[-1].checks[2:], ("missing column(s) 'temp'",)),
    ]
    rules = Page(validation_page(uneven, "Validation")).found["tbody"][0].strip().splitlines()
    assert rules == [
        "temp: -40 to 120✓3400–",
        "time: smallest is …✓✓✗–",
        "tail: not missing in at least 95% of rows✓✓✓✓",
    ]


def test_same_words_twice_are_two_rules() -> None:
    twice = BatchReport("a", 9, 9, 0, (Check("x", "batch", True), Check("x", "batch", True)))
    assert Page(validation_page([twice], "Validation")).found["tbody"][0].split() == ["x✓", "x✓"]


def test_batches_newest_first_and_the_bad_one_open() -> None:
    page = Page(validation_page([BAD[-1], *GOOD], "Validation"))
    assert page.found["strong"] == ["2013-07", "2013-06", "2013-08"]
    assert page.opened == 1
    assert re.findall(
        "<details open><summary><strong>(.*?)<", validation_page([BAD[-1], *GOOD], "")
    ) == ["2013-08"]
    assert re.findall("<details open><summary><strong>(.*?)<", validation_page(GOOD, "")) == [
        "2013-07"
    ]


def test_broken_rules_come_first_in_their_batch() -> None:
    checks = Page(validation_page(BAD, "Validation")).found["tbody"][1].strip().splitlines()
    assert checks == [
        "temp: -40 to 120row → quarantine! broken400temp: -40 to 1200.3% of rows",
        "time: smallest is 2013-08-01batch → stop✗ failstemp: -40 to 120",
        "tail: not missing in at least 95% of rowsbatch → stop✓ holds70.7% of rows",
    ]


@pytest.mark.slow
def test_only_the_newest_and_the_bad_are_shown_but_all_are_counted() -> None:
    old_bad = report("1999-12", faults=("too old",))
    for reports, shown, note in (
        (MANY[:NEWEST], MANY[:NEWEST], None),
        (MANY, MANY[-NEWEST:], "the newest 24 of 30 batches."),
        (
            [old_bad, *MANY],
            [old_bad, *MANY[-NEWEST:]],
            "the newest 24 of 31 batches, and older ones that are bad.",
        ),
    ):
        page = Page(validation_page(reports, "Validation"))
        assert page.found["strong"] == [batch.batch for batch in reversed(shown)]
        assert page.found["dd"][0].startswith(str(len(reports)))
        assert [
            note in words if note else "newest 24" not in words for words in page.found["p"][1:]
        ] == [True, True]


def test_data_is_shown_and_never_obeyed() -> None:
    hostile = report(ATTACK, quarantined=2, faults=(ATTACK,), words=ATTACK)
    unchecked = replace(hostile, checks=hostile.checks[1:])
    content = validation_page([hostile, unchecked], ATTACK)
    page = Page(content)
    assert "script" not in page.tags
    assert "onclick" not in page.attributes
    assert not page.unbalanced
    assert "<script>" not in content
    assert not set(content) & {"\x00", "\u202e"}
    shown = '<script>alert(\'1\')</script>" onclick="x"&\ufffd\ufffd'
    assert page.found["li"] == [shown, shown]
    assert shown in page.found["code"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_names_of_batches_rules_and_values_are_text(attack: str) -> None:
    hostile = report(attack, quarantined=2, faults=(attack,), words=attack)
    check_harmless(validation_page([hostile, *GOOD], attack), attack)
