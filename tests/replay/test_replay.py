"""Replay: policies on a made-up history, whose rule of being late changes once, and that holds a
poisoned batch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from conftest import settings_of
from replay.history import BATCHES, POISONED, TURN, Told, history

from evergreen.errors import InputError
from evergreen.features.split import Split
from evergreen.ingest.manifest import Manifest
from evergreen.params import Params
from evergreen.replay import challenge as challenging
from evergreen.replay.outcome import (
    HELD,
    HINDSIGHT,
    NOTHING,
    PROMOTED,
    STOPPED,
    TRAINED,
    UNGATED,
    UNJUDGED,
    Options,
    Replay,
)
from evergreen.replay.replay import open_replay, replay

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_checks")]


ASK = {
    "never": 0,
    "every batch": 4,
    "every 2 batches": 2,
    UNGATED: 4,
}  # retrainings after the first champion


def course(found: Replay, policy: str) -> Any:
    return next(outcome for outcome in found.outcomes if outcome.policy == policy)


def policies(found: Replay) -> list[Any]:
    return [outcome for outcome in found.outcomes if outcome.policy != HINDSIGHT]


# --- policies


def test_the_first_three_batches_make_the_champion_of_every_policy(told: Told) -> None:
    assert told.found.batches == BATCHES[3:]
    assert {outcome.steps[0].champion for outcome in told.found.outcomes} == {"batch-3"}
    assert {round(outcome.steps[0].value, 9) for outcome in told.found.outcomes} == {
        round(told.found.outcomes[0].steps[0].value, 9)
    }


@pytest.mark.parametrize(("policy", "retrainings"), ASK.items())
def test_each_policy_retrains_as_often_as_it_says(
    policy: str, retrainings: int, told: Told
) -> None:
    outcome = course(told.found, policy)
    assert outcome.retrainings == retrainings
    assert outcome.promotions == [step.action for step in outcome.steps].count(PROMOTED)


def test_every_batch_means_each_that_is_not_held(told: Told) -> None:
    trained = [step.action in TRAINED for step in course(told.found, "every batch").steps]
    assert trained == [name not in (POISONED, BATCHES[-1]) for name in told.found.batches]


def test_after_the_last_batch_nothing_is_trained_as_none_could_judge_it(told: Told) -> None:
    for policy in ("every batch", UNGATED):
        last = course(told.found, policy).steps[-1]
        assert (last.batch, last.action) == (BATCHES[-1], NOTHING)
        assert last.reason == f"{BATCHES[-1]} came → {UNJUDGED}"


def test_a_schedule_counts_batches_and_waits_for_one_to_train_on(told: Told) -> None:
    """Due at the second batch; then at the second after it, which is held: the third after it
    trains.
    """
    steps = [
        step.batch for step in course(told.found, "every 2 batches").steps if step.action in TRAINED
    ]
    assert steps == ["batch-5", "batch-8"]


def test_without_a_gate_every_challenger_is_promoted(told: Told) -> None:
    outcome = course(told.found, UNGATED)
    assert outcome.promotions == outcome.retrainings


def test_drift_retrains_when_the_labels_turn_and_not_before(told: Told) -> None:
    steps = course(told.found, "on drift").steps
    assert [step.batch for step in steps if step.action in TRAINED][:1] == [TURN]


def test_a_champion_is_measured_before_it_learns(told: Told) -> None:
    """The batch in which the rule turns is as bad under every policy: nobody has seen it coming."""
    assert told.found.batches[0] == TURN
    assert max(outcome.steps[0].value for outcome in told.found.outcomes) < 0.5


def test_a_new_champion_takes_over_with_the_next_batch(told: Told) -> None:
    for outcome in policies(told.found):
        expected = outcome.steps[0].champion
        for step in outcome.steps:
            assert step.champion == expected
            expected = step.batch if step.action == PROMOTED else expected


def test_hindsight_takes_of_each_batch_the_best_of_the_champions_made_before(told: Told) -> None:
    best = course(told.found, HINDSIGHT)
    for step in best.steps:
        known = {aged.champion: aged.value for aged in told.found.ages if aged.batch == step.batch}
        assert step.value == max(known.values()) == known[step.champion]
        assert all(name < step.batch for name in known)
    others = [outcome for outcome in told.found.outcomes if outcome is not best]
    # Where a policy is as good, the two means differ by the rounding of their sums
    assert best.mean.value >= max(outcome.mean.value for outcome in others) - 1e-12


def test_every_champion_meets_every_later_batch(told: Told) -> None:
    made = {"batch-3"} | {
        step.batch
        for outcome in told.found.outcomes
        for step in outcome.steps
        if step.action == PROMOTED
    }
    pairs = {(aged.champion, aged.batch) for aged in told.found.ages}
    assert pairs == {(champion, name) for champion in made for name in BATCHES if champion < name}
    assert all(int(aged.batch[-1]) - int(aged.champion[-1]) == aged.age for aged in told.found.ages)


def test_who_retrains_gains_and_never_is_the_yardstick(told: Told) -> None:
    never, every = course(told.found, "never"), course(told.found, "every batch")
    assert (never.gain.value, never.gain.low, never.gain.high) == (0, 0, 0)
    assert every.gain.low > 0
    assert every.gain.value == pytest.approx(every.mean.value - never.mean.value)
    assert every.promotions >= 1
    assert told.found.finding.startswith("Retraining ")


# --- the same functions


def test_what_trains_in_the_real_loop_trains_here_and_once_a_step(told: Told) -> None:
    """Two seeds find the rounds, two are judged, two go live; a fresh model has one."""
    real = policies(told.found)
    trained = {step.batch for outcome in real for step in outcome.steps if step.action in TRAINED}
    made = {"batch-3"} | {
        step.batch for outcome in real for step in outcome.steps if step.action == PROMOTED
    }
    sweeps = 1 + len(trained)
    for name in ("load_tables", "check_leaks", "choose"):
        assert told.calls[name] == sweeps, name
    assert told.calls["load_all"] == len(made)
    watched = [step for step in course(told.found, "on drift").steps if step.action != HELD]
    assert told.calls["find_staleness"] == told.calls["decide_retraining"] == len(watched)
    fresh = {
        learner_name: told.calls[f"{learner_name} fresh"] for learner_name in ("xgboost", "linear")
    }
    trees = len(made) - (told.calls["linear_of"] - sweeps)
    assert told.calls["train"] == 4 * sweeps + 2 * trees + fresh["xgboost"]
    assert (
        sum(fresh.values()) == sum(step.champion < told.before(step.batch) for step in watched) > 0
    )
    assert told.calls["validate"] == told.calls["prepare"] == len(BATCHES)
    pairs = {
        (step.champion, step.batch)
        for outcome in real
        for step in outcome.steps
        if step.action in TRAINED
    }
    assert told.calls["face"] == told.calls["decide"] == 1 + len(pairs)


def test_monitoring_sees_each_batch_once_under_each_champion(told: Told) -> None:
    met = {
        (step.champion, step.batch) for outcome in policies(told.found) for step in outcome.steps
    }
    assert sorted(
        (champion, name) for champion, names in told.champions.items() for name in names
    ) == sorted(met)


def test_seconds_count_for_every_policy_that_asked(told: Told) -> None:
    assert course(told.found, "never").seconds == 0
    assert (
        course(told.found, "every batch").seconds
        > course(told.found, "every 2 batches").seconds
        > 0
    )
    assert course(told.found, "on drift").seconds > 0


# --- bad batches


def test_a_poisoned_batch_is_held_and_nobody_learns_from_it(told: Told) -> None:
    assert told.found.held == told.found.uncounted == (POISONED,)
    for outcome in policies(told.found):
        step = outcome.steps[told.found.batches.index(POISONED)]
        assert (step.action, step.batch) == (HELD, POISONED)
        assert "temp" in step.reason
    split = Split.read(told.workspace.features / "split.json")
    assert POISONED not in {*split.train.batches, *split.validation.batches, *split.holdout.batches}
    assert POISONED in Manifest(told.workspace.features).entries


def test_a_held_batch_is_in_no_mean(told: Told) -> None:
    for outcome in told.found.outcomes:
        counted = [step for step in outcome.steps if step.batch != POISONED]
        mean = np.average([step.value for step in counted], weights=[step.rows for step in counted])
        assert outcome.mean.value == pytest.approx(mean)


def test_an_error_stops_a_retraining_and_leaves_the_champion(
    source: Callable[..., Params], tmp_path: Path
) -> None:
    """As a leak stops the real flow."""
    chosen = source(BATCHES[:5])

    def stop(*_: Any) -> Any:
        raise InputError("1 leak(s) found\nmore")

    with open_replay(settings_of(tmp_path), chosen, Options(policies=("every",))) as running:
        for name in running.names[:3]:
            assert running.advance(name) == ()
        with mock.patch.object(challenging, "check_leaks", stop):
            never, every = running.advance(running.names[3])
        found = running.result()
    assert (never.action, every.action, every.champion) == (NOTHING, STOPPED, "batch-3")
    assert every.reason.endswith("1 leak(s) found")
    assert [(outcome.retrainings, outcome.promotions) for outcome in found.outcomes] == [
        (0, 0),
        (1, 0),
    ]
    assert found.finding.startswith("No policy gains")


def test_a_bad_batch_is_left_out_and_said(source: Callable[..., Params], tmp_path: Path) -> None:
    chosen = source(BATCHES[:4])
    inbox = Path(str(chosen.source.path))
    history(BATCHES[3]).drop("temp").write_parquet(inbox / f"{BATCHES[3]}.parquet")
    with open_replay(settings_of(tmp_path), chosen, Options(policies=("never",))) as running:
        for name in running.names:
            running.advance(name)
        assert list(Manifest(running.workspace.raw).entries) == list(BATCHES[:3])
        with pytest.raises(
            InputError,
            match=r"there is no batch after the first champion: batch-4: missing column.*temp",
        ):
            running.result()


@pytest.mark.long
def test_few_rows_are_judged_by_cross_validation_as_in_a_run(
    source: Callable[..., Params], tmp_path: Path
) -> None:
    """Each champion has learnt from all rows, also those that judged its way of training."""
    chosen = source(BATCHES[:5], split={"train_batches": None, "cross_validate_below": 100_000})
    with open_replay(settings_of(tmp_path), chosen, Options(policies=("every",))) as running:
        for name in running.names:
            running.advance(name)
            rows = sum(
                entry["rows"] for entry in Manifest(running.workspace.features).entries.values()
            )
            for track in running.tracks:
                known = len(track.champion.candidate.model.learnt.keys)
                assert (known == rows) is (track.champion.batch == name)
        assert running.tracks[1].champion.batch != running.tracks[0].champion.batch
        assert running.result().outcomes[0].policy == "never"


@pytest.mark.long
def test_a_replay_says_the_same_twice(
    told: Told, source: Callable[..., Params], tmp_path: Path
) -> None:
    again = replay(settings_of(tmp_path), source(), Options(every=2))
    first, other = (
        {**found.as_plain(), "courses": without_seconds(found)} for found in (told.found, again)
    )
    assert json.dumps(first) == json.dumps(other)


def without_seconds(found: Replay) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in outcome.items() if key != "seconds"}
        for outcome in found.as_plain()["courses"]
    ]
