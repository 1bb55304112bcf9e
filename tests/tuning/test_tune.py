"""Tune: a better way is confirmed on fresh ground; of noise nothing is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tuning.tried import POOR, SPACE, prepare_batches

from evergreen.features.split import Split
from evergreen.ingest.manifest import Manifest
from evergreen.tuning import tune as tuning
from evergreen.tuning.cuts import find_cuts
from evergreen.tuning.search import Tried
from evergreen.tuning.tune import tune

pytestmark = pytest.mark.slow  # a database each

TUNE = {"trials": 6, "seeds": 2, "confirm_seeds": 5, "space": SPACE}


def test_a_better_way_is_found_without_the_holdout(site: Any, tmp_path: Path) -> None:
    params = prepare_batches(site, rows=600, train=POOR, tune=TUNE)
    newest = Split.of(site.project).holdout.batches[-1]
    Manifest(site.project.features).file(newest).unlink()
    confirmed: list[Tried] = []
    cuts = find_cuts(site.project, params)
    found = tune(cuts, params, tmp_path / "tune.db", confirm=confirmed.append)
    best = found.searched.best
    assert confirmed == [best]
    assert (found.searched.cuts, found.fresh) == (("b3", "b4"), "b5")
    assert not {*found.fresh_seeds} & {*found.searched.seeds}
    assert found.confirmed
    assert found.confirmed.is_better
    assert found.changes
    assert found.changes.items() <= best.values.items()
    assert found.finding.startswith(f"trial {best.number} is better than the present way by")
    assert found.finding.endswith("on b5, which chose nothing, with 5 fresh seeds")


def test_what_was_ahead_has_to_hold_on_fresh_ground(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = prepare_batches(site, train=POOR, tune=TUNE | {"trials": 3})
    # What was ahead in the search is no other way at all there
    monkeypatch.setattr(tuning, "with_values", lambda params, values: params)
    found = tune(find_cuts(site.project, params), params, tmp_path / "tune.db")
    assert (found.confirmed.value, found.changes) == (0, {})
    assert found.finding.startswith("nothing better was found: trial ")
    assert "the best of 3 ways of training, was ahead by" in found.finding
    assert "no difference beyond the noise" in found.finding


def test_what_is_not_ahead_by_as_much_as_matters_is_not_confirmed(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = prepare_batches(site, train=POOR, tune=TUNE | {"trials": 2}, gate={"min_gain": 0.9})
    monkeypatch.setattr(tuning, "run_trial", None)
    found = tune(find_cuts(site.project, params), params, tmp_path / "tune.db")
    assert (found.confirmed, found.changes) == (None, {})
    assert found.finding == (
        "nothing better was found: of 2 ways of training none is ahead of the present one by as "
        "much as matters (0.9000 in roc_auc)"
    )


def noisy(site: Any, folder: Path, seed: int, **sizes: Any) -> Any:
    """What is found where the label depends on nothing."""
    how = TUNE | ({} if sizes else {"trials": 4})
    params = prepare_batches(site, seed=seed, noise=True, tune=how, **sizes)
    return tune(find_cuts(site.project, params), params, folder / "tune.db")


def test_of_noise_nothing_is_believed(site: Any, tmp_path: Path) -> None:
    for seed in range(2):
        found = noisy(site, tmp_path, seed)
        assert (found.changes, found.finding[:24]) == ({}, "nothing better was found")


@pytest.mark.long
def test_of_twenty_tables_of_noise_nothing_is_believed(site: Any, tmp_path: Path) -> None:
    found = [noisy(site, tmp_path, seed, rows=1000) for seed in range(100, 120)]
    assert [each.finding for each in found if each.changes] == []
    confirmed = [each.confirmed for each in found if each.confirmed]
    assert len(confirmed) >= 10  # most looked better where they were chosen
