"""`evergreen diagnose`: findings in order, each with its evidence and what to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evergreen.cli.diagnosis import show
from evergreen.diagnosis.fault import LEAK, USELESS, Fault


def shown(capsys: pytest.CaptureFixture[str], *faults: Fault) -> str:
    found: Any = SimpleNamespace(faults=faults, answers=(("Is it stale?", "No."),))
    show(
        SimpleNamespace(
            found=found, judged="Judged on 5 rows.", page=Path("reports/diagnosis.html")
        )
    )
    return capsys.readouterr().out


def test_the_most_important_first(capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(
        capsys, Fault(LEAK, "word " * 40, "drop it"), Fault(USELESS, "no cost", "take it out")
    )
    assert (
        said.index(f"1. {LEAK}")
        < said.index("evidence")
        < said.index("do: drop it")
        < said.index(f"2. {USELESS}")
    )
    assert max(map(len, said.splitlines())) <= 100
    assert "Is it stale?   No." in said
    assert said.endswith("Judged on 5 rows.\npictures: reports/diagnosis.html\n")


def test_nothing_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys).startswith("\nnothing found\n")
