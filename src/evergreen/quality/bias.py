"""Bias: where the rows that train differ from those that the model will meet.

By what was left out, sampled or mislabelled. Nothing here says that a difference is wrong: each
number stands with its meaning, beside what chance alone would show, and all comparisons are given,
not only the striking ones. A bound in `params.yaml` lets a number stop the run. Rows in quarantine
are not counted: they are on the validation page.
"""

from __future__ import annotations

from dataclasses import dataclass

from evergreen.errors import InputError
from evergreen.finding import Finding
from evergreen.params import Bias
from evergreen.quality.bias_findings import (
    Evidence,
    find_balance,
    find_missing,
    find_sampling,
    find_survivorship,
)
from evergreen.quality.duplicates import find_duplicates
from evergreen.quality.label_noise import Predicted, find_label_noise

ADVICE = {
    "max_left_out": "check left_out in dataset.py, and whether the source lacks labels",
    "max_missing_difference": (
        "check how that feature is collected, or slices and groups in dataset.py"
    ),
    "max_label_noise": "check the rows named in reports/bias.html, and label in dataset.py",
    "max_duplicates": "check whether the source delivers rows twice under other keys",
}


@dataclass(frozen=True)
class BiasReport:
    """All findings.

    Their topics: survivorship, sampling, balance, missing, labels, duplicates.
    """

    task: str
    batches: tuple[str, ...]  # that train
    newest: str
    rows: int  # that train
    findings: tuple[Finding, ...]


def find_bias(
    evidence: Evidence, predicted: Predicted | None = None, *, seed: int = 0
) -> BiasReport:
    """Return every finding; label noise is looked for where out-of-sample predictions are given.

    `seed`: of the draws that say how far shares of missing values differ by chance.
    """
    found = [
        *find_survivorship(evidence.window),
        *find_sampling(evidence),
        *find_balance(evidence),
        *find_missing(evidence.window, seed),
        *(find_label_noise(evidence.task, predicted) if predicted else ()),
        *find_duplicates(evidence.train),
    ]
    return BiasReport(
        evidence.task, evidence.batches, evidence.newest, evidence.train.height, tuple(found)
    )


def list_faults(report: BiasReport, params: Bias) -> list[str]:
    """Return what is beyond which bound of section `bias`, and what to do.

    A bound that is null stops nothing.
    """
    faults = []
    for finding in report.findings:
        bound = getattr(params, finding.bound) if finding.bound else None
        if bound is not None and (finding.value is None or finding.value > bound):
            beyond = (
                "cannot be judged"
                if finding.value is None
                else f"is {finding.value:.2%}, more than {bound:.2%}"
            )
            faults.append(
                f"{finding.name} {beyond} (bias.{finding.bound} in params.yaml). {finding.says} "
                f"What to do: {ADVICE[finding.bound]}; if it is as intended, raise the bound or "
                "set it to null"
            )
    return faults


def check_bias(report: BiasReport, params: Bias) -> None:
    """Raise InputError that names all that is beyond a bound of section `bias`."""
    if faults := list_faults(report, params):
        raise InputError(
            "\n".join(["the training data is beyond what params.yaml allows:", *faults])
        )
