"""Pages taken apart, for the tests of each."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "hr"}


class Page(HTMLParser):
    """A page taken apart: tags that were left open or closed out of turn, and the text of cells and
    open sections.
    """

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.unscoped = 0
        self.found: dict[str, list[str]] = {}
        self.opened = 0
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.tags.add(tag)
        self.attributes.update(names)
        self.unscoped += tag == "th" and names.get("scope") not in ("row", "col")
        self.opened += tag == "details" and "open" in names
        self.found.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.found[tag][-1] += data


ATTACKS = (
    '<script>alert(\'1\')</script>" onclick="x"&\x00\u202e',
    "'><svg/onload=x>",
    "{{ 7 * 7 }}{% raw %}{# gone #}",
    "</style></title><img src=x onerror=y>",
)


def check_harmless(content: str, attack: str) -> None:
    """Check that a page shows `attack` as the text it is, and obeys nothing in it."""
    page = Page(content)
    assert not page.unbalanced
    assert not page.open
    assert not page.tags & {"script", "img"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert "onload" not in page.attributes
    assert "49" not in page.found["h1"]
    assert not set(content) & {"\x00", "\u202e"}
    shown = attack.replace("\x00", "\ufffd").replace("\u202e", "\ufffd")
    assert any(shown in text for texts in page.found.values() for text in texts)
