"""`evergreen reproduce`: what is told before and after, and the exit code of each end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import error_of, invoke

from evergreen.cli import reproduce as module
from evergreen.project import Project
from evergreen.reproduce.compare import THINGS, Verdict


def ready(stops: tuple[str, ...] = (), apart: tuple[str, ...] = ()) -> Any:
    recorded = SimpleNamespace(number="3", commit="ab" * 20, seeds=[0, 1])
    restored = SimpleNamespace(data=SimpleNamespace(files=7))
    return SimpleNamespace(
        stops=stops,
        apart=apart,
        recorded=recorded,
        restored=restored,
        device="cpu",
        folder=Path("place"),
    )


def verdicts(*equal: bool | None) -> list[Verdict]:
    return [Verdict(what, each, "") for what, each in zip(THINGS, equal, strict=True)]


@pytest.mark.parametrize(
    ("made", "found", "code", "parts"),
    [
        (ready(), (True,) * 4, 0, ["equal: version 3"]),
        (ready(apart=("numpy: 1 then, 2 now",)), (True,) * 4, 0, ["equal: version 3"]),
        (
            ready(apart=("numpy: 1 then, 2 now",)),
            (True, False, False, True),
            3,
            ["different: version 3", "- numpy: 1 then, 2 now", "place/made"],
        ),
        (ready(), (True, True, True, False), 3, ["- nothing that is recorded"]),
        (ready(stops=("code: none",)), (True, None, None, None), 4, ["cannot be restored"]),
    ],
)
def test_each_end_has_its_exit_code(
    made: Any,
    found: tuple[bool | None, ...],
    code: int,
    parts: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert module._show(made, verdicts(*found)) == code
    said = capsys.readouterr().out
    assert [part for part in parts if part not in said] == []


def test_what_is_not_as_it_was_is_told_before_anything_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    module._tell(ready(apart=("numpy: 1 then, 2 now",)))
    said = capsys.readouterr()
    assert said.err == "warning: not as then: numpy: 1 then, 2 now\n"
    assert "2 seed(s) on cpu, 7 files of data, in place" in said.out
    module._tell(ready(stops=("code: none",)))
    said = capsys.readouterr()
    assert (said.err, said.out) == ("warning: cannot be restored: code: none\n", "")


@pytest.mark.slow
def test_without_a_model_nothing_is_made(two_batches: Project) -> None:
    assert "no model here" in error_of(invoke(two_batches.root, "reproduce", "1"))
    assert not two_batches.stores.exists()
