"""The section `tune`: a space that cannot be searched is told before anything is."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import refusal

from evergreen.params import parse
from evergreen.params.tuning import TUNABLE

WRONG = {
    "an unknown name": ({"max_dept": [3, 9]}, "max_dept is no", "did you mean 'max_depth'?"),
    "a name like no other": ({"xyz": [3, 9]}, "xyz is no parameter", "there are rounds, "),
    "what is not tuned": ({"learner": ["xgboost", "linear"]}, "learner is no parameter"),
    "low above high": ({"max_depth": [9, 3]}, "max_depth: low (9) must be below high (3)"),
    "low as high": ({"max_depth": [3, 3]}, "max_depth: low (3) must be below high (3)"),
    "one number": ({"max_depth": [3]}, "max_depth: write [low, high]", "given [3]"),
    "three numbers": ({"max_depth": [3, 4, 5]}, "max_depth: write [low, high]"),
    "a word and a number": ({"max_depth": [3, "deep"]}, "max_depth: write [low, high]"),
    "a number that cannot be": ({"max_depth": [0, 9]}, "max_depth: 0 cannot be", "greater than"),
    "a part of a level": ({"max_depth": [3, 4.5]}, "max_depth: 4.5 cannot be", "valid integer"),
    "a word that cannot be": ({"max_depth": ["a", "b"]}, "max_depth: a cannot be"),
    "a share above one": ({"subsample": [0.5, 1.5]}, "subsample: 1.5 cannot be"),
    "nothing": ({}, "nothing is to be tried"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_space_is_one_clear_error(case: str) -> None:
    space, *parts = WRONG[case]
    said = refusal(lambda: parse({"tune": {"space": space}}, "params.yaml"), "tune.space", *parts)
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "space",
    [
        {"max_depth": [3, 9]},
        {"subsample": [0.5, 1]},
        {name: [1, 2] for name in ("rounds", "max_depth")},
    ],
)
def test_a_space_is_taken_as_it_is_written(space: dict[str, Any]) -> None:
    found = parse({"tune": {"space": space}}, "params.yaml").tune.space
    assert {name: [*values] for name, values in found.items()} == space


def test_the_space_as_shipped_is_of_parameters_of_train() -> None:
    assert {*parse({}, "params.yaml").tune.space} <= {*TUNABLE}
    assert not {"learner", "refit", "device"} & {*TUNABLE}
