"""check_extensions: all that a project adds, in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, own_package

from evergreen.project import Project
from evergreen.testing import check_extensions

METRIC = """
cost = Metric(
    "cost", tasks=("regression",), losses=lambda y, p: np.abs(y - p), lower_is_better={lower}
)
"""
RULE = """
def enough(evidence, gate):
    yield Rule("enough", met=evidence.comparison.rows > {many}, says="rows")
"""
HEAD = "import numpy as np\nfrom evergreen import Extensions, Metric, Rule\n"


@pytest.fixture
def make(installed: Callable[[Project], Project], tmp_path: Path) -> Callable[..., Project]:
    def made(name: str, code: str, **gate: str) -> Project:
        project = installed(own_package(tmp_path / name, name))
        (project.root / "src" / name / "extensions.py").write_text(HEAD + code)
        project.params.write_text(yaml.safe_dump({"task": "regression", "gate": gate}))
        return project

    return made


def test_a_project_without_any_passes() -> None:
    check_extensions(Project(ROOT))


@pytest.mark.slow
def test_those_that_keep_their_contract_pass(make: Callable[..., Project]) -> None:
    code = METRIC.format(lower=True) + RULE.format(many=1)
    both = "extensions = Extensions(metrics=[cost], rules=[enough], notifiers=[print])\n"
    check_extensions(make("good_ones", code + both, metric="cost"))


CASES = {
    "bad_metric": (METRIC.format(lower=False) + "extensions = Extensions(metrics=[cost])",
                   "turn lower_is_better"),
    "bad_rule": (RULE.format(many="None") + "extensions = Extensions(rules=[enough])",
                 "enough raised TypeError"),
    "bad_report": ("extensions = Extensions(reports=[lambda run: None])", "must take 2 argument"),
    "bad_notifier": ("extensions = Extensions(notifiers=[lambda: None])", "must take 1 argument"),
    "bad_kind": ("extensions = 3", "extensions is a int"),
    "bad_list": ("extensions = Extensions(rules=3)", "rules must be a list"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_that_does_not_is_stopped(make: Callable[..., Project], name: str) -> None:
    code, told = CASES[name]
    with pytest.raises(AssertionError, match=told):
        check_extensions(make(name, code))


def test_a_metric_that_is_gone_is_stopped(make: Callable[..., Project]) -> None:
    with pytest.raises(
        AssertionError, match=r"gate\.metric: there is no metric 'cost'.*restore it"
    ):
        check_extensions(make("gone", "extensions = Extensions()", metric="cost"))
