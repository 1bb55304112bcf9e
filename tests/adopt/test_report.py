"""Tell: the report says what a run will do, and shows nobody's data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evergreen.adopt.report import describe_columns, make_report

Through = Callable[..., Any]


@pytest.mark.slow
def test_the_report_says_what_was_seen(work: Through) -> None:
    adopted = work(
        columns={"note": [f"called about {at}" for at in range(300)], "sex": ["m", "f"] * 150}
    )
    text = make_report(
        adopted.table, adopted.found, adopted.plan, adopted.batches, ["train.max_depth: 4"]
    )
    for part in (
        "# customers.csv: 300 rows, 8 columns",
        "- predicted: 'churn', yes or no (",
        "- from: 4 features: 'spend', 'visits', 'place', 'sex'",
        "- key: 'customer_id'",
        "- time: 'day'; the newer half judges, by models of what came before",
        "- batches: one, customers",
        "## Left out of the features, and why\n\n- 'note' holds 300 different texts in 300 rows",
        "- 'sex' tells groups of people apart",
        "## Set in params.yaml, besides source and task\n\n- train.max_depth: 4",
    ):
        assert part in text


@pytest.mark.slow
def test_other_tables_are_told_of_too(work: Through) -> None:
    classes = work(1200, 360, columns={"churn": [["a", "b", "c"][at % 3] for at in range(1200)]})
    text = make_report(classes.table, classes.found, classes.plan, classes.batches, [])
    assert "- predicted: 'churn', 3 classes (task: multiclass)" in text
    assert "- batches: 12, one for each month, 2023-01 to 2023-12" in text
    assert "## Set" not in text
    bare = work(
        timeless=True,
        columns={"customer_id": ["a"] * 300, "churn": [f"{at / 7:.3f}" for at in range(300)]},
    )
    text = make_report(bare.table, bare.found, bare.plan, bare.batches, [])
    assert "- predicted: 'churn', a number (task: regression)" in text
    assert "- key: none" in text
    assert "- time: none, so cross-validation judges" in text
    many = work(6000, 360)
    assert "'day'; the newest rows judge the model" in make_report(
        many.table, many.found, many.plan, many.batches, []
    )


@pytest.mark.slow
def test_every_column_is_listed_and_nobody_shown(work: Through) -> None:
    adopted = work(
        columns={"mail": [f"u{at}@mail.org" for at in range(300)], "a|b\n": ["1", "2", "2"] * 100}
    )
    text = describe_columns(adopted.found, adopted.plan)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| '")]
    assert [row[0].strip("| ") for row in rows] == [
        "'customer_id'",
        "'day'",
        "'spend'",
        "'visits'",
        "'place'",
        "'churn'",
        "'mail'",
        "'a/b\\n'",
    ]
    assert all(len(row) == 6 for row in rows)
    assert [row[-1].strip("| ") for row in rows] == [
        "key",
        "time",
        "feature",
        "feature",
        "feature",
        "label",
        "personal data",
        "feature",
    ]
    assert "@" not in text
    assert "C00001" not in text
