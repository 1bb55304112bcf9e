"""Scoring: the flow takes a file and a name, needs a champion, and no lock of a training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from conftest import month
from prefect.exceptions import ParameterTypeError

from evergreen.errors import InputError
from evergreen.orchestration.flows import scoring as flow
from evergreen.orchestration.flows.scoring import Scored, scoring
from evergreen.orchestration.tasks.scoring import Plan
from evergreen.project import Project
from evergreen.scoring.predictions import Kept, Scorer, keep
from evergreen.scoring.unlabelled import Given
from evergreen.statistics.sketch import sketch
from late_flights.dataset import dataset

ASKED: list[tuple[dict[str, Any], bool]] = [
    ({"path": "rows.csv"}, True),
    ({"path": "s3://bucket/rows.csv", "name": "today"}, True),
    ({"path": "rows.csv", "name": None}, True),
    ({}, False),
    ({"path": None}, False),
    ({"path": ""}, False),
    ({"path": "rows.csv", "name": ""}, False),
    ({"path": "rows.csv", "version": "1"}, False),
]


@pytest.mark.parametrize(("given", "allowed"), ASKED)
def test_what_the_flow_may_be_asked_for(given: dict[str, Any], allowed: bool) -> None:
    if allowed:
        assert scoring.validate_parameters(given).items() >= given.items()
        return
    with pytest.raises((ParameterTypeError, TypeError)):
        scoring.validate_parameters(given)


def test_every_parameter_is_explained_on_prefects_page() -> None:
    shown = scoring.parameters.properties
    assert [name for name, field in shown.items() if not field.get("description")] == []


def test_outside_a_project_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no project here"):
        scoring.fn("rows.csv")
    assert list(tmp_path.iterdir()) == []


def kept_of(project: Project) -> Kept:
    rows = month("2013-04").head(3)
    made = pl.DataFrame({"prediction": [0.5, 0.25, 0.75]}, schema={"prediction": pl.Float32})
    seen = sketch(made, None)
    return keep(
        project,
        dataset,
        Given("april", rows),
        Scorer("flights", "7", "run"),
        made,
        seen,
        rows.head(1),
        {},
    )[0]


@pytest.mark.parametrize("before", [True, False], ids=["scored before", "new"])
def test_what_was_scored_before_is_told_and_left(
    before: bool, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the project's lock held by a training all the while."""
    kept = kept_of(project)
    plan = Plan(Given("april", pl.DataFrame()), kept.scorer, kept if before else None)
    done: list[str] = []
    steps = SimpleNamespace(
        read=lambda *_: plan,
        validate=lambda *_: done.append("validated"),
        score=lambda *_: (kept, True),
    )
    monkeypatch.setattr(flow, "steps", steps)
    monkeypatch.setattr(flow, "tell_prefect", lambda name, tags: done.append(f"{name} {tags[0]}"))
    monkeypatch.setattr(flow, "name_run", done.append)
    monkeypatch.setattr(flow, "skip", lambda step, why: done.append(f"{step}: {why}"))
    with project.lock():
        scored = scoring.fn("april.csv")
    assert scored == Scored("april", "7", 3, 1, kept.path, fresh=not before)
    told = f"version 7 has scored these rows before: {kept.path}"
    after = [f"validate: {told}", f"score: {told}"] if before else ["validated"]
    assert done[1:] == ["april by version 7", *after]
    assert done[0].startswith("april.csv scoring ")  # the tag tells it from a training
