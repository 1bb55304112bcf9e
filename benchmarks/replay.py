"""A year of flights under several retraining policies: `python -m benchmarks.replay`; a table, and docs/replay.png."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.main_job import ROOT, evergreen, new_project


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = new_project(Path(folder) / "replay")
        print(evergreen(root, "replay", *sys.argv[1:]))
        for course in json.loads((root / "reports" / "replay.json").read_text(encoding="utf-8"))["courses"]:
            for step in course["steps"]:
                print(f"{course['policy']}, {step['batch']}: {step['value']:.4f}, {step['action']}: {step['reason']}")
        shutil.copy(root / "reports" / "replay.png", ROOT / "docs" / "replay.png")


if __name__ == "__main__":
    sys.exit(main())
