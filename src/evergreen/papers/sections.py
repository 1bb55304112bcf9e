"""Sections of a model card that are about the model: what it is, how good, beside what."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from evergreen.decision import ASK, PROMOTE, REFUSE
from evergreen.evaluation.intervals import Estimate
from evergreen.features.definition import Definition
from evergreen.features.split import Split
from evergreen.finding import count, percent, span
from evergreen.papers.card import Card, Section, Table
from evergreen.papers.data_sections import checks, data, drift_bounds, limits
from evergreen.papers.datasheet import QUESTIONS, Datasheet
from evergreen.papers.performance import measure_calibration, measure_groups, measure_slices
from evergreen.papers.registration import Registration
from evergreen.promotion.compare import Difference

VERDICTS = {
    PROMOTE: ("goes live", "good"),
    REFUSE: ("refused", "bad"),
    ASK: ("waits for a person", ""),
}
Told = tuple[str, str, str, str]  # of a decision: when, which version, what, why
ROLES = {"rounds": "to find the rounds", "judged": "to be judged", "live": "to go live"}


def readable(expression: str) -> str:
    """Return an expression as polars prints it, without its marks of columns and constants.

    `[(col("delay")) > (dyn int: 15)]` is `delay > 15`.
    """
    plain = re.sub(r"dyn (?:int|float): ", "", re.sub(r'col\("([^"]*)"\)', r"\1", expression))
    plain = re.sub(r"\(([\w.]+)\)", r"\1", plain)
    return plain[1:-1] if plain.startswith("[") and plain.endswith("]") else plain


def make_card(made: Registration) -> Card:
    """Return the card of a registered model."""
    found = made.evaluation.estimates[made.judged_as]
    verdict, kind = VERDICTS.get(made.decision.action, (made.decision.action, ""))
    lead = found.get(made.metric)
    figures = [
        (made.metric, number(lead.value), f"{number(lead.low)} to {number(lead.high)}")
        if lead
        else (made.metric, "–", "not measured"),
        ("rows that judged", f"{made.evaluation.rows:,}", span(_judged_by(made))),
        ("calibration error", number(made.evidence.calibration[1]), "0 is perfect"),
        ("models in it", str(len(made.model.seeds)), made.model.learner),
        ("features", str(len(made.model.encoder.features)), made.model.encoder.task),
    ]
    return Card(
        made.name,
        made.version,
        verdict,
        kind,
        tuple(figures),
        (
            model(made),
            intended_use(made.datasheet),
            decision(made),
            comparison(made),
            seeds_and_intervals(made),
            slices(made),
            calibration(made),
            fairness(made),
            data(made),
            checks(made),
            limits(made),
            drift_bounds(made),
            cost(made),
            history((*made.history, _present(made))),
        ),
    )


def model(made: Registration) -> Section:
    """Return what the model is, and what it was made of."""
    model, label = made.model, Definition.of(made.dataset, made.params.task).label
    seeds = span([str(seed) for seed in model.seeds])
    dirty = made.facts.get("evergreen.git.dirty", "")
    commit = made.facts.get("mlflow.source.git.commit", "")
    libraries = {
        name.removeprefix("library."): value
        for name, value in sorted(made.facts.items())
        if name.startswith("library.")
    }
    rows = [
        ("predicts", f"{readable(label.says) if label else 'the label'} ({model.encoder.task})"),
        ("classes", ", ".join(model.encoder.classes)),
        ("learner", f"{model.learner}, loss {made.params.train.loss_for(made.params.task)}"),
        ("models in it", f"{len(model.seeds)}, of seed {seeds}"
            + ("; it predicts their mean" if len(model.seeds) > 1 else "")),
        ("boosting rounds", str(model.rounds)),
        ("features", ", ".join(model.encoder.features)),
        ("has learnt from", f"{count(len(model.learnt.keys), 'row')} up to {model.learnt.newest}"),
        ("trained again on what judged it", "yes" if model.refit else "no"),
        ("code", f"commit {commit}" + (" with changes not committed" if dirty == "true" else "")
         if commit else made.facts.get("evergreen.git.no_commit") or "in no repository"),
        ("run in MLflow", made.run_id),
        ("why it was trained", made.facts.get("evergreen.reason", "")),
        ("libraries", ", ".join(f"{name} {number}" for name, number in libraries.items())),
    ]  # fmt: skip
    says = (
        (
            "It predicts for one row at a time, from "
            f"{count(len(model.encoder.features), 'feature')}, each known at prediction time."
        ),
        (
            "It holds no pickle: an encoder as JSON, and models as their learner writes them. All "
            "parameters are in code/params.yaml of the run, data in code/dvc.lock."
        ),
    )
    return Section("model", says, (Table(("what", "value"), _known(rows)),))


def intended_use(datasheet: Datasheet) -> Section:
    """Return what a model is for: what code shows, and what people have answered."""
    says = [
        "It was judged for rows of the data set that dataset.py declares, and for nothing else.",
        (
            "It says what is likely, not what causes it: it was not made to tell what would happen "
            "if a feature were changed."
        ),
    ]
    asked = ("intended_use", "other_uses", "known_faults", "privacy", "licence")
    rows = [(QUESTIONS[name], datasheet.get(name) or "not answered yet") for name in asked]
    if unknown := [name for name in asked if not datasheet.get(name)]:
        says.append(f"datasheet.yaml does not answer yet: {', '.join(unknown)}.")
    return Section("intended use", tuple(says), (Table(("asked", "answer"), tuple(rows)),))


def decision(made: Registration) -> Section:
    """Return what the gate said."""
    said = made.decision
    rows = tuple(
        (str(rule["name"]), "met" if rule["met"] else "BROKEN", str(rule["says"]))
        for rule in said.rules
    )
    says = (f"The gate says: {said.action}.", *said.reasons)
    return Section("decision", says, (Table(("rule", "", "what it saw"), rows),))


def comparison(made: Registration) -> Section:
    """Return the model beside the champion and the baselines."""
    found, rows = made.evidence.comparison, []
    says = [f"On {count(found.rows, 'row')}; {found.metric} decides. More is better in each lead."]
    if made.evidence.champion is None:
        says.append("There was no champion to compare with.")
    elif not found.whole:
        says.append(f"It was not compared with the champion, version {made.evidence.champion}.")
    else:
        says.append(f"The champion was version {made.evidence.champion}.")
    rows += [_lead(f"champion, {name}", lead) for name, lead in found.whole.items()]
    rows += [_lead(f"{name}, {found.metric}", lead) for name, lead in found.baselines.items()]
    head = ("beside", "its value", "this model's", "better by", "probability")
    return Section("comparison", tuple(says), (Table(head, tuple(rows)),))


def seeds_and_intervals(made: Registration) -> Section:
    """Return each metric with its interval, beside the baselines, and its spread over seeds."""
    found, params = made.evaluation, made.params.evaluate
    models = sorted(found.estimates, key=lambda name: name != made.judged_as)
    says = (
        f"Intervals of {params.confidence:.0%} from {params.resamples:,} resamples of "
        f"{count(found.rows, 'row')}. {_called(made.judged_as)} is what was registered, as it was "
        "before it was trained again on these rows." if made.model.refit else
        f"Intervals of {params.confidence:.0%} from {params.resamples:,} resamples of "
        f"{count(found.rows, 'row')}. {_called(made.judged_as)} is what was registered.",
        (f"Seeds {span([str(seed) for seed in made.params.sweep.seed_list()])} were trained; "
         f"{', '.join(map(str, made.failed)) or 'none'} failed."),
    )  # fmt: skip
    rows = tuple(
        (name, *(between(found.estimates[model][name]) for model in models))
        for name in found.estimates[made.judged_as]
    )
    spread = tuple(
        (name, number(over.mean), number(over.deviation),
         f"{number(over.low)} to {number(over.high)}", str(len(over.values)))
        for name, over in found.spread.items()
    )  # fmt: skip
    tables = (
        Table(("metric", *map(_called, models)), rows),
        Table(
            ("of one seed's trees", "mean", "deviation", "interval of the mean", "seeds"), spread
        ),
    )
    return Section("seeds and intervals", says, tables)


def slices(made: Registration) -> Section:
    """Return the metric that decides in each slice."""
    metric = made.params.metrics[made.metric]
    found = measure_slices(
        made.rows,
        made.evaluation.task,
        made.evaluation.y,
        made.predictions,
        metric,
        made.params.evaluate.confidence,
    )
    if not found:
        return Section("slices", ("dataset.py names no slices: nothing is known of parts.",))
    known = {part.name: part.estimate.value for part in found if part.estimate}
    says = ["Each interval is of one slice by itself; of many, one in twenty misses by chance."]
    if known:
        worst = (max if metric.lower_is_better else min)(known, key=known.__getitem__)
        says.append(f"Least good: {worst}, {made.metric} {number(known[worst])}.")
    if few := len(found) - len(known):
        says.append(f"{count(few, 'slice')} with too few rows to judge by.")
    rows = tuple(
        (part.name, f"{part.rows:,}", between(part.estimate) if part.estimate else "–")
        for part in found
    )
    return Section("slices", tuple(says), (Table(("slice", "rows", made.metric), rows),))


def calibration(made: Registration) -> Section:
    """Return how far predictions are from what happened."""
    task, (before, error) = made.evaluation.task, made.evidence.calibration
    what = {
        "binary": "the chance that is predicted, and the share of rows where it happened",
        "multiclass": "the chance of the class that is named, and how often it was that class",
    }.get(task, "the number that is predicted, and the label's mean")
    says = [f"Mean calibration error {number(error)}, 0 being perfect"
            + (f"; the champion's was {number(before)}." if before is not None else "."),
            f"From the lowest predictions to the highest: {what}."]  # fmt: skip
    rows = tuple(
        (number(part.said), number(part.happened), f"{part.rows:,}")
        for part in measure_calibration(task, made.evaluation.y, made.predictions)
    )
    return Section("calibration", tuple(says), (Table(("said", "happened", "rows"), rows),))


def fairness(made: Registration) -> Section:
    """Return how differently the groups are treated."""
    gaps, gate = made.evidence.groups, made.params.gate
    if not made.dataset.groups:
        return Section("fairness", (
            ("dataset.py names no groups, so differences between groups of people were not looked "
            "at: where rows are of people, name some (groups)."),
        ))  # fmt: skip
    found = measure_groups(made.rows, made.evaluation.task, made.evaluation.y, made.predictions)
    bound = (
        "no bound is set" if gate.max_group_difference is None
        else f"at most {gate.max_group_difference:g} is let through"
    )  # fmt: skip
    says = [
        f"Largest difference by {name}: {gap.value:.3f}, surely {gap.low:.3f}; {bound}."
        for name, gap in gaps.items()
    ]
    rows = tuple(
        (part.name, f"{part.rows:,}", number(part.happened), number(part.said)) for part in found
    )
    says = says or ["No two groups had enough rows to be compared."]
    head = ("group", "rows", "happened", "said")
    return Section("fairness", tuple(says), (Table(head, rows),))


def cost(made: Registration) -> Section:
    """Return what the training took."""
    times = {role: times for role, times in made.seconds.items() if times}
    rows = tuple(
        (ROLES.get(role, role), str(len(times[role])), f"{sum(times[role]):.1f} s")
        for role in sorted(times, key=[*ROLES, *times].index)
    )
    whole = sum(map(sum, times.values()))
    says = (
        (
            f"{whole:.1f} seconds of training on {made.facts.get('evergreen.device', 'cpu')}, "
            f"added up over {count(sum(map(len, times.values())), 'model')}; what an earlier run "
            "had trained cost nothing."
        ),
        f"The models that are packaged have {made.package:,} bytes.",
        "Fitting the linear model, judging and comparing are not in it, nor was energy measured.",
    )
    return Section("cost", says, (Table(("models", "how many", "seconds"), rows),))


def history(past: Iterable[Told]) -> Section:
    """Return what was decided of the model's versions, newest first; `past`: oldest first."""
    rows = tuple(past)[::-1]
    says = (f"{count(len(rows), 'decision')}, newest first; `evergreen history` has all of them.",)
    return Section("history", says, (Table(("when (UTC)", "version", "what", "why"), rows),))


def number(value: float | None) -> str:
    """Return a number with as many digits as it can bear."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def between(found: Estimate) -> str:
    """Return an estimate with its interval."""
    if math.isnan(found.value):
        return "–"
    return f"{number(found.value)} ({number(found.low)} to {number(found.high)})"


def _lead(name: str, lead: Difference) -> tuple[str, ...]:
    by = f"{_signed(lead.value)} ({_signed(lead.low)} to {_signed(lead.high)})"
    return name, number(lead.champion), number(lead.challenger), by, percent(lead.probability)


def _signed(value: float) -> str:
    return f"{round(value, 4) + 0.0:+.4f}"  # nothing is +0.0000, not -0.0000


def _called(name: str) -> str:
    return {"model": "trees"}.get(name, name)


def _judged_by(made: Registration) -> list[str]:
    return list(Split.of(made.project).judging.batches)


def _known(rows: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in rows if value)


def _present(made: Registration) -> Told:
    reasons = "; ".join(made.decision.reasons)
    return "now", made.version, VERDICTS.get(made.decision.action, ("?",))[0], reasons
