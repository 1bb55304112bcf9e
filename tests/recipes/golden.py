"""Compare each step's output with that of when its recipe was numbered, or store the new outputs.

    python tests/recipes/golden.py [STEP ...]

stores what the steps give now (all, where none is named) in `golden/STEP.json.xz`, once their
numbers in `evergreen.recipes` are raised. What is told of a case that changed says where to look.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from recipes import hold, ingest, judge, prepare, train, validate, watch
from recipes.plain import differences
from threadpoolctl import threadpool_limits

from evergreen import recipes
from evergreen.evaluation import intervals
from evergreen.ingest import folder

STORED = Path(__file__).with_name("golden")
COMMAND = "python tests/recipes/golden.py"
STEPS: dict[str, dict[str, Callable[[], Any]]] = {
    "INGEST": ingest.CASES, "VALIDATE": validate.CASES, "PREPARE": prepare.CASES,
    "HOLD": hold.CASES, "TRAIN": train.CASES, "JUDGE": judge.CASES, "WATCH": watch.CASES,
}  # fmt: skip


def outputs(step: str, *cases: str) -> dict[str, Any]:
    """Return what each case of a step (or some) gives now, as JSON holds it."""
    # The gates of a step resample their rows alike
    drawn = lru_cache(maxsize=32)(intervals._draw_weights)
    with (
        threadpool_limits(1),
        mock.patch.object(folder, "SETTLED", 0.0),
        mock.patch.object(intervals, "_draw_weights", drawn),
    ):
        found = {case: STEPS[step][case]() for case in cases or STEPS[step]}
    return dict(json.loads(json.dumps(found)))


def fault(step: str, stored: dict[str, Any] | None, found: dict[str, Any]) -> str:
    """Return what is wrong with a step, beside what is stored of it; empty where nothing is."""
    number, known = getattr(recipes, step), stored or {"recipe": None, "outputs": {}}
    if known["recipe"] != number:
        return (
            f"{step} is {number}, and what is stored is of {known['recipe']}: run "
            f"`{COMMAND} {step}` to store the new outputs"
        )
    before = known["outputs"]
    told = {
        case: next(differences(before.get(case), found.get(case)), "")
        for case in sorted({*found, *before})
    }
    changed = {case: where for case, where in told.items() if where}
    if not changed:
        return ""
    return (
        f"outputs of {step} changed ({', '.join(changed)}): raise evergreen.recipes.{step} and run "
        f"`{COMMAND} {step}` to store the new ones; where only the inputs of the test are others, "
        f"run it alone. What changed first: {changed}"
    )


def read(step: str) -> dict[str, Any] | None:
    """Return what is stored of a step."""
    path = STORED / f"{step}.json.xz"
    return dict(json.loads(lzma.decompress(path.read_bytes()))) if path.exists() else None


def store(steps: list[str]) -> None:
    """Store what the steps give now."""
    STORED.mkdir(exist_ok=True)
    for step in steps:
        known = {"recipe": getattr(recipes, step), "outputs": outputs(step)}
        text = json.dumps(known, separators=(",", ":"), sort_keys=True)
        (STORED / f"{step}.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    store(sys.argv[1:] or list(STEPS))
