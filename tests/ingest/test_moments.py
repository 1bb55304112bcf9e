"""Moments: a column of times, a number that grows with time, or the order of rows and files."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from evergreen.dataset import ORDER, Dataset
from evergreen.errors import InputError
from evergreen.features.featurize import featurize, featurize_unlabelled
from evergreen.features.keys import key_columns
from evergreen.features.prepare import prepare
from evergreen.features.split import LABEL, ROLES, TIME, Split, read_part
from evergreen.ingest.batches import ingest
from evergreen.ingest.manifest import Manifest
from evergreen.ingest.moments import FARTHEST, moments
from evergreen.quality.held_batches import find_held
from evergreen.scoring.predictions import join_labels
from evergreen.validation.validate import validate

COLUMNS = {
    "week": pl.Int64(),
    "score": pl.Float64(),
    "day": pl.Datetime("us"),
    "place": pl.String(),
    "y": pl.Boolean(),
}
ARRIVED = datetime(2024, 5, 3, 8, 30)  # noqa: DTZ001


def declare(time: str) -> Dataset:
    """Return a dataset without a key whose time is this."""
    features = {"score": pl.col("score"), "place": pl.col("place")}
    return Dataset(
        columns=COLUMNS, time=time, label=pl.col("y"), known_later=("y",), features=features
    )


def table(week: int, rows: int = 60) -> pl.DataFrame:
    """Rows of a week, many of which hold the same."""
    number = pl.int_range(rows, eager=True)
    return pl.DataFrame(
        {
            "week": [week] * rows,
            "score": (number % 5).cast(pl.Float64),
            "day": [ARRIVED + timedelta(days=week)] * rows,
            "place": ["north", "south"] * (rows // 2),
            "y": number % 3 == 0,
        }
    )


@pytest.mark.parametrize(
    ("time", "column", "dates"),
    [("", False, False), (ORDER, False, False), ("week", True, False), ("day", True, True)],
)
def test_what_says_when(time: str, column: bool, dates: bool) -> None:
    declared = declare(time)
    assert (declared.has_time_column, declared.has_dates) == (column, dates)


def test_numbers_count_days() -> None:
    assert moments(declare("week"), table(3, 2), ARRIVED).to_list() == [datetime(1970, 1, 4)] * 2  # noqa: DTZ001
    assert moments(declare("score"), table(3, 4), ARRIVED).dt.day().to_list() == [1, 2, 3, 4]


@pytest.mark.parametrize("number", [FARTHEST + 1, -FARTHEST - 1])
def test_a_number_that_can_count_no_days_is_refused(number: int) -> None:
    with pytest.raises(InputError, match=r"too large to count days"):
        moments(declare("week"), table(number, 2), ARRIVED)


@pytest.mark.parametrize("time", ["", ORDER])
def test_a_batch_without_times_lasts_as_long_as_it_has_rows(time: str) -> None:
    first, last = moments(declare(time), table(1), ARRIVED)
    assert (first, last - first) == (ARRIVED, timedelta(microseconds=60))


def test_in_order_each_row_comes_after_the_one_before() -> None:
    features, _ = featurize(declare(ORDER), table(1), "binary", ARRIVED)
    assert features[TIME].to_list() == [ARRIVED + timedelta(microseconds=at) for at in range(60)]
    assert features["score"].to_list() == table(1)["score"].to_list()
    assert not features.select(key_columns(features)).is_duplicated().any()


def test_in_order_labels_find_rows_that_hold_what_no_other_does() -> None:
    dataset = declare(ORDER)
    rows = table(1, 10).with_columns(score=pl.int_range(10).cast(pl.Float64))
    scored, _ = featurize_unlabelled(dataset, rows)
    labelled, _ = featurize(dataset, rows, "binary", ARRIVED)
    found = join_labels(
        scored.drop("score", "place"), labelled.select(*key_columns(labelled), LABEL)
    )
    assert found[LABEL].to_list() == labelled[LABEL].to_list()


@pytest.mark.usefixtures("great_expectations")
@pytest.mark.parametrize(("time", "batches"), [("week", 4), (ORDER, 4), ("score", 1), (ORDER, 1)])
def test_the_newest_judge(time: str, batches: int, site: Any) -> None:
    site.dataset, site.expectations = declare(time), lambda _: []
    for week in range(1, batches + 1):  # the files come one by one
        site.deliver({f"w{week}": table(week)})
        ingest(site.project, site.dataset, site.params())
        validate(site.project, site.contract(site.params()))
    prepare(site.project, site.dataset, site.params(), find_held)
    split = Split.read(site.project.features / "split.json")
    assert list(Manifest(site.project.features).in_order()) == [
        f"w{week}" for week in range(1, batches + 1)
    ]
    parts = [read_part(site.project, getattr(split, role)) for role in ROLES]
    if batches > 1:
        assert split.judging_rows() == "w4"
        assert [part.height for part in parts] == [120, 60, 60]
    else:
        assert split.judging_rows() == "the newest rows of w1"
        assert sum(part.height for part in parts) == 60
    assert all(part[TIME].max() < other[TIME].min() for part, other in pairwise(parts))
