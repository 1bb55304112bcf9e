"""Packages of small models."""

from __future__ import annotations

import pytest
from scoring.packages import LEARNT, encoder_of

from evergreen.scoring.package import Model, write_package


@pytest.fixture
def packaged(make_tables, trained, tmp_path):
    """Write the package of a task; returns its folder, its encoder and its boosters."""

    def make(task="binary", seeds=(0, 2, 11)):
        encoder, boosters = (
            encoder_of(make_tables(task)),
            {seed: trained(task, seed).booster for seed in seeds},
        )
        return (
            write_package(tmp_path / "package", Model(encoder, boosters, LEARNT)),
            encoder,
            boosters,
        )

    return make
