"""Replay the sales; see the package."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.replay import ROOT, tell
from evergreen import params
from evergreen.project import Project
from evergreen.replay.outcome import Options
from evergreen.replay.replay import replay

SEEDS = 3  # the question is when to train, and a seed more moves no answer
SETTINGS = '[tool.evergreen]\npackage = "benchmarks.seasons"\nrequires = ">=0.1"\n'


def main() -> None:
    content = {"task": "regression", "source": {"kind": "python", "module": "benchmarks.seasons"}}
    chosen = params.load(ROOT / "params.yaml").model_dump(by_alias=True, mode="json") | content
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(SETTINGS)
        tell(
            replay(Project(Path(folder)), params.parse(chosen, "params.yaml"), Options(seeds=SEEDS))
        )


if __name__ == "__main__":
    main()
