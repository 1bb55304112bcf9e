"""Scope: too few batches are an error at once, and the parameters are those of the time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evergreen import params
from evergreen.errors import InputError
from evergreen.params import Params
from evergreen.replay.outcome import Options
from evergreen.replay.scope import FEWEST, find_batches, params_of_then
from late_flights.dataset import dataset

BATCHES = tuple(f"batch-{number}" for number in range(1, 9))


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Params]:
    """Parameters whose source is a folder with files of these names."""

    def make(batches: tuple[str, ...] = BATCHES, **sections: object) -> Params:
        for name in batches:
            (tmp_path / f"{name}.parquet").touch()
        chosen = {"source": {"kind": "files", "path": str(tmp_path)}, **sections}
        return params.parse(chosen, "params.yaml")

    return make


def test_until_is_the_last_batch_whatever_the_parameters_say(source: Callable[..., Params]) -> None:
    chosen = source().override(source={"until": "batch-4"})
    assert find_batches(dataset, chosen, Options()) == BATCHES
    assert find_batches(dataset, chosen, Options(until="batch-5")) == BATCHES[:5]


@pytest.mark.parametrize(
    ("batches", "until", "told"),
    [(3, None, "holds 3:"), (8, "batch-3", "holds 3 up to 'batch-3':")],
)
def test_too_few_batches_are_an_error(
    batches: int, until: str | None, told: str, source: Callable[..., Params]
) -> None:
    with pytest.raises(InputError, match=rf"a replay needs {FEWEST} batches.*{told} add batches"):
        find_batches(dataset, source(BATCHES[:batches]), Options(until=until))


def test_no_batch_is_too_old_and_nobody_is_asked(source: Callable[..., Params]) -> None:
    chosen = source(validate={"max_age_days": 30}, gate={"approval": "manual"}, sweep={"seeds": 5})
    then = params_of_then(chosen, Options(seeds=7, until="batch-5"))
    assert (then.validation.max_age_days, then.gate.approval, then.sweep.seeds) == (None, "auto", 7)
    assert then.source.until == "batch-5"
    assert (then.train, then.retrain) == (chosen.train, chosen.retrain)
    assert params_of_then(chosen, Options()).sweep.seeds == 5
