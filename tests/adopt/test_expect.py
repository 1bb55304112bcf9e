"""Expect: the rules hold of what was seen, and leave honest data room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from evergreen.adopt.expect import expect, widen

Through = Callable[..., Any]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([18, 40, 45, 50, 90], (0, 130)),
        ([980.0, 1010.0, 1012.0, 1015.0, 1040.0], (950, 1070)),
        ([0, 1, 0, 1], (0, 1)),
        ([1, 2, 3, 4, 5], (0, 7)),
        ([-0.1, 0.0, 0.02, 0.2], (-0.3, 0.4)),
        ([0.002, 0.004, 0.003], (0.001, 0.005)),
        ([-7, -5, -6], (-8, -4)),
        ([*[1.0, 2.0, 3.0] * 50, 1000.0], (0, 3000)),
    ],
)
def test_ranges_are_figures_a_person_would_write(
    values: list[float], expected: tuple[float, float]
) -> None:
    assert widen(pl.Series(values).cast(pl.Float64)) == expected


def rules(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the rules of an expectations.py, as kind and arguments, without Great Expectations."""

    class Gxe:
        def __getattr__(self, kind: str) -> Any:
            return lambda **given: (kind, given)

    lines = [
        line
        for line in text.splitlines()
        if not line.startswith(("import great", "from great", "from __future__"))
    ]
    names: dict[str, Any] = {"gxe": Gxe(), "Expectation": object}
    code = "\n".join(lines).replace("from late_flights.dataset import dataset", "")
    exec(code.replace("list[Expectation]", "list"), names)
    return list(names["expectations"]("any"))


@pytest.mark.slow
def test_a_plain_table(work: Through) -> None:
    adopted = work(1200, 360)
    found = rules(expect(adopted.found, adopted.plan, adopted.batches, "late_flights"))
    kinds = [kind.removeprefix("ExpectColumnValuesTo") for kind, _ in found]
    assert kinds == [
        "ExpectTableRowCountToBeBetween",
        *["NotBeNull"] * 5,
        *["BeBetween"] * 2,
        *["BeInSet"] * 2,
    ]
    assert found[0][1] == {"min_value": 20, "max_value": 500}
    # The label
    assert [given.get("mostly") for kind, given in found if "NotBeNull" in kind] == [None] * 4 + [
        0.5
    ]
    assert found[-2][1] == {"column": "churn", "value_set": ["no", "yes"]}
    assert found[-1][1] == {
        "column": "place",
        "value_set": ["east", "north", "south"],
        "mostly": 0.9,
    }


@pytest.mark.slow
def test_what_is_seldom_missing_may_be_missing_again(work: Through) -> None:
    missing = [None if at % 50 == 7 else str(at % 9) for at in range(300)]
    often = [None if at % 3 == 0 else str(at % 9) for at in range(300)]
    adopted = work(columns={"seldom": missing, "often": often})
    found = {
        given["column"]: given
        for kind, given in rules(
            expect(adopted.found, adopted.plan, adopted.batches, "late_flights")
        )
        if "Null" in kind
    }
    assert found["seldom"]["mostly"] == 0.9
    assert "often" not in found


@pytest.mark.slow
@pytest.mark.parametrize(
    "columns",
    [
        {"counter": [str(1000 + at) for at in range(1200)]},  # grows without end
        {"constant": ["3"] * 1200},
        {"order_id": [str(at * 7 % 10007) for at in range(1200)]},
    ],
)
def test_what_grows_without_end_has_no_range(columns: dict[str, list[str]], work: Through) -> None:
    adopted = work(1200, 360, columns=columns)
    ranges = [
        given["column"]
        for kind, given in rules(
            expect(adopted.found, adopted.plan, adopted.batches, "late_flights")
        )
        if "ValuesToBeBetween" in kind
    ]
    assert "spend" in ranges
    assert not set(columns) & set(ranges)


@pytest.mark.slow
def test_rare_texts_are_not_listed(work: Through) -> None:
    adopted = work(columns={"kind": ["rare", *["a", "b"] * 149, "a"]})
    assert "kind" not in [
        given["column"]
        for kind, given in rules(
            expect(adopted.found, adopted.plan, adopted.batches, "late_flights")
        )
        if "Set" in kind
    ]


@pytest.mark.slow
def test_of_many_columns_those_are_named_that_may_be_null(work: Through) -> None:
    adopted = work(columns={f"x{at}": [str(row % 5) for row in range(300)] for at in range(30)})
    text = expect(adopted.found, adopted.plan, adopted.batches, "late_flights")
    assert 'may_be_null = ("day", "churn")' in text
    assert "from late_flights.dataset import dataset\n" in text
