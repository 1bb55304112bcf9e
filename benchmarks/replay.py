"""A year of flights under several retraining policies.

`python -m benchmarks.replay` prints tables and draws docs/replay.png and staleness.png. Twice: what
goes live is trained on all rows (`train.refit: all`, as shipped), or is the model that was judged
(`none`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from evergreen import params
from evergreen.metrics.table import LIBRARY
from evergreen.project import Project
from evergreen.replay.outcome import Options, Replay
from evergreen.replay.replay import replay
from evergreen.report.replay_picture import draw_replay, draw_staleness

ROOT = Path(__file__).resolve().parents[1]
SIDES = {"refit on all rows": "all", "not refit": "none"}


def main() -> None:
    found = {}
    for side, refit in SIDES.items():
        chosen = params.load(ROOT / "params.yaml").override(train={"refit": refit})
        with tempfile.TemporaryDirectory() as folder:
            found[side] = replay(Project(Path(folder), ROOT), chosen, Options())
        print(f"\n{side}")
        tell(found[side])
    draw_replay(found["refit on all rows"], ROOT / "docs" / "replay.png")
    draw_staleness(found, ROOT / "docs" / "staleness.png")


def tell(found: Replay) -> None:
    """Print what each policy gained and did, and what staleness costs.

    And how near to the best calendar retraining on drift comes.
    """
    for row in found.as_table():
        print(f"| {' | '.join(row.values())} |")
    for course in found.outcomes:
        for step in course.steps:
            said = " ".join(step.reason.split())[:150]
            print(
                f"  {course.policy:26} {step.batch}  {step.value:.4f} by {step.champion}  "
                f"{step.action}: {said}"
            )
    for cost in found.costs():
        lost = cost.lost
        print(
            f"  {cost.age} batches old loses {lost.value:+.4f} ({lost.low:+.4f} to "
            f"{lost.high:+.4f}), {cost.batches} times"
        )
    every, (gain, retrainings) = best_calendar(found)
    drift = next(outcome for outcome in found.outcomes if outcome.policy == "on drift")
    print(
        f"  best calendar, without gate: every {every} batches, {gain:+.4f} over never with "
        f"{retrainings} retrainings; on drift {drift.gain.value:+.4f} "
        f"({drift.gain.value / gain:.0%}) with {drift.retrainings}",
        flush=True,
    )


def best_calendar(found: Replay) -> tuple[int, tuple[float, int]]:
    """Return the best interval in batches, its gain over never retraining, and its retrainings."""
    sign = -1.0 if LIBRARY[found.metric].lower_is_better else 1.0
    batches = [name for name in found.batches if name not in found.uncounted]
    value = {(age.champion, age.batch): age.value for age in found.ages}
    rows = {age.batch: age.rows for age in found.ages}
    made, never = {age.champion for age in found.ages}, found.outcomes[0]

    def gain(every: int) -> tuple[float, int]:
        live, trained, met = never.steps[0].champion, 0, []
        for number, name in enumerate(batches, 1):
            met.append(value[live, name])
            if number % every == 0:
                trained, live = trained + 1, name if name in made else live
        mean = float(np.average(met, weights=[rows[name] for name in batches]))
        return sign * (mean - never.mean.value), trained

    gains = {every: gain(every) for every in range(1, len(batches))}
    return max(gains.items(), key=lambda item: item[1])


if __name__ == "__main__":
    main()
