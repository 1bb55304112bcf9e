"""`evergreen tune`: is there a better way of training, beyond the noise?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from evergreen.cli.session import open_project
from evergreen.cli.table import show_table, warn

if TYPE_CHECKING:
    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.stores.trials import Trials
    from evergreen.tuning.cuts import Cut
    from evergreen.tuning.search import Searched, Tried
    from evergreen.tuning.tune import Tuned

BEST = 5  # trials in the table, beside the present way
FEW_ROWS = (
    "rows are few, so that the gate judges by cross-validation of all of them, those included that "
    "choose here: it will be kind to what was found"
)


@click.command()
@click.option("--trials", type=int, help="How many ways of training, in place of tune.trials.")
@click.option("--write", is_flag=True, help="Write what is better into params.yaml.")
def tune(trials: int | None, write: bool) -> None:
    """Search for better training parameters, on what came before the newest batch.

    What is found is confirmed with fresh seeds on rows that did not choose it; the next `evergreen
    run` lets the gate judge it by the newest batch. A search that was stopped goes on.
    """
    from filelock import FileLock, Timeout

    from evergreen.errors import InputError
    from evergreen.features.split import Split
    from evergreen.orchestration.turn import turn
    from evergreen.stores.tracking import Tracker
    from evergreen.stores.trials import Trials
    from evergreen.tuning.cuts import find_cuts
    from evergreen.tuning.search import study_of
    from evergreen.tuning.space import find_space

    with open_project(lock=False) as (project, params):
        params = params.override(tune={"trials": trials}).choosing_from(project.extensions)
        find_space(params)
        with turn(project):  # while the rows are read; a run may go on beside the search
            cuts = find_cuts(project, params, params.tune.cuts)
            few = Split.of(project).judged
        if few:
            warn(FEW_ROWS)
        try:
            with FileLock(project.stores / "tune.lock", timeout=0):
                recorded = Trials(Tracker(project, params), study_of(cuts[:-1], params))
                found = _search(project, params, cuts, recorded)
        except Timeout:
            raise InputError(
                "another `evergreen tune` of this project is under way: wait for it, or stop it"
            ) from None
        _conclude(project, params, found, write=write)


def _search(project: Project, params: Params, cuts: Sequence[Cut], trials: Trials) -> Tuned:
    """Search, show and record it; a search that is stopped is recorded as such."""
    from evergreen.finding import count
    from evergreen.tuning.tune import STUDIES, tune

    *earlier, fresh = cuts
    click.echo(
        f"{params.tune.trials} ways of training with {count(params.tune.seeds, 'seed')}, judged "
        f"on {', '.join(cut.name for cut in earlier)}; {fresh.name} confirms"
    )
    follow = Following(params, trials)
    try:
        found = tune(cuts, params, project.stores / STUDIES, follow, follow.confirm)
        _publish(project, found, trials)
    except BaseException:
        trials.stop()
        raise
    return found


class Following:
    """What is shown and recorded of a search while it goes on."""

    def __init__(self, params: Params, trials: Trials) -> None:
        self.params, self.trials, self.best = params, trials, float("-inf")

    def __call__(self, tried: Tried) -> None:
        """Show a trial, and record it."""
        if tried.is_whole:
            self.best = max(self.best, tried.lead)
        how = tried.fault or f"lead {tried.lead:+.4f}{' (ended early)' if tried.pruned else ''}"
        click.echo(
            f"trial {tried.number} of {self.params.tune.trials - 1}: {_values(tried)}: {how}; "
            f"best {self.best:+.4f}"
        )
        metrics = {"score": tried.score, "lead": tried.lead, "rounds": float(tried.rounds)}
        metrics |= {"seconds": tried.seconds, "fits": float(len(tried.scores))}
        ended = "FAILED" if tried.fault else "KILLED" if tried.pruned else "FINISHED"
        self.trials.record(tried.number, tried.values, metrics, ended)

    def confirm(self, best: Tried) -> None:
        """Say that the best is confirmed now."""
        click.echo(
            f"confirming trial {best.number} with {self.params.tune.confirm_seeds} fresh seeds"
        )


def _values(tried: Tried) -> str:
    if not tried.number:
        return "the present way"
    return ", ".join(f"{name} {value}" for name, value in tried.values.items())


def _publish(project: Project, found: Tuned, trials: Trials) -> None:
    """Draw the picture, and record what was found."""
    from evergreen.report.tuning_picture import draw_tuning

    picture = draw_tuning(found, project.reports / "tune.png")
    metrics = {"trials": float(len(found.searched.tried)), "best.lead": found.searched.best.lead}
    if found.confirmed:
        lead = found.confirmed
        metrics |= {"lead": lead.value, "lead.low": lead.low, "lead.high": lead.high}
    trials.finish(found.finding, metrics, [picture])


def _conclude(project: Project, params: Params, found: Tuned, *, write: bool) -> None:
    """Show what was found, and the lines of params.yaml to change; write them where asked to."""
    click.echo()
    show_table(*_table(found.searched))
    click.echo(f"\n{found.finding}\npicture: reports/tune.png")
    if found.changes:
        change_train(project, params, found.changes, "tune", write=write)


def change_train(
    project: Project, params: Params, changes: dict[str, Any], command: str, *, write: bool
) -> None:
    """Show the lines of params.yaml that `command` would change, and write them where asked to."""
    from evergreen.errors import InputError
    from evergreen.files import write_whole
    from evergreen.params.edit import differences, patch

    before = params.text.decode()
    after = patch(before, "train", changes)
    click.echo(f"\n{differences(before, after, project.params.name)}")
    if not write:
        click.echo(
            f"`evergreen {command} --write` writes it; then `evergreen run` lets the gate judge it"
        )
        return
    if project.params.read_bytes() != params.text:
        raise InputError(
            f"{project.params} was changed meanwhile: run again, or change it yourself"
        )
    write_whole(project.params, lambda part: part.write_text(after, encoding="utf-8"))
    click.echo(f"written to {project.params.name}; `evergreen run` lets the gate judge it")


def _table(searched: Searched) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the present way and the best trials."""
    whole = sorted(
        (tried for tried in searched.tried[1:] if tried.is_whole), key=lambda tried: -tried.lead
    )
    shown = [searched.tried[0], *whole[:BEST]]
    head = ["trial", searched.metric, "lead", "rounds", *searched.tried[0].values]
    return head, [
        [
            str(tried.number) if tried.number else "now",
            f"{tried.score:.4f}",
            f"{tried.lead:+.4f}",
            str(tried.rounds),
            *map(str, tried.values.values()),
        ]
        for tried in shown
    ]
