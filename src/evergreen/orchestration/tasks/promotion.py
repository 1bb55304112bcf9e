"""The tasks that decide which model is live: compare, decide, promote, and a person's approval."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from prefect import pause_flow_run, task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import FlowPauseTimeout
from prefect.input import RunInput
from prefect.logging import get_run_logger
from prefect.runtime import deployment
from pydantic import Field

from evergreen.decision import ASK, PROMOTE, REFUSE, Decision
from evergreen.extensions import What
from evergreen.orchestration.tasks import papers
from evergreen.orchestration.tasks.job import PATIENCE, Job, not_a_mistake, waiting
from evergreen.orchestration.tasks.models import linear_of, trees_of
from evergreen.orchestration.tasks.shown import create_markdown_artifact
from evergreen.promotion.gate import approved, decide
from evergreen.promotion.judge import Judged
from evergreen.promotion.trained_models import TrainedModel, face
from evergreen.stores.dvc import data_versions
from evergreen.stores.events import ASKED, REFUSED
from evergreen.stores.people import NotAllowedError, acting
from evergreen.stores.registry import CHAMPION, Registered

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from evergreen.extensions import Extensions
    from evergreen.metrics.metric import Metrics
    from evergreen.orchestration.tasks.run import Training
    from evergreen.params import Gate
    from evergreen.promotion.compare import Difference
    from evergreen.training.tables import Tables

ANSWER_WITHIN = 24 * 3600  # seconds that a flow waits for a person
TOLD: dict[str, What] = {PROMOTE: "promoted", REFUSE: "refused", ASK: "waits for approval"}


class Approval(RunInput):
    """What a person says in the Prefect UI."""

    promote: bool = Field(default=False, description="Make the challenger the champion")
    reason: str = Field(default="", description="Why; kept in the history")
    by: str = Field(
        default="", description="Who says so: a login or an e-mail address; kept in the history"
    )


@task(name="compare", task_run_name="compare", retries=1,
      retry_condition_fn=not_a_mistake, timeout_seconds=3600, cache_policy=NO_CACHE)  # fmt: skip
def compare(run: Training) -> tuple[TrainedModel, Judged]:
    """Judge the simplest model that nothing surely beats beside the champion; return it too."""
    from evergreen.evaluation.evaluate import MODEL

    job, notes = run.job, run.notes
    trees, linear = trees_of(run), linear_of(run)
    rows = _judging_rows(job)
    live = job.registry.champion()
    champion = job.candidate(live) if live else None
    held = job.registry.aliases().get("champion")
    if held and not live:
        event = job.registry.decision()
        fault = (event and job.registry.fault(event)) or "it came back meanwhile"
        notes += (f"the champion, version {held}, is gone or damaged, not compared with: {fault}",)
        get_run_logger().warning(notes[-1])
    params, baselines = (
        job.params,
        {name: p for name, p in run.evaluation.predictions.items() if name != MODEL},
    )
    either = trees.candidate("trees"), linear.candidate("linear")
    chosen, judged = face(rows, *either, baselines, champion, params, notes)
    get_run_logger().info(judged.evidence.simplest)
    return trees if chosen is either[0] else linear, judged


@task(name="refit", task_run_name="refit", cache_policy=NO_CACHE)
def compare_refit(run: Training, live: TrainedModel) -> Judged:
    """Compare the model that goes live with the judged one, and what the newest batch teaches."""
    from evergreen.features.keys import hash_rows
    from evergreen.features.split import Part, Split, read_part
    from evergreen.promotion.refit import compare_refit as beside

    job, judged, made = run.job, run.judged, run.model
    assert made
    split = Split.of(job.project)
    # Each fold tells of the others. It trains: before the rows below are there
    influence = None if split.judged else _influence(run, live.learner)
    newest = Part(split.before_holdout().batches[-1:], None, split.holdout.start)
    earlier = None if split.judged else read_part(job.project, newest)
    rows, held_out = read_part(job.project, split.judging), judged.held_out
    said = held_out.packaged[held_out.find(hash_rows(rows))]
    model, champion = live.model(), job.registry.champion()
    refit = beside(model, made.model(), said, earlier, rows, live.rounds, job.params)
    same = champion is not None and model.predicts_same(job.registry.versions.open(champion))
    refit = replace(refit, influence=influence, same=same)
    return replace(judged, evidence=replace(judged.evidence, refit=refit))


def _influence(run: Training, learner: str) -> Difference | None:
    """Return what learning from the newest batch does on the rows before it.

    No model has learnt from those.
    """
    from evergreen.features.split import Split, read_part
    from evergreen.promotion.influence import find_influence, teach
    from evergreen.training.tables import load_around, load_tables

    job, plan, search = run.job, run.plan, run.search
    assert search
    params = job.params

    def models_of(load: Callable[..., Tables]) -> tuple[Tables, list[bytes]]:
        tables = load(job.project, on_disk=plan.slots.on_disk)
        rounds = search.rounds.on(len(tables.train))
        taught = teach(tables, rounds, learner, params, plan.device, plan.slots)
        return tables.without_rows(), taught

    _, without = models_of(load_tables)
    run.give_back()
    around, taught = models_of(load_around)
    run.give_back()
    between = read_part(job.project, Split.of(job.project).validation)
    return find_influence(around, between, without, taught, learner, params)


@task(
    name="reload",
    task_run_name="reload",
    retries=1,
    retry_condition_fn=not_a_mistake,
    cache_policy=NO_CACHE,
)
def reload(run: Training) -> Judged:
    """Look whether a new process that loads the model from the registry predicts the same."""
    from evergreen.promotion.refit import distance

    job, made, registered, judged = run.job, run.model, run.registered, run.judged
    assert made
    assert registered
    model = made.model()
    rows = _judging_rows(job)
    given = rows.select(model.encoder.features)
    reloaded = job.registry.versions.predict_reloaded(registered.version, given)
    far = distance(reloaded, model.predict_rows(rows))
    return replace(judged, evidence=replace(judged.evidence, reload=far))


@task(
    name="decide",
    task_run_name="decide",
    retries=1,
    retry_condition_fn=not_a_mistake,
    cache_policy=NO_CACHE,
)
def decide_and_promote(run: Training) -> tuple[Registered, Decision]:
    """Decide by the gate's rules, do what it says, and write it down."""
    from evergreen.features.split import Split
    from evergreen.report.comparison import draw_comparison

    job, run_id, registered, judged = run.job, run.run_id, run.registered, run.judged
    assert registered
    # Asked last: what was refused for it alone is refit and registered, and only judged again
    decision = decide(judged.evidence, *_rules_of(job), papers.unanswered(job))
    number = registered.version
    job.finish_cut()  # where this task is tried again
    held = job.registry.aliases().get(CHAMPION)
    title = f"{registered.name}: version {number} beside {_called(judged.evidence.champion)}"
    judging = Split.of(job.project).judging_rows()
    path = job.project.reports / "comparison.png"
    files = [draw_comparison(judged, decision, title, path, metrics=job.params.metrics)]
    job.artifacts.attach(run_id, [*files, *papers.write_card(run, number, decision)])
    if held == number:
        get_run_logger().info("version %s is the champion by now", number)
    elif decision.action == PROMOTE:
        job.registry.promote(number, held, decision, judging, files)
    else:
        job.registry.record(
            number, ASKED if decision.action == ASK else REFUSED, decision, judging, files
        )
    create_markdown_artifact(
        decision.as_markdown(), key="decision", description="Every rule of the gate"
    )
    for reason in decision.reasons:
        get_run_logger().info("%s: %s", decision.action, reason)
    now = job.registry.registered(number)
    show_links(job, run_id, now)
    add_own_reports(run, number, decision)
    job.notify(TOLD[decision.action], version=number, says=decision.reasons)
    return now, decision


def _rules_of(job: Job) -> tuple[Gate, Extensions, Metrics]:
    """Return what the gate decides by."""
    return job.params.gate, job.params.extensions, job.params.metrics


def add_own_reports(run: Training, number: str, decision: Decision) -> None:
    """Write the project's own reports of a version, and keep them with the run."""
    from evergreen.orchestration.own_reports import write_own
    from evergreen.report.finished import Finished

    job, judged = run.job, run.judged
    if not job.params.extensions.reports:
        return
    rows = _judging_rows(job)
    known = job.registry.versions.open(number), rows, judged, decision
    files = write_own(Finished(job.project, job.params, run.run_id, number, *known))
    job.artifacts.attach(run.run_id, files)


def passes(job: Job, judged: Judged) -> bool:
    """Return whether the gate lets what was judged pass, so that it is worth a refit."""
    return decide(judged.evidence, *_rules_of(job)).action != REFUSE


def wait_for_approval(job: Job, registered: Registered, decision: Decision) -> Registered:
    """Wait in the Prefect UI for a person, where there is one; call it without the lock."""
    number, before = registered.version, job.registry.aliases().get("champion")
    if not deployment.id:
        get_run_logger().warning(
            "version %s waits for approval: `evergreen promote --approve`", number
        )
        return registered
    form = Approval.with_initial_data(description=decision.as_markdown())
    try:
        with waiting(job.project):
            said = pause_flow_run(wait_for_input=form, timeout=ANSWER_WITHIN)
    except FlowPauseTimeout:
        get_run_logger().warning(
            "nobody answered; version %s waits: `evergreen promote --approve`", number
        )
        return registered
    if not said.promote:
        get_run_logger().info("version %s was not approved: %s", number, said.reason)
        return registered
    agreed = approved(decision, said.reason)
    with job.project.lock(PATIENCE):  # the next run may have begun meanwhile
        try:
            with acting(job.registry, "approve", number, said.by.strip()):
                job.registry.promote(number, before, agreed)
        except NotAllowedError as error:
            get_run_logger().warning("version %s waits on: %s", number, error)
            return registered
    job.notify("promoted", version=number, says=agreed.reasons)
    return job.registry.registered(number)


def show_links(job: Job, run_id: str, registered: Registered) -> None:
    """Show in the UI where to look next."""
    lines = [
        f"**{registered.name} version {registered.version} is {registered.alias}.**",
        "",
        f"- [the run in MLflow]({job.tracker.link(run_id)})",
        f"- [its pictures and the validation page]({job.tracker.link(run_id, 'artifacts')})",
        f"- on disk: `{job.project.reports}`",
        f"- the data: `{json.dumps(data_versions(job.project))}`",
    ]
    create_markdown_artifact(
        "\n".join(lines), key="links", description="MLflow is up with `evergreen up`"
    )


def _judging_rows(job: Job) -> pl.DataFrame:
    """Return the rows that judge this run's models."""
    from evergreen.features.split import Split, read_part

    return read_part(job.project, Split.of(job.project).judging)


def _called(number: str | None) -> str:
    return f"the champion, version {number}" if number else "no champion"
