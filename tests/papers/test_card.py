"""The card: every section is there and says something, and its three files say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from papers.cards import card_of
from report.pages import ATTACKS, Page, check_harmless

from evergreen.papers.card import SECTIONS, Card, Section, Table
from evergreen.project import Project

REQUIRED = (  # what must be said of every model
    "model", "intended use", "decision", "comparison", "seeds and intervals", "slices",
    "calibration", "fairness", "data", "checks", "limits", "drift bounds", "cost", "history",
)  # fmt: skip


def test_the_required_sections() -> None:
    assert tuple(SECTIONS) == REQUIRED


@pytest.mark.parametrize("name", REQUIRED)
def test_no_section_may_be_missing_or_empty(name: str) -> None:
    whole = card_of().sections
    without = tuple(section for section in whole if section.name != name)
    with pytest.raises(ValueError, match=name):
        card_of(sections=without)
    for empty in (Section(name, ()), Section(name, (" ",), (Table(("a",), ()),))):
        with pytest.raises(ValueError, match=f"say nothing: {name}"):
            card_of().with_sections(empty)


def test_a_table_alone_is_enough() -> None:
    changed = Section("slices", (), (Table(("a",), (("b",),)),))
    assert card_of().with_sections(changed).sections[5] == changed


def test_the_page_is_whole_and_stands_alone() -> None:
    content = card_of().as_page()
    page = Page(content)
    assert not page.unbalanced
    assert not page.open
    assert not page.unscoped
    assert [text.lower() for text in page.found["h2"]] == [*REQUIRED]
    assert not page.tags & {"script", "link", "img", "iframe", "base"}
    assert not re.search(r"https?://|\bsrc=|href=\"(?!#)|<link|url\(|@import", content)


def test_markdown_has_every_section_and_cell() -> None:
    text = card_of("word").as_markdown()
    assert [line[3:].lower() for line in text.splitlines() if line.startswith("## ")] == [*REQUIRED]
    assert text.startswith("# word, version 3\n\n**word**\n\n- word: 0.7 (word)\n")
    assert text.count("| word | 1.0 |") == len(REQUIRED)


@pytest.mark.parametrize("attack", ATTACKS)
def test_values_are_shown_and_never_obeyed(attack: str) -> None:
    check_harmless(card_of(attack).as_page(), attack)


@pytest.mark.parametrize("attack", [*ATTACKS, "a|b\nc", "[x](y)", "`code`", "*loud*"])
def test_markdown_means_nothing_else(attack: str) -> None:
    text = card_of(attack).as_markdown()
    assert not re.search(r"(?<!\\)[<>`\[\]]", text)
    assert not set(text) & {"\x00", "\u202e"}
    plain = card_of().as_markdown()
    assert len(text.splitlines()) == len(plain.splitlines())
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines()]
    assert bars == [line.count("|") for line in plain.splitlines()]


@pytest.mark.parametrize(
    ("cells", "right"),
    [
        (("1", "–", "0.5 (0.4 to 0.6)"), True),
        (("+0.1 (-0.2 to +0.3)", "12.5%", "1,200"), True),
        (("1", "b"), False),
        (("2013-05 to 2013-06",), False),
        (("2013-05",), False),
        (("0.7230 to 0.7410", "−1.11", "1.5 s", "0%"), True),
        (("1, 2",), False),
    ],
)
def test_numbers_are_set_to_the_right(cells: tuple[str, ...], right: bool) -> None:
    table = Table(("name", "a"), tuple(("1", cell) for cell in cells))
    assert table.is_number == (False, right)
    assert table.is_narrow == right


def test_the_files_can_be_written_from_the_json_again(tmp_path: Path) -> None:
    card = card_of("word")
    paths = card.write(Project(tmp_path))
    assert [path.name for path in paths] == ["model_card.md", "model_card.html", "model_card.json"]
    again = Card.read(json.loads(paths[-1].read_text()))
    assert again == card
    assert (paths[0].read_text(), paths[1].read_text()) == (card.as_markdown(), card.as_page())


def test_no_secret_is_written(tmp_path: Path) -> None:
    address = "postgresql://me:s3cr3tword@db/x"
    for path in card_of(address).write(Project(tmp_path)):
        assert "s3cr3tword" not in path.read_text()
