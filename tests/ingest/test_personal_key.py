"""Personal key: one for a project, its owner's; another, or another declaration, is noticed."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import refusal

from evergreen.dataset import Dataset
from evergreen.ingest.batches import drop, find_waiting, ingest
from evergreen.ingest.manifest import Manifest
from evergreen.ingest.personal_key import (
    FORM,
    VARIABLE,
    check_learnt,
    facts_of,
    find_key,
    key_of,
)
from evergreen.project import Project
from evergreen.scoring.unlabelled import read_given
from evergreen.validation.contract import Contract

CLEAR = Dataset(
    columns={"email": pl.String(), "id": pl.Int64(), "bought": pl.Boolean()},
    key=("id",),
    label=pl.col("bought"),
    known_later=("bought",),
    features={"known": pl.col("email").is_not_null()},
)
HASHED = replace(CLEAR, personal={"email": "hash"})
ROWS = pl.DataFrame({"email": ["a@x.org", None], "id": [1, 2], "bought": [True, False]})
FORGET = ("rm -rf data stores reports feedback dvc.lock .dvc/cache", "Personal data")


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def took(site: Any, dataset: Dataset, *names: str) -> tuple[str, ...]:
    site.deliver(dict.fromkeys(names, ROWS))
    return ingest(site.project, dataset, site.params()).new


def kept(site: Any, batch: str) -> list[str]:
    found: list[str] = pl.read_parquet(site.project.raw / f"{batch}.parquet")["email"].to_list()
    return found


def test_a_key_is_made_by_the_first_ingest_and_is_its_owners(site: Any) -> None:
    site.deliver({"a": ROWS})
    assert len(find_waiting(site.project, HASHED, site.params()).offers) == 1
    assert find_key(site.project, HASHED) is None
    refusal(lambda: key_of(site.project, HASHED), "no key", VARIABLE, "stores/personal.key")
    assert took(site, HASHED) == ("a",)
    path = site.project.stores / "personal.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert FORM.fullmatch(path.read_text().strip())
    assert kept(site, "a") == [key_of(site.project, HASHED).hash("a@x.org"), None]
    entry = Manifest(site.project.raw).entries["a"]
    assert entry["personal"]["columns"] == {"email": "hash"}
    assert path.read_text().strip() not in Manifest(site.project.raw).path.read_text()


def test_what_was_taken_is_known_again(site: Any) -> None:
    took(site, HASHED, "a")
    assert find_waiting(site.project, HASHED, site.params()).offers == ()
    assert took(site, HASHED, "a", "b") == ("b",)  # "a" was written anew, with the same rows
    site.deliver({"a": ROWS.with_columns(email=pl.lit("b@x.org"))})
    refusal(lambda: ingest(site.project, HASHED, site.params()), "'a'", "other content")


def test_no_key_is_made_where_nothing_is_personal(site: Any) -> None:
    took(site, CLEAR, "a")
    assert find_key(site.project, CLEAR) is None
    assert not site.project.stores.exists()
    assert "personal" not in Manifest(site.project.raw).entries["a"]


def test_a_workspace_has_the_key_of_its_project(site: Any) -> None:
    took(site, HASHED, "a")
    ingest(site.project.workspace, HASHED, site.params())
    assert not (site.project.workspace.root / "stores" / "personal.key").exists()
    assert Manifest(site.project.workspace.raw).version("a") == Manifest(site.project.raw).version(
        "a"
    )


def lost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.unlink()


def another(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("x" * 43)


def damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("short")


def another_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "y" * 43)


def weak(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "secret")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lost, ("stores/personal.key is missing", "backup", VARIABLE, *FORGET)),
        (another, ("stores/personal.key is not the key", "'a'", "put that back", *FORGET)),
        (damaged, ("stores/personal.key is damaged", "backup")),
        (another_set, (f"{VARIABLE} is not the key", *FORGET)),
        (weak, (VARIABLE, "at least 32 characters")),
    ],
)
def test_another_key_is_never_used_unnoticed(
    site: Any, monkeypatch: pytest.MonkeyPatch, spoil: Any, said: tuple[str, ...]
) -> None:
    took(site, HASHED, "a")
    secret = (site.project.stores / "personal.key").read_text().strip()
    spoil(site.project.stores / "personal.key", monkeypatch)
    site.deliver({"b": ROWS})
    for work in (
        lambda: ingest(site.project, HASHED, site.params()),
        lambda: find_waiting(site.project, HASHED, site.params()),
        lambda: key_of(site.project, HASHED),
    ):
        assert secret not in refusal(work, *said)
    assert [*Manifest(site.project.raw).entries] == ["a"]
    monkeypatch.setenv(VARIABLE, secret)
    assert ingest(site.project, HASHED, site.params()).new == ("b",)
    assert kept(site, "a") == kept(site, "b")


DROPPED = replace(CLEAR, features={"it": pl.col("id")}, personal={"email": "drop"})


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (CLEAR, HASHED, ("'a'", "'email' in the clear", "personal (hash)", *FORGET)),
        (CLEAR, DROPPED, ("'email' in the clear", "personal (drop)", *FORGET)),
        (HASHED, DROPPED, ("'email' hashed, and dataset.py drops it now", *FORGET)),
        (HASHED, CLEAR, ("'email' hashed", "personal no more", *FORGET)),
    ],
)
def test_what_was_kept_in_another_way_is_not_mixed(
    site: Any, before: Dataset, now: Dataset, said: tuple[str, ...]
) -> None:
    took(site, before, "a")
    site.deliver({"b": ROWS})
    refusal(lambda: ingest(site.project, now, site.params()), *said)
    refusal(lambda: ingest(site.project, now, site.params(), ["a"], replace=True), *said)
    refusal(lambda: find_waiting(site.project, now, site.params()), *said)
    defined = Project(site.project.root)
    defined.__dict__["dataset"] = now
    refusal(lambda: Contract.of(defined, site.params()), *said)  # which all that validates has
    assert [*Manifest(site.project.raw).entries] == ["a"]
    drop(site.project, ["a"])
    assert took(site, now) == ("a", "b")


def test_a_column_that_no_batch_holds_may_become_personal(site: Any) -> None:
    took(site, HASHED, "a")
    more = replace(HASHED, columns={**CLEAR.columns, "name": pl.String()},
                   personal=HASHED.personal | {"name": "hash", "note": "drop"})  # fmt: skip
    site.deliver({"b": ROWS.with_columns(name=pl.lit("Ann"), note=pl.lit("tall"))})
    assert took(site, more) == ("b",)
    assert pl.read_parquet_schema(site.project.raw / "b.parquet").names() == [*more.columns]


def test_a_server_reads_no_row_until_it_is_given_the_key(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    took(site, HASHED, "a")
    ROWS.write_csv(tmp_path / "new.csv")
    server, source = Project(tmp_path / "server"), site.params().source

    def read() -> list[Any]:
        return read_given(server, HASHED, source, str(tmp_path / "new.csv")).rows["email"].to_list()

    refusal(read, "no key", VARIABLE)
    assert not server.stores.exists()
    monkeypatch.setenv(VARIABLE, (site.project.stores / "personal.key").read_text().strip())
    assert read() == kept(site, "a")


def test_a_project_elsewhere_has_another_key(site: Any, tmp_path: Path) -> None:
    took(site, HASHED, "a")
    other = Project(tmp_path / "other")
    ingest(other, HASHED, site.params())
    assert pl.read_parquet(other.raw / "a.parquet")["email"][0] != kept(site, "a")[0]


def test_a_version_is_used_with_the_key_of_its_rows_only(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert facts_of(site.project, CLEAR) == {}
    took(site, HASHED, "a")
    tags = {f"evergreen.{name}": value for name, value in facts_of(site.project, HASHED).items()}
    check_learnt(key_of(site.project, HASHED), tags, "3")
    check_learnt(key_of(site.project, HASHED), {}, "3")  # an older version does not say
    monkeypatch.setenv(VARIABLE, "another" * 6)
    elsewhere = key_of(Project(tmp_path / "elsewhere"), HASHED)  # where data/raw is not
    refusal(lambda: check_learnt(elsewhere, tags, "3"), "version 3", "another key", VARIABLE)
