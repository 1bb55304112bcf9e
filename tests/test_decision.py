from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, asdict

import pytest

from evergreen.decision import PROMOTE, REFUSE, Decision, Rule

RULES = (Rule("better", True, "ahead by 0.01"), Rule("slices", False, "origin=a|b falls by 0.2"))


def decision(*rules: Rule) -> Decision:
    broken = [rule.says for rule in rules if not rule.met]
    evidence = {"rules": [asdict(rule) for rule in rules], "metric": "roc_auc"}
    return Decision(REFUSE if broken else PROMOTE, tuple(broken or ["all rules are met"]), evidence)


def test_it_becomes_plain_values_that_json_keeps() -> None:
    plain = json.loads(json.dumps(decision(*RULES).as_plain()))
    assert plain["action"] == "refuse"
    assert plain["reasons"] == ["origin=a|b falls by 0.2"]
    assert plain["evidence"]["metric"] == "roc_auc"
    assert [rule["name"] for rule in plain["evidence"]["rules"]] == ["better", "slices"]


def test_its_table_has_a_row_for_each_rule_and_breaks_at_no_bar() -> None:
    title, _, _, line, met, broken = decision(*RULES).as_markdown().splitlines()
    assert title == "**refuse**: origin=a|b falls by 0.2"
    assert line.count("|") == met.count("|") == 4
    assert met.split(" | ")[1] == "met"
    assert broken.split(" | ")[1] == "BROKEN"
    assert broken.replace(r"\|", "").count("|") == 4, broken


def test_nobody_changes_it_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        decision(*RULES).action = PROMOTE  # type: ignore[misc]
