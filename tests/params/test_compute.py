"""The section `compute`: where the work is done, which no model depends on."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import refusal

from evergreen.params import Params, parse
from evergreen.training.fingerprints import sweep_fingerprint


@pytest.mark.parametrize(
    ("compute", "part"),
    [
        ({"memory": "disk"}, "compute.memory: input should be 'auto', 'in-memory' or 'external'"),
        ({"address": "tcp://1.2.3.4:5"}, "address is of `cluster: dask`, and cluster is none"),
        ({"workers": 2}, "workers is of `cluster: dask`, and cluster is none: remove it"),
        ({"cluster": "dask", "workers": 0}, "compute.workers: input should be greater than or"),
        ({"cluster": "dask", "address": "here"}, "compute.address: string should match pattern"),
        (
            {"cluster": "dask", "address": "tcp://1.2.3.4:5", "workers": 2},
            "workers are those of address: remove workers",
        ),
        ({"memmory": "auto"}, "compute.memmory: unknown key; did you mean 'memory'?"),
    ],
)
def test_a_wrong_value_is_one_clear_error(compute: dict[str, Any], part: str) -> None:
    refusal(lambda: parse({"compute": compute}, "params.yaml"), part)


@pytest.mark.parametrize(
    "compute",
    [
        {"memory": "external"},
        {"memory": "in-memory"},
        {"cluster": "dask", "workers": 3},
        {"cluster": "dask", "address": "tls://a-machine:8786"},
    ],
)
def test_what_was_trained_stays_valid_wherever_it_is_trained(compute: dict[str, Any]) -> None:
    plain, other = Params(), Params.model_validate({"compute": compute})
    assert plain != other
    assert sweep_fingerprint("rows", plain, "cpu") == sweep_fingerprint("rows", other, "cpu")
