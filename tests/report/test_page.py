"""What pages share: they are whole, fetch nothing, and show values without obeying them."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import jinja2
import pytest
from report.pages import ATTACKS, Page, check_harmless

from evergreen.report.page import render, share


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Render a template of a few lines that has what all pages have."""

    def show(content: str, **values: Any) -> str:
        environment = module_environment()
        whole = '{% extends "base.html" %}{% from "parts.html" import faults, tiles %}'
        whole += "{% block content %}" + content + "{% endblock %}"
        head = {"title": "Title", "kicker": "where", "verdict": "all well", "kind": "good"}
        return environment.from_string(whole).render(head | values)

    return show


def module_environment() -> jinja2.Environment:
    from evergreen.report.page import _environment

    return _environment()


def test_a_page_is_whole_and_stands_alone(parts: Any) -> None:
    content = parts("<p>first</p><p>second</p>")
    page = Page(content)
    assert not page.unbalanced
    assert not page.open
    assert page.found["title"] == ["Title · all well"]
    assert page.found["p"] == ["where", "first", "second"]
    assert not re.search(r"https?://|\bsrc=|href=|<link|url\(|@import", content)
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in content


@pytest.mark.parametrize(("kind", "mark"), [("good", "✓"), ("bad", "✗"), ("", "–")])
def test_the_head_of_a_page(kind: str, mark: str, parts: Any) -> None:
    page = Page(parts("", kicker="where", verdict="what", kind=kind))
    assert (page.found["span"], page.found["p"], page.found["h1"]) == ([mark], ["where"], ["what"])


def test_faults_and_tiles(parts: Any) -> None:
    shown = parts("{{ faults('wrong', ['one', 'two']) }}")
    assert Page(shown).found["li"] == ["one", "two"]
    page = Page(parts("{{ tiles([('rows', '12', 'all'), ('bad', '0', '')]) }}"))
    assert (page.found["dt"], page.found["dd"]) == (["rows", "bad"], ["12all", "0"])


@pytest.mark.parametrize("attack", ATTACKS)
def test_values_are_shown_and_never_obeyed(attack: str, parts: Any) -> None:
    content = parts(
        "{{ faults(x, [x]) }}{{ tiles([(x, x, x)]) }}<p title='{{ x }}'></p>",
        x=attack,
        verdict=attack,
    )
    check_harmless(content, attack)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a & b", "a &amp; b"),
        ("<i>", "&lt;i&gt;"),
        ('"', "&#34;"),
        ("\x00\u202e\n", "\ufffd\ufffd\n"),
        ("é→", "é→"),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
    ],
)
def test_text(value: str, shown: str, parts: Any) -> None:
    assert f"<p>[{shown}]</p>" in parts("<p>[{{ x }}]</p>", x=value)


def test_a_value_that_is_missing_is_an_error_and_no_gap_in_the_page(parts: Any) -> None:
    with pytest.raises(jinja2.UndefinedError, match="reason"):
        parts("{{ reason }}")


def test_secrets_are_in_no_page() -> None:
    values: dict[str, Any] = {"reports": [], "cut": "", "kind": "", "verdict": "none"}
    page = render("validation.html", title="t", kicker="postgresql://me:secret@host/x", **values)
    assert "secret" not in page
    assert "postgresql://" in page


def test_every_template_escapes_what_it_shows() -> None:
    for template in (files("evergreen.report") / "templates").iterdir():
        assert not re.search(r"\|\s*safe\b|autoescape", template.read_text(encoding="utf-8"))


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
