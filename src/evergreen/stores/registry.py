"""The models of a project in MLflow's registry: who is champion, who was, and why.

The champion is the version of the newest decision that made one. Three aliases show others what
was decided: `champion` is live, `challenger` is the newest that was not promoted,
`previous-champion` is what a rollback brings back. A person can move them in MLflow: that decides
nothing, and outside.py notices.

Each change is first written down as an event, then made by one alias that the database sets in one
step, then marked as done. So a crash leaves the old or the new champion: `recover` knows which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evergreen.decision import ASK, Decision
from evergreen.errors import InputError
from evergreen.features.encoder import Encoder
from evergreen.scoring.package import read_package
from evergreen.stores.events import (
    ASKED,
    CHANGES,
    DECISIONS,
    OUTSIDE,
    PROMOTED,
    PUT_BACK,
    REFUSED,
    ROLLED_BACK,
    Event,
    Events,
)
from evergreen.stores.model_files import NO_FILES, PACKAGE, Files
from evergreen.stores.tracking import Tracker
from evergreen.stores.versions import Versions

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous-champion"
FIRST = "`evergreen run` trains one, or says why it cannot"


@dataclass(frozen=True)
class Registered:
    """A model version in the registry, and the alias it holds ('' for none)."""

    name: str
    version: str
    alias: str


class Registry:
    """One project's champion: its versions, and what was decided about them."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker, self.name = tracker, tracker.params.tracking.model
        self.versions, self.events = Versions(tracker), Events(tracker)

    # --- versions and their aliases

    def register(
        self, run_id: str, fingerprint: str, folder: Path, encoder: Encoder, more: Files = NO_FILES
    ) -> Registered:
        """Register the package in `folder`, `more` files beside it; challenger unless champion."""
        number = self.versions.add(run_id, fingerprint, folder, encoder, more)
        if self.aliases().get(CHAMPION) != number:
            changes = [event.when for event in self.events.history() if event.version == number]
            self.versions.note_challenger(number, changes)
            self.versions.set_alias(CHALLENGER, number)
        return self.registered(number)

    def registered(self, number: str) -> Registered:
        """Return a version with the alias it holds now."""
        held = {version: alias for alias, version in sorted(self.aliases().items(), reverse=True)}
        return Registered(self.name, number, held.get(number, ""))

    def version_of(self, run_id: str) -> Registered | None:
        """Return the version that `run_id` registered; None where its files are gone or damaged."""
        number = self.versions.made_by(run_id)
        return self.registered(number) if number else None

    def champion_of(self, fingerprint: str) -> Registered | None:
        """Return the champion where it came out of the training run with this fingerprint."""
        number = self.champion()
        same = number and self.versions.fingerprint_of(number) == fingerprint
        return self.registered(number) if number and same else None

    def aliases(self) -> dict[str, str]:
        """Return alias -> version, by what was decided; empty where nothing is registered."""
        with self.versions.held():
            shown, live, events = self.versions.aliases(), self.decided(), self.events.history()
            before, challenger = _before(live, events), self._challenger(shown, live, events)
        decided = {CHAMPION: live, PREVIOUS: before, CHALLENGER: challenger}
        return {alias: number for alias, number in {**shown, **decided}.items() if number}

    # --- the champion

    def decision(self, besides: str = "") -> Event | None:
        """Return the newest change of champion; one that was killed counts once its alias is set.

        None before the first. `besides`: the id of an event that does not count.
        """
        return self.events.last_change(self.versions.aliases().get(CHAMPION), besides)

    def decided(self, besides: str = "") -> str | None:
        """Return the version that the newest change made champion, whether or not it is usable."""
        event = self.decision(besides)
        return event.version if event else None

    def champion(self) -> str | None:
        """Return the version that is live; None where there is none, or its files are damaged."""
        event = self.decision()
        return event.version if event and not self.fault(event) else None

    def fault(self, event: Event) -> str | None:
        """Return why an event's version cannot be used as it was decided; None where it can."""
        try:
            version = self.versions.find(event.version)
            if event.package and event.package != version.tags.get(PACKAGE):
                raise InputError(
                    f"version {event.version} of {self.name!r} is not the one that was decided "
                    "on: do not use it"
                )
            with self.versions.files.fetch(version) as folder:
                read_package(folder)
        except (InputError, ValueError) as error:
            return str(error)
        return None

    def why_no_champion(self) -> str:
        """Return, where there is no champion, what was decided last and what a person can do."""
        decisions = [event for event in self.events.history() if event.what in DECISIONS]
        for event in decisions[-1:]:
            number = event.version
            if event.what == ASKED:
                return (
                    f"version {number} waits for approval: `evergreen promote {number} --approve`"
                )
            if event.what == REFUSED:
                return (
                    f"the gate refused version {number} (`evergreen history` says why): "
                    "`evergreen run` tries again once data or parameters have changed, "
                    f"`evergreen promote {number} --override --reason WHY` takes it as it is"
                )
        return FIRST

    # --- changes

    def pick(self, number: str | None) -> str:
        """Return the version called `number`, or the challenger.

        Raises InputError where there is none, or it is the champion.
        """
        held = self.aliases()
        chosen = number or held.get(CHALLENGER)
        if not chosen:
            raise InputError(
                "there is no challenger: `evergreen run` makes one when there is something new"
            )
        if chosen == held.get(CHAMPION):
            raise InputError(f"version {chosen} is the champion already")
        return str(self.versions.find(chosen).version)

    def promote(
        self,
        number: str,
        expected: str | None,
        decision: Decision,
        batch: str = "",
        files: Sequence[Path] = (),
    ) -> Event:
        """Make a version the champion in place of `expected`; in one step, whatever happens.

        Raises InputError where another version has become champion since `decision` was made.
        """
        self.versions.find(number)
        now = self.decided()
        if now != expected:
            raise InputError(_overtaken(number, expected, now))
        if now == number:
            raise InputError(f"version {number} is the champion already")
        reason = "; ".join(decision.reasons)
        return self._change(PROMOTED, number, now, now, reason, batch, decision, files)

    def rollback(self, reason: str, to: str | None = None) -> Event:
        """Make an earlier version the champion again: `to`, or the one before the present one.

        Where the alias was moved in MLflow, and `to` names no other version, it is only put back to
        the champion. Raises InputError where there is no such version, or its files are not as they
        were registered.
        """
        event, shown = self.decision(), self.versions.aliases().get(CHAMPION)
        now = event.version if event else None
        history = self.events.history()
        before = _before(now, history)
        if event and to in (None, now) and shown != now and not self.fault(event):
            return self._change(PUT_BACK, event.version, shown, before, reason)
        target = to or before
        if target is None:
            raise InputError("there is no earlier champion to go back to: name a version with --to")
        if target == now:
            raise InputError(f"version {target} is the champion already")
        self.versions.find(target)
        if not any(past.version == target and past.what == PROMOTED for past in history):
            raise InputError(f"version {target} was never champion: `evergreen promote {target}`")
        self.versions.open(target)
        return self._change(ROLLED_BACK, target, now, _before(target, history), reason)

    def record(
        self,
        number: str,
        what: str,
        decision: Decision,
        batch: str = "",
        files: Sequence[Path] = (),
    ) -> Event:
        """Write down a decision that changes no alias: `REFUSED` or `ASKED`."""
        run_id = self._begin(what, number, self.decided(), "; ".join(decision.reasons), batch)
        self.events.attach(run_id, decision, files)
        return self.events.finish(run_id)

    def record_outside(self, number: str, reason: str, what: str = OUTSIDE) -> None:
        """Write down what a person did to a version in MLflow, or was not let do."""
        self.events.finish(self._begin(what, number, self.decided(), reason, ""))

    def restore_shown(self) -> None:
        """Let MLflow show again what was decided, but for the champion's alias.

        The other aliases are put back, and events that were deleted are restored.
        """
        wanted, shown = self.aliases(), self.versions.aliases()
        for alias in (PREVIOUS, CHALLENGER):
            number = wanted.get(alias)
            if number != shown.get(alias) and (not number or self.versions.exists(number)):
                self.versions.set_alias(alias, number)
        for event in self.events.history():
            if event.deleted:
                self.events.restore(event)

    def recover(self) -> list[str]:
        """Complete or abandon changes that a killed process left half-way; return a sentence each.

        Call it with the project's lock held.
        """
        messages = []
        for event in self.events.interrupted():
            shown = self.versions.aliases().get(CHAMPION)
            done = event.what in (*CHANGES, PUT_BACK) and shown == event.version
            if done:
                past = self.events.history()
                self._tidy(event.before if event.what == PROMOTED else _before(event.version, past))
            self.events.close(event.run_id, done=done)
            messages.append(
                f"version {event.version} was being {event.what} when the process was killed: "
                + ("it is champion" if done else "nothing was changed")
            )
        return messages

    # --- details

    def _change(
        self,
        what: str,
        number: str,
        now: str | None,
        previous: str | None,
        reason: str,
        batch: str = "",
        decision: Decision | None = None,
        files: Sequence[Path] = (),
    ) -> Event:
        batch = batch or _batch(number, self.events.history())
        run_id = self._begin(what, number, now, reason, batch)
        self.events.attach(run_id, decision, files)
        if what == PROMOTED and (since := self.events.rival(run_id) or self.decided(run_id)) != now:
            self.events.close(run_id, done=False)  # another clone was quicker
            raise InputError(_overtaken(number, now, since))
        # The one step that counts
        self.versions.set_alias(CHAMPION, number)
        self._tidy(previous)
        return self.events.finish(run_id)

    def _begin(self, what: str, number: str, before: str | None, reason: str, batch: str) -> str:
        checksum = self.versions.checksum_of(number)
        return self.events.begin(what, number, before, reason, batch, checksum)

    def _tidy(self, previous: str | None) -> None:
        """Let the other aliases follow the champion."""
        shown = self.versions.aliases()
        if CHALLENGER in shown and shown[CHALLENGER] == shown.get(CHAMPION):
            self.versions.set_alias(CHALLENGER, None)
        if previous or PREVIOUS in shown:
            self.versions.set_alias(PREVIOUS, previous)

    def _challenger(
        self, shown: Mapping[str, str], live: str | None, events: Sequence[Event]
    ) -> str | None:
        """Return the version that was registered as challenger last, unless champion since."""
        noted = self.versions.challengers()
        number = max(noted, key=noted.__getitem__) if noted else shown.get(CHALLENGER)
        since = noted.get(number) if number else None
        changes = [event for event in events if event.what in CHANGES and event.version == number]
        gone = changes and (live == number or bool(since and changes[-1].when >= since))
        return None if gone else number


def promotable(registry: Registry, number: str, *, override: bool = False) -> Decision:
    """Return the gate's decision about a version that a person may promote.

    Raises InputError where the gate left it to nobody, unless `override`; or another is champion.
    """
    event = registry.events.last_decision(number)
    known = registry.events.evidence(event) if event else {}
    if not override and (event is None or event.what != ASKED):
        refused = event is not None and event.what == REFUSED
        why = event.reason if event and refused else "the gate has not left it to a person"
        raise InputError(
            f"version {number} cannot be promoted: {why.rstrip('.')}. "
            "To promote it anyway, use --override --reason"
        )
    if not override and event and event.before != registry.decided():
        raise InputError(
            f"version {number} was compared with {_called(event.before)}, "
            "which is no longer champion: run again"
        )
    registry.versions.open(number)
    return Decision(
        known.get("action", ASK),
        tuple(known.get("reasons", ())),
        known.get("evidence", {"rules": []}),
    )


def _before(number: str | None, events: Sequence[Event]) -> str | None:
    """Return who was champion before `number` was promoted last."""
    promotions = [event for event in events if event.what == PROMOTED and event.version == number]
    return promotions[-1].before if promotions else None


def _batch(number: str, events: Sequence[Event]) -> str:
    """Return the batch that a version was judged on; '' where none was."""
    return next((event.batch for event in events if event.version == number and event.batch), "")


def _overtaken(number: str, by: str | None, now: str | None) -> str:
    compared = f"version {number} was compared with {_called(by)}, but {_called(now)} is champion"
    return f"{compared} now: run again, so that it is compared with that one"


def _called(number: str | None) -> str:
    return f"version {number}" if number else "no champion"
