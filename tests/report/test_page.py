"""What pages share: they are whole, fetch nothing, and show values without obeying them."""

from __future__ import annotations

import re

import pytest
from report.pages import Page

from evergreen.report.page import POLICY, faults, header, lay_out, share, text, tiles

ATTACK = '<script>alert(\'1\')</script>" onclick="x"&\x00\u202e'


def test_a_page_is_whole_and_stands_alone() -> None:
    content = lay_out("Title", "all well", ["<p>first</p>", "<p>second</p>"], "p { margin: 0 }")
    page = Page(content)
    assert not page.unbalanced
    assert not page.open
    assert page.found["title"] == ["Title · all well"]
    assert page.found["p"] == ["first", "second"]
    assert page.found["style"][0].endswith("p { margin: 0 }")
    assert not re.search(r"https?://|\bsrc=|href=|<link|url\(|@import", content)
    assert f'content="{POLICY}"' in content
    assert POLICY.startswith("default-src 'none'")


@pytest.mark.parametrize(("kind", "mark"), [("good", "✓"), ("bad", "✗"), ("", "–")])
def test_the_head_of_a_page(kind: str, mark: str) -> None:
    page = Page(header("where", "what", kind))
    assert (page.found["span"], page.found["p"], page.found["h1"]) == ([mark], ["where"], ["what"])


def test_faults_and_tiles() -> None:
    assert Page(faults("wrong", ["one", "two"])).found["li"] == ["one", "two"]
    page = Page(tiles([("rows", "12", "all"), ("bad", "0", "")]))
    assert (page.found["dt"], page.found["dd"]) == (["rows", "bad"], ["12all", "0"])


@pytest.mark.parametrize(
    "shown", [header(ATTACK, ATTACK, "bad"), faults(ATTACK, [ATTACK]), tiles([(ATTACK,) * 3])]
)
def test_values_are_shown_and_never_obeyed(shown: str) -> None:
    page = Page(lay_out(ATTACK, ATTACK, [shown]))
    assert "script" not in page.tags
    assert "onclick" not in page.attributes
    assert not page.unbalanced


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a & b", "a &amp; b"),
        ("<i>", "&lt;i&gt;"),
        ('"', "&quot;"),
        ("\x00\u202e\n", "\ufffd\ufffd\n"),
        ("é→", "é→"),
    ],
)
def test_text(value: str, shown: str) -> None:
    assert text(value) == shown


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 0, ""),
        (0, 9, "0%"),
        (9, 9, "100%"),
        (1, 3, "33.33%"),
        (1, 10**9, "0.01%"),
        (10**9 - 1, 10**9, "99.99%"),
    ],
)
def test_share(part: int, whole: int, said: str) -> None:
    assert share(part, whole) == said
