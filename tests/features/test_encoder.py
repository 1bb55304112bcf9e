"""The encoder: what it codes, what it refuses, and that its codes never move."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import month
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.errors import InputError
from evergreen.features.encoder import FEW, FIRST, MISSING, OTHER, Encoder, as_class, fit_encoder
from evergreen.features.featurize import featurize, summarize
from evergreen.features.split import LABEL
from late_flights.dataset import dataset

ENCODER = Encoder(
    "binary", ("colour", "size"), {"colour": ("blue", "red")}, ("false", "true"), ("2013-01",)
)
NAMES = st.text(max_size=8)
LEVELS = {"colour": ("blue", "red"), "none": ()}


def colours(*values: str | None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "colour": pl.Series(values, dtype=pl.String),
            "size": pl.Series([1.5] * len(values), dtype=pl.Float64),
        }
    )


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("blue", FIRST),
        ("red", FIRST + 1),
        ("green", OTHER),
        ("", OTHER),
        ("Blue", OTHER),
        (None, MISSING),
    ],
)
def test_category_codes(value: str | None, code: int) -> None:
    x = ENCODER.transform(colours(value))
    assert x.dtype == np.float32
    assert x.shape == (1, 2)
    assert x[0, 0] == code


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (pl.Series([2.5, None]), [2.5, np.nan]),
        (pl.Series([3, None], dtype=pl.Int64), [3, np.nan]),
        (pl.Series([True, None]), [1, np.nan]),
        (pl.Series([None, None], dtype=pl.Null), [np.nan, np.nan]),
        (pl.Series([np.inf, -np.inf]), [np.nan, np.nan]),
        (pl.Series([1e300, np.nan]), [np.nan, np.nan]),  # more than a float32 holds
    ],
    ids=["float", "integer", "boolean", "nothing", "infinite", "not finite"],
)
def test_numbers_stay_what_they_are(size: pl.Series, expected: list[float]) -> None:
    x = ENCODER.transform(pl.DataFrame({"colour": ["red", "red"], "size": size}))
    np.testing.assert_array_equal(x[:, 1], np.array(expected, dtype=np.float32))


def test_columns_follow_the_order_of_training_and_extra_ones_are_ignored() -> None:
    frame = colours("red")
    expected = ENCODER.transform(frame)
    shuffled = frame.with_columns(more=pl.lit("x")).select("more", "size", "colour")
    np.testing.assert_array_equal(ENCODER.transform(shuffled), expected)


def test_no_rows_give_no_rows() -> None:
    assert ENCODER.transform(colours()).shape == (0, 2)


@pytest.mark.parametrize(
    ("frame", "parts"),
    [
        (pl.DataFrame({"colour": ["red"]}), ("size", "lack the feature")),
        (pl.DataFrame({"other": ["red"]}), ("colour, size",)),
        (
            pl.DataFrame({"colour": ["red"], "size": ["large"]}),
            ("'size'", "must be a number", "String"),
        ),
        (
            pl.DataFrame({"colour": ["red"], "size": [[1.0]]}),
            ("'size'", "must be a number", "List"),
        ),
    ],
    ids=["missing", "all missing", "text for a number", "list for a number"],
)
def test_transform_refuses(frame: pl.DataFrame, parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        ENCODER.transform(frame)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.slow
@given(
    levels=st.sets(NAMES, max_size=6), values=st.lists(st.none() | NAMES, min_size=1, max_size=12)
)
def test_every_value_has_the_code_of_its_level_and_codes_survive_a_file(
    levels: set[str], values: list[str | None]
) -> None:
    encoder = Encoder("binary", ("colour",), {"colour": tuple(sorted(levels))}, ("0", "1"), ("a",))
    frame = pl.DataFrame({"colour": pl.Series(values + sorted(levels), dtype=pl.String)})
    codes = encoder.transform(frame)[:, 0]
    place = {level: code for code, level in enumerate(sorted(levels), FIRST)}
    assert codes.tolist() == [
        MISSING if value is None else place.get(value, OTHER) for value in frame["colour"].to_list()
    ]
    with tempfile.TemporaryDirectory() as folder:
        encoder.write(Path(folder) / "encoder.json")
        again = Encoder.read(Path(folder) / "encoder.json")
    assert again == encoder
    np.testing.assert_array_equal(again.transform(frame)[:, 0], codes)


@pytest.mark.slow
@given(st.permutations(range(20)))
@settings(max_examples=20, deadline=None)
def test_a_row_is_coded_by_itself(order: list[int]) -> None:
    rows, _ = featurize(dataset, month("2013-01").head(20), "binary")
    rows = rows.head(20)
    order = [place for place in order if place < rows.height]
    encoder = fit_encoder(
        "binary",
        list(dataset.features),
        summarize(dataset, rows, {}).kept.levels,
        {"a": 1, "b": 1},
        1,
        ["x"],
    )
    np.testing.assert_array_equal(encoder.transform(rows[order]), encoder.transform(rows)[order])


@pytest.mark.parametrize(
    ("task", "label", "expected"),
    [
        ("binary", pl.Series(["true", "false"]), [1, 0]),
        ("binary", pl.Series([True, False]), [1, 0]),
        ("regression", pl.Series([2.5, -1.0]), [2.5, -1]),
        ("regression", pl.Series([2, 3]), [2, 3]),
    ],
)
def test_label_codes(task: str, label: pl.Series, expected: list[float]) -> None:
    encoder = Encoder(task, (), {}, ("false", "true") if task == "binary" else (), ("a",))
    coded = encoder.transform_label(label)
    assert coded.dtype == np.float32
    assert coded.tolist() == expected


@pytest.mark.parametrize("label", ["perhaps", "TRUE", ""])
def test_label_of_no_training_row_is_refused(label: str) -> None:
    with pytest.raises(InputError) as caught:
        ENCODER.transform_label(pl.Series(["true", label]))
    assert repr(label) in str(caught.value)
    assert "false, true" in str(caught.value)


@pytest.mark.parametrize(
    ("label", "names"),
    [
        (pl.Series([True, False, None]), ["true", "false", None]),
        (pl.Series([2, 10]), ["2", "10"]),
        (pl.Series([2.0, -1.0, None]), ["2", "-1", None]),
        (pl.Series(["a", "1.5"]), ["a", "1.5"]),
    ],
    ids=["boolean", "integer", "whole float", "text"],
)
def test_class_names(label: pl.Series, names: list[str | None]) -> None:
    assert as_class(label).to_list() == names


@pytest.mark.slow
@given(st.lists(st.floats(-100, 100, width=16), min_size=2, max_size=6, unique=True))
def test_two_numbers_are_never_one_class(values: list[float]) -> None:
    distinct = len({value + 0.0 for value in values})  # -0.0 is 0.0
    with suppress(InputError):  # to refuse them is right too
        assert as_class(pl.Series(values)).n_unique() == distinct


@pytest.mark.parametrize(
    ("classes", "order"),
    [
        ({"10": 1, "9": 1, "-2": 1}, ("-2", "9", "10")),
        ({"b": 1, "a": 2, "10": 1}, ("10", "a", "b")),
        ({"true": 5, "false": 3}, ("false", "true")),
    ],
    ids=["numbers", "mixed", "words"],
)
def test_class_order(classes: dict[str, int], order: tuple[str, ...]) -> None:
    assert fit_encoder("multiclass", ["x"], {}, classes, 1, ["a"]).classes == order


@pytest.mark.slow
@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(1, 9), min_size=2, max_size=5))
def test_any_names_of_classes_can_be_fitted(classes: dict[str, int]) -> None:
    assert sorted(fit_encoder("multiclass", ["x"], {}, classes, 1, ["a"]).classes) == sorted(
        classes
    )


@pytest.mark.parametrize("name", ["²", "--1", "-"])
def test_class_names_that_look_like_numbers(name: str) -> None:
    assert set(fit_encoder("multiclass", ["x"], {}, {name: 1, "1": 1}, 1, ["a"]).classes) == {
        name,
        "1",
    }


@pytest.mark.parametrize(
    ("min_rows", "levels"), [(1, ("a", "b", "c")), (5, ("b", "c")), (6, ("c",)), (100, ())]
)
def test_levels_need_enough_rows(min_rows: int, levels: tuple[str, ...]) -> None:
    encoder = fit_encoder(
        "binary", ["x"], {"x": {"c": 9, "b": 5, "a": 4}}, {"0": 1, "1": 1}, min_rows, ["m"]
    )
    assert encoder.levels["x"] == levels
    rows = pl.DataFrame({"x": ["a", "b", "c", None]})
    found = encoder.transform(rows)[:, 0].tolist()
    assert found == [
        *(FIRST + levels.index(level) if level in levels else OTHER for level in "abc"),
        MISSING,
    ]


@pytest.mark.parametrize(
    ("task", "labels", "parts"),
    [
        ("binary", {"true": 1234}, ("1,234", "true", "2013-01 to 2013-03", "label in dataset.py")),
        ("multiclass", {"7": 3}, ("all 3", "7", "label in dataset.py")),
        ("binary", {}, ("missing", "label in dataset.py")),
        ("binary", {"0": 1, "1": 1, "2": 1}, ("3 classes", "0, 1, 2", "task: multiclass")),
    ],
    ids=["one class", "one class of many", "no class", "three classes for binary"],
)
def test_fit_refuses_labels_that_teach_nothing(
    task: str, labels: dict[str, int], parts: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        fit_encoder(task, ["x"], {}, labels, 1, ["2013-01", "2013-02", "2013-03"])
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize(("task", "classes"), [("regression", ()), ("multiclass", ("0", "1", "2"))])
def test_fit_accepts(task: str, classes: tuple[str, ...]) -> None:
    labels = dict.fromkeys(classes, 5)
    assert fit_encoder(task, ["x"], {}, labels, 1, ["a"]).classes == classes


def test_real_rows_are_coded_whole() -> None:
    rows, _ = featurize(dataset, month("2013-01"), "binary")
    counts = summarize(dataset, rows, {})
    encoder = fit_encoder(
        "binary", list(dataset.features), counts.kept.levels, counts.classes, 5, ["2013-01"]
    )
    x = encoder.transform(rows)
    assert x.shape == (rows.height, len(dataset.features))
    assert x.dtype == np.float32
    dest = x[:, list(dataset.features).index("dest")]
    assert dest.min() >= OTHER
    assert dest.max() == FIRST + len(encoder.levels["dest"]) - 1
    assert encoder.transform_label(rows[LABEL]).sum() == (rows[LABEL] == "true").sum()


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.none() | st.sampled_from(["blue", "red"]) | NAMES, st.none() | st.floats()),
        min_size=1,
        max_size=FEW,
    )
)
def test_few_rows_are_encoded_as_many_are(rows: list[tuple[str | None, float | None]]) -> None:
    encoder = replace(ENCODER, features=("colour", "size", "none"), levels=LEVELS)
    frame = pl.DataFrame(rows, {"colour": pl.String, "size": pl.Float64}, orient="row")
    frame = frame.with_columns(none=pl.col("colour"))
    many = pl.concat([frame] * (FEW // len(rows) + 1))
    assert many.height > FEW
    expected = encoder.transform(many)[: len(rows)]
    assert encoder.transform(frame).tobytes() == expected.tobytes()
