"""The fields of Responsible AI: what a machine knows, and what people have answered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from papers.validated import validated

from evergreen.finding import Finding
from evergreen.papers.columns import ColumnStatistics, summarize_columns
from evergreen.papers.datasheet import QUESTIONS, Datasheet
from evergreen.papers.responsible import describe_responsibly
from evergreen.params import Params
from evergreen.project import Project

SPECIFIED = {  # in version 1.0 -> whether there may be many
    "dataCollection": False, "dataCollectionRawData": False, "dataCollectionMissingData": False,
    "dataCollectionTimeframe": True, "dataImputationProtocol": False,
    "dataManipulationProtocol": False, "dataPreprocessingProtocol": True,
    "dataAnnotationProtocol": False, "dataBiases": True, "dataLimitations": True,
    "dataUseCases": True, "personalSensitiveInformation": True,
    "dataReleaseMaintenancePlan": True,
}  # fmt: skip
OF_PEOPLE = {"dataUseCases", "personalSensitiveInformation", "dataReleaseMaintenancePlan"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return validated(tmp_path_factory.mktemp("responsible"))


def columns_of(project: Project) -> list[ColumnStatistics]:
    files = sorted(project.validated.glob("*.parquet"))
    return summarize_columns(files, project.dataset.columns)


def described(project: Project, **answers: str) -> dict[str, Any]:
    finding = Finding("balance", "rarest", 0.1, "'true' is the rarest.")
    return describe_responsibly(
        project, Params(), Datasheet(answers), columns_of(project), [finding]
    )


def test_fields_are_those_of_the_vocabulary(project: Project) -> None:
    found = described(project, **dict.fromkeys(QUESTIONS, "so"))
    assert {*found} == {*SPECIFIED}
    assert {name: isinstance(said, list) for name, said in found.items()} == SPECIFIED


def test_what_a_machine_knows_is_there_without_answers(project: Project) -> None:
    found = described(project)
    assert {*SPECIFIED} - {*found} == OF_PEOPLE
    assert "2 batches were taken from " in found["dataCollection"]
    assert found["dataCollectionTimeframe"][0].startswith("2013-01-01T")
    assert "wind_gust" in found["dataCollectionMissingData"]
    assert "data/quarantine" in found["dataCollectionRawData"]
    assert "4 broke a rule and were put aside." in found["dataPreprocessingProtocol"][0]
    assert "Rule: carrier: not missing" in found["dataPreprocessingProtocol"]
    assert 'col("arr_delay")' in found["dataAnnotationProtocol"]
    assert "'true' is the rarest." in found["dataBiases"]
    assert any(told.startswith("arr_delay is skewed to the right") for told in found["dataBiases"])
    assert "Left out of learning: cancelled: never departed" in found["dataLimitations"]


@pytest.mark.slow
def test_what_is_unanswered_is_listed(project: Project) -> None:
    told = [said for said in described(project)["dataLimitations"] if "Not answered" in said]
    assert len(told) == len(QUESTIONS)
    found = described(project, purpose="to learn")
    assert found["dataUseCases"] == ["to learn"]
    assert not any("purpose:" in said for said in found["dataLimitations"])


def test_what_is_done_with_personal_columns_is_said(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    personal = {"tailnum": "hash", "crew": "drop"}
    monkeypatch.setitem(project.__dict__, "dataset", SimpleNamespace(
        personal=personal, label=project.dataset.label, left_out={}, has_dates=True,
    ))  # fmt: skip
    found = describe_responsibly(project, Params(), Datasheet(), [])
    assert found["personalSensitiveInformation"] == [
        "tailnum is personal, and kept as a keyed hash of its value only.",
        "crew is personal, and not kept.",
    ]
    assert "no value is changed but for what is personal" in found["dataManipulationProtocol"]
    assert "as it was delivered, less what is personal" in found["dataCollectionRawData"]
    monkeypatch.undo()
    plain = described(project)
    assert "no value is changed, and" in plain["dataManipulationProtocol"]
    assert "as it was delivered, its hash" in plain["dataCollectionRawData"]
