"""The section `compute` of `params.yaml`: where the work is done; it changes no byte of a model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evergreen.params.section import Section


class Compute(Section):
    """Where the rows of a training lie, and who trains; no model depends on it."""

    memory: Literal["auto", "in-memory", "external"] = Field(
        "auto",
        description="where the rows lie that train: in-memory, external (in files below stores/, "
        "one seed after another), or auto: external where they would not fit into what is free; "
        "`evergreen docs scale`",
    )
