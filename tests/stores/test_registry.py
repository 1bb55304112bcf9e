"""Registry: who is champion and why, whatever is killed, asked for twice or by two at once."""

from __future__ import annotations

import itertools
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from registries import (
    LIVED,
    NO,
    PAST,
    WELL,
    YES,
    add,
    kill,
    package,
    past,
    told,
)

from evergreen.decision import Decision
from evergreen.errors import InputError
from evergreen.promotion.gate import approved
from evergreen.stores.events import ASKED, REFUSED
from evergreen.stores.registry import Registered, Registry, promotable

pytestmark = pytest.mark.slow  # real stores


def test_registering_makes_a_challenger_once(registry, tmp_path):
    folder = package(tmp_path / "package")
    assert (registry.aliases(), registry.champion(), registry.events.history()) == ({}, None, [])
    steps = [
        ("one", Registered("evergreen", "1", "challenger"), {"challenger": "1"}),
        (
            "one",
            Registered("evergreen", "1", "challenger"),
            {"challenger": "1"},
        ),  # an interrupted run, again
        ("two", Registered("evergreen", "2", "challenger"), {"challenger": "2"}),
        ("one", Registered("evergreen", "1", "challenger"), {"challenger": "1"}),
    ]
    for fingerprint, registered, aliases in steps:
        assert add(registry, fingerprint, folder) == registered
        assert registry.aliases() == aliases
    registry.promote("1", None, YES)
    again = add(registry, "one", folder)
    assert again == Registered("evergreen", "1", "champion")  # and no challenger to itself
    assert registry.aliases() == {"champion": "1"}
    assert add(registry, "two", folder) == Registered("evergreen", "2", "challenger")
    assert len(registry.tracker.client.search_model_versions("name = 'evergreen'")) == 2
    assert past(registry) == PAST[:1]  # registering decides nothing


def test_a_former_champion_may_challenge(lived):
    assert add(lived, "two", Path("not needed")) == Registered("evergreen", "2", "challenger")
    assert lived.aliases() == LIVED | {"challenger": "2"}


@pytest.mark.parametrize("hours", [1, -1])
def test_the_challenger_is_the_last_whatever_a_clock_says(hours, lived, monkeypatch):
    """As of two machines: the first one registers and promotes, the other registers."""

    class Ahead(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.now(zone) + timedelta(hours=hours)

    with monkeypatch.context() as there:
        there.setattr("evergreen.stores.versions.datetime", Ahead)
        there.setattr("evergreen.stores.tracking.time.time", lambda: Ahead.now(UTC).timestamp())
        add(lived, "four", Path("not needed"))
        lived.promote("4", "3", YES, "2013-04")
    add(lived, "two", Path("not needed"))
    assert Registry(lived.tracker).aliases()["challenger"] == "2"
    add(lived, "three", Path("not needed"))
    assert Registry(lived.tracker).aliases()["challenger"] == "3"
    lived.promote("3", "4", YES, "2013-05")
    assert "challenger" not in Registry(lived.tracker).aliases()
    add(lived, "four", Path("not needed"))  # once more, after it was champion in the future
    assert Registry(lived.tracker).aliases()["challenger"] == "4"


@pytest.mark.parametrize("quicker", ["4", "2"], ids=["another version", "the same one"])
def test_of_two_clones_that_decide_at_once_the_second_changes_nothing(quicker, lived, monkeypatch):
    other, begin, before = Registry(lived.tracker), lived.events.begin, past(lived)

    def begin_late(*given):
        other.promote(quicker, "3", YES, "2013-04")
        return begin(*given)

    monkeypatch.setattr(lived.events, "begin", begin_late)
    said = f"2 was compared with version 3, but version {quicker} is champion now: run again"
    with pytest.raises(InputError, match=said):
        lived.promote("2", "3", YES, "2013-04")
    assert_one_change(lived, before, quicker)


def test_of_two_clones_that_promote_at_once_the_first_to_begin_goes_on(lived, monkeypatch):
    other, attach, before = Registry(lived.tracker), lived.events.attach, past(lived)

    def attach_late(*given):
        with pytest.raises(InputError, match=r"4 was compared .* but version 2 is champion now"):
            other.promote("4", "3", YES, "2013-04")
        attach(*given)

    monkeypatch.setattr(lived.events, "attach", attach_late)
    lived.promote("2", "3", YES, "2013-04")
    with pytest.raises(InputError, match="2 was compared with version 3, but version 2 is champ"):
        other.promote("2", "3", YES, "2013-04")  # it had the same in mind
    assert_one_change(lived, before, "2")


def assert_one_change(lived, before, number):
    fresh = Registry(lived.tracker)
    assert (fresh.champion(), fresh.versions.aliases()["champion"]) == (number, number)
    assert len(past(fresh)) == len(before) + 1
    assert fresh.recover() == []  # nothing is left open


def test_another_project_is_not_misled(registry, open_tracker, tmp_path):
    add(registry, "print", package(tmp_path / "package"))
    assert os.environ.get("MLFLOW_TRACKING_URI") is None
    other = Registry(open_tracker("other"))
    assert other.tracker.uri.endswith("other/stores/mlflow.db")
    assert other.aliases() == {}


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("2", "version 4 was compared with version 2, but version 3 is champion now"),
        (None, "version 4 was compared with no champion, but version 3 is champion now"),
        ("4", "version 4 was compared with version 4, but version 3 is champion now"),
    ],
)
def test_of_two_promotions_at_once_one_is_refused(expected, said, lived):
    with pytest.raises(InputError, match=said):
        lived.promote("4", expected, YES)
    assert (lived.aliases(), past(lived)) == (LIVED, PAST)


def test_a_promotion_in_place_of_a_champion_that_is_none(stocked):
    with pytest.raises(
        InputError, match="compared with version 1, but no champion is champion now"
    ):
        stocked.promote("4", "1", YES)
    assert (stocked.aliases(), stocked.events.history()) == ({"challenger": "4"}, [])


@pytest.mark.parametrize(
    ("held", "number", "expected"),
    [
        (LIVED, None, "4"),
        (LIVED, "1", "1"),
        (LIVED, "2", "2"),
        (LIVED, "3", "version 3 is the champion already"),
        (LIVED, "9", "no version 9 of 'evergreen'; there are: 1, 2, 3, 4"),
        ({"champion": "3"}, None, "there is no challenger"),
        ({"champion": "3", "challenger": "3"}, None, "version 3 is the champion already"),
        ({}, "9", "no version 9"),
    ],
)
def test_which_version_is_meant(held, number, expected, lived, monkeypatch):
    monkeypatch.setattr(lived, "aliases", lambda: held)
    if expected.isdigit():
        assert lived.pick(number) == expected
    else:
        with pytest.raises(InputError, match=expected):
            lived.pick(number)


JUDGED = {
    "asked": (lambda registry: [registry.record("4", ASKED, WELL)], None, WELL),
    "refused": (
        lambda registry: [registry.record("4", REFUSED, NO)],
        "not better enough.* use --override",
        NO,
    ),
    "asked, then refused": (
        lambda registry: [registry.record("4", ASKED, WELL), registry.record("4", REFUSED, NO)],
        "not better",
        NO,
    ),
    "refused, then asked": (
        lambda registry: [registry.record("4", REFUSED, NO), registry.record("4", ASKED, WELL)],
        None,
        WELL,
    ),
    "another one asked for": (
        lambda registry: [registry.record("1", ASKED, WELL)],
        "not left it to a person",
        None,
    ),
    "never judged": (lambda registry: [], "not left it to a person", None),
    "asked, and another champion since": (
        lambda registry: [registry.record("4", ASKED, WELL), registry.rollback("bad")],
        "version 4 was compared with version 3, which is no longer champion",
        WELL,
    ),
    "promoted and rolled back": (
        lambda registry: [
            registry.record("4", ASKED, WELL),
            registry.promote("4", "3", YES),
            registry.rollback("bad"),
        ],
        "not left it to a person",
        YES,
    ),
}


@pytest.mark.parametrize("case", JUDGED)
def test_what_the_gate_left_to_a_person(case, lived):
    happen, refusal, said = JUDGED[case]
    happen(lived)
    if refusal:
        with pytest.raises(InputError, match=refusal):
            promotable(lived, "4")
    else:
        assert promotable(lived, "4").as_plain() == said.as_plain()
    found = promotable(lived, "4", override=True)
    assert found.as_plain() == (said or Decision("ask", (), {"rules": []})).as_plain()


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        (False, "approved by a person: I looked; not better enough"),
        (True, "AGAINST THE GATE by a person: I looked; not better enough"),
    ],
)
def test_a_persons_reason_is_kept_beside_the_gates(override, reason, lived):
    lived.record("4", REFUSED, NO)
    said = approved(promotable(lived, "4", override=True), "I looked", override=override)
    event = lived.promote("4", "3", said)
    assert (event.what, event.reason) == ("promoted", reason)
    assert lived.events.evidence(lived.events.last_decision("4")) == json.loads(
        json.dumps(said.as_plain())
    )
    assert lived.events.evidence(event)["evidence"]["rules"] == NO.rules


def would_return(registry):
    """Which version a rollback would bring back now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_change", lambda what, number, *_: number)
        try:
            return registry.rollback("only asking")
        except InputError:
            return None


def test_a_long_life(stocked):
    life = [
        (lambda: stocked.promote("1", None, YES), {"champion": "1", "challenger": "4"}),
        (
            lambda: stocked.promote("2", "1", YES),
            {"champion": "2", "previous-champion": "1", "challenger": "4"},
        ),
        (lambda: stocked.promote("3", "2", YES), LIVED),
        (
            lambda: stocked.rollback("bad"),
            {"champion": "2", "previous-champion": "1", "challenger": "4"},
        ),
        # Back, not to and fro
        (lambda: stocked.rollback("bad too"), {"champion": "1", "challenger": "4"}),
        (lambda: stocked.promote("4", "1", YES), {"champion": "4", "previous-champion": "1"}),
        (
            lambda: stocked.rollback("to a known one", to="2"),
            {"champion": "2", "previous-champion": "1"},
        ),
        # Not 1, as at first
        (lambda: stocked.promote("4", "2", YES), {"champion": "4", "previous-champion": "2"}),
        (lambda: stocked.record("3", REFUSED, NO), {"champion": "4", "previous-champion": "2"}),
        (
            lambda: add(stocked, "two", Path("not needed")),
            {"champion": "4", "previous-champion": "2", "challenger": "2"},
        ),
        (
            lambda: stocked.rollback("the challenger it is"),
            {"champion": "2", "previous-champion": "1"},
        ),
    ]
    for number, (step, aliases) in enumerate(life):
        step()
        assert stocked.aliases() == aliases, number
        assert would_return(stocked) == aliases.get("previous-champion"), number
        assert stocked.recover() == [], number
    assert past(stocked) == [
        *PAST,
        ("rolled back", "2", "3"),
        ("rolled back", "1", "2"),
        ("promoted", "4", "1"),
        ("rolled back", "2", "4"),
        ("promoted", "4", "2"),
        ("refused", "3", "4"),
        ("rolled back", "2", "4"),
    ]


def test_a_rollback_is_written_down(lived):
    event = lived.rollback("angry callers")
    assert lived.events.history()[-1] == event
    assert (told(event), event.reason) == (("rolled back", "2", "3"), "angry callers")
    assert event.batch == "2013-02"  # which version 2 was judged on
    assert lived.events.evidence(event) == {}  # a person acted alone


@pytest.mark.parametrize(
    ("start", "to", "said"),
    [
        ("registered", None, "no earlier champion to go back to"),
        ("lived", "3", "version 3 is the champion already"),
        ("lived", "9", "no version 9 of 'evergreen'; there are: 1, 2, 3, 4"),
        ("lived", "two", "no version two"),
    ],
)
def test_a_rollback_to_nowhere(start, to, said, open_tracker, stores):
    registry = Registry(open_tracker(store=getattr(stores, start)))
    before = registry.aliases(), past(registry)
    with pytest.raises(InputError, match=said):
        registry.rollback("bad", to)
    assert (registry.aliases(), past(registry)) == before


def test_the_first_champion_has_none_before_it(stocked):
    stocked.promote("1", None, YES)
    with pytest.raises(
        InputError, match="no earlier champion to go back to: name a version with --to"
    ):
        stocked.rollback("bad")
    assert stocked.champion() == "1"


CHANGES = {
    "the first promotion": (
        "registered",
        lambda registry, files: registry.promote("4", None, YES, "2013-06", files),
        ("promoted", "4", None),
        {"champion": "4"},
    ),
    "a promotion": (
        "lived",
        lambda registry, files: registry.promote("4", "3", YES, "2013-06", files),
        ("promoted", "4", "3"),
        {"champion": "4", "previous-champion": "3"},
    ),
    "a rollback": (
        "lived",
        lambda registry, _: registry.rollback("bad"),
        ("rolled back", "2", "3"),
        {"champion": "2", "previous-champion": "1", "challenger": "4"},
    ),
    "a rollback to the first": (
        "lived",
        lambda registry, _: registry.rollback("bad", to="1"),
        ("rolled back", "1", "3"),
        {"champion": "1", "challenger": "4"},
    ),
}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change, marks=pytest.mark.long) if "first" in change else change
        for change in CHANGES
    ],
)
def test_a_kill_leaves_the_old_champion_or_the_new_one(change, open_tracker, stores, tmp_path):
    start, act, event, after = CHANGES[change]
    picture = tmp_path / "comparison.png"
    picture.write_bytes(b"a picture")
    outcomes = []
    for at in itertools.count():
        registry = Registry(open_tracker(f"killed at {at}", store=getattr(stores, start)))
        before, known = registry.aliases(), past(registry)
        done, killed = kill(registry, at, lambda registry: act(registry, [picture]))
        changed, begun = "set_registered_model_alias" in done, "create_run" in done
        assert registry.champion() == (after if changed else before).get("champion"), done
        survivor = Registry(registry.tracker)
        sentences = survivor.recover()
        assert len(sentences) == (begun and killed is not None), done
        assert all(
            ("it is champion" if changed else "nothing was changed") in sentence
            for sentence in sentences
        ), done
        assert (
            survivor.aliases() == survivor.versions.aliases() == (after if changed else before)
        ), done
        assert past(survivor) == known + [event] * changed, done
        assert survivor.recover() == [], done
        outcomes.append(changed)
        if not killed:
            break
        if killed == "set_registered_model_alias" and not changed:
            # What was abandoned can be done again
            act(survivor, [picture])
            assert (survivor.aliases(), past(survivor)) == (after, [*known, event]), done
    assert outcomes == sorted(outcomes)
    assert len(set(outcomes)) == 2
    assert len(outcomes) > 3  # at least: before, between, after


def test_a_recovery_may_be_killed_as_well(open_tracker, stores):
    for at in itertools.count():
        registry = Registry(open_tracker(f"killed at {at}", store=stores.lived))
        done, _ = kill(registry, 5, lambda registry: registry.promote("4", "3", YES))
        assert done[-1] == "set_registered_model_alias"
        _, killed = kill(registry, at, Registry.recover)
        registry.recover()
        assert registry.aliases() == {"champion": "4", "previous-champion": "3"}, at
        assert past(registry) == [*PAST, ("promoted", "4", "3")]
        if not killed:
            break
    assert at > 1
