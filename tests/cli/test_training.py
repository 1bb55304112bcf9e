"""`evergreen run`: wrong wishes end it at once; what it prints of a result."""

from __future__ import annotations

import pytest
from commands import error_of, invoke

from evergreen.cli.training import metric_rows
from evergreen.metrics.table import LIBRARY
from evergreen.params import Params
from evergreen.project import Project

FIRST = LIBRARY.pick(None, "binary")
FOUND = {
    FIRST: 0.41234,
    f"{FIRST}.low": 0.4,
    f"{FIRST}.high": 0.42,
    f"linear.{FIRST}": 0.43,
    f"constant.{FIRST}": 0.5,
    f"seeds.{FIRST}.mean": 0.413,
    f"seeds.{FIRST}.deviation": 0.001,
}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", ["0", "1001"])
def test_wrong_wishes_start_no_server(seeds: str, two_batches: Project) -> None:
    assert "sweep.seeds" in error_of(invoke(two_batches.root, "run", "--seeds", seeds))
    assert not (two_batches.stores / "prefect-server.log").exists()


def test_a_metric_stands_beside_the_baselines_and_its_spread() -> None:
    assert metric_rows(Params(), FOUND) == [
        [FIRST, "xgboost 0.4123 (0.4000 to 0.4200), linear 0.4300, constant 0.5000"],
        ["over seeds", "0.4130 ± 0.0010"],
    ]
    one_seed = {name: value for name, value in FOUND.items() if "deviation" not in name}
    assert metric_rows(Params(), one_seed)[1] == ["over seeds", "0.4130 ± 0.0000"]


def test_a_run_without_an_evaluation_has_no_metric() -> None:
    assert metric_rows(Params(), {}) == []
