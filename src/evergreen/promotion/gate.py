"""Decide: shall the challenger replace the champion? Every rule is shown, met or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from evergreen.decision import ASK, PROMOTE, REFUSE, Decision, Rule
from evergreen.extensions import Extensions
from evergreen.finding import count
from evergreen.metrics.metric import Metric, Metrics
from evergreen.params import Gate
from evergreen.promotion.compare import Comparison
from evergreen.promotion.evidence import Evidence, Refit
from evergreen.promotion.guardrails import (
    check_calibration,
    check_datasheet,
    check_groups,
    check_slices,
    tell,
    unit_of,
)
from evergreen.promotion.own_rules import ask_own

LEAST_SEEDS = 2  # fewer say nothing about luck
NONE = Extensions()


def decide(
    evidence: Evidence,
    gate: Gate,
    own: Extensions = NONE,
    metrics: Metrics | None = None,
    unanswered: tuple[str, ...] = (),
) -> Decision:
    """Return whether to promote the challenger: `promote`, `refuse`, or `ask` a person.

    It is promoted only where every rule is met. A person is asked where `approval` is manual, where
    there is a question that data cannot answer, and where dataset.py was changed so that the
    champion cannot be compared. `own`: metrics and rules that the project adds. `metrics`: with the
    one that judges `train.loss`; None means those there are without one. `unanswered`: questions of
    datasheet.yaml, which count where `gate.datasheet` requires answers.
    """
    rules = [*_rules(evidence, gate, metrics or own.all_metrics)]
    required = gate.datasheet == "required"
    rules += [check_datasheet(unanswered)] if required else []
    rules += ask_own(own.rules, evidence, gate, {rule.name for rule in rules})
    broken = [rule.says for rule in rules if not rule.met]
    plain = {
        "rules": [asdict(rule) for rule in rules],
        **asdict(evidence),
        "gate": gate.model_dump(),
        **({"unanswered": list(unanswered)} if required else {}),
    }
    if broken:
        not_compared = [
            f"nothing was compared with the champion: {why}" for why in evidence.changed
        ]
        return Decision(REFUSE, (*broken, *not_compared), plain)
    lead = next(rule.says for rule in rules if rule.name == "better")
    off = (rule.says for rule in rules if rule.says.startswith("SWITCHED OFF"))
    simplest = (evidence.simplest,) if evidence.simplest else ()
    asks = gate.approval == "manual" or evidence.changed or evidence.questions
    why = (lead, *evidence.questions, *simplest, *off, *evidence.notes)
    return Decision(ASK if asks else PROMOTE, why, plain)


def approved(decision: Decision, reason: str, *, override: bool = False) -> Decision:
    """Return a person's decision, where it was left to them or (`override`) against the gate."""
    how = "AGAINST THE GATE by a person" if override else "approved by a person"
    said = f"{how}: {reason or 'no reason given'}"
    return Decision(PROMOTE, (said, *decision.reasons), decision.evidence)


def _rules(evidence: Evidence, gate: Gate, metrics: Metrics) -> Iterator[Rule]:
    for fault in evidence.faults:
        yield Rule("comparable", met=False, says=fault)
    yield _seeds(evidence)
    if evidence.simplest:
        yield Rule("simplest", met=True, says=evidence.simplest)
    yield from _baselines(evidence, gate)
    if evidence.comparison.models:
        yield _no_worse(evidence.comparison, gate, metrics)
        yield from _other_metrics(evidence.comparison, gate, metrics)
    if gate.max_age_days is None:
        yield Rule(
            "age", met=True, says="SWITCHED OFF (gate.max_age_days): no champion is too old to stay"
        )
    yield _better(evidence, gate, metrics[evidence.comparison.metric])
    yield check_slices(evidence.comparison, gate, metrics[evidence.comparison.metric])
    yield check_calibration(evidence, gate)
    yield check_groups(evidence, gate)
    if evidence.refit:
        yield from _refit(evidence.refit, metrics[evidence.comparison.metric], gate)
    if evidence.reload is not None:
        says = "the model loaded from the registry in a fresh process predicts "
        same = evidence.reload == 0
        says += "the same, bit for bit" if same else f"otherwise, by up to {evidence.reload:.3g}"
        yield Rule("reload", met=same, says=says)
    for note in evidence.notes:
        yield Rule("switched off", met=True, says=note)


def _seeds(evidence: Evidence) -> Rule:
    by_seed = evidence.comparison.by_seed
    counts = {
        name: len(values) for name, values in by_seed.items() if name not in evidence.seedless
    }
    few = [f"the {name} has {number}" for name, number in counts.items() if number < LEAST_SEEDS]
    missing = evidence.seeds_expected - counts["challenger"] if "challenger" in counts else 0
    if few:
        says = (
            f"{' and '.join(few)} trained seed(s): nobody can tell luck from progress; raise "
            "sweep.seeds"
        )
    elif missing:
        says = f"{missing} of {evidence.seeds_expected} seeds failed: run again to train them"
    else:
        told = {name: count(number, "seed") for name, number in counts.items()}
        told |= dict.fromkeys(evidence.seedless, "no luck in its training")
        says = ", ".join(f"{name}: {what}" for name, what in told.items())
    return Rule("seeds", met=not few and not missing, says=says)


def _baselines(evidence: Evidence, gate: Gate) -> Iterator[Rule]:
    """Yield a rule per baseline: beaten surely by a first model, probably beside a champion.

    Were it surely there too, a champion worse than the baseline would stay wherever no challenger
    is sure of it. A refresh of trees need not even do that beside the linear model: refused, the
    same trees would stay, of older data.
    """
    found = evidence.comparison
    word = "probably" if found.whole else "surely"
    for name, lead in found.baselines.items():
        if evidence.refresh and found.whole and name == "linear":
            how = "not surely worse" if lead.high >= 0 else "surely worse"
            says = f"a refresh is {how} than the {name} baseline: {tell(found.metric, lead)}"
            yield Rule(f"baseline {name}", met=lead.high >= 0, says=says)
            continue
        likely = bool(found.whole) and lead.value > 0 and lead.probability >= gate.min_probability
        met = lead.low > 0 or likely
        how = f"{word} better" if met else f"not {word} better"
        if name == "constant" and not met and not found.whole:
            how = f"nothing can be learnt from these columns so far: {how}"
        yield Rule(
            f"baseline {name}",
            met=met,
            says=f"{how} than the {name} baseline: {tell(found.metric, lead)}",
        )


def _no_worse(found: Comparison, gate: Gate, metrics: Metrics) -> Rule:
    assert found.models
    bound = gate.margin * unit_of(metrics[found.metric], found.models)
    says = (
        f"the packaged model against the champion's: {tell(found.metric, found.models)}; margin "
        f"{bound:.4g}"
    )
    return Rule("no worse", met=found.models.value >= -bound, says=says)


def _other_metrics(found: Comparison, gate: Gate, metrics: Metrics) -> Iterator[Rule]:
    for name, lead in found.whole.items():
        if name != found.metric and metrics[name].guards:
            bound = gate.margin * unit_of(metrics[name], lead)
            met = lead.high >= -bound
            says = (
                f"{tell(name, lead)}; "
                + ("not surely worse" if met else "surely worse")
                + f" than by {bound:.4g}"
            )
            yield Rule(f"no worse in {name}", met=met, says=says)
    shown = [name for name in found.whole if name != found.metric and not metrics[name].guards]
    if shown:
        says = f"{', '.join(shown)}: shown only, as train.loss does not aim at them"
        yield Rule("other metrics", met=True, says=says)


def _refit(refit: Refit, metric: Metric, gate: Gate) -> Iterator[Rule]:
    """Yield the rules for the refit model: on known rows not surely worse than the judged one.

    And what it alone has learnt, the newest batch, does no harm: rows that it knows cannot tell
    that.
    """
    if refit.same:
        says = "what would go live is the champion itself, bit for bit: there is no new data"
        yield Rule("refit, new", met=False, says=says)
    for where, lead, slack in (
        ("earlier rows", refit.earlier, refit.slack),
        ("the holdout", refit.holdout, 0.0),
    ):
        if lead is None:
            continue
        bound = gate.margin * unit_of(metric, lead) + slack
        met = lead.high >= -bound
        says = (
            f"refit on {refit.rows:,} rows until {refit.until}, {refit.rounds} rounds; compared "
            f"with the judged model on {where}, bound {bound:.4g}: {tell(metric.name, lead)}"
        )
        yield Rule(f"refit, {where}", met=met, says=says)
    if (lead := refit.influence) is not None:
        bound = gate.margin * unit_of(metric, lead)
        met = lead.value >= -bound or lead.high >= 0
        how = "does no harm" if met else f"does harm, by more than {bound:.4g} and beyond the noise"
        says = (
            f"learning from the newest batch {how}, on the rows before it: "
            f"{tell(metric.name, lead)}"
        )
        yield Rule("refit, newest batch", met=met, says=says)


def _better(evidence: Evidence, gate: Gate, metric: Metric) -> Rule:
    found = evidence.comparison
    lead = found.whole.get(found.metric)
    if evidence.changed:
        why = "; ".join(evidence.changed)
        says = (
            f"not compared with the champion, version {evidence.champion}: {why}; a person has to "
            "decide (`evergreen promote --approve`)"
        )
        return Rule("better", met=not evidence.faults, says=says)
    if not lead and evidence.champion:
        return Rule(
            "better",
            met=False,
            says=f"no {found.metric} to compare with the champion, version {evidence.champion}",
        )
    if not lead and not found.baselines:
        none = (
            "nothing was compared"
            if evidence.faults
            else "there is neither a champion nor a baseline to compare with"
        )
        return Rule("better", met=False, says=none)
    if not lead:
        return Rule(
            "better",
            met=True,
            says="there is no champion that works: the first that passes becomes it",
        )
    if evidence.refresh and found.models:
        # Trained alike by the same seeds: their luck is on both sides
        lead = found.models
        margin, told = gate.refresh_margin * unit_of(metric, lead), tell(found.metric, lead)
        met = (lead.value if evidence.cross_validated else lead.low) >= -margin
        sure = "" if evidence.cross_validated else "surely "
        says = "a refresh (trained as the champion was, on newer data) "
        says += (
            f"is {sure}no worse than by {margin:.4g}"
            if met
            else f"may be worse by more than {margin:.4g}"
        )
        return Rule("better", met=met, says=f"{says}: {told}")
    bound, told = gate.min_gain * unit_of(metric, lead), tell(found.metric, lead)
    if lead.value >= bound and lead.low > 0 and lead.probability >= gate.min_probability:
        return Rule("better", met=True, says=f"better beyond the noise: {told}")
    age = evidence.champion_age_days
    if gate.max_age_days is not None and age is not None and age > gate.max_age_days:
        margin = gate.margin * unit_of(metric, lead)
        says = (
            f"the champion's newest row is {age:.0f} days older (at most {gate.max_age_days:g}), "
        )
        if lead.low >= -margin:
            return Rule("better", met=True, says=f"{says}and the challenger is no worse: {told}")
        return Rule(
            "better",
            met=False,
            says=f"{says}but the challenger may be worse by over {margin:.4g}: {told}",
        )
    why = (
        f"less than {bound:.4g}, the smallest that matters" if lead.value < bound
        else "within the noise" if lead.low <= 0
        else f"less sure than {gate.min_probability:g}"
    )  # fmt: skip
    return Rule("better", met=False, says=f"not better enough, {why}: {told}")
