"""Evidence: what a decision keeps of it can be read again."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from promotion.gated import evidence, lead

from evergreen.params import Gate
from evergreen.promotion.evidence import Evidence, Refit
from evergreen.promotion.gate import decide

REFIT = Refit(1200, "2013-06-30", 80, lead("roc_auc"), None, influence=lead("roc_auc"))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_decision_keeps_all_of_it_as_json(task: str) -> None:
    told = evidence(task, notes=("a check is off",), refit=REFIT)
    kept = json.loads(json.dumps(decide(told, Gate()).evidence))
    assert {field.name for field in fields(Evidence)} <= {*kept}
    assert kept["refit"]["influence"]["value"] == lead("roc_auc").value
    assert kept["comparison"]["whole"][told.comparison.metric]["value"] > 0
    assert kept["notes"] == ["a check is off"]


@pytest.mark.parametrize("kind", [Evidence, Refit])
def test_each_field_is_told_or_typed_by_name(kind: type) -> None:
    plain = {"comparison", "seeds_expected", "champion_age_days", "rows", "until", "rounds"}
    told = {field.name for field in fields(kind) if f"`{field.name}`" in (kind.__doc__ or "")}
    assert {field.name for field in fields(kind)} - told <= plain
