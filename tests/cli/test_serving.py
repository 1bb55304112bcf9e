"""`evergreen serve`: what cannot be served is one sentence."""

from __future__ import annotations

import pytest
from commands import error_of, invoke

from evergreen.project import Project


@pytest.mark.slow
def test_without_a_champion_nothing_listens(two_batches: Project) -> None:
    said = error_of(invoke(two_batches.root, "serve", "--port", "0"))
    assert said.startswith("there is no champion: ")


@pytest.mark.parametrize("port", ["-1", "70000", "many"])
def test_a_port_is_a_number(port: str, two_batches: Project) -> None:
    done = invoke(two_batches.root, "serve", "--port", port)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--port" in done.stderr
