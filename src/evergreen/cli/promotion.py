"""`evergreen promote`, `rollback` and `history`: who is champion, who was, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from evergreen.cli.session import open_registry

if TYPE_CHECKING:
    from evergreen.extensions import What
    from evergreen.stores.events import Event
    from evergreen.stores.people import Act
    from evergreen.stores.registry import Registry


@click.command()
@click.argument("version", required=False)
@click.option("--approve", is_flag=True, help="Say yes to a challenger that waits for approval.")
@click.option(
    "--override",
    is_flag=True,
    help="Promote against the gate; needs --reason, and is recorded as such.",
)
@click.option("--reason", default="", help="Why; kept in the history.")
def promote(version: str | None, approve: bool, override: bool, reason: str) -> None:
    """Make the challenger (or VERSION) the champion, where the gate left it to a person."""
    from evergreen.promotion.gate import approved
    from evergreen.stores.people import acting, who
    from evergreen.stores.registry import promotable

    if override and not reason:
        raise click.UsageError("--override needs --reason: it is kept in the history")
    with open_registry(reading=not (approve or override)) as registry:
        number = registry.pick(version)
        decision = promotable(registry, number, override=override)
        click.echo(decision.as_markdown())
        if not (approve or override):
            click.echo(
                f"\nversion {number} waits for approval: `evergreen promote {number} --approve`"
            )
            return
        before = registry.aliases().get("champion")
        act: Act = "override" if override else "approve"
        with acting(registry, act, number, who(registry.tracker)):
            event = registry.promote(number, before, approved(decision, reason, override=override))
        replaced = f" in place of version {before}" if before else ""
        click.echo(f"\nversion {event.version} is champion{replaced}")
        _notify(registry, "promoted", event)


def _notify(registry: Registry, what: What, event: Event) -> None:
    """Tell the project's notifiers what a person did."""
    from evergreen.orchestration.notify import notify

    def warn(text: str) -> None:
        click.echo(text, err=True)

    project = registry.tracker.project
    params = registry.tracker.params.choosing_from(project.extensions)
    notify(params, project.stores, what, warn=warn, version=event.version, says=(event.reason,))


@click.command()
@click.option("--to", metavar="VERSION", help="Which version; default: the previous champion.")
@click.option("--reason", required=True, help="Why; kept in the history.")
def rollback(to: str | None, reason: str) -> None:
    """Restore an earlier champion; or undo what was done to the present one in MLflow."""
    from evergreen.stores.events import PUT_BACK
    from evergreen.stores.people import acting, who

    with open_registry() as registry:
        with acting(registry, "rollback", registry.decided(), who(registry.tracker)):
            event = registry.rollback(reason, to)
        _notify(registry, "rolled back", event)
    if event.what == PUT_BACK:
        click.echo(f"version {event.version} has the alias champion again, as was decided")
    else:
        click.echo(f"version {event.version} is champion again, in place of version {event.before}")


@click.command()
@click.option(
    "--at",
    metavar="DATE",
    help="Only who was champion then, such as 2026-05-03 or 2026-05-03T08:30 (UTC).",
)
def history(at: str | None) -> None:
    """Show which model was live when, and why; and which challengers were refused."""
    with open_registry(reading=True) as registry:
        if at:
            event = registry.events.live_at(parse_moment(at))
            events = [event] if event else []
        else:
            events = registry.events.history()
    if not events:
        nothing = "no decision is recorded yet: `evergreen run` makes the first"
        click.echo("there was no champion then" if at else nothing)
    for event in events:
        click.secho(_headline(event), bold=True)
        click.echo(f"    {event.reason}")


def parse_moment(text: str) -> datetime:
    """Return a moment in UTC; a date alone means its end. Raises InputError for another text."""
    from evergreen.errors import InputError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"--at: {text!r} is no date; write it as 2026-05-03 or 2026-05-03T08:30"
        ) from None
    if len(text) == len("2026-05-03"):
        moment += timedelta(days=1)
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _headline(event: Event) -> str:
    changed = event.what in ("promoted", "rolled back", "put back")
    before = f" in place of {event.before}" if event.before and changed else ""
    judged = f", judged on {event.batch}" if event.batch else ""
    by = f", by {event.by}" if event.by else ""
    what = f"version {event.version} {event.what}"
    return f"{event.when:%Y-%m-%d %H:%M:%S}  {what}{before}{judged}{by}"
