"""What a replay found: every step under every policy, what each gained and cost, and that in words.

How sure a gain over never retraining is: days of each batch are resampled, the same ones for every
policy (a paired bootstrap, batch by batch), and weighted by rows as the means are. That is the
noise of rows, with the models as they were; how far other seeds would have moved them is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

import numpy as np

from evergreen.evaluation.metrics import LOWER_IS_BETTER, Estimate, interval
from evergreen.finding import count

Array = np.ndarray[Any, np.dtype[Any]]
Policy = Literal["never", "every", "schedule", "drift", "ungated"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
NOTHING, WATCH, HELD, STOPPED, REFUSED, PROMOTED = (
    "nothing",
    "watch",
    "held",
    "stopped",
    "refused",
    "promoted",
)
TRAINED = (STOPPED, REFUSED, PROMOTED)
UNGATED = "every batch without gate"  # no way to live: what the gate spares or costs
HINDSIGHT = (
    # Nor this: of each batch the best of all champions made before it, a bound for any calendar
    "best in hindsight"
)


@dataclass(frozen=True)
class Options:
    """What is replayed: batches up to `until`, with so many `seeds`; `every`: batches between scheduled retrainings.

    None: all batches of the source; seeds as in the parameters. `policies`: beside "never", which
    is always there.
    """

    until: str | None = None
    seeds: int | None = None
    every: int = 3
    policies: tuple[Policy, ...] = POLICIES

    def title(self, policy: Policy) -> str:
        """Return what a person calls the policy."""
        return {
            "every": "every batch",
            "schedule": f"every {self.every} batches",
            "drift": "on drift",
            "ungated": UNGATED,
        }.get(policy, policy)


@dataclass(frozen=True)
class Step:
    """One batch under one policy: the metric of the `champion` it met, with its interval, and what was done then.

    `champion`: the batch that judged it when it was promoted. `action`: nothing, watch, held (the
    batch is), or a
    retraining: stopped (by an error), refused, promoted.
    """

    batch: str
    rows: int
    value: float
    low: float
    high: float
    champion: str
    action: str
    reason: str


@dataclass(frozen=True)
class Aged:
    """A champion made at the batch `champion`, beside what `batch`, the `age`-th after it, says of it. `draws`: of the value."""

    champion: str
    batch: str
    age: int
    rows: int
    value: float
    draws: Array = field(repr=False, compare=False)


@dataclass(frozen=True)
class Cost:
    """What it costs that champions are `age` batches old, beside those of the batch before, in `batches` that met both."""

    age: int
    batches: int
    lost: Estimate


@dataclass(frozen=True)
class PolicyOutcome:
    """What became of one policy. `mean`: of the metric over all steps, weighted by rows.

    `gain`: of the mean over that of never retraining, so that more is better. `seconds`: of its
    retrainings, and for the policy that watches for drift, of the watching. `draws`: of the mean,
    shape (resamples,).
    """

    policy: str
    steps: tuple[Step, ...]
    retrainings: int
    promotions: int
    seconds: float
    mean: Estimate
    gain: Estimate
    draws: Array = field(repr=False, compare=False)


@dataclass(frozen=True)
class Replay:
    """A history under every policy. `batches`: those that measured; `held`: of them, those held back when they came.

    `left_out`: bad or empty batches, and why. `uncounted`: held back to the end, and so in no mean.
    `ages`: every champion that was made on every batch after it.
    """

    metric: str
    confidence: float
    batches: tuple[str, ...]
    held: tuple[str, ...]
    uncounted: tuple[str, ...]
    left_out: dict[str, str]
    outcomes: tuple[PolicyOutcome, ...]
    ages: tuple[Aged, ...] = field(default=(), repr=False)

    def costs(self) -> tuple[Cost, ...]:
        """Return by age what is lost against the champion of the batch before, on the same rows and resampled days."""
        sign = 1.0 if self.metric in LOWER_IS_BETTER else -1.0
        counted = [
            one for one in self.ages if one.batch not in self.uncounted and np.isfinite(one.value)
        ]
        fresh = {one.batch: one for one in counted if one.age == 1}
        found = []
        for age in sorted({one.age for one in counted} - {1}):
            pairs = [
                (one, fresh[one.batch]) for one in counted if one.age == age and one.batch in fresh
            ]
            if not pairs:
                continue
            weights = [old.rows for old, _ in pairs]
            value = float(
                np.average([old.value - new.value for old, new in pairs], weights=weights)
            )
            draws = np.average(
                [old.draws - new.draws for old, new in pairs], axis=0, weights=weights
            )
            found.append(
                Cost(
                    age,
                    len(pairs),
                    Estimate(sign * value, *interval(sign * draws, self.confidence)),
                )
            )
        return tuple(found)

    def gain(self, outcome: PolicyOutcome, beside: PolicyOutcome) -> Estimate:
        """Return by how much the mean of `outcome` is better than that of `beside`, on the same resampled days."""
        sign = -1.0 if self.metric in LOWER_IS_BETTER else 1.0
        low, high = interval(sign * (outcome.draws - beside.draws), self.confidence)
        return Estimate(sign * (outcome.mean.value - beside.mean.value), low, high)

    @property
    def finding(self) -> str:
        """What a manager must know, in a sentence made of the numbers."""
        never, *others = (one for one in self.outcomes if one.policy not in (UNGATED, HINDSIGHT))
        told = [self._judge(never, others)]
        told += [
            f"had the gate let each pass: {self._told(one)}"
            for one in self.outcomes
            if one.policy == UNGATED
        ]
        told += [
            f"{HINDSIGHT}: by {_signed(one.gain)}"
            for one in self.outcomes
            if one.policy == HINDSIGHT
        ]
        return "\n".join(told)

    def _judge(self, never: PolicyOutcome, others: Sequence[PolicyOutcome]) -> str:
        if not others:
            return f"Never retraining: {self.metric} {never.mean.value:.4f} over {len(self.batches)} batches"
        if not any(one.promotions for one in others):
            tried = max(one.retrainings for one in others)
            return f"No policy gains: the gate lets none of {count(tried, 'challenger')} pass in {len(self.batches)} batches"
        sure = [one for one in others if one.gain.low > 0]
        best = max(sure or others, key=lambda one: one.gain.value)
        if not sure:
            return f"No policy beats never retraining beyond the noise; the nearest, {best.policy}: {self._told(best)}"
        as_good = [one for one in sure if self.gain(best, one).low <= 0]
        lead = min(as_good, key=lambda one: (one.retrainings, -one.gain.value))
        lines = [f"Retraining {lead.policy} pays: {self._told(lead)}"]
        if lead is not best:
            lines.append(f"{best.policy} gains no more beyond the noise: {self._told(best)}")
        lines += [
            f"{one.policy} gains surely less: {self._told(one)}"
            for one in sure
            if one not in as_good
        ]
        if unsure := [one.policy for one in others if one not in sure]:
            lines.append(f"not surely better than never retraining: {', '.join(unsure)}")
        return "\n".join(lines)

    def _told(self, outcome: PolicyOutcome) -> str:
        times = "retraining" if outcome.retrainings == 1 else "retrainings"
        return f"{self.metric} better than never by {_signed(outcome.gain)}, {outcome.retrainings} {times}"

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it, with the finding."""
        outcomes = [
            {key: _plain(value) for key, value in asdict(one).items() if key != "draws"}
            for one in self.outcomes
        ]
        ages = [
            {"champion": one.champion, "batch": one.batch, "age": one.age, "value": one.value}
            for one in self.ages
        ]
        plain = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name not in ("outcomes", "ages")
        }
        costs = [asdict(one) for one in self.costs()]
        return plain | {
            "courses": outcomes,
            "ages": _plain(ages),
            "costs": _plain(costs),
            "finding": self.finding,
        }

    def as_table(self) -> list[dict[str, str]]:
        """Return a row per policy, for printing."""
        return [
            {
                "policy": one.policy,
                f"mean {self.metric}": f"{one.mean.value:.4f} ({one.mean.low:.4f} to {one.mean.high:.4f})",
                "better than never by": "" if one is self.outcomes[0] else _signed(one.gain),
                "retrainings": "" if one.policy == HINDSIGHT else str(one.retrainings),
                "promotions": "" if one.policy == HINDSIGHT else str(one.promotions),
                "seconds": "" if one.policy == HINDSIGHT else f"{one.seconds:.0f}",
            }
            for one in self.outcomes
        ]


def _signed(one: Estimate) -> str:
    return f"{one.value:+.4f} ({one.low:+.4f} to {one.high:+.4f})"


def _plain(value: Any) -> Any:
    """Return numbers that are not finite as None, which JSON can hold."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
