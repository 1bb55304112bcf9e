"""Registration: what a training run knows of a model that it registered, for the model's card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.evaluate import MODEL
from evergreen.promotion.simplest import LINEAR

if TYPE_CHECKING:
    import polars as pl

    from evergreen.dataset import Dataset
    from evergreen.decision import Decision
    from evergreen.evaluation.evaluate import Evaluation
    from evergreen.papers.datasheet import Datasheet
    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.promotion.evidence import Evidence
    from evergreen.quality.bias import BiasReport
    from evergreen.scoring.package import Model

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Registration:
    """A registered model as its run knows it, once its gate has decided.

    `rows`: those that judged it, columns of a features file, in the order of `evaluation.y`.
    `versions`: DVC's hash of each data set. `facts`: tags of the run in MLflow. `seconds`: of each
    model that the run trained, by what it was for. `history`: earlier decisions, oldest first:
    when, which version, what, why.
    """

    project: Project
    params: Params
    dataset: Dataset
    datasheet: Datasheet
    version: str
    run_id: str
    model: Model = field(repr=False)
    evaluation: Evaluation = field(repr=False)
    rows: pl.DataFrame = field(repr=False)
    evidence: Evidence = field(repr=False)
    decision: Decision = field(repr=False)
    bias: BiasReport = field(repr=False)
    notes: tuple[str, ...] = ()
    failed: tuple[int, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, list[float]] = field(default_factory=dict)
    history: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.params.tracking.model

    @property
    def judged_as(self) -> str:
        """Which of the evaluation's models is the registered one."""
        return LINEAR if self.model.learner == LINEAR else MODEL

    @property
    def predictions(self) -> Array:
        """What the judged model predicts for the rows, of the shape of their task."""
        return self.evaluation.predictions[self.judged_as]

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.evidence.comparison.metric

    @property
    def package(self) -> int:
        """Bytes of the models that are packaged."""
        return sum(map(len, self.model.boosters.values()))
