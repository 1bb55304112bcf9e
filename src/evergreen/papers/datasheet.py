"""Datasheet: what only people know of the data, in one file of questions, `datasheet.yaml`.

The questions are those of Gebru et al., Datasheets for datasets, 2021, that no machine can answer.
An answer is a text; a question is unanswered while its text is empty, or only stands for one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evergreen.errors import InputError
from evergreen.files import write_whole
from evergreen.params import read_yaml
from evergreen.project import Project

FILE = "datasheet.yaml"
LARGEST = 1_000_000  # bytes of the file
STAND_INS = ("", "?", "-", "todo", "tbd", "fixme", "unknown", "...")  # what is no answer
QUESTIONS = {
    "title": "What is the data set called?",
    "description": "What is in it, in a sentence or two?",
    "purpose": "Why was the data made?",
    "made_by": "Who made it, and for whom?",
    "paid_by": "Who paid for it?",
    "collected": "How was it collected, and who or what measured it?",
    "consent": "Do the people in it know, and could they refuse? Are there any?",
    "relations": "How do rows depend on one another: the same person, device, day?",
    "cleaning": "What was done to it before it came here: cleaned, filled in, sampled?",
    "raw_kept": "Is the data from before that cleaning kept, and where?",
    "known_faults": "What is known to be wrong, missing or skewed in it?",
    "intended_use": "What is the model meant for, and who acts on what it says?",
    "other_uses": "What else may the data and the model be used for, and what must they not be?",
    "licence": "Under which licence: an identifier of SPDX, such as CC0-1.0, or a web address?",
    "cite_as": "How is it cited?",
    "url": "Where is it described, or to be had?",
    "published": "When was it published, as 2024-05-31?",
    "privacy": "Does it tell of persons, and how is that protected?",
    "security": "Who may read it, and how is it kept from others?",
    "upkeep": "Who keeps it up to date, and whom does one ask?",
}
HEAD = """\
# What only people know of the data behind this project. Write an answer between the quotes, or
# below a `|` where it has several lines; "does not apply, because ..." is an answer, an empty text
# is none. `evergreen papers` puts the answers into reports/croissant.json and the model card, and
# lists what is unanswered; with `gate.datasheet: required` in params.yaml no model is promoted
# before all are.
"""


@dataclass(frozen=True)
class Datasheet:
    """The answers, by question; what is not there is unanswered."""

    answers: Mapping[str, str] = field(default_factory=dict)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The questions without an answer, in order."""
        return tuple(name for name in QUESTIONS if name not in self.answers)

    def get(self, name: str) -> str:
        """Return an answer; empty where there is none."""
        return self.answers.get(name, "")

    def tell(self) -> list[str]:
        """Return each unanswered question with its key."""
        return [f"{name}: {QUESTIONS[name]}" for name in self.unanswered]


def read_datasheet(project: Project) -> Datasheet:
    """Return the answers of the project's `datasheet.yaml`; none where there is no such file.

    Raises InputError where it cannot be read, or holds what is no question or no text.
    """
    path = _path(project)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Datasheet()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): correct it") from None
    if len(content) > LARGEST:
        raise InputError(f"{path} holds {len(content):,} bytes, too much for answers: shorten them")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}): save it so") from None
    found = read_yaml(text, path)
    if found is None:
        return Datasheet()
    if not isinstance(found, dict):
        raise InputError(f"{path} must hold questions and answers, not {type(found).__name__}")
    return Datasheet({name: said for name, told in found.items() if (said := _said(name, told))})


def write_questions(project: Project) -> Path | None:
    """Write `datasheet.yaml` with its questions where it is missing; return its path if so."""
    path = _path(project)
    if path.exists() or path.is_symlink():
        return None
    lines = [HEAD, *(f'# {question}\n{name}: ""' for name, question in QUESTIONS.items())]
    write_whole(path, lambda part: part.write_text("\n".join(lines) + "\n", encoding="utf-8"))
    return path


def _said(name: object, told: object) -> str:
    """Return an answer as text; empty where there is none."""
    if name not in QUESTIONS:
        near = difflib.get_close_matches(str(name), QUESTIONS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "remove it"
        raise InputError(f"{FILE} answers {name!r}, which is no question: {hint}")
    if told is None:
        return ""
    if isinstance(told, (dict, list, bool, bytes)):
        raise InputError(
            f"{FILE}: the answer to {name!r} must be a text, not {type(told).__name__}: "
            "put it into quotes"
        )
    said = str(told).strip()
    return "" if said.lower() in STAND_INS else said


def _path(project: Project) -> Path:
    return (project.home or project.root) / FILE
