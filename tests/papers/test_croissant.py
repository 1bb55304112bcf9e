"""The Croissant file: it names what is there, whole, and the same data gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, refusal, settings_of
from papers.validated import BATCHES, validated

from evergreen.files import sha256_of_file
from evergreen.papers.croissant import (
    CONTEXT,
    MOST_RECORDS,
    describe,
    make_ids,
    write_croissant,
)
from evergreen.papers.datasheet import Datasheet, read_datasheet
from evergreen.params import Params
from evergreen.project import Project

PARAMS = Params()
TYPES = {"Text", "Integer", "Float", "Boolean", "Date", "DateTime"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return validated(tmp_path_factory.mktemp("croissant"))


@pytest.fixture(scope="module")
def found(project: Project) -> dict[str, Any]:
    return describe(project, PARAMS, read_datasheet(Project(ROOT)), "abcdef0123456789.dir")


@pytest.mark.slow
def test_what_the_format_asks_for(found: dict[str, Any]) -> None:
    required = ("@context", "@type", "conformsTo", "name", "description", "license", "url",
                "creator", "datePublished", "version", "citeAs", "distribution")  # fmt: skip
    assert [name for name in required if not found.get(name)] == []
    assert found["conformsTo"] == [
        "http://mlcommons.org/croissant/1.1",
        "http://mlcommons.org/croissant/RAI/1.0",
    ]
    assert found["license"] == "https://spdx.org/licenses/CC0-1.0.html"
    assert found["version"] == "1.0.0+abcdef012345"


def test_every_name_has_a_meaning(found: dict[str, Any]) -> None:
    """A name with a prefix is one of the context; any other is schema.org's or the context's."""

    def names(part: Any) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(names, part))
        if isinstance(part, dict):
            return {*part}.union(*map(names, part.values()))
        return set()

    used = names({name: part for name, part in found.items() if name != "@context"})
    assert {name.split(":")[0] for name in used if ":" in name} == {"rai"}
    assert "rai" in CONTEXT
    of_schema_org = {"contentSize", "contentUrl", "creator", "datePublished", "distribution",
                     "encodingFormat", "funder", "license", "maxValue", "minValue", "sha256", "url",
                     "value", "valueReference", "variableMeasured", "version"}  # fmt: skip
    plain = {name for name in used if ":" not in name and not name.startswith("@")}
    assert plain - {*CONTEXT} == of_schema_org


def test_files_are_as_they_lie_there(found: dict[str, Any], project: Project) -> None:
    files = {file["@id"]: file for file in found["distribution"]}
    assert [*files] == [f"{batch}.parquet" for batch in BATCHES]
    for file in files.values():
        path = (project.reports / file["contentUrl"]).resolve()
        assert file["sha256"] == sha256_of_file(path)
        assert file["contentSize"] == f"{path.stat().st_size} B"


def test_records_have_every_column_of_their_file(found: dict[str, Any], project: Project) -> None:
    ids = [field["@id"] for records in found["recordSet"] for field in records["field"]]
    assert len(ids) == len({*ids}) == 2 * len(project.dataset.columns)
    for batch, records in zip(BATCHES, found["recordSet"], strict=True):
        assert [field["name"] for field in records["field"]] == [*project.dataset.columns]
        assert {key["@id"] for key in records["key"]} <= {*ids}
        for field in records["field"]:
            assert field["source"]["fileObject"]["@id"] == f"{batch}.parquet"
            assert field["source"]["extract"]["column"] == field["name"]
            assert field["dataType"].removeprefix("sc:") in TYPES
    kinds = {field["name"]: field["dataType"] for field in found["recordSet"][0]["field"]}
    assert kinds["scheduled_departure"] == "sc:DateTime"
    assert (kinds["carrier"], kinds["flight"], kinds["temp"]) == (
        "sc:Text",
        "sc:Integer",
        "sc:Float",
    )


def test_columns_have_their_statistics(found: dict[str, Any]) -> None:
    by_name = {column["name"]: column for column in found["variableMeasured"]}
    values = {fact["name"]: fact["value"] for fact in by_name["distance"]["valueReference"]}
    assert values["rows"] > 100
    assert values["missing"] == 0
    assert by_name["distance"]["minValue"] < values["mean"] < by_name["distance"]["maxValue"]


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a", "dep_time", "2013-05", "x.y"], ["a", "dep_time", "2013-05", "x.y"]),
        (["size of it / mm", "Größe"], ["size_of_it_mm-0", "Gr_e-1"]),
        (["a b", "a/b", "a_b-1"], ["a_b-0", "a_b-1-", "a_b-1"]),
        (["", " ", "\n"], ["-0", "_-1", "_-2"]),
    ],
)
def test_ids_hold_no_blank_and_none_is_there_twice(names: list[str], ids: list[str]) -> None:
    assert [make_ids(names)[name] for name in names] == ids


@pytest.mark.parametrize(
    ("published", "kept"), [("2013", True), ("2013-05-01", True), ("in spring", False)]
)
def test_a_date_is_one(published: str, kept: bool, project: Project) -> None:
    found = describe(project, PARAMS, Datasheet({"published": published}))
    assert (found.get("datePublished") == published) == kept


def test_of_many_batches_the_newest_have_records(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_RECORDS == 100
    monkeypatch.setattr("evergreen.papers.croissant.MOST_RECORDS", 1)
    found = describe(project, PARAMS, Datasheet())
    assert [records["@id"] for records in found["recordSet"]] == ["2013-02"]
    assert len(found["distribution"]) == 2
    assert found["description"].endswith(
        "The newest 1 are listed as record sets; all have the same columns."
    )


def test_what_is_unanswered_is_left_out(project: Project) -> None:
    found = describe(project, PARAMS, Datasheet({"licence": "as agreed", "url": "no address"}))
    assert not {"creator", "funder", "citeAs", "datePublished", "url"} & {*found}
    assert found["license"] == "as agreed"
    assert found["name"] == PARAMS.tracking.model
    assert found["version"] == "1.0.0"


@pytest.mark.slow
def test_it_is_written_the_same_each_time_and_holds_no_secret(project: Project) -> None:
    answers = Datasheet({"upkeep": "postgresql://me:s3cr3tword@db/x"})
    path = write_croissant(project, PARAMS, answers)
    first = path.read_bytes()
    assert write_croissant(project, PARAMS, answers).read_bytes() == first
    assert json.loads(first)["name"]
    assert b"s3cr3tword" not in first


def test_what_cannot_be_described_is_said(tmp_path: Path) -> None:
    empty = settings_of(tmp_path / "empty")
    refusal(lambda: write_croissant(empty, PARAMS, Datasheet()), "no batch is validated yet")
    changed = validated(tmp_path / "changed")
    (changed.validated / "2013-02.parquet").write_bytes(b"other")
    refusal(lambda: write_croissant(changed, PARAMS, Datasheet()), "2013-02.parquet", "restore it")
    assert not (changed.reports / "croissant.json").exists()
