"""Doctests: worked examples in docstrings of statistics and quality checks are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [f"evergreen.statistics.{name}" for name in ("cells", "design_effect", "psi")]
MODULES += ["evergreen.statistics.two_sample"]
MODULES += ["evergreen.quality.label_noise", "evergreen.quality.leaks"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
