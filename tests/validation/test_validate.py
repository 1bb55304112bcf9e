"""Validate: only new batches are checked, and a bad batch changes nothing."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any
from unittest import mock

import polars as pl
import pytest
from checking import JANUARY, TIME, with_value
from conftest import month, settings_of
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.ingest.batches import ingest
from evergreen.ingest.manifest import Manifest
from evergreen.validation import validate as step
from evergreen.validation.report import QUARANTINE_ROW, REASONS, BadBatchError
from evergreen.validation.validate import read_raw, read_reports, validate

pytestmark = [pytest.mark.usefixtures("great_expectations"), pytest.mark.slow]  # the real engine


def outputs(site: Any) -> tuple[Any, ...]:
    return site.project.validated, site.project.quarantine, site.project.validation


def test_validated_project(built: Any) -> None:
    done = Manifest(built.project.validated)
    assert list(done.in_order()) == ["2013-01", "2013-02"]
    assert done.altered() == []
    for name, entry in done.entries.items():
        valid = pl.read_parquet(done.file(name))
        assert_frame_equal(valid, month(name))
        assert entry["rows"] == valid.height
        assert (entry["start"], entry["end"]) == (str(valid[TIME].min()), str(valid[TIME].max()))
        assert sorted(entry["files"]) == [f"validated/{name}.parquet", f"validation/{name}.json"]
    assert [report.batch for report in read_reports(built.project)] == ["2013-01", "2013-02"]
    assert list(built.project.quarantine.iterdir()) == []


def test_again_checks_nothing(built: Any, snapshot: Callable[..., Any]) -> None:
    before = snapshot(*outputs(built))
    for check in (False, True):
        again = validate(built.project, built.contract(built.params()), check=check)
        assert again.new == ()
        assert again.batches == 2
        assert [report.batch for report in again.reports] == ["2013-01", "2013-02"]
    assert snapshot(*outputs(built)) == before


def test_one_batch_is_in_memory_at_a_time(built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[weakref.ref[pl.DataFrame]] = []
    contract = built.contract(built.params(validate={"max_bad_rows": 0.5}))
    check = type(contract).check

    def watched(self: Any, frame: pl.DataFrame, batch: str) -> Any:
        assert [held for held in left if held() is not None] == []
        outcome = check(self, frame, batch)
        left.extend(weakref.ref(rows) for rows in (frame, outcome.valid, outcome.quarantined))
        return outcome

    monkeypatch.setattr(type(contract), "check", watched)
    assert len(validate(built.project, contract).new) == 2
    assert len(left) == 6


def test_only_a_new_batch_is_checked_and_its_bad_rows_kept(
    built: Any, snapshot: Callable[..., Any]
) -> None:
    frame = with_value(with_value(month("2013-03"), "temp", 3, "warm"), "origin", 5, "LHR")
    built.deliver({"2013-03": frame})
    ingest(built.project, built.dataset, built.params())
    before = snapshot(*outputs(built))
    assert validate(built.project, built.contract(built.params())).new == ("2013-03",)
    after = snapshot(*outputs(built))
    assert {path: after[path] for path in before if "manifest" not in path} == {
        path: content for path, content in before.items() if "manifest" not in path
    }
    kept = pl.read_parquet(built.project.quarantine / "2013-03.parquet")
    assert_frame_equal(kept.drop(REASONS, QUARANTINE_ROW), frame[[3, 5]])
    assert kept[REASONS].to_list() == [["temp: is a number"], ["origin: one of EWR, JFK, LGA"]]
    assert pl.read_parquet(built.project.validated / "2013-03.parquet").height == frame.height - 2
    assert (
        "quarantine/2013-03.parquet"
        in Manifest(built.project.validated).entries["2013-03"]["files"]
    )


def test_bad_batch_changes_nothing_even_after_a_good_one(
    built: Any, snapshot: Callable[..., Any]
) -> None:
    built.deliver({"2013-03": month("2013-03"), "2013-04": month("2013-04").drop("temp")})
    ingest(built.project, built.dataset, built.params())
    before = snapshot(*outputs(built))
    with pytest.raises(
        BadBatchError, match=r"'2013-04' is bad.*\n.*missing column\(s\) 'temp'"
    ) as caught:
        validate(built.project, built.contract(built.params()))
    assert caught.value.report.batch == "2013-04"
    assert snapshot(*outputs(built)) == before
    built.deliver({"2013-04": month("2013-04")})
    ingest(built.project, built.dataset, built.params(), ["2013-04"], replace=True)
    assert validate(built.project, built.contract(built.params())).new == ("2013-03", "2013-04")


def test_bad_first_batch_leaves_no_folder(site: Any, snapshot: Callable[..., Any]) -> None:
    site.deliver({JANUARY: month(JANUARY).head(10)})
    ingest(site.project, site.dataset, site.params())
    with pytest.raises(BadBatchError, match="found 10"):
        validate(site.project, site.contract(site.params()))
    assert snapshot(*outputs(site)) == {}


def test_nothing_to_validate(site: Any) -> None:
    assert validate(site.project, site.contract(site.params())).new == ()


def test_changed_parameter_checks_all_batches_again(built: Any) -> None:
    strict = built.params(validate={"max_bad_rows": 0.001})
    assert validate(built.project, built.contract(strict)).new == ("2013-01", "2013-02")
    assert validate(built.project, built.contract(strict)).new == ()


def test_changed_expectations_check_all_batches_again(built: Any) -> None:
    """What counts is the code of the project's own modules, and of those that they import."""
    package = built.project.root / "stricter"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "dataset.py").write_text("from late_flights.dataset import dataset as dataset\n")
    (package / "expectations.py").write_text("from stricter.most import MOST\n")
    (package / "most.py").write_text("MOST = 1\n")
    assert step.stale(built.project, built.params()) == []
    with mock.patch.object(sys, "path", [str(built.project.root), *sys.path]):
        other = settings_of(built.project.root, "stricter")
        assert step.stale(other, built.params()) == ["2013-01", "2013-02"]
        names = {path.name for path in other.code_of("dataset", "expectations")}
    assert names == {"__init__.py", "dataset.py", "expectations.py", "most.py"}


def test_stricter_parameter_that_fails_keeps_what_there_was(
    built: Any, snapshot: Callable[..., Any]
) -> None:
    before = snapshot(*outputs(built))
    with pytest.raises(BadBatchError, match="at most 5 days old"):
        validate(built.project, built.contract(built.params(validate={"max_age_days": 5})))
    assert snapshot(*outputs(built)) == before


@pytest.mark.parametrize(("folder", "how"), [("validated", "changed"), ("validation", "removed")])
def test_altered_file_is_made_anew_when_checked(
    built: Any, snapshot: Callable[..., Any], folder: str, how: str
) -> None:
    (path,) = (getattr(built.project, folder)).glob("2013-01.*")
    before = path.read_bytes()
    path.unlink() if how == "removed" else path.write_bytes(b"changed")
    assert validate(built.project, built.contract(built.params()), check=True).new == ("2013-01",)
    assert path.read_bytes() == before
    assert Manifest(built.project.validated).altered() == []


@pytest.mark.slow
def test_altered_quarantine_is_made_anew_and_goes_with_its_rows(built: Any) -> None:
    path = built.project.quarantine / "2013-02.parquet"
    for frame, kept in (
        (with_value(month("2013-02"), "origin", 5, "LHR"), 1),
        (month("2013-02"), 0),
    ):
        built.deliver({"2013-02": frame})
        ingest(built.project, built.dataset, built.params(), ["2013-02"], replace=True)
        assert validate(built.project, built.contract(built.params())).new == ("2013-02",)
        assert path.exists() == bool(kept)
        if kept:
            path.unlink()
            assert validate(built.project, built.contract(built.params()), check=True).new == (
                "2013-02",
            )
            assert path.exists()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 100])
def test_damaged_raw_file_says_how_to_restore_it(tmp_path: Any, content: bytes) -> None:
    path = tmp_path / "2013-01.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match="dvc checkout --force") as caught:
        read_raw(path)
    assert str(path) in str(caught.value)


def test_missing_raw_file_says_how_to_restore_it(built: Any) -> None:
    (built.project.raw / "2013-01.parquet").unlink()
    with pytest.raises(InputError, match="dvc checkout --force") as caught:
        validate(built.project, built.contract(built.params(validate={"max_bad_rows": 0.5})))
    assert "2013-01.parquet" in str(caught.value)
