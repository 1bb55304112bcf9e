"""Bias: a bound stops what is beyond it, and every finding says what it means."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import month
from training_rows import column, evidence, lacking, only, profiled, rows

from evergreen.errors import InputError
from evergreen.features.keys import KEY
from evergreen.features.prepare import prepare
from evergreen.features.split import SLICE
from evergreen.params import Bias
from evergreen.quality.bias import BiasReport, check_bias, find_bias, list_faults
from evergreen.quality.bias_findings import Evidence
from evergreen.quality.held_batches import find_held
from evergreen.quality.label_noise import Predicted
from late_flights.dataset import dataset


def test_without_groups_a_bound_cannot_be_judged() -> None:
    report = find_bias(evidence(window=profiled(rows().drop(SLICE + "team"))))
    assert only(report, "missing").value is None
    check_bias(report, Bias())
    with pytest.raises(InputError, match=r"cannot be judged.*slices, groups"):
        check_bias(report, Bias(max_missing_difference=0.5))


def test_the_same_seed_gives_the_same_report() -> None:
    some = evidence(window=profiled(lacking(0.2, 0.1)))
    assert find_bias(some, seed=1) == find_bias(some, seed=1)
    assert only(find_bias(some, seed=1), "missing") != only(find_bias(some, seed=2), "missing")


# --- bounds


def biased() -> BiasReport:
    """A report with something of everything."""
    train = pl.concat([rows(), rows().head(200).with_columns(pl.lit("again").alias(KEY + "id"))])
    y = np.repeat([0.0, 1.0], 500)
    p = np.where(np.arange(1000) % 10 == 0, 1 - y, y) * 0.9 + 0.05
    window = profiled(lacking(0.4), gone=rows(500, seed=3))
    return find_bias(evidence(train, window=window), Predicted(y, p, ("on time", "late")))


BOUNDS = {  # value planted, and the words of the advice
    "max_left_out": (0.2, "left_out in dataset.py"),
    "max_missing_difference": (0.4, "how that feature is collected"),
    "max_label_noise": (0.1, "rows named in reports/bias.html"),
    "max_duplicates": (0.18, "delivers rows twice"),
}


@pytest.mark.parametrize("bound", BOUNDS)
def test_what_is_beyond_a_bound_is_named(bound: str) -> None:
    planted, advice = BOUNDS[bound]
    report = biased()
    (found,) = [finding for finding in report.findings if finding.bound == bound]
    assert found.value == pytest.approx(planted, abs=0.07)
    check_bias(report, Bias(**{bound: planted + 0.1}))
    with pytest.raises(InputError) as caught:
        check_bias(report, Bias(**{bound: planted - 0.08}))
    said = str(caught.value)
    for part in (
        found.name,
        f"{100 * (found.value or 0):.2f}%",
        f"bias.{bound} in params.yaml",
        found.says,
        advice,
    ):
        assert part in said


def test_a_bound_is_not_beyond_itself() -> None:
    report = find_bias(evidence(window=profiled(rows(), gone=rows(500, seed=3))))
    assert list_faults(report, Bias(max_left_out=0.2)) == []


def test_without_bounds_nothing_stops() -> None:
    assert list_faults(biased(), Bias()) == []
    check_bias(biased(), Bias())


def test_all_that_is_beyond_is_named_at_once() -> None:
    report = biased()
    bounds = Bias(**dict.fromkeys(BOUNDS, 0.0))
    assert len(list_faults(report, bounds)) == len(BOUNDS)
    with pytest.raises(InputError) as caught:
        check_bias(report, bounds)
    assert all(f"bias.{bound}" in str(caught.value) for bound in BOUNDS)


def test_every_bound_of_the_parameters_belongs_to_a_finding() -> None:
    assert (
        {finding.bound for finding in biased().findings} - {""}
        == set(Bias.model_fields)
        == set(BOUNDS)
    )


def test_every_finding_says_what_it_means() -> None:
    for finding in biased().findings:
        assert finding.says.endswith(".")
        assert all(len(row) == len(finding.columns) for row in finding.rows)
        assert not finding.drawn or finding.drawn in finding.columns


# --- a project


@pytest.mark.slow
def test_real_flights(site: Any) -> None:
    """Cancelled flights of winter are short and in bad weather; windows are the split's."""
    names = [f"2013-{number:02}" for number in range(1, 6)]
    site.accept({name: month(name) for name in names})
    split = prepare(
        site.project, site.dataset, site.params(split={"train_batches": 2}), find_held
    ).split
    found = Evidence.read(site.project, site.dataset)
    assert (found.task, found.batches, found.newest) == ("binary", split.train.batches, "2013-05")
    assert found.train.height == found.trained.kept.rows == found.window.kept.rows
    assert found.history is not None
    kept = {name: month(name)["arr_delay"].count() for name in names}
    assert found.history.kept.rows == sum(kept[name] for name in names[:4])
    assert found.latest.kept.rows == kept["2013-05"]
    report = find_bias(found)
    never = next(iter(dataset.left_out))
    out = only(report, "survivorship", "share of rows left out")
    assert dict(row[:2] for row in out.rows)[never] == sum(  # type: ignore[misc]
        month(name)["dep_time"].null_count() for name in split.train.batches
    )
    compared = column(only(report, "survivorship", never, "numbers"), "feature")
    assert sorted(compared) == sorted({*dataset.features} - {"carrier", "origin", "dest"})
    assert {finding.topic for finding in report.findings} == {
        "survivorship",
        "sampling",
        "balance",
        "missing",
        "duplicates",
    }


def test_two_batches_have_no_history_to_compare_with(built: Any) -> None:
    found = Evidence.read(built.project, built.dataset)
    assert found.history is None
    assert [finding for finding in find_bias(found).findings if "history" in finding.name] == []
