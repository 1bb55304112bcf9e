"""Compare what each step gives with what it gave when its recipe was numbered, or store the new digests.

    python tests/recipes/golden.py [STEP ...]

stores what the steps give now (all, where none is named) in `golden.json`, once their numbers in
`evergreen.recipes` are raised. A digest for each case of a step says where to look.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from recipes import hold, ingest, judge, prepare, train, validate, watch
from recipes.plain import digest
from threadpoolctl import threadpool_limits

from evergreen import recipes
from evergreen.ingest import folder

STORED = Path(__file__).with_name("golden.json")
COMMAND = "python tests/recipes/golden.py"
STEPS: dict[str, dict[str, Callable[[], Any]]] = {
    "INGEST": ingest.CASES, "VALIDATE": validate.CASES, "PREPARE": prepare.CASES, "HOLD": hold.CASES,
    "TRAIN": train.CASES, "JUDGE": judge.CASES, "WATCH": watch.CASES,
}  # fmt: skip


def digests(step: str, *cases: str) -> dict[str, str]:
    """Return what stands for each case of a step (or for some), computed now."""
    with threadpool_limits(1), mock.patch.object(folder, "SETTLED", 0.0):
        return {case: digest(STEPS[step][case]()) for case in cases or STEPS[step]}


def fault(step: str, stored: dict[str, Any] | None, found: dict[str, str]) -> str:
    """Return what is wrong with a step, beside what is stored of it; empty where nothing is."""
    number, known = getattr(recipes, step), stored or {"recipe": None, "digest": {}}
    same = {case for case, one in found.items() if known["digest"].get(case) == one}
    changed = ", ".join(sorted({*found, *known["digest"]} - same))
    if known["recipe"] != number:
        return f"{step} is {number}, and golden.json holds {known['recipe']}: run `{COMMAND} {step}` to store the new digest"
    if changed:
        return (
            f"outputs of {step} changed ({changed}): raise evergreen.recipes.{step} and run `{COMMAND} {step}` to store the "
            "new digest; where only the inputs of the test are others, run it alone"
        )
    return ""


def read() -> dict[str, Any]:
    """Return what is stored."""
    return dict(json.loads(STORED.read_text(encoding="utf-8"))) if STORED.exists() else {}


def store(steps: list[str]) -> None:
    """Store what the steps give now."""
    kept = {step: one for step, one in read().items() if step in STEPS}
    kept |= {step: {"recipe": getattr(recipes, step), "digest": digests(step)} for step in steps}
    STORED.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    store(sys.argv[1:] or list(STEPS))
