"""A year of flights, month by month, as the registry remembers it: `python -m benchmarks.year`.

The first model learns from January to March; then each month arrives, a challenger is trained, and
the gate decides.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml

from benchmarks.main_job import evergreen, new_project


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = new_project(Path(folder) / "year")
        content = yaml.safe_load((root / "params.yaml").read_text())
        # Trained on January to March, stopped on April, judged on May
        content["source"]["until"] = "2013-05"
        (root / "params.yaml").write_text(yaml.safe_dump(content))
        print(told(evergreen(root, "run")), flush=True)
        for _ in range(6, 13):
            evergreen(root, "ingest", "--next")
            print(told(evergreen(root, "run")), flush=True)
        print(evergreen(root, "history"))


def told(said: str) -> str:
    """Return the lines of a run's summary that tell of the model."""
    return " | ".join(
        " ".join(line.split()) for line in said.splitlines() if line.startswith(("model", "took"))
    )


if __name__ == "__main__":
    main()
