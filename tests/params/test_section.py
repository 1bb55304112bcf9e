"""A section is closed and frozen, and no number is true or infinite."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import refusal
from pydantic import ValidationError

from evergreen.params import Params, parse, read_yaml


def read(text: str) -> Params:
    return parse(read_yaml(text, Path("params.yaml")), "params.yaml")


WRONG = [
    ("validate: {max_bad_rows: .nan}", ("validate.max_bad_rows", "finite", "nan")),
    ("validate: {max_age_days: .inf}", ("validate.max_age_days", "finite", "inf")),
    ("train: {rounds: true}", ("train.rounds", "True")),
    ("train: 3", ("train", "given: 3")),
    ("train: [rounds]", ("train", "['rounds']")),
    ("train:\n", ("train", "None")),
]


@pytest.mark.parametrize(("text", "parts"), WRONG, ids=[text for text, _ in WRONG])
def test_wrong_value_is_named_with_its_place(text: str, parts: tuple[str, ...]) -> None:
    refusal(lambda: read(text), "1 wrong value(s)", *parts)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [(None, "task", "regression"), ("train", "rounds", 3), ("train", "nope", 3)],
)
def test_parameters_do_not_change(section: str | None, key: str, value: object) -> None:
    params = Params()
    with pytest.raises(ValidationError):
        setattr(getattr(params, section) if section else params, key, value)
    assert params == Params()
