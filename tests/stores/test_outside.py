"""Outside: changes in MLflow decide nothing, are warned of, recorded once, and can be undone."""

from __future__ import annotations

import re

import pytest
from registries import NO, WELL, YES, add, alter, package, stored, told

from evergreen.errors import InputError
from evergreen.stores.events import ASKED, REFUSED
from evergreen.stores.model_files import PACKAGE
from evergreen.stores.outside import find_acts, warnings, write_down
from evergreen.stores.registry import Registry, promotable

pytestmark = pytest.mark.slow  # real stores
LIVED = {"champion": "3", "previous-champion": "2", "challenger": "4"}


@pytest.fixture
def lived(open_tracker, stores):
    """Four versions: 3 is champion after 2 and 1, the gate refused 4. Their files are shared."""
    registry = Registry(open_tracker(store=stores.lived))
    registry.record("4", REFUSED, NO)
    return registry


def move(alias, number):
    return lambda registry: registry.tracker.client.set_registered_model_alias(
        registry.name, alias, number
    )


def take(alias):
    return lambda registry: registry.tracker.client.delete_registered_model_alias(
        registry.name, alias
    )


def forge(key, value):
    """Edit what can be edited of the newest change."""

    def act(registry):
        run_id = registry.decision().run_id
        registry.tracker.client.set_tag(run_id, key, value)

    return act


def delete_events(registry):
    for event in registry.events.history()[1:]:
        registry.tracker.client.delete_run(event.run_id)


MOVED = "`evergreen promote 4 --override --reason ...` makes version 4 champion"
ACTS = {
    "nothing": (lambda registry: None, []),
    "champion to a refused version": (
        move("champion", "4"),
        [
            "the alias champion was moved to version 4, which the gate refused, in MLflow.*"
            "version 3 stays live.*" + MOVED
        ],
    ),
    "champion to an older one": (
        move("champion", "1"),
        ["the alias champion was moved to version 1 in MLflow"],
    ),
    "champion taken away": (
        take("champion"),
        ["the alias champion was taken from version 3 in MLflow: it stays live"],
    ),
    "previous champion": (
        move("previous-champion", "4"),
        ["previous-champion was moved to version 4.*version 2 counts"],
    ),
    "previous champion away": (
        take("previous-champion"),
        ["alias previous-champion was taken from version 2"],
    ),
    "challenger": (
        move("challenger", "1"),
        ["the alias challenger was moved to version 1.*version 4 counts"],
    ),
    "challenger away": (take("challenger"), ["the alias challenger was taken from version 4"]),
    "events deleted": (
        delete_events,
        ["'version 2 promoted' of .* deleted", "'version 3 promoted'", "'version 4 ref"],
    ),
    "an event edited": (forge("evergreen.event.version", "4"), []),
    "another edit of an event": (forge("evergreen.event", "refused"), []),
    "and one more": (forge("evergreen.event.before", "4"), []),
}


@pytest.mark.parametrize("name", ACTS)
def test_what_was_decided_is_live_and_the_act_is_said_and_written_down_once(name, lived):
    act, said = ACTS[name]
    act(lived)
    found = warnings(lived)
    assert len(found) == len(said)
    assert lived.champion() == lived.decided() == "3"
    assert lived.aliases() == LIVED
    before = lived.events.history()
    for sentence, expected in zip(write_down(lived), said, strict=True):
        assert re.search(expected, sentence), sentence
    assert write_down(lived) == []
    assert [told(event)[0] for event in lived.events.history()[len(before) :]] == [
        "changed outside"
    ] * len(said)
    assert (lived.champion(), lived.aliases(), lived.events.last_decision("4").what) == (
        "3",
        LIVED,
        "refused",
    )
    assert {**lived.versions.aliases(), "champion": "3"} == LIVED
    assert not any(event.deleted for event in lived.events.history())


@pytest.mark.parametrize("act", [move("champion", "4"), take("champion")])
@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("to", [None, "3"])
def test_a_rollback_undoes_what_was_done_to_the_champion(act, noted, to, lived):
    act(lived)
    if noted:
        write_down(lived)
    event = lived.rollback("nobody asked for that", to)
    assert (event.what, event.version, event.reason) == ("put back", "3", "nobody asked for that")
    assert (lived.versions.aliases(), find_acts(lived)) == (LIVED, [])
    # The next one goes back as ever
    assert told(lived.rollback("bad")) == ("rolled back", "2", "3")


def test_an_override_makes_it_real(lived):
    move("champion", "4")(lived)
    with pytest.raises(InputError, match="not better enough"):
        promotable(lived, "4")
    event = lived.promote("4", "3", promotable(lived, "4", override=True))
    assert told(event) == ("promoted", "4", "3")
    assert (lived.versions.aliases(), find_acts(lived)) == (
        {"champion": "4", "previous-champion": "3"},
        [],
    )


def test_an_alias_where_nothing_was_decided(open_tracker, stores):
    registry = Registry(open_tracker(store=stores.registered))
    move("champion", "2")(registry)
    assert (registry.champion(), registry.decided()) == (None, None)
    (said,) = warnings(registry)
    assert "moved to version 2 in MLflow" in said
    assert "nothing is live" in said
    registry.promote("2", None, promotable(registry, "2", override=True))
    assert (registry.champion(), warnings(registry)) == ("2", [])


def test_a_next_promotion_takes_the_place_of_what_was_decided(lived):
    move("champion", "1")(lived)
    lived.record("4", ASKED, WELL)
    event = lived.promote("4", "3", YES)
    assert told(event) == ("promoted", "4", "3")
    assert (lived.versions.aliases(), warnings(lived)) == (
        {"champion": "4", "previous-champion": "3"},
        [],
    )


def test_a_champion_that_was_deleted(lived):
    lived.tracker.client.delete_model_version(lived.name, "3")
    (said,) = warnings(lived)
    assert said.startswith("version 3, the champion, was deleted in MLflow: nothing is live now")
    assert "`evergreen rollback" in said
    assert "`evergreen run`" in said
    assert (lived.champion(), lived.decided()) == (None, "3")
    assert write_down(lived) == [said]
    assert write_down(lived) == []
    assert told(lived.rollback("gone")) == ("rolled back", "2", "3")
    assert (lived.champion(), warnings(lived)) == ("2", [])


def test_a_model_of_another_name_has_a_life_of_its_own(lived, open_tracker):
    other = Registry(open_tracker(lived.tracker.project, tracking={"model": "another"}))
    assert (other.decided(), other.events.history(), warnings(other)) == (None, [], [])


@pytest.mark.parametrize("how", ["everything gone", "a byte of a booster", "MLflow's own file"])
def test_a_damaged_champion_is_said_with_the_remedy(how, open_tracker, tmp_path):
    registry, folder = Registry(open_tracker()), package(tmp_path / "package")
    add(registry, "one", folder)
    registry.promote("1", None, YES)
    assert warnings(registry) == []
    alter(stored(registry, "1"), how)
    (said,) = warnings(registry)
    assert said.startswith("the champion, version 1, cannot be used")
    assert said.endswith("restore its files, or `evergreen run` (a new one)")


def test_another_model_in_the_champions_place(open_tracker, tmp_path):
    """Files and the version's tags changed to match: the event knows better."""
    registry = Registry(open_tracker())
    for number, seed in (("1", 0), ("2", 1)):
        add(registry, number, package(tmp_path / number, seeds=(seed,)))
    registry.promote("1", None, YES)
    tags = registry.tracker.client.get_model_version(registry.name, "2").tags
    registry.tracker.client.set_model_version_tag(registry.name, "1", PACKAGE, tags[PACKAGE])
    (said,) = warnings(registry)
    assert "is not the one that was decided on" in said
    assert registry.champion() is None
