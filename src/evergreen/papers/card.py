"""Model card: what must be known of a registered model, as Markdown, as a page and as JSON.

Its sections follow Mitchell et al., Model cards for model reporting, 2019. All are required, and
none may be empty: what is not known or does not apply is said in a sentence. All three files are
of the same values; the JSON is what the other two can be written from again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evergreen.files import write_json, write_whole
from evergreen.project import Project
from evergreen.redact import redact, redact_all
from evergreen.report.page import UNSEEN, render

CARD = "model_card"  # name of the files
SECTIONS = {  # required, in order -> what stands below the heading
    "model": "What it is, and what it was made of.",
    "intended use": "What it is for, and what it is not for.",
    "decision": "What the gate said of it, rule by rule.",
    "comparison": "Beside the champion of that time and the baselines, on rows new to all of them.",
    "seeds and intervals": "How much of each metric is noise of the rows, and how much luck of a "
    "seed.",
    "slices": "How it does in each part of the rows that dataset.py names.",
    "calibration": "Whether what it says happens as often as it says.",
    "fairness": "How differently it treats the groups that dataset.py names.",
    "data": "What it was trained and judged on.",
    "checks": "What was looked for in the data, and what was found.",
    "limits": "Where not to trust it.",
    "drift bounds": "When new data counts as unlike what it knows.",
    "cost": "What it took.",
    "history": "Which versions there were before, and what became of them.",
}
DIGITS = r"[+−-]?\d[\d,]*(?:\.\d+)?%?"
NUMBER = re.compile(rf"(?:{DIGITS}(?: to {DIGITS})?(?: \({DIGITS} to {DIGITS}\))?(?: s)?|–)$")
SPECIAL = re.compile(r"([\\`*\[\]<>|])")  # in Markdown, wherever it stands


@dataclass(frozen=True)
class Table:
    """Cells as text, below the titles of their columns; the first of a row names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def is_number(self) -> tuple[bool, ...]:
        """Which columns after the first hold numbers: they are set to the right."""
        return tuple(
            place > 0 and all(NUMBER.match(cell) or not cell for cell in cells)
            for place, cells in enumerate(zip(*self.rows, strict=True))
        )

    @property
    def is_narrow(self) -> bool:
        """Whether there are numbers only, which belong near their names."""
        return all(self.is_number[1:])


@dataclass(frozen=True)
class Section:
    """A section: sentences, and tables below them."""

    name: str
    says: tuple[str, ...]
    tables: tuple[Table, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        said = any(sentence.strip() for sentence in self.says)
        return not said and not any(table.rows for table in self.tables)


@dataclass(frozen=True)
class Card:
    """The card of a version. `kind`: how the decision looks: good, bad, or neither.

    `figures`: what is seen at a glance: name, value, a few words. Raises ValueError where a
    required section is missing, empty or there twice.
    """

    name: str
    version: str
    verdict: str
    kind: str
    figures: tuple[tuple[str, str, str], ...]
    sections: tuple[Section, ...]

    def __post_init__(self) -> None:
        names = [section.name for section in self.sections]
        if names != [*SECTIONS]:
            raise ValueError(f"a card has the sections {[*SECTIONS]}, not {names}")
        if empty := [section.name for section in self.sections if section.is_empty]:
            raise ValueError(f"sections of the card say nothing: {', '.join(empty)}")

    @property
    def title(self) -> str:
        """What it is the card of."""
        return f"{self.name}, version {self.version}"

    def with_sections(self, *changed: Section) -> Card:
        """Return the card with some of its sections replaced."""
        named = {section.name: section for section in changed}
        return replace(
            self, sections=tuple(named.get(section.name, section) for section in self.sections)
        )

    def as_summary(self) -> str:
        """Return the verdict and the figures as Markdown."""
        lines = [f"**{_line(self.verdict)}**", ""]
        lines += [
            f"- {_line(name)}: {_line(value)}" + (f" ({_line(small)})" if small else "")
            for name, value, small in self.figures
        ]
        return redact("\n".join(lines) + "\n")

    def as_markdown(self) -> str:
        """Return the card as Markdown."""
        lines = [f"# {_line(self.title)}", "", self.as_summary().rstrip("\n")]
        for section in self.sections:
            lines += ["", f"## {_capital(section.name)}", "", f"*{SECTIONS[section.name]}*", ""]
            lines += [f"- {_line(sentence)}" for sentence in section.says if sentence.strip()]
            for table in section.tables:
                lines += ["", *_table(table)]
        return redact("\n".join(lines) + "\n")

    def as_page(self) -> str:
        """Return the card as an HTML page that stands alone."""
        return render(
            "card.html",
            title=self.title,
            kicker=f"Model card · {self.title}",
            verdict=self.verdict,
            kind=self.kind,
            figures=self.figures,
            sections=self.sections,
            notes=SECTIONS,
            capital=_capital,
        )

    def write(self, project: Project) -> list[Path]:
        """Write the card into `reports/` of the project; return the paths of its files."""
        texts = {"md": self.as_markdown(), "html": self.as_page()}
        paths = {kind: project.reports / f"{CARD}.{kind}" for kind in (*texts, "json")}
        for kind, text in texts.items():
            _write_text(paths[kind], text)
        write_json(paths["json"], redact_all(asdict(self)))
        return [*paths.values()]

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Card:
        """Return the card whose JSON is `content`."""
        sections = tuple(
            Section(
                part["name"],
                tuple(part["says"]),
                tuple(
                    Table(tuple(table["head"]), tuple(map(tuple, table["rows"])))
                    for table in part["tables"]
                ),
            )
            for part in content["sections"]
        )
        name, version, verdict, kind = (
            str(content[part]) for part in ("name", "version", "verdict", "kind")
        )
        figures = tuple((str(a), str(b), str(c)) for a, b, c in content["figures"])
        return cls(name, version, verdict, kind, figures, sections)


def _write_text(path: Path, text: str) -> None:
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def _table(table: Table) -> list[str]:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(_line(cell) for cell in cells)} |"

    return [row(table.head), "|---" * len(table.head) + "|", *map(row, table.rows)]


def _line(text: str) -> str:
    """Return text as one line of Markdown that means nothing else: names of data hold anything."""
    return SPECIAL.sub(r"\\\1", UNSEEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split())))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
