"""Monitoring page: it says what was seen, shows it without obeying it, and stands alone."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from report.pages import ATTACKS, check_harmless

from evergreen.project import Project
from evergreen.report.monitoring_page import SHOWN, History, monitoring_page, write_monitoring_page


def shift(
    column: str, effect: float | None = 0.01, margin: float = 0.02, kind: str = "number"
) -> dict[str, Any]:
    drifted = effect is not None and effect > margin
    said = {
        "column": column,
        "kind": kind,
        "effect": effect,
        "margin": margin,
        "says": f"{column} moved",
    }
    return {"shift": said, "p": 0.5, "drifted": drifted}


def seen(
    batch: str, value: float | None = 0.7, columns: tuple[Any, ...] = (), **more: Any
) -> dict[str, Any]:
    middle = 0.68 if value is None else value
    around = {"value": middle, "low": middle - 0.01, "high": middle + 0.01}
    columns = columns or (shift("temp", 0.5), shift("distance"))
    drift = {
        "columns": columns,
        "drifted": [column["shift"]["column"] for column in columns if column["drifted"]],
        "together": False,
        "auc": 0.6,
    }
    known = {
        "batch": batch,
        "real": {"roc_auc": around} if value else {},
        "adjusted": {"roc_auc": around},
        "unfit": [],
    }
    return known | {"drift": drift} | more


def history(**changes: Any) -> History:
    known: dict[str, Any] = {
        "model": "evergreen",
        "version": "3",
        "metric": "roc_auc",
        "expected": (0.71, 0.70, 0.72),
        "age_days": 61.2,
        "seen": [seen("2013-07"), seen("2013-08", 0.65)],
        "decisions": [
            ("2013-07", "nothing", "all is well"),
            ("2013-08", "retrain", "roc_auc fell"),
        ],
        "marks": {"2013-06": ["version 3 promoted"], "2013-07": ["version 4 promoted"]},
    }
    return History(**known | changes)


def chart(page: str) -> ET.Element:
    found = re.search(r"<svg.*?</svg>", page, re.DOTALL)
    assert found
    return ET.fromstring(found[0])


def test_the_page_says_what_was_decided_and_why() -> None:
    page = monitoring_page(history())
    assert "<h1>time to retrain</h1>" in page
    assert page.index("roc_auc fell") < page.index("all is well")
    assert "newest row 61 days older" in page
    assert "version 4 promoted" in page


@pytest.mark.parametrize(
    ("action", "verdict"),
    [("retrain", "time to retrain"), ("watch", "to be watched"), ("nothing", "nothing to do")],
)
def test_the_verdict_is_the_newest_decision(action: str, verdict: str) -> None:
    assert f"<h1>{verdict}</h1>" in monitoring_page(history(decisions=[("2013-08", action, "so")]))


def test_what_drifted_bears_a_cross_and_comes_first() -> None:
    page = monitoring_page(history())
    body = page[page.index('<table class="heat">') :]
    assert body.index("temp") < body.index("distance")
    assert body.count("✕ 0.50") == 2
    assert "✕ 0.01" not in body


def test_the_chart_has_a_point_for_each_batch_with_labels_at_its_height() -> None:
    drawn = chart(monitoring_page(history(seen=[seen("a", 0.7), seen("b", None), seen("c", 0.6)])))
    heights = [float(circle.attrib["cy"]) for circle in drawn.iter("circle")]
    assert len(heights) == 2
    assert heights[0] < heights[1]  # higher is above


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_odd_numbers_break_nothing(value: float) -> None:
    page = monitoring_page(
        history(
            seen=[
                seen(
                    "a",
                    value or 0.5,
                    (shift("x", None), shift("y", math.inf), shift("z", 0.0, 0.0)),
                )
            ]
        )
    )
    chart(page)
    assert "nan" not in re.sub(r"<title>.*?</title>", "", page)


def test_nothing_seen_yet_is_a_page_too() -> None:
    page = monitoring_page(history(seen=[], decisions=[], marks={}))
    assert "no batch has arrived since it was promoted" in page
    assert "<svg" not in page


def test_only_the_newest_batches_are_drawn() -> None:
    many = [seen(f"b{at:03}") for at in range(SHOWN + 5)]
    page = monitoring_page(
        history(seen=many, decisions=[(batch["batch"], "watch", "so") for batch in many])
    )
    assert "b004" not in page
    assert f"b{SHOWN + 4:03}" in page


def test_values_are_shown_and_never_obeyed(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    page = monitoring_page(
        history(
            model=evil,
            seen=[seen(evil, columns=(shift(evil, 0.5),))],
            decisions=[(evil, "watch", evil)],
        )
    )
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"(href|src)=", page)
    project = Project(tmp_path)
    path = write_monitoring_page(project, history())
    assert path == tmp_path / "reports" / "monitoring.html"
    assert path.read_text() == monitoring_page(history())


@pytest.mark.parametrize("attack", ATTACKS)
def test_names_of_models_columns_batches_and_metrics_are_text(attack: str) -> None:
    hostile = seen(attack, columns=(shift(attack, 0.5),))
    hostile |= {"real": {attack: hostile["real"]["roc_auc"]}, "unfit": [attack]}
    page = monitoring_page(
        history(
            model=attack,
            version=attack,
            metric=attack,
            seen=[hostile],
            decisions=[(attack, attack, attack)],
            marks={attack: [attack]},
        )
    )
    check_harmless(page, attack)
    chart(page)
