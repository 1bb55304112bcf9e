"""The section `compute` of `params.yaml`: where the work is done; it changes no byte of a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from evergreen.params.section import Section


class Compute(Section):
    """Where the rows of a training lie, and who trains; no model depends on it."""

    memory: Literal["auto", "in-memory", "external"] = Field(
        "auto",
        description="where the rows lie that train: in-memory, external (in files below stores/, "
        "one seed after another), or auto: external where they would not fit into what is free; "
        "`evergreen docs scale`",
    )
    cluster: Literal["none", "dask"] = Field(
        "none",
        description="who trains the seeds of a sweep: none, this process; or dask, workers, where "
        "the seed of one that is lost goes to another (needs the extra `cluster`)",
    )
    address: Annotated[str, Field(max_length=500, pattern=r"^((tcp|tls|ws|wss)://\S+)?$")] = Field(
        "",
        description="of `cluster: dask`: its scheduler, such as tcp://10.0.0.5:8786, whose workers "
        "see this folder; empty: processes of this machine, started for the sweep",
    )
    workers: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None,
        description="of `cluster: dask` without an address: processes; null: as many as seeds "
        "would train side by side",
    )

    @model_validator(mode="after")
    def _suits(self) -> Compute:
        if self.cluster == "none" and (self.address or self.workers):
            name = "address" if self.address else "workers"
            raise ValueError(f"{name} is of `cluster: dask`, and cluster is none: remove it")
        if self.address and self.workers:
            raise ValueError("workers are those of address: remove workers")
        return self
