"""The split of rows that no column says the time of: by a hash of the key, for ever."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from preparing import parts_of

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.featurize import featurize, featurize_unlabelled
from evergreen.features.keys import KEY
from evergreen.features.prepare import prepare
from evergreen.features.split import (
    CONTENT,
    LABEL,
    ROLES,
    SHARES,
    TIME,
    Part,
    Split,
    read_part,
    within,
)
from evergreen.ingest.batches import ingest
from evergreen.ingest.manifest import Manifest
from evergreen.quality.bias import find_bias
from evergreen.quality.bias_findings import Evidence
from evergreen.quality.held_batches import find_held
from evergreen.validation.validate import validate

COLUMNS = {"id": pl.Int64(), "x": pl.Float64(), "place": pl.String(), "y": pl.Boolean()}


@pytest.fixture(params=[("id",), ()], ids=["key", "no key"])
def timeless(
    request: pytest.FixtureRequest, site: Any, great_expectations: None
) -> tuple[str, ...]:
    """A dataset without a time, with a key or without one."""
    features = {"x": pl.col("x"), "place": pl.col("place")}
    site.dataset = Dataset(
        columns=COLUMNS, key=request.param, label=pl.col("y"), known_later=("y",), features=features
    )
    site.expectations = lambda _: []
    key: tuple[str, ...] = request.param
    return key


def table(first: int, rows: int = 400) -> pl.DataFrame:
    """Rows `first` to `first + rows`, no two of them alike."""
    number = pl.int_range(first, first + rows, eager=True)
    place = pl.Series(["north", "south", "east", "west"][place % 4] for place in number)
    return pl.DataFrame({"id": number, "x": number * 0.5, "place": place, "y": number % 3 == 0})


def deliver(site: Any, **frames: pl.DataFrame) -> None:
    site.deliver(frames)
    ingest(site.project, site.dataset, site.params())
    validate(site.project, site.contract(site.params()))
    prepare(site.project, site.dataset, site.params(), find_held)


def keys_of(part: pl.DataFrame) -> set[Any]:
    return set(part.select(name for name in part.columns if name.startswith(KEY)).to_series())


@pytest.mark.usefixtures("timeless")
def test_a_row_keeps_its_part_whatever_comes_later(site: Any) -> None:
    deliver(site, a=table(0))
    before = parts_of(site)
    deliver(site, b=table(400), c=table(800))
    after = parts_of(site)
    assert sum(part.height for part in before.values()) == 400
    assert sum(part.height for part in after.values()) == 1200
    for role in ROLES:
        low, high = SHARES[role]
        assert after[role].height / 1200 == pytest.approx(high - low, abs=0.03)
        assert keys_of(before[role]) < keys_of(after[role])
    assert keys_of(after["train"]).isdisjoint(
        keys_of(after["validation"]) | keys_of(after["holdout"])
    )
    assert keys_of(after["validation"]).isdisjoint(keys_of(after["holdout"]))


@pytest.mark.usefixtures("timeless")
def test_the_encoder_knows_nothing_of_the_holdout(site: Any) -> None:
    nowhere = table(0).with_columns(place=pl.lit("nowhere"))
    unseen = within(featurize(site.dataset, nowhere, "binary")[0], SHARES["holdout"])
    deliver(
        site,
        a=table(0).with_columns(place=pl.when(unseen).then(pl.lit("nowhere")).otherwise("place")),
    )
    content = (site.project.features / "encoder.json").read_text()
    assert "nowhere" not in content
    assert "north" in content


@pytest.mark.usefixtures("timeless")
def test_batches_are_in_order_of_arrival(site: Any) -> None:
    deliver(site, z=table(0), y=table(400))
    deliver(site, a=table(800))
    assert list(Manifest(site.project.features).in_order()) == ["y", "z", "a"]
    entries = Manifest(site.project.raw).entries
    assert entries["y"]["start"] < entries["z"]["start"] < entries["a"]["start"]
    split = Split.read(site.project.features / "split.json")
    assert (split.train.batches, split.holdout.end) == (("y", "z", "a"), entries["a"]["start"])
    assert set(parts_of(site)["train"][TIME].cast(pl.String)) <= {
        str(datetime.fromisoformat(entry["start"])) for entry in entries.values()
    }


@pytest.mark.usefixtures("great_expectations")
def test_replacing_a_batch_does_not_move_it(site: Any, timeless: tuple[str, ...]) -> None:
    deliver(site, a=table(0), b=table(400))
    before = Manifest(site.project.raw).entries["a"]["start"]
    site.deliver({"a": table(0).with_columns(x=pl.col("x") + 1)})
    ingest(site.project, site.dataset, site.params(), ["a"], replace=True)
    assert Manifest(site.project.raw).entries["a"]["start"] == before


@pytest.mark.usefixtures("timeless")
def test_freshness_cannot_be_asked_of_rows_without_a_time(site: Any) -> None:
    site.deliver({"a": table(0)})
    wanted = site.params(validate={"max_age_days": 3})
    ingest(site.project, site.dataset, wanted)
    with pytest.raises(InputError, match=r"max_age_days .* time in dataset.py"):
        validate(site.project, site.contract(wanted))


@pytest.mark.usefixtures("timeless")
def test_a_query_cannot_be_cut_without_a_time(site: Any) -> None:
    with pytest.raises(InputError, match="name a column of times as time"):
        ingest(
            site.project,
            site.dataset,
            site.params(source={"kind": "sql", "url": "sqlite://", "query": "SELECT 1"}),
        )


def test_rows_without_a_key_are_known_by_what_they_hold(
    site: Any, timeless: tuple[str, ...]
) -> None:
    rows = table(0, 30)
    labelled, early = (
        featurize(site.dataset, rows, "binary")[0],
        featurize_unlabelled(site.dataset, rows.with_columns(y=pl.lit(None, pl.Boolean)))[0],
    )
    key = KEY + timeless[0] if timeless else CONTENT
    assert labelled[key].to_list() == early[key].to_list()
    assert labelled[key].n_unique() == 30
    assert_frame_equal(early.drop(TIME), labelled.drop(LABEL, TIME))


@pytest.mark.slow
@given(st.lists(st.integers(), min_size=1, unique=True))
def test_every_row_has_one_part(numbers: list[int]) -> None:
    rows = pl.DataFrame({KEY + "id": [str(number) for number in numbers]})
    found = pl.DataFrame({role: within(rows, SHARES[role]).cast(pl.Int8) for role in ROLES})
    assert set(found.sum_horizontal()) == {1}


# --- what the holdout is called

ALL = ("a", "b", "c")
PARTS: dict[str, tuple[Split, str]] = {
    "the newest batch": (
        Split(Part(("a",), None, "2"), Part(("b",), "2", "3"), Part(("c",), "3", None)),
        "c",
    ),
    "by time": (
        Split(Part(("a", "b"), None, "1"), Part(("a", "b"), "1", "2"), Part(("a", "b"), "2", None)),
        "the newest rows up to b",
    ),
    "by time, one batch": (
        Split(Part(("a",), None, "1"), Part(("a",), "1", "2"), Part(("a",), "2", None)),
        "the newest rows of a",
    ),
    "by key": (
        Split(*(Part(ALL, None, "3", SHARES[role]) for role in ROLES)),
        "15% of the rows up to c",
    ),
    "by key, one batch": (
        Split(*(Part(("a",), None, "3", SHARES[role]) for role in ROLES)),
        "15% of the rows of a",
    ),
}


@pytest.mark.parametrize(("split", "said"), PARTS.values(), ids=PARTS)
def test_the_holdout_is_called_a_batch_only_where_it_is_one(split: Split, said: str) -> None:
    assert split.judging_rows() == said
    assert said.rpartition(" ")[2] == split.holdout.batches[-1]
    assert split.newest_judges == (said == "c")


@pytest.mark.usefixtures("timeless")
def test_the_newest_batch_of_the_bias_report_is_the_whole_of_it(site: Any) -> None:
    """The holdout by key holds rows of every batch, and is not called the newest."""
    deliver(site, a=table(0))
    alone = Evidence.read(site.project, site.dataset)
    assert alone.alone
    assert alone.latest.kept.rows == parts_of(site)["holdout"].height
    assert "training beside the holdout · label" in {
        finding.name for finding in find_bias(alone).findings
    }
    late = table(400).with_columns(y=pl.lit(value=True))
    deliver(site, b=late)
    found = Evidence.read(site.project, site.dataset)
    assert (found.newest, found.alone, found.history) == ("b", False, None)
    assert found.latest.classes == {"true": late.height}
    names = {finding.name for finding in find_bias(found).findings if finding.topic == "sampling"}
    assert "training beside the newest batch, b · label" in names


@pytest.mark.usefixtures("timeless")
@pytest.mark.parametrize(("below", "few"), [(401, True), (400, False), (None, False)])
def test_few_rows_all_judge_and_are_all_learnt_from(
    below: int | None, few: bool, site: Any
) -> None:
    deliver(site, first=table(0))
    prepare(
        site.project, site.dataset, site.params(split={"cross_validate_below": below}), find_held
    )
    split = Split.read(site.project.features / "split.json")
    assert read_part(site.project, split.judging).height == (
        400 if few else read_part(site.project, split.holdout).height
    )
    assert (read_part(site.project, split.all_rows()).height == 400) is few
    assert split.judging_rows() == (
        "cross-validation of all rows up to first" if few else "15% of the rows of first"
    )


@pytest.mark.usefixtures("timeless")
def test_without_a_refit_no_row_is_judged_by_cross_validation(site: Any) -> None:
    deliver(site, first=table(0))
    found = prepare(
        site.project,
        site.dataset,
        site.params(split={"cross_validate_below": 3000}, train={"device": "cpu", "refit": "none"}),
        find_held,
    )
    assert found.split.judged is None


@pytest.mark.usefixtures("timeless")
@pytest.mark.parametrize("moments", [400, 30])
def test_few_rows_are_cut_forward_in_time_where_there_are_moments_enough(
    moments: int, site: Any
) -> None:
    start = datetime(2024, 1, 1)  # noqa: DTZ001
    site.declare(columns={**COLUMNS, "day": pl.Datetime("us")}, time="day")
    frames = {}
    for at in range(4):
        days = (pl.int_range(at * 100, at * 100 + 100, eager=True) * moments // 400).alias("day")
        frames[f"b{at}"] = table(at * 100, 100).with_columns(
            day=pl.lit(start) + pl.duration(days=days)
        )
    deliver(site, **frames)
    split = prepare(
        site.project, site.dataset, site.params(split={"cross_validate_below": 3000}), find_held
    ).split
    if moments < 40:
        assert split.judged is None
        return
    rows = read_part(site.project, split.judging)
    assert (rows.height, rows[TIME].min()) == (200, datetime(2024, 7, 19))  # noqa: DTZ001
    assert read_part(site.project, split.all_rows()).height == 400
    assert split.judging_rows() == "cross-validation of the newer half of the rows up to b3"
    assert not split.newest_judges
