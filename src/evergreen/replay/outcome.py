"""What a replay found: each policy's steps, gain and cost, and a summary in words.

How sure a gain over never retraining is: days of each batch are resampled, the same ones for every
policy (a paired bootstrap, batch by batch), and weighted by rows as the means are. The interval
covers the noise of rows, with the models as they were, not that of other seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

import numpy as np

from evergreen.evaluation.intervals import Estimate, interval
from evergreen.finding import count
from evergreen.metrics.metric import Metrics
from evergreen.metrics.table import LIBRARY

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
UNJUDGED = "not trained: no later batch could judge it"  # after the last batch
UNGATED = "every batch without gate"  # not to be used: it shows what the gate saves or costs
HINDSIGHT = (
    # Nor this: for each batch the best of all champions made before it, a bound for any schedule
    "best in hindsight"
)


@dataclass(frozen=True)
class Options:
    """What is replayed: batches up to `until`, with so many `seeds`.

    None: all batches of the source; seeds as in the parameters. `every`: batches between scheduled
    retrainings. `policies`: beside "never", which is always there.
    """

    until: str | None = None
    seeds: int | None = None
    every: int = 3
    policies: tuple[Policy, ...] = POLICIES

    def title(self, policy: Policy) -> str:
        """Return the name of the policy for people."""
        return {
            "every": "every batch",
            "schedule": f"every {self.every} batches",
            "drift": "on drift",
            "ungated": UNGATED,
        }.get(policy, policy)


@dataclass(frozen=True)
class Step:
    """One batch under one policy: the metric with its interval, and what was done then.

    `champion`: the live one, by the batch that judged it when it was promoted. `action`: nothing,
    watch, held (the batch is), or a retraining: stopped (by an error), refused, promoted.
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
    """How the champion made at the batch `champion` does on `batch`, the `age`-th after it.

    `draws`: of the value, shape (resamples,).
    """

    champion: str
    batch: str
    age: int
    rows: int
    value: float
    draws: Array = field(repr=False, compare=False)


@dataclass(frozen=True)
class Cost:
    """What it costs that champions are `age` batches old, beside those of the batch before.

    `batches`: how many met both.
    """

    age: int
    batches: int
    lost: Estimate


@dataclass(frozen=True)
class PolicyOutcome:
    """The outcome of one policy. `mean`: of the metric over all steps, weighted by rows.

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
    """A history under every policy.

    `batches`: those that measured; `held`: of them, those held back when they came.
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
    metrics: Metrics = field(default=LIBRARY, repr=False, compare=False)

    def costs(self) -> tuple[Cost, ...]:
        """Return by age what is lost against the champion of the batch before.

        Both predict the same rows, and meet the same resampled days.
        """
        sign = -self.metrics[self.metric].sign
        counted = [
            aged
            for aged in self.ages
            if aged.batch not in self.uncounted and np.isfinite(aged.value)
        ]
        fresh = {aged.batch: aged for aged in counted if aged.age == 1}
        found = []
        for age in sorted({aged.age for aged in counted} - {1}):
            pairs = [
                (aged, fresh[aged.batch])
                for aged in counted
                if aged.age == age and aged.batch in fresh
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
        """Return how much better the mean of `outcome` is than that of `beside`."""
        sign = self.metrics[self.metric].sign
        low, high = interval(sign * (outcome.draws - beside.draws), self.confidence)
        return Estimate(sign * (outcome.mean.value - beside.mean.value), low, high)

    @property
    def finding(self) -> str:
        """The result in a few sentences, made of the numbers."""
        never, *others = (
            outcome for outcome in self.outcomes if outcome.policy not in (UNGATED, HINDSIGHT)
        )
        lines = [self._conclude(never, others)]
        lines += [
            f"without the gate: {self._describe(outcome)}"
            for outcome in self.outcomes
            if outcome.policy == UNGATED
        ]
        lines += [
            f"{HINDSIGHT}: by {_signed(outcome.gain)}"
            for outcome in self.outcomes
            if outcome.policy == HINDSIGHT
        ]
        return "\n".join(lines)

    def _conclude(self, never: PolicyOutcome, others: Sequence[PolicyOutcome]) -> str:
        if not others:
            value = f"{self.metric} {never.mean.value:.4f}"
            return f"Never retraining: {value} over {len(self.batches)} batches"
        if not any(outcome.promotions for outcome in others):
            tried = max(outcome.retrainings for outcome in others)
            challengers = count(tried, "challenger")
            return (
                f"No policy gains: the gate promoted none of {challengers} in "
                f"{len(self.batches)} batches"
            )
        sure = [outcome for outcome in others if outcome.gain.low > 0]
        best = max(sure or others, key=lambda outcome: outcome.gain.value)
        if not sure:
            return (
                "No policy beats never retraining beyond the noise; the nearest, "
                f"{best.policy}: {self._describe(best)}"
            )
        as_good = [outcome for outcome in sure if self.gain(best, outcome).low <= 0]
        lead = min(as_good, key=lambda outcome: (outcome.retrainings, -outcome.gain.value))
        lines = [f"Retraining {lead.policy} pays: {self._describe(lead)}"]
        if lead is not best:
            lines.append(f"{best.policy} gains no more beyond the noise: {self._describe(best)}")
        lines += [
            f"{outcome.policy} surely gains less: {self._describe(outcome)}"
            for outcome in sure
            if outcome not in as_good
        ]
        if unsure := [outcome.policy for outcome in others if outcome not in sure]:
            lines.append(f"not surely better than never retraining: {', '.join(unsure)}")
        return "\n".join(lines)

    def _describe(self, outcome: PolicyOutcome) -> str:
        times = "retraining" if outcome.retrainings == 1 else "retrainings"
        gain = f"{self.metric} better than never by {_signed(outcome.gain)}"
        return f"{gain}, {outcome.retrainings} {times}"

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it, with the finding."""
        outcomes = [
            {key: _plain(value) for key, value in asdict(outcome).items() if key != "draws"}
            for outcome in self.outcomes
        ]
        ages = [
            {"champion": aged.champion, "batch": aged.batch, "age": aged.age, "value": aged.value}
            for aged in self.ages
        ]
        plain = {
            part.name: getattr(self, part.name)
            for part in fields(self)
            if part.name not in ("outcomes", "ages", "metrics")
        }
        costs = [asdict(cost) for cost in self.costs()]
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
                "policy": outcome.policy,
                f"mean {self.metric}": _plain_estimate(outcome.mean),
                "better than never by": ""
                if outcome is self.outcomes[0]
                else _signed(outcome.gain),
                "retrainings": "" if outcome.policy == HINDSIGHT else str(outcome.retrainings),
                "promotions": "" if outcome.policy == HINDSIGHT else str(outcome.promotions),
                "seconds": "" if outcome.policy == HINDSIGHT else f"{outcome.seconds:.0f}",
            }
            for outcome in self.outcomes
        ]


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f})"


def _plain_estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


def _plain(value: Any) -> Any:
    """Return numbers that are not finite as None, which JSON can hold."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
