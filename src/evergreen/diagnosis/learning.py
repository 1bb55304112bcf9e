"""Learning: rate, capacity and regularisation, and whether more or newer rows would help."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evergreen.diagnosis.fault import (
    HIGH_RATE,
    LOW_RATE,
    OLD_ROWS,
    OVERFIT,
    UNDERFIT,
    Fault,
    Found,
)
from evergreen.diagnosis.lab import Gain, Lab, Trial, subsets
from evergreen.finding import percent

SHARES = (0.1, 0.2, 0.4, 0.7)  # of the rows that are learnt from, and all
PATHS: dict[str, tuple[float, ...]] = {
    "max_depth": (2, 4, 6, 9),
    "min_child_weight": (1.0, 5.0, 30.0),
    "reg_lambda": (1.0, 10.0, 100.0),
}
LESS = {"max_depth": -1, "min_child_weight": 1, "reg_lambda": 1}  # the way to less capacity
EARLY = 50  # rounds: a best round before may be one of few large steps
STEP = 4.0  # what the rate is divided or multiplied by
HIGHEST = 0.5  # rate that is tried
STEPS = 3
RATE = "Is the learning rate right?"


@dataclass(frozen=True)
class Path:
    """The trials of a knob: its values, in order, what each made, and the value that it has."""

    knob: str
    now: float
    values: tuple[float, ...]
    trials: tuple[Trial, ...]


def find_rate(lab: Lab) -> tuple[Found, Lab]:
    """Return whether the learning rate is wrong, and a lab with a better one, where it is.

    Too high: the best round is one of the first, and a smaller rate does better, more so than
    smaller trees would. Too low: the rounds are used up, and a larger rate does better. What else
    is wrong is looked for with the better rate: a model that has not learnt yet looks as one that
    cannot.
    """
    rate, rounds, base = lab.params.learning_rate, lab.params.rounds, lab.base
    said = f"At {rate:g} the best round is {base.rounds} of at most {rounds:,}"
    if base.rounds >= 0.98 * rounds:
        kind, mended = LOW_RATE, _mend_rate(lab, STEP)
    elif base.rounds <= EARLY:
        kind, mended = HIGH_RATE, _mend_rate(lab, 1 / STEP)
    else:
        return Found(answers=((RATE, f"{said}; nothing speaks against it."),)), lab
    gain = lab.gain(mended.base, base)
    if mended is lab or not lab.matters(gain):
        return Found(answers=((RATE, f"{said}, but no other rate does surely better."),)), lab
    if kind == HIGH_RATE and (smaller := _smaller_trees(lab)) and smaller >= gain.value:
        return Found(
            answers=((RATE, f"{said}, but smaller trees do more than a smaller rate."),)
        ), lab
    return Found(faults=(_wrong_rate(kind, lab, mended, gain),)), mended


def _mend_rate(lab: Lab, factor: float) -> Lab:
    """Return the lab with the rate multiplied by a factor, as often as that does better."""
    for _ in range(STEPS):
        rate = min(HIGHEST, lab.params.learning_rate * factor)
        tried = lab.with_params(learning_rate=float(f"{rate:.2g}"))
        if rate == lab.params.learning_rate or tried.base.loss >= lab.base.loss:
            break
        enough = not tried.matters(tried.gain(tried.base, lab.base))
        lab = tried
        if enough:
            break
    return lab


def _smaller_trees(lab: Lab) -> float:
    depths = [int(depth) for depth in PATHS["max_depth"] if depth < lab.params.max_depth]
    return max(
        (lab.gain(lab.with_params(max_depth=depth).base, lab.base).value for depth in depths),
        default=0.0,
    )


def _wrong_rate(kind: str, lab: Lab, mended: Lab, gain: Gain) -> Fault:
    rate, better, base = lab.params.learning_rate, mended.params.learning_rate, lab.base
    how = f"with {better:g} the loss is lower by {told(gain)}"
    if kind == HIGH_RATE:
        says = f"the best round is number {base.rounds} at a rate of {rate:g}{_jumps(base)}; {how}"
        return Fault(
            kind, says, f"set train.learning_rate to {better:g} (now {rate:g})", gain.value
        )
    says = (
        f"all {lab.params.rounds:,} rounds are used up at a rate of {rate:g} and the loss is still "
        f"falling; {how}"
    )
    remedy = (
        f"set train.learning_rate to {better:g} (now {rate:g}), or raise train.rounds "
        f"(now {lab.params.rounds:,})"
    )
    return Fault(kind, says, remedy, gain.value)


def _jumps(trial: Trial) -> str:
    """Return how much the loss rises after the best round, in words."""
    curve = trial.trained[0].history.get("validation", ())
    if len(curve) < 2:
        return ""
    return (
        f", after which the loss of the stopping rows rises from {min(curve):.4g} to "
        f"{curve[-1]:.4g}"
    )


def walk_paths(lab: Lab) -> list[Path]:
    """Return the trials of a few values of each knob, and of its own."""
    found = []
    for knob, some in PATHS.items():
        values = tuple(sorted({*some, getattr(lab.params, knob)}))
        kept = [int(value) if knob == "max_depth" else value for value in values]
        trials = tuple(lab.with_params(**{knob: value}).base for value in kept)
        found.append(Path(knob, getattr(lab.params, knob), tuple(kept), trials))
    return found


def find_capacity(lab: Lab, paths: list[Path]) -> tuple[Found, Lab]:
    """Return whether less capacity does better (overfitting), or more (underfitting).

    Returned with it: a lab with the better value, where there is one.

    That the loss of the rows learnt from is far lower is no fault by itself: trees always know
    their own rows better. A fault is what another value mends.
    """
    base, best = lab.base, None
    for path in paths:
        for value, trial in zip(path.values, path.trials, strict=True):
            gain = lab.gain(trial, base)
            if lab.matters(gain) and (best is None or gain.value > best[0].value):
                best = gain, path.knob, value, trial
    gap = (
        f"skill {percent(1 - base.fitted / lab.constant)} on the rows learnt from, "
        f"{percent(max(0.0, lab.skill(base)))} on those that judge"
    )
    if best is None:
        answer = f"{gap}; no other depth, leaf weight or penalty does surely better."
        return Found(answers=(("Does it over- or underfit?", answer),)), lab
    gain, knob, value, trial = best
    now = getattr(lab.params, knob)
    less = (value - now) * LESS[knob] > 0
    says = (
        f"{gap}; with {knob} {value:g} in place of {now:g} "
        f"the loss is lower by {told(gain)}, "
        f"and the skill on the rows learnt from is {percent(1 - trial.fitted / lab.constant)}"
    )
    remedy = f"set train.{knob} to {value:g} (now {now:g})"
    fault = Fault(OVERFIT if less else UNDERFIT, says, remedy, gain.value)
    return Found(faults=(fault,)), lab.with_params(**{knob: value})


@dataclass(frozen=True)
class Sizes:
    """The trials of more and more rows: how many, and what each made."""

    rows: tuple[int, ...]
    trials: tuple[Trial, ...]


def grow(lab: Lab) -> Sizes:
    """Return the trials of 10, 20, 40, 70 and 100% of the rows, drawn at random."""
    parts = subsets(lab.tables.train, SHARES)
    trials = [lab.on(part) for part in parts]
    rows = (*(len(part) for part in parts), len(lab.tables.train))
    return Sizes(rows, (*trials, lab.base))


def find_hunger(lab: Lab, sizes: Sizes) -> Found:
    """Return whether more rows would help: by the slope of the learning curve at its end.

    It is no fault of a model that more rows would help, so this only answers.
    """
    before, end = sizes.trials[-3], sizes.trials[-1]
    gain, doublings = lab.gain(end, before), float(np.log2(sizes.rows[-1] / sizes.rows[-3]))
    twice = gain.value / doublings
    rows = f"from {sizes.rows[-3]:,} to {sizes.rows[-1]:,} rows the loss fell by {told(gain)}"
    if lab.matters(Gain(twice, gain.error / doublings)):
        answer = (
            f"Yes: {rows}; at that slope twice as many would be worth about {percent(twice)} more. "
            "Raise split.train_batches, or bring more history."
        )
    else:
        answer = f"Hardly: {rows}, which is too little or too unsure to count on. "
        answer += (
            "More would come of other features, or of labels with less noise."
            if lab.skill(lab.base) < 0.9
            else "Nearly all is explained."
        )
    return Found(answers=(("Would more rows help?", answer),))


def find_age(lab: Lab) -> Found:
    """Return whether newer rows are worth more: newest half, older half and all rows compared."""
    question = "Are newer rows worth more?"
    if not lab.in_time:
        return Found(answers=((question, "Not known: rows have no time (time in dataset.py)."),))
    train, half = lab.tables.train, len(lab.tables.train) // 2
    older, newer = (
        lab.on(train.take(places))
        for places in (np.arange(half), np.arange(len(train) - half, len(train)))
    )
    over_all, over_older = lab.gain(newer, lab.base), lab.gain(newer, older)
    beside = f"{half:,} of the newest rows beside as many of the oldest: {told(over_older)}"
    if lab.matters(over_all):
        says = (
            f"the newest half of the rows alone does better than all of them, by {told(over_all)}; "
            f"{beside}"
        )
        remedy = "lower split.train_batches, so that a model learns from newer batches only"
        return Found(faults=(Fault(OLD_ROWS, says, remedy, over_all.value),))
    answer = (
        f"Yes, {beside}: train often, so that the newest are there; all together are still better "
        "than the newest alone, or no worse."
        if lab.matters(over_older)
        else f"No more than others ({beside})."
    )
    return Found(answers=((question, answer),))


def told(gain: Gain) -> str:
    """Return a gain in words: points of the loss of a constant prediction, and how sure."""
    return f"{100 * gain.value:.2g} ± {100 * 2 * gain.error:.1g} points of skill"
