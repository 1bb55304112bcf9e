"""Speed: where the time of the last run went, and what a GPU gains, measured where there is one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evergreen.diagnosis.lab import Lab
from evergreen.finding import Finding
from evergreen.training.learner import find_learner


@dataclass(frozen=True)
class Speed:
    """Seconds of each part of a run: in all, of (name, how many trainings, seconds)."""

    seconds: float
    parts: tuple[tuple[str, int, float], ...] = field(repr=False)
    says: str = ""

    def table(self) -> Finding:
        """Return it as a table."""
        return Finding(
            "speed",
            "seconds of the last run",
            self.seconds,
            self.says,
            "number",
            columns={"part": "text", "models": "count", "seconds": "number"},
            rows=tuple((name, models, round(seconds, 1)) for name, models, seconds in self.parts),
            drawn="seconds",
        )


def find_speed(
    seconds: float, trainings: Mapping[str, Sequence[float]], gpu: tuple[float, float] | None
) -> Speed:
    """Return where the seconds of a run went.

    `trainings`: the seconds of each model, by what it was for; models train side by side, so that
    they may add up to more than the run. `gpu`: the seconds of one training on the CPU and on the
    GPU, if there is one.
    """
    parts = [(name, len(each), float(sum(each))) for name, each in trainings.items() if each]
    parts.append(("the whole run, by the clock", sum(models for _, models, _ in parts), seconds))
    trained = sum(part for *_, part in parts[:-1])
    said = (
        f"The last run took {seconds:.0f} s by the clock; its models took {trained:.0f} s one "
        "after another, and several "
        "may train at once. "
    )
    if gpu is None:
        said += "There is no GPU here that XGBoost can use, so what one would gain is not known."
    else:
        said += (
            f"One model of the rows looked at here took {gpu[0]:.1f} s on a core of the CPU and "
            f"{gpu[1]:.1f} s on the GPU: "
            f"{gpu[0] / max(gpu[1], 1e-9):.1f} times as fast."
        )
    return Speed(seconds, tuple(parts), said)


def time_gpu(lab: Lab) -> tuple[float, float] | None:
    """Return the seconds of one training on a core and on the GPU; None where there is no GPU."""
    from evergreen.training.device import pick_device

    if pick_device("auto") != "cuda":
        return None
    learner = find_learner(lab.params.learner)
    matrix, found = learner.build_matrix(lab.tables, lab.params), []
    for device in ("cpu", "cuda"):
        began = time.perf_counter()
        learner.train(matrix, lab.params, lab.seeds[0], device=device, threads=1)
        found.append(time.perf_counter() - began)
    return found[0], found[1]
