"""A section of `params.yaml`: what holds of each."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, field_validator


class Section(BaseModel):
    """A part of `params.yaml`: closed (no unknown key) and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _reject_bool(cls, value: object) -> object:
        if isinstance(value, bool):  # else true would count as 1
            raise ValueError("a number or a text is expected, not true or false")
        return value
