"""`evergreen replay`: wrong wishes end before a server starts."""

from __future__ import annotations

import pytest
from commands import error_of, invoke

from evergreen.project import Project


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "part"), [("--seeds 0", "sweep.seeds"), ("--until 2031-01", "2031-01")]
)
def test_wrong_wishes_start_no_server(words: str, part: str, two_batches: Project) -> None:
    assert part in error_of(invoke(two_batches.root, "replay", *words.split()))
    assert not (two_batches.stores / "prefect-server.log").exists()


def test_at_least_every_batch(two_batches: Project) -> None:
    done = invoke(two_batches.root, "replay", "--every", "0")
    assert done.exit_code == 2
    assert "--every" in done.stderr
