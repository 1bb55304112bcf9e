"""People: who is named may decide, who is not is refused in a sentence and written down."""

from __future__ import annotations

import subprocess
import time

import pytest
import yaml
from commands import invoke, output_of
from conftest import git, settings_of
from registries import WELL, YES, told

from evergreen.decision import Decision
from evergreen.errors import InputError
from evergreen.stores import people, tracking
from evergreen.stores.events import ASKED
from evergreen.stores.outside import write_down
from evergreen.stores.people import NotAllowedError, acting, who
from evergreen.stores.registry import Registry

pytestmark = pytest.mark.slow  # real stores
ADA, EVE = "ada@example.org", "eve@example.org"
PEOPLE = {"approve": (ADA,), "override": (ADA, "grace"), "rollback": (ADA,)}


@pytest.fixture
def lived(open_tracker, stores):
    """Versions 1 to 3 were champion in turn; `people` names who may change that."""
    return Registry(open_tracker(store=stores.lived, people=PEOPLE))


def state(registry):
    return registry.champion(), registry.aliases(), registry.versions.aliases()


@pytest.mark.parametrize(
    ("act", "verb", "names"),
    [
        ("approve", "approve a challenger", ADA),
        ("override", "promote against the gate", f"{ADA}, grace"),
        ("rollback", "roll back", ADA),
    ],
)
@pytest.mark.parametrize("by", [EVE, "", f"x{ADA}", f"{ADA}, {EVE}"])
def test_a_stranger_is_refused_in_a_sentence_and_written_down(act, verb, names, by, lived):
    before = state(lived)
    with pytest.raises(NotAllowedError) as refused, acting(lived, act, "4", by):
        lived.rollback("mine")
    said = f"{by or 'nobody'} may not {verb}: people.{act} in params.yaml names {names}"
    assert str(refused.value) == said
    assert state(lived) == before
    event = lived.events.history()[-1]
    assert (event.what, event.version, event.reason, event.by) == ("not changed", "4", said, by)
    assert write_down(lived) == []


@pytest.mark.parametrize("by", [ADA, "ADA@example.org"])
def test_who_is_named_decides_and_history_says_who(by, lived):
    with acting(lived, "rollback", "3", by):
        lived.rollback("worse for weekends")
    event = lived.events.history()[-1]
    assert (told(event), event.by) == (("rolled back", "2", "3"), by)
    assert lived.champion() == "2"
    lived.record("4", ASKED, WELL)  # by the gate
    assert lived.events.history()[-1].by == ""


@pytest.fixture
def commanded(lived, monkeypatch):
    """The registry of a project whose commands can be run: version 4 waits for approval."""
    root = lived.tracker.project.root
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    settings_of(root)
    people_of = {act: [*names] for act, names in PEOPLE.items()}
    (root / "params.yaml").write_text(yaml.safe_dump({"people": people_of}))
    (root / "dvc.yaml").write_text("stages: {}\n")
    git(root, "init", "-q")
    lived.record("4", ASKED, WELL)
    return lived


@pytest.mark.parametrize(
    ("act", "words", "number", "changed"),
    [
        ("approve", "promote 4 --approve", "4", "version 4 promoted in place of 3"),
        ("override", "promote 1 --override --reason mine", "1", "version 1 promoted in place of 3"),
        ("rollback", "rollback --reason worse", "3", "version 2 rolled back in place of 3"),
    ],
)
def test_by_command_a_stranger_changes_nothing_and_who_is_named_does(
    act, words, number, changed, commanded
):
    """And both are in the history, with who it was."""
    root, before = commanded.tracker.project.root, state(commanded)
    git(root, "config", "user.email", EVE)
    refused = invoke(root, *words.split())
    said = f"{EVE} may not {people.ACTS[act]}: people.{act} in params.yaml names {ADA}"
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"error: {said}")
    assert refused.stderr.count("\n") == 1
    assert state(commanded) == before
    git(root, "config", "user.email", ADA)
    output_of(root, *words.split())
    assert state(commanded) != before
    lines = output_of(root, "history").splitlines()
    assert lines[-4].endswith(f"version {number} not changed, by {EVE}")
    assert lines[-3].strip().startswith(said)
    assert changed in lines[-2]
    assert lines[-2].endswith(f", by {ADA}")


def test_where_nobody_is_named_anybody_may_and_is_written_down(open_tracker, stores):
    registry = Registry(open_tracker(store=stores.lived))
    with acting(registry, "override", "4", EVE):
        registry.promote("4", "3", Decision("promote", ("why not",), {"rules": []}))
    assert (registry.champion(), registry.events.history()[-1].by) == ("4", EVE)


def test_an_attempt_hides_neither_what_waits_nor_what_was_done_in_mlflow(open_tracker, stores):
    registry = Registry(open_tracker(store=stores.registered, people=PEOPLE))
    registry.record("4", ASKED, WELL)
    registry.tracker.client.set_registered_model_alias(registry.name, "champion", "1")
    assert len(write_down(registry)) == 1
    with pytest.raises(InputError, match="may not"), acting(registry, "approve", "4", EVE):
        pass
    assert registry.why_no_champion().startswith("version 4 waits for approval")
    assert write_down(registry) == []


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_the_last_decision_counts_whatever_a_clock_says(ahead, stocked, monkeypatch):
    """As of two machines, or of one whose clock was set while it ran."""
    now = time.time()
    for number, before, moment in (("1", None, now), ("2", "1", now + ahead), ("3", "2", now)):
        monkeypatch.setattr(tracking.time, "time", lambda moment=moment: moment)
        stocked.promote(number, before, YES)
    assert [event.version for event in stocked.events.history()] == ["1", "2", "3"]
    assert (stocked.champion(), stocked.aliases()["previous-champion"]) == ("3", "2")
    assert stocked.rollback("worse").version == "2"
    assert stocked.champion() == "2"


def test_who_acts(open_tracker, monkeypatch):
    tracker = open_tracker()
    root = tracker.project.root
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setattr(people.getpass, "getuser", lambda: "grace")
    assert who(tracker) == "grace"
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "config", "user.email", ADA], cwd=root, check=True)
    assert who(tracker) == ADA
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "eve")
    assert who(tracker) == ADA  # nobody has checked that login
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert who(tracker) == "eve"


def test_a_user_that_has_no_name(open_tracker, monkeypatch):
    def unknown():
        raise KeyError("uid not found")

    tracker = open_tracker()
    monkeypatch.setattr(people.git, "email", lambda root: "")
    monkeypatch.setattr(people.getpass, "getuser", unknown)
    monkeypatch.setattr(people.os, "getuid", lambda: 4711)
    assert who(tracker) == "user 4711"
