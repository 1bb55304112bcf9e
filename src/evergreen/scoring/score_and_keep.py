"""Score and keep: what every scoring does with valid rows, whoever brings them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evergreen.dataset import Dataset
from evergreen.features.featurize import featurize_unlabelled
from evergreen.features.row_numbers import number_rows
from evergreen.features.split import TIME
from evergreen.project import Project
from evergreen.scoring import score
from evergreen.scoring.predictions import PACKAGE, Engine, Kept, Scorer, keep
from evergreen.scoring.unlabelled import Given
from evergreen.statistics.sketch import sketch
from evergreen.validation.report import Outcome

if TYPE_CHECKING:
    from evergreen.scoring.package import Model

Array = np.ndarray[Any, np.dtype[Any]]


def score_and_keep(
    project: Project,
    dataset: Dataset,
    task: str,
    model: Model,
    scorer: Scorer,
    given: Given,
    checked: Outcome,
    predict: Callable[[pl.DataFrame], Array] | None = None,
    engine: Engine = PACKAGE,
) -> tuple[Kept, bool, score.Scores]:
    """Keep what `model` predicts for the valid rows of `checked`.

    Returns what is kept, whether it is new, and the scores. Raises InputError as `score_rows` and
    `keep` do.
    """
    scores = score.score_rows(model, dataset, checked.valid, predict)
    # Else drift is looked for in the features of today
    same = model.definition.is_present(dataset, task)
    features = scores.features if same else featurize_unlabelled(dataset, checked.valid)[0]
    seen, bad = sketch(features.select(*dataset.features), features[TIME]), checked.quarantined
    said = (
        scores.predictions
        if dataset.key
        else number_rows(dataset, scores.predictions, checked.valid, bad)
    )
    kept, fresh = keep(project, dataset, given, scorer, said, seen, bad, scores.left_out, engine)
    return kept, fresh, scores
