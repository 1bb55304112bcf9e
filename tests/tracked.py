"""Runs of a tracker: ended, killed, with seeds and an evaluation."""

from __future__ import annotations

from functools import partial

import numpy as np
from conftest import fit as fit_task

from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.intervals import Estimate
from evergreen.stores.runs import Runs
from evergreen.training.seeds import summarize

fit = partial(fit_task, "binary")


METRICS = {"roc_auc": 0.71, "log_loss": 0.43, "brier": 0.2}


def status(tracker, run_id):
    return tracker.client.get_run(run_id).info.status


def tags(tracker, run_id):
    return tracker.client.get_run(run_id).data.tags


def begin(tracker, fingerprint="print", facts=None, texts=None):
    """A run that has ended well."""
    with Runs(tracker).open(fingerprint, "a run", facts or {}, texts) as run_id:
        pass
    return run_id


def kill(tracker, run_id):
    """Leave a run as a killed process leaves it."""
    tracker.client.update_run(run_id, status="RUNNING")


def children(tracker, parent):
    return tracker.client.search_runs([tracker.experiment], f"tags.mlflow.parentRunId = '{parent}'")


def evaluation(seeds=(0.7, 0.72)):
    estimates = {
        "model": {"roc_auc": Estimate(0.71, 0.7, 0.72), "log_loss": Estimate(0.4, 0.3, 0.5)},
        "constant": {"roc_auc": Estimate(0.5, 0.5, 0.5), "log_loss": Estimate(0.6, np.nan, np.nan)},
    }
    spread = {"roc_auc": summarize(seeds, 0.95)}
    return Evaluation("binary", 10, (1,), estimates, spread, np.zeros(10), {}, ("no", "yes"))
