"""Outside: what a person changed in MLflow, past the decisions made here.

What is live is what was decided last (registry.py); an alias that was moved, a version or an event
that was deleted does not change that. Every command warns of it; it is recorded once as an event,
and can be undone or made a decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evergreen.errors import InputError
from evergreen.stores.events import DENIED, OUTSIDE, REFUSED, Event
from evergreen.stores.registry import CHALLENGER, CHAMPION, FIRST, PREVIOUS, Registry
from evergreen.stores.tracking import Tracker

UNDO = "`evergreen rollback --reason ...` puts it back"


@dataclass(frozen=True)
class Act:
    """Something done outside to a version: what it is and what to do, in a sentence."""

    version: str
    says: str


def find_live(tracker: Tracker, registry: Registry) -> Event:
    """Return the decision that made the champion, whether or not its version is usable.

    Makes no store. Raises InputError, which says what to do, where there is none.
    """
    stored = tracker.is_there  # asking would make the database
    event = registry.decision() if stored else None
    if event is None:
        raise InputError(f"there is no champion: {registry.why_no_champion() if stored else FIRST}")
    return event


def warnings(registry: Registry) -> list[str]:
    """Return warnings for who uses the champion, a sentence each; none where all is as decided."""
    with registry.versions.held():
        messages = [act.says for act in find_acts(registry)]
        event = registry.decision()
        if event and registry.versions.exists(event.version) and (fault := registry.fault(event)):
            what = f"the champion, version {event.version}, cannot be used"
            messages.append(f"{what} ({fault}): {remedy(registry, event)}")
        return messages


def write_down(registry: Registry) -> list[str]:
    """Record each act as an event, once, and restore what needs no decision.

    The alias of the champion stays where a person put it until somebody decides. Call it with the
    project's lock held. Returns the sentences of what is new.
    """
    with registry.versions.held():
        known: set[str] = set()  # since the last decision
        for event in registry.events.history():
            if event.what != DENIED:
                known = known | {event.reason} if event.what == OUTSIDE else set()
        found = _of_champion(registry, registry.decision())
        champion = [act for act in found if act.says not in known]
        acts = [*champion, *_of_aliases(registry), *_of_events(registry)]
    for act in acts:
        registry.record_outside(act.version, act.says)
    with registry.versions.held():  # it reads first, and then writes
        registry.restore_shown()
    return [act.says for act in acts]


def find_acts(registry: Registry) -> list[Act]:
    """Return each way in which MLflow shows another state than was decided."""
    with registry.versions.held():
        event = registry.decision()
        return [*_of_champion(registry, event), *_of_aliases(registry), *_of_events(registry)]


def remedy(registry: Registry, event: Event) -> str:
    """Return what to do about a champion that cannot be used."""
    back = (
        "`evergreen rollback --reason ...` (the previous one), "
        if registry.aliases().get(PREVIOUS)
        else ""
    )
    return f"restore its files, or {back}`evergreen run` (a new one)"


def _of_champion(registry: Registry, event: Event | None) -> Iterator[Act]:
    held, live = registry.versions.aliases().get(CHAMPION), event.version if event else None
    if event and live and not registry.versions.exists(live):
        deleted = f"version {live}, the champion, was deleted in MLflow: nothing is live now"
        yield Act(live, f"{deleted}; {remedy(registry, event)}")
    if held == live:
        return
    if held is None:
        if live and registry.versions.exists(live):
            yield Act(
                live,
                f"the alias champion was taken from version {live} in MLflow: "
                f"it stays live; {UNDO}",
            )
        return
    last = registry.events.last_decision(held)
    which = (
        f"version {held}, which the gate refused,"
        if last and last.what == REFUSED
        else f"version {held}"
    )
    stays = f"version {live} stays live; {UNDO}" if live else "nothing is live"
    yield Act(
        held,
        f"the alias champion was moved to {which} in MLflow, where nothing is decided: {stays}; "
        f"`evergreen promote {held} --override --reason ...` makes version {held} champion",
    )


def _of_aliases(registry: Registry) -> Iterator[Act]:
    wanted, held = registry.aliases(), registry.versions.aliases()
    for alias in (PREVIOUS, CHALLENGER):
        right, shown = wanted.get(alias), held.get(alias)
        if right == shown or (right and not registry.versions.exists(right)):
            continue
        how = f"moved to version {shown}" if shown else f"taken from version {right}"
        ends = f"version {right} counts" if right else "there is none"
        says = f"the alias {alias} was {how} in MLflow: {ends}; the next run puts it back"
        yield Act(shown or right or "", says)


def _of_events(registry: Registry) -> Iterator[Act]:
    for event in registry.events.history():
        if event.deleted:
            what = f"version {event.version} {event.what}"
            which = f"the event '{what}' of {event.when:%Y-%m-%d %H:%M}"
            says = f"{which} was deleted in MLflow: it counts as before; the next run restores it"
            yield Act(event.version, says)
