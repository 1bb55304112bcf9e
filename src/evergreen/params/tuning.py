"""The section `tune` of `params.yaml`: what is tried, and when that counts as better."""

from __future__ import annotations

import difflib
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from evergreen.params.section import Section
from evergreen.params.train import Train

NOT_TUNED = ("learner", "refit", "device")
TUNABLE = tuple(name for name in Train.model_fields if name not in NOT_TUNED)
Choices = tuple[int | float | str, ...]


class Tune(Section):
    """What `evergreen tune` tries, on rows before the holdout only, and when that is better."""

    trials: Annotated[int, Field(ge=2, le=10_000)] = Field(
        30, description="ways of training that are tried, the present one first"
    )
    seeds: Annotated[int, Field(ge=1, le=100)] = Field(
        3, description="that each is tried with; one that falls behind ends after fewer"
    )
    cuts: Annotated[int, Field(ge=2, le=100)] = Field(
        4,
        description="the newest batches before the holdout, so many at most, judge what is older; "
        "the newest of them only confirms",
    )
    confirm_seeds: Annotated[int, Field(ge=2, le=100)] = Field(
        5, description="fresh ones, with which the best has to hold where nothing was chosen"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.99, description="of the interval of its lead, which must lie above zero"
    )
    space: dict[str, Choices] = Field(
        {
            "learning_rate": (0.02, 0.3),
            "max_depth": (3, 10),
            "min_child_weight": (1, 50),
            "subsample": (0.5, 1),
            "colsample_bytree": (0.3, 1),
            "reg_lambda": (0.1, 30),
        },
        description="of `train`: [low, high] of a number (by its logarithm, where high is ten "
        "times low or more), or words to choose from",
    )

    @field_validator("space")
    @classmethod
    def _check_space(cls, space: dict[str, Choices]) -> dict[str, Choices]:
        if not space:
            raise ValueError("nothing is to be tried: name a parameter of train")
        for name, values in space.items():
            _check(name, values)
        return space


def _check(name: str, values: Choices) -> None:
    if name not in TUNABLE:
        near = difflib.get_close_matches(name, TUNABLE, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(TUNABLE)}"
        raise ValueError(f"{name} is no parameter of train that can be tuned; {hint}")
    words = all(isinstance(value, str) for value in values)
    if len(values) < 2 or (
        not words and (len(values) != 2 or any(isinstance(v, str) for v in values))
    ):
        raise ValueError(f"{name}: write [low, high], or two or more words; given {[*values]}")
    low, high = values[0], values[-1]
    if not words and not low < high:  # type: ignore[operator]
        raise ValueError(f"{name}: low ({low}) must be below high ({high})")
    for value in values:
        try:
            Train.model_validate({name: value})
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise ValueError(f"{name}: {value} cannot be: {said[0].lower()}{said[1:]}") from None
