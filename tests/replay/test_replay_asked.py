"""What a replay is asked for: enough batches, one at a time, parameters as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import settings_of
from replay.history import BATCHES

from evergreen.errors import InputError
from evergreen.params import Params
from evergreen.project import Project
from evergreen.replay.outcome import Options
from evergreen.replay.replay import open_replay, replay
from evergreen.replay.scope import FEWEST

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_checks")]


@pytest.mark.parametrize(
    ("batches", "until", "told"), [(3, None, "holds 3:"), (8, "batch-3", "holds 3 up to 'batch-3'")]
)
def test_too_few_batches_are_an_error_at_once(
    batches: int, until: str | None, told: str, source: Callable[..., Params], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"a replay needs {FEWEST} batches.*{told}"):
        replay(settings_of(tmp_path), source(BATCHES[:batches]), Options(until=until))
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]


def test_one_replay_at_a_time(source: Callable[..., Params], tmp_path: Path) -> None:
    chosen = source(BATCHES[:4])
    with open_replay(settings_of(tmp_path), chosen, Options()):
        with Project(tmp_path).lock():  # the project itself is free
            pass
        with (
            pytest.raises(InputError, match="under way"),
            open_replay(settings_of(tmp_path), chosen, Options()),
        ):
            pass


def test_what_an_earlier_replay_left_is_gone(source: Callable[..., Params], tmp_path: Path) -> None:
    left = tmp_path / "stores" / "replay" / "data" / "raw" / "2012-12.parquet"
    left.parent.mkdir(parents=True)
    left.touch()
    with open_replay(settings_of(tmp_path), source(BATCHES[:4]), Options()):
        assert not left.exists()


def test_parameters_are_those_of_then(source: Callable[..., Params], tmp_path: Path) -> None:
    """No old batch is too old, nobody is asked for approval; the rest is as it was."""
    chosen = source(
        BATCHES[:4], validate={"max_age_days": 30}, gate={"approval": "manual"}, sweep={"seeds": 5}
    )
    with open_replay(settings_of(tmp_path), chosen, Options(seeds=7)) as running:
        then = running.params
    assert (then.validation.max_age_days, then.gate.approval, then.sweep.seeds) == (None, "auto", 7)
    assert then.retrain == chosen.retrain
    assert then.train == chosen.train
