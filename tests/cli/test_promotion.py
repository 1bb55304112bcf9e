"""`evergreen promote`, `rollback` and `history`: what they refuse, and what history says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from commands import error_of, invoke
from conftest import refusal

from evergreen.cli.promotion import parse_moment
from evergreen.project import Project


@pytest.mark.slow  # it loads MLflow
def test_history_is_told_while_a_run_is_under_way(two_batches: Project) -> None:
    with two_batches.lock():
        done = invoke(two_batches.root, "history")
        then = invoke(two_batches.root, "history", "--at", "2026-05-03")
        said = error_of(invoke(two_batches.root, "rollback", "--reason", "why not"))
    assert (done.exit_code, done.output) == (
        0,
        "no decision is recorded yet: `evergreen run` makes the first\n",
    )
    assert (then.exit_code, then.output) == (0, "there was no champion then\n")
    assert said.startswith("another run of this project is under way")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("promote 3 --override", "--override needs --reason"),
        ("rollback", "Missing option '--reason'"),
    ],
)
def test_what_needs_a_reason(words: str, said: str, two_batches: Project) -> None:
    done = invoke(two_batches.root, *words.split())
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", ["promote", "promote --approve"])
def test_there_is_nothing_to_promote(words: str, two_batches: Project) -> None:
    said = error_of(invoke(two_batches.root, *words.split()))
    assert said.startswith("there is no challenger")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-03", datetime(2026, 5, 4, tzinfo=UTC)),
        ("2026-05-03T08:30", datetime(2026, 5, 3, 8, 30, tzinfo=UTC)),
        ("2026-05-03T08:30+02:00", datetime(2026, 5, 3, 6, 30, tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment


def test_what_is_no_moment() -> None:
    refusal(lambda: parse_moment("3 May"), "--at: '3 May'", "2026-05-03T08:30")
