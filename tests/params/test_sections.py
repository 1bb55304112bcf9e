"""The sections: a wrong value is named with its place, one at the edge is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import refusal

from evergreen.params import Params, parse, read_yaml


def read(text: str) -> Params:
    return parse(read_yaml(text, Path("params.yaml")), "params.yaml")


WRONG = [
    ("task: ranking", ("task", "'binary', 'multiclass' or 'regression'", "'ranking'")),
    (
        "validate: {max_bad_rows: 2}",
        ("validate.max_bad_rows", "less than or equal to 1", "given: 2"),
    ),
    (
        "validate: {max_bad_rows: -0.1}",
        ("validate.max_bad_rows", "greater than or equal to 0", "-0.1"),
    ),
    ("validate: {max_age_days: 0}", ("validate.max_age_days", "greater than 0", "given: 0")),
    ("prepare: {min_level_rows: 0}", ("prepare.min_level_rows", "greater than or equal to 1")),
    ("split: {train_batches: 0}", ("split.train_batches", "greater than or equal to 1")),
    ("split: {train_batches: many}", ("split.train_batches", "integer", "'many'")),
    ("train: {device: tpu}", ("train.device", "'auto', 'cpu' or 'cuda'", "'tpu'")),
    ("train: {rounds: 0}", ("train.rounds", "greater than or equal to 1", "given: 0")),
    ("train: {rounds: 2.5}", ("train.rounds", "integer", "2.5")),
    ("train: {rounds: many}", ("train.rounds", "integer", "'many'")),
    ("train: {rounds: [1]}", ("train.rounds", "integer", "[1]")),
    ("train: {rounds: null}", ("train.rounds", "integer", "None")),
    ("train: {learning_rate: 0}", ("train.learning_rate", "greater than 0")),
    ("train: {learning_rate: 1.01}", ("train.learning_rate", "less than or equal to 1")),
    ("train: {max_depth: 21}", ("train.max_depth", "less than or equal to 20")),
    ("train: {max_bin: 1}", ("train.max_bin", "greater than or equal to 2")),
    ("train: {reg_lambda: -1}", ("train.reg_lambda", "greater than or equal to 0")),
    ("bias: {max_left_out: 2}", ("bias.max_left_out", "less than or equal to 1", "given: 2")),
    ("bias: {max_duplicates: -0.1}", ("bias.max_duplicates", "greater than or equal to 0", "-0.1")),
    ("bias: {max_missing: 0.1}", ("bias.max_missing", "unknown key", "max_missing_difference")),
    ("sweep: {seeds: 1001}", ("sweep.seeds", "less than or equal to 1000")),
    ("sweep: {first_seed: -1}", ("sweep.first_seed", "greater than or equal to 0")),
    ("sweep: {model: best}", ("sweep.model", "'median' or 'mean'", "'best'")),
    ("evaluate: {confidence: 95}", ("evaluate.confidence", "less than 1", "given: 95")),
    ("evaluate: {resamples: 10}", ("evaluate.resamples", "greater than or equal to 100")),
    ("tracking: {model: a/b}", ("tracking.model", "pattern", "'a/b'")),
    ("tracking: {experiment: ''}", ("tracking.experiment", "at least 1 character")),
    ("ports: {mlflow: 99999}", ("ports.mlflow", "less than or equal to 65535", "99999")),
]


@pytest.mark.parametrize(("text", "parts"), WRONG, ids=[text for text, _ in WRONG])
def test_wrong_value_is_named_with_its_place(text: str, parts: tuple[str, ...]) -> None:
    refusal(lambda: read(text), "1 wrong value(s)", *parts)


RIGHT = [
    ("validate: {max_bad_rows: 0}", "validation", "max_bad_rows", 0),
    ("validate: {max_bad_rows: 1}", "validation", "max_bad_rows", 1),
    ("validate: {max_age_days: null}", "validation", "max_age_days", None),
    ("split: {train_batches: null}", "split", "train_batches", None),
    ("train: {learning_rate: 1}", "train", "learning_rate", 1),
    ("train: {rounds: 2000.0}", "train", "rounds", 2000),
    ("train: {max_depth: 20}", "train", "max_depth", 20),
    ("sweep: {jobs: null}", "sweep", "jobs", None),
    ("tracking: {model: a-b_c.d}", "tracking", "model", "a-b_c.d"),
]


@pytest.mark.parametrize(
    ("text", "section", "key", "value"), RIGHT, ids=[case[0] for case in RIGHT]
)
def test_right_value_at_the_edge_is_taken(text: str, section: str, key: str, value: object) -> None:
    assert getattr(getattr(read(text), section), key) == value
