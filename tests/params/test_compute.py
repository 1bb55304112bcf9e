"""The section `compute`: where the work is done, which no model depends on."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import refusal

from evergreen.params import Params, parse
from evergreen.training.sweep import sweep_fingerprint


@pytest.mark.parametrize(
    ("compute", "part"),
    [
        ({"memory": "disk"}, "compute.memory: input should be 'auto', 'in-memory' or 'external'"),
        ({"memmory": "auto"}, "compute.memmory: unknown key; did you mean 'memory'?"),
    ],
)
def test_a_wrong_value_is_one_clear_error(compute: dict[str, Any], part: str) -> None:
    refusal(lambda: parse({"compute": compute}, "params.yaml"), part)


@pytest.mark.parametrize("compute", [{"memory": "external"}, {"memory": "in-memory"}])
def test_what_was_trained_stays_valid_wherever_it_is_trained(compute: dict[str, Any]) -> None:
    plain, other = Params(), Params.model_validate({"compute": compute})
    assert plain != other
    assert sweep_fingerprint("rows", plain, "cpu") == sweep_fingerprint("rows", other, "cpu")
