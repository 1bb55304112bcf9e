"""The steps of a training after the data, each a line of the flow.

Each adds to the run what the next ones need.
"""

from __future__ import annotations

from evergreen.decision import ASK
from evergreen.finding import count
from evergreen.orchestration import unchanged
from evergreen.orchestration.tasks import data, models, promotion, sweeps
from evergreen.orchestration.tasks.job import show_again, skip
from evergreen.orchestration.tasks.run import Outcome, Training
from evergreen.orchestration.tasks.sweeps import Sweep
from evergreen.training.seeds import JUDGED

AFTER_DATA = ("train", "evaluate", "register", "decide")


def reuse(run: Training) -> bool:
    """Plan the training; return True where an identical run is there, which is shown again."""
    run.name()
    run.inputs = unchanged.inputs_of(run.job.project, run.job.params, run.asked)
    run.plan = plan = models.plan(run.job)
    if plan.finished:
        for step in AFTER_DATA:
            skip(step, f"an identical run is there: {plan.finished}")
            run.steps[step] = "skipped"
        run.run_id, run.registered = plan.finished, plan.registered
        show_again(run.job, plan.finished)
        return True
    about = models.describe(run.job, plan, run.reason)
    opened = run.job.runs.open(plan.fingerprint, *about)
    run.run_id = run.recording.enter_context(opened)
    return False


def check_leaks(run: Training) -> None:
    """Stop where a column leaks the label or a bias is too large; report what else was seen."""
    run.tables, run.notes = models.load(run.job, run.plan)
    run.bias = data.bias(run.job)


def train(run: Training) -> None:
    """Train the seeds that the holdout judges.

    As what goes live will be: on all rows before it, or fold by fold.
    """
    from evergreen.training.tables import load_judged

    job, plan, rounds = run.job, run.plan, None
    run.search = sweeps.find_rounds(run)
    if run.search:
        run.tables = run.tables.judging()  # so that never two windows are in memory
        run.give_back()
        run.tables = load_judged(job.project, on_disk=plan.slots.on_disk)
        rounds = run.search.rounds.on(run.tables.rows_learnt())
    sweep = Sweep.of(job, JUDGED, run.tables, plan.device, plan.slots, rounds)
    run.seeds, run.failed = sweeps.run_sweep(job, sweep, run.run_id)
    reused = sum(seed.reused for seed in run.seeds)
    run.steps["train"] = f"{count(len(run.seeds), 'seed')}, {reused} of them reused"


def evaluate(run: Training) -> None:
    """Choose the model, and judge it on the holdout beside two baselines."""
    run.give_back()
    run.linear = models.fit_linear(run.job, run.tables)
    run.evaluation = models.evaluate(run)
    run.steps["evaluate"] = "done"


def compare(run: Training) -> None:
    """Judge the simplest model that nothing surely beats beside the champion.

    On rows that neither has learnt from.
    """
    run.give_back()
    run.model, run.registered = None, run.job.registry.champion_of(run.plan.fingerprint)
    if not run.registered:  # else a run that was killed after its promotion
        run.model, run.judged = promotion.compare(run)


def refit(run: Training) -> None:
    """Train the judged model once more on all rows, where the gate would let it pass.

    That is what goes live.
    """
    made = run.model
    if not (made and run.search and models.refits(run.job)):
        return
    if not (made.tables.folds or promotion.passes(run.job, run.judged)):
        return
    run.job.artifacts.record_held_out(run.run_id, run.judged.held_out)
    run.give_back()
    live = models.refit(run)
    run.give_back()
    run.judged = promotion.compare_refit(run, live)
    if made.tables.folds or promotion.passes(run.job, run.judged):
        run.model = live


def register(run: Training) -> None:
    """Register the model, and check that a new process that loads it predicts the same."""
    if run.model:
        run.registered = models.register(run)
        run.give_back()  # the new process takes as much as this one at its start
        run.judged = promotion.reload(run)
    run.steps["register"] = "done"


def decide(run: Training) -> None:
    """Decide by every rule of the gate whether the model goes live, and do it."""
    if run.model:
        run.registered, run.decision = promotion.decide_and_promote(run)
    run.steps["decide"] = run.decision.action if run.decision else "is champion"


def conclude(run: Training) -> Outcome:
    """Return what was done, after waiting for a person's approval where one is needed.

    Call it without the project's lock.
    """
    if run.registered and run.decision and run.decision.action == ASK:
        run.registered = promotion.wait_for_approval(run.job, run.registered, run.decision)
    return run.outcome()
