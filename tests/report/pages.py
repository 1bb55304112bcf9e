"""Pages taken apart, for the tests of each."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "hr"}


class Page(HTMLParser):
    """A page taken apart: tags that were left open or closed out of turn, and the text of cells and open sections."""

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
