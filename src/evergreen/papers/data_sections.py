"""Sections of a model card that are about data: what was used, checked, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping

from evergreen.features.split import Split
from evergreen.finding import count, percent, span
from evergreen.ingest.manifest import Manifest
from evergreen.papers.card import Section, Table
from evergreen.papers.registration import Registration
from evergreen.papers.responsible import tell_personal
from evergreen.quality.bias import list_faults
from evergreen.quality.held_batches import describe_held
from evergreen.report.finding_table import show
from evergreen.statistics.profile import Profile, Sums
from evergreen.validation.validate import read_reports

PARTS = {"train": "learn from", "validation": "stop early by", "holdout": "judged by"}


def data(made: Registration) -> Section:
    """Return the batches of each part, the data's hashes, and what was left out."""
    split, done = Split.of(made.project), Manifest(made.project.features)
    parts = {name: getattr(split, name).batches for name in PARTS}
    if split.judged:
        parts = {"cross-validation": split.judged.batches}
    used = sum(int(done.entries[name]["rows"]) for name in split.batches())
    dataset = made.dataset
    says = [
        (
            f"{count(used, 'row')} with labels, of "
            f"{count(len(split.batches()), 'batch', 'batches')}; judged by {split.judging_rows()}."
        ),
        (
            f"{count(len(dataset.columns), 'column')}; a row is named by "
            f"{', '.join(dataset.key) or 'all that it holds'}, and dated by "
            f"{dataset.time or 'nothing'}."
        ),
        f"Known only later, and no feature: {', '.join(dataset.known_later) or 'nothing'}.",
    ]
    says += tell_personal(dataset)
    tables = [
        Table(
            ("rows to", "batches", "names"),
            tuple(
                (PARTS.get(name, name), str(len(batches)), span(batches))
                for name, batches in parts.items()
            ),
        ),
        Table(("data", "DVC's hash"), tuple(sorted(made.versions.items()))),
    ]
    return Section("data", tuple(says), tuple(table for table in tables if table.rows))


def checks(made: Registration) -> Section:
    """Return what validation, the search for leaks and for bias have found."""
    reports = read_reports(made.project)
    rows, bad = sum(part.rows for part in reports), sum(part.quarantined for part in reports)
    rules = {check.says for part in reports for check in part.checks}
    faults = list_faults(made.bias, made.params.bias)
    says = [
        (f"Validation: {count(len(rules), 'rule')} over {count(len(reports), 'batch', 'batches')}, "
        f"{count(rows, 'row')}; {bad:,} ({percent(bad / rows) if rows else 'none'}) broke one and "
        "were put aside."),
        "Leaks: " + (" ".join(made.notes) if made.notes else
                     "nothing stood out, and no bound of section leaks was passed."),
        f"Bias: {count(len(made.bias.findings), 'finding')}, "
        + (f"{len(faults)} beyond its bound." if faults else "none beyond a bound that is set."),
    ]  # fmt: skip
    found = tuple(
        (finding.name, show(finding.value, finding.kind), finding.says)
        for finding in made.bias.findings
    )
    return Section("checks", tuple(says), (Table(("bias", "value", "what it means"), found),))


def limits(made: Registration) -> Section:
    """Return where the model is not to be trusted, as far as a machine or a person has said."""
    split, done = Split.of(made.project), Manifest(made.project.features)
    profile = Profile.read(done.file(name, ".json") for name in split.batches())
    left_out = {why: part.rows for why, part in profile.left_out.items() if part.rows}
    encoder = made.model.encoder
    says = [
        (
            f"It was judged on {count(made.evaluation.rows, 'row')} ({split.judging_rows()}): of "
            "other times, places and people nothing is known."
        ),
        f"It knows nothing later than {made.model.learnt.newest}.",
    ]
    if left_out:
        told = ", ".join(f"{rows:,} {why}" for why, rows in left_out.items())
        says.append(f"Rows that it never learns from: {told}.")
    if encoder.levels:
        told = ", ".join(f"{name} {len(levels)}" for name, levels in encoder.levels.items())
        says.append(f"Values of categories that it has not seen count as one, 'other'; it knows "
                    f"{told}.")  # fmt: skip
    if lacking := _lacking(profile.kept.rows, profile.kept.numbers):
        says.append(f"Features that are often missing: {', '.join(lacking)}.")
    says += [str(rule["says"]) for rule in made.decision.rules
             if str(rule["says"]).startswith("SWITCHED OFF")]  # fmt: skip
    says += [f"Rows that are held back: {name}." for name in describe_held(done)]
    return Section("limits", tuple(says))


def drift_bounds(made: Registration) -> Section:
    """Return when a column of new data counts as drifted, and what starts a retraining."""
    drift, retrain = made.params.drift, made.params.retrain
    names = [*made.model.encoder.features, "label", "prediction"]
    rows = tuple((name, f"{drift.columns.get(name, drift.smallest_shift):g}") for name in names)
    hold = "no batch is held back" if drift.hold is None else (
        f"a batch with a column shifted by {drift.hold:g} more than usual is held back"
    )  # fmt: skip
    age = "never by age" if retrain.max_age_days is None else (
        f"after {retrain.max_age_days:g} days in any case"
    )  # fmt: skip
    says = (
        (
            "Each column's bound is the shift below, as PSI, on top of what past batches differ "
            f"from one another, at {drift.confidence:.0%} confidence over all columns."
        ),
        (
            f"All columns at once: a classifier that tells new rows from old by an AUC of "
            f"{0.5 + drift.smallest_auc:g} and what is usual."
        ),
        f"{hold[0].upper()}{hold[1:]}.",
        (
            f"A retraining is asked for when {retrain.needed} of {retrain.windows} batches lose "
            f"{retrain.min_loss:g} or the label drifts, when staleness costs as much, and {age}."
        ),
    )
    return Section("drift bounds", says, (Table(("column", "smallest shift that matters"), rows),))


def _lacking(rows: int, numbers: Mapping[str, Sums]) -> list[str]:
    """Return the numbers that a tenth of the rows lack, with their share."""
    shares = {name: sums.missing / rows for name, sums in numbers.items() if rows}
    return [f"{name} ({percent(share)})" for name, share in shares.items() if share >= 0.1]
