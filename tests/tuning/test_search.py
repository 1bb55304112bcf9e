"""Search: resumable, repeatable, and no trial is worth more than it has shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import refusal
from tuning.tried import POOR, SPACE, prepare_batches

from evergreen.errors import InputError
from evergreen.tuning import search as searching
from evergreen.tuning.cuts import find_cuts
from evergreen.tuning.search import Tried, best_so_far, search, study_of

pytestmark = pytest.mark.slow  # a database each

TUNE = {"trials": 5, "seeds": 2, "space": SPACE}


@pytest.fixture
def cuts_and_params(site: Any) -> tuple[Any, Any]:
    params = prepare_batches(site, train=POOR, tune=TUNE)
    return find_cuts(site.project, params, 2), params


def test_a_better_way_is_found_and_a_killed_search_comes_to_the_same_end(
    cuts_and_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts, params = cuts_and_params
    whole = search(cuts, params, tmp_path / "whole.db")
    assert [tried.number for tried in whole.tried] == [*range(5)]
    now, best = whole.tried[0], whole.best
    assert (now.lead, now.values) == (0, {name: getattr(params.train, name) for name in SPACE})
    assert (whole.cuts, whole.seeds, len(now.scores)) == (("b4", "b5"), (0, 1), 4)
    assert best.lead > 0.02
    assert best.lead == pytest.approx(best.score - now.score)
    run_trial, begun = searching.run_trial, [0]

    def killed(*args: Any, **how: Any) -> Any:
        begun[0] += 1
        if begun[0] == 1:  # before the first trial has ended
            raise KeyboardInterrupt
        if begun[0] == 4:  # in the middle of one
            report = how["report"]

            def stop(fits: Any) -> None:
                report(fits)
                if len(fits) == 2:
                    raise KeyboardInterrupt

            how["report"] = stop
        return run_trial(*args, **how)

    monkeypatch.setattr(searching, "run_trial", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            search(cuts, params, tmp_path / "killed.db")
    told: list[Tried] = []
    again = search(cuts, params, tmp_path / "killed.db", tell=told.append)
    assert again == whole
    assert told == [*whole.tried]
    assert begun[0] == 1 + 3 + (5 - 2)
    more = search(cuts, params.override(tune={"trials": 6}), tmp_path / "whole.db")
    assert more.tried[:5] == whole.tried
    fewer = search(cuts, params.override(tune={"trials": 3}), tmp_path / "whole.db")
    assert fewer.tried == whole.tried[:3]


def test_what_falls_behind_is_ended_after_a_seed(
    cuts_and_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts, params = cuts_and_params
    params = params.override(tune={"trials": 7})
    worth = [0.0, 0.1, 0.2, 0.3, 0.4, -0.5, 0.5]
    monkeypatch.setattr(searching, "run_trial", _worth(worth, cuts, params))
    found = search(cuts, params, tmp_path / "tune.db")
    assert [tried.pruned for tried in found.tried] == [False] * 5 + [True, False]
    assert [len(tried.scores) for tried in found.tried] == [4] * 5 + [2, 4]
    assert [round(tried.lead, 6) for tried in found.tried] == worth
    assert found.best.number == 6
    assert best_so_far(found.tried) == pytest.approx({0: 0, 1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4, 6: 0.5})


def test_what_cannot_be_tried_is_skipped_but_for_the_present_way(
    cuts_and_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts, params = cuts_and_params
    params = params.override(tune={"trials": 3})
    worth = [0.0, InputError("it cannot be"), 0.1]
    monkeypatch.setattr(searching, "run_trial", _worth(worth, cuts, params))
    found = search(cuts, params, tmp_path / "tune.db")
    assert [tried.fault for tried in found.tried] == ["", "it cannot be", ""]
    assert found.best.number == 2
    assert search(cuts, params, tmp_path / "tune.db").tried[1].fault == "it cannot be"
    monkeypatch.setattr(searching, "run_trial", _worth([InputError("nothing can")], cuts, params))
    refusal(lambda: search(cuts, params, tmp_path / "other.db"), "nothing can")


def _worth(worth: list[Any], cuts: Any, params: Any) -> Any:
    """Trials whose metric is 0.4 and so much more, one after the other; a cut is easier."""
    from types import SimpleNamespace

    left = iter(worth)

    def run_trial(cuts: Any, how: Any, seeds: Any, *, matrices: Any, report: Any) -> None:
        more, fits = next(left), []
        if isinstance(more, InputError):
            raise more
        for _ in seeds:
            for cut in cuts:
                easy = 0.05 * (cut is cuts[0])
                trained = SimpleNamespace(rounds=3, seconds=0.1)
                fits.append(
                    SimpleNamespace(metrics={"roc_auc": 0.4 + easy + more}, trained=trained)
                )
                report(fits)

    return run_trial


def test_other_rows_seeds_or_parameters_are_another_search(cuts_and_params: Any) -> None:
    cuts, params = cuts_and_params
    others = [
        params.override(train={"max_depth": 4}),
        params.override(tune={"seeds": 3}),
        params.override(tune={"space": {"max_depth": [3, 4]}}),
        params.override(gate={"metric": "log_loss"}),
        params.override(sweep={"first_seed": 5}),
    ]
    names = [study_of(cuts, each) for each in (params, *others)] + [study_of(cuts[:1], params)]
    assert len({*names}) == len(names)
    assert study_of(cuts, params.override(tune={"trials": 99})) == names[0]


def test_an_error_that_falls_is_a_lead(site: Any, tmp_path: Path) -> None:
    params = prepare_batches(
        site, train=POOR, tune=TUNE | {"trials": 3}, gate={"metric": "log_loss"}
    )
    found = search(find_cuts(site.project, params, 2), params, tmp_path / "tune.db")
    assert found.best.lead == pytest.approx(found.tried[0].score - found.best.score)
    assert found.best.lead > 0
    assert np.isfinite([tried.lead for tried in found.tried]).all()


def test_a_damaged_file_is_told_and_left_alone(cuts_and_params: Any, tmp_path: Path) -> None:
    cuts, params = cuts_and_params
    file = tmp_path / "tune.db"
    file.write_bytes(b"no database" * 100)
    refusal(lambda: search(cuts, params, file), "tune.db cannot be read", "remove it")
    assert file.read_bytes() == b"no database" * 100
