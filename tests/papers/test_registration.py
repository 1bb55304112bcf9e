"""What a run knows of its model: which of the judged ones it is, and how large."""

from __future__ import annotations

import pytest
from papers.test_sections import made_of


@pytest.mark.parametrize(("learner", "judged"), [("xgboost", "model"), ("linear", "linear")])
def test_which_model_is_the_registered_one(learner: str, judged: str) -> None:
    made = made_of(learner=learner)
    assert made.judged_as == judged
    assert made.predictions is made.evaluation.predictions[judged]


def test_its_name_metric_and_size() -> None:
    made = made_of("regression")
    assert (made.name, made.metric, made.package) == ("evergreen", "rmse", 5)
