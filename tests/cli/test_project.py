"""`evergreen adopt`, `doctor` and `update`: what they print, and how they end."""

from __future__ import annotations

import pytest
from commands import error_of, invoke

from evergreen.doctor import Finding
from evergreen.project import Project

FINE = Finding("Python", fine=True, found="3.12.1")
WRONG = Finding("git", fine=False, found="no commit", advice="git commit")


@pytest.mark.slow
@pytest.mark.parametrize(("findings", "code"), [([FINE], 0), ([FINE, WRONG], 1)])
def test_doctor_ends_as_it_finds_the_project(
    findings: list[Finding], code: int, two_batches: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evergreen.doctor.examine", lambda _: findings)
    done = invoke(two_batches.root, "doctor")
    assert done.exit_code == code
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[1] == ["ok", "Python", "3.12.1"]
    assert rows[2:] == ([["WRONG", "git", "no", "commit", "git", "commit"]] if code else [])


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("", (None, {})),
        ("v2 ci=gitlab infra=none", ("v2", {"ci": "gitlab", "infra": "none"})),
        ("ci=a=b", (None, {"ci": "a=b"})),
    ],
)
def test_update_takes_a_commit_and_answers(
    words: str,
    answer: tuple[str | None, dict[str, str]],
    two_batches: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def update(root: object, *given: object) -> str:
        asked.extend([root, given])
        return "merged"

    monkeypatch.setattr("evergreen.update.update", update)
    assert invoke(two_batches.root, "update", *words.split()).output == "merged\n"
    assert asked == [two_batches.root, answer]


def test_update_takes_one_commit(two_batches: Project) -> None:
    done = invoke(two_batches.root, "update", "v1", "v2")
    assert done.exit_code == 2
    assert "not 2: v1, v2" in done.stderr


def test_adopt_needs_a_target(two_batches: Project) -> None:
    done = invoke(two_batches.root, "adopt", "table.csv")
    assert done.exit_code == 2
    assert "Missing option '--target'" in done.stderr


def test_adopt_writes_over_no_change_that_is_not_committed(two_batches: Project) -> None:
    before = two_batches.params.read_bytes()
    said = error_of(invoke(two_batches.root, "adopt", "table.csv", "--target", "y"))
    assert said.startswith("params.yaml: changed since the last commit")
    assert two_batches.params.read_bytes() == before
