"""Places: rows without a key are named by where they stood in the batch."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from evergreen.dataset import Dataset
from evergreen.features.featurize import featurize, featurize_unlabelled
from evergreen.features.prepare import prepare
from evergreen.features.row_numbers import ROW, describe_rows, number_rows
from evergreen.features.split import Split, read_part
from evergreen.ingest.batches import ingest
from evergreen.quality.held_batches import find_held
from evergreen.validation.report import QUARANTINE_ROW
from evergreen.validation.validate import validate

COLUMNS = {"x": pl.Float64(), "place": pl.String(), "y": pl.Boolean()}


dataset = Dataset(  # without a time and without a key
    columns=COLUMNS,
    label=pl.col("y"),
    known_later=("y",),
    left_out={"closed": pl.col("place") == "none"},
    features={"x": pl.col("x"), "place": pl.col("place")},
)


def table(rows: int = 400) -> pl.DataFrame:
    """Rows that are all different, except that row 11 is row 10 once more."""
    number = pl.int_range(rows, eager=True)
    place = pl.Series(["north", "south", "east", "none"][at % 4] for at in number)
    frame = pl.DataFrame({"x": number * 0.5, "place": place, "y": number % 3 == 0})
    return pl.concat([frame[:10], frame[9:]])


@pytest.mark.parametrize("bad", [[], [1], [2, 3, 11, 401]])
@pytest.mark.parametrize("labelled", [True, False])
def test_each_row_has_the_number_it_came_with(bad: list[int], labelled: bool) -> None:
    frame = table().with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).alias(QUARANTINE_ROW)
    )
    chosen = frame[QUARANTINE_ROW].is_in(bad)
    valid, quarantined = frame.filter(~chosen), frame.filter(chosen)
    features, _ = (
        featurize(dataset, valid, "binary") if labelled else featurize_unlabelled(dataset, valid)
    )
    found = number_rows(dataset, features, valid.drop(QUARANTINE_ROW), quarantined)
    expected = valid.filter(pl.col("place") != "none")[QUARANTINE_ROW]
    assert found[ROW].to_list() == expected.to_list()
    assert found.drop(ROW).equals(features)


def test_of_a_batch_quarantined_without_numbers_nothing_is_made_up() -> None:
    features, _ = featurize(dataset, table(), "binary")
    found = number_rows(dataset, features, table(), table().head(1))
    assert found[ROW].to_list() == [None] * features.height


@pytest.mark.usefixtures("great_expectations")
def test_rows_of_the_holdout_are_told_by_batch_number_and_values(site: Any) -> None:
    site.dataset, site.expectations = dataset, lambda _: []
    site.deliver(
        {
            "a": table().with_columns(
                x=pl.when(pl.int_range(pl.len()) == 4).then(None).otherwise("x")
            ),
            "b": table(200),
        }
    )
    ingest(site.project, site.dataset, site.params())
    validate(site.project, site.contract(site.params()))
    prepare(site.project, site.dataset, site.params(), find_held)
    holdout = Split.read(site.project.features / "split.json").holdout
    rows = read_part(site.project, holdout)
    at = [0, rows.height - 1, 3]
    told = describe_rows(site.project, site.dataset, holdout, at)
    for place, text in zip(at, told, strict=True):
        batch, number = text.split(":")[0].split(" row ")
        raw = pl.read_parquet(site.project.raw / f"{batch}.parquet")[int(number) - 1]
        assert raw["x"].cast(pl.Float32).item() == rows["x"][place]
        assert text == f"{batch} row {number}: x {raw['x'].item():g}, place {raw['place'].item()}"
    assert told[0].startswith("a row ")
    assert told[1].startswith("b row ")
