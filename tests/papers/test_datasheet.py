"""The datasheet: written once with its questions, read as answers, and what is wrong is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from conftest import ROOT, refusal

from evergreen.papers.datasheet import (
    FILE,
    QUESTIONS,
    Datasheet,
    read_datasheet,
    write_questions,
)
from evergreen.project import Project


def written(folder: Path, text: str | bytes) -> Project:
    (folder / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Project(folder)


def test_it_is_written_with_every_question_and_none_answered(tmp_path: Path) -> None:
    path = write_questions(Project(tmp_path))
    assert path == tmp_path / FILE
    assert yaml.safe_load(path.read_text()) == dict.fromkeys(QUESTIONS, "")
    assert [question in path.read_text() for question in QUESTIONS.values()] == [True] * 20
    assert read_datasheet(Project(tmp_path)).unanswered == tuple(QUESTIONS)


def test_it_is_never_written_again(tmp_path: Path) -> None:
    project = written(tmp_path, 'purpose: "to learn"\n')
    assert write_questions(project) is None
    assert (tmp_path / FILE).read_text() == 'purpose: "to learn"\n'


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "{}"])
def test_without_answers_all_is_unanswered(text: str | None, tmp_path: Path) -> None:
    project = Project(tmp_path) if text is None else written(tmp_path, text)
    assert read_datasheet(project) == Datasheet()


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ('"to learn"', "to learn"),
        ("|\n  two\n  lines\n", "two\nlines"),
        ("2013-12-31", "2013-12-31"),
        ("2013", "2013"),
        ('"does not apply: no persons"', "does not apply: no persons"),
        ('"  "', ""),
        ("null", ""),
        ('"?"', ""),
        ("TODO", ""),
        ('"-"', ""),
    ],
)
def test_what_counts_as_an_answer(told: str, answer: str, tmp_path: Path) -> None:
    found = read_datasheet(written(tmp_path, f"published: {told}\n"))
    assert found.get("published") == answer
    assert ("published" in found.unanswered) == (not answer)
    assert len(found.tell()) == len(QUESTIONS) - bool(answer)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", "must hold questions and answers, not list"),
        ("purpose: [a]\n", "the answer to 'purpose' must be a text, not list"),
        ("privacy: false\n", "must be a text, not bool"),
        ("purpos: x\n", "answers 'purpos', which is no question: did you mean 'purpose'?"),
        ("7: x\n", "answers 7, which is no question: remove it"),
        ("purpose: 'x\n", "is not valid YAML"),
        ("a: &b x\npurpose: *b\n", "is not read, as any alias"),
        (b"purpose: \xff\n", "is not UTF-8 text (byte 9)"),
        ("#" * 1_000_001, "too much for answers"),
        ("purpose: " + "[" * 5000, "purpose"),
    ],
)
def test_what_is_wrong_is_one_sentence(text: str | bytes, told: str, tmp_path: Path) -> None:
    project = written(tmp_path, text)
    refusal(lambda: read_datasheet(project), FILE, *([] if told == "purpose" else [told]))


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    refusal(lambda: read_datasheet(Project(tmp_path)), "cannot be read")


def test_the_example_answers_every_question() -> None:
    assert read_datasheet(Project(ROOT)).unanswered == ()
