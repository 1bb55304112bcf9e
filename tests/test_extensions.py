"""Extensions: checked where they are made, and found in the project's package."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, own_package

import evergreen
from evergreen.errors import InputError
from evergreen.extensions import WRITTEN, Event, Extensions, name_of
from evergreen.metrics.metric import Metric
from evergreen.metrics.table import LIBRARY
from evergreen.params import parse
from evergreen.project import Project
from evergreen.training.fingerprints import sweep_fingerprint


def cost(name: str = "cost") -> Metric:
    return Metric(
        name, tasks=("regression",), losses=lambda y, p: np.abs(y - p), lower_is_better=True
    )


def rule(evidence: Any, gate: Any) -> Any:
    return ()


class Page:
    def __call__(self, run: Any, folder: Path) -> None:
        return None


def test_what_is_right_is_kept() -> None:
    found = Extensions(metrics=[cost()], rules=[rule], reports=[Page()], notifiers=[print])
    assert [*found.all_metrics.of("regression")] == [*LIBRARY.of("regression"), "cost"]
    assert [name_of(extension) for extension in (*found.rules, *found.reports)] == ["rule", "Page"]
    assert Extensions().all_metrics == LIBRARY


WRONG = {
    "no list": ({"metrics": cost()}, "metrics must be a list, such as metrics=[...], not Metric"),
    "no metric": ({"metrics": [rule]}, "metrics holds <function rule"),
    "a taken name": ({"metrics": [cost("rmse")]}, "there is a metric 'rmse' already"),
    "the same name": ({"metrics": [cost(), cost()]}, "there is a metric 'cost' already"),
    "no function": ({"rules": ["rule"]}, "rules holds what is no function: 'rule'"),
    "a class": ({"reports": [Page]}, "reports holds the class"),
    "one twice": ({"rules": [rule, rule]}, "rules holds two called 'rule'"),
    "a page of the library": ({"reports": [type("bias", (Page,), {})()]}, "reports holds 'bias'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_error(case: str) -> None:
    given, told = WRONG[case]
    with pytest.raises(InputError, match=r"^extensions\.py: ") as said:
        Extensions(**given)
    assert told in str(said.value)


def test_an_event_is_a_line_for_a_person() -> None:
    event = Event("held back", "cars", batch="2024-02", says=("price stuck", "at 3"))
    assert str(event) == "cars held back (2024-02): price stuck at 3"
    assert str(Event("promoted", "cars", "2")) == "cars version 2 promoted"


# --- in a project


@pytest.fixture
def make(installed: Callable[[Project], Project], tmp_path: Path) -> Callable[[str, str], Project]:
    def made(name: str, code: str) -> Project:
        project = installed(own_package(tmp_path / name, name))
        (project.root / "src" / name / "extensions.py").write_text(code)
        return project

    return made


def test_a_project_without_the_module_adds_nothing() -> None:
    assert Project(ROOT).extensions == Extensions()


def test_the_module_is_found_and_its_code_counts_where_it_decides(
    make: Callable[[str, str], Project],
) -> None:
    head = "from evergreen import Extensions\ndef rule(evidence, gate):\n    return ()\n"
    prints = {}
    params = parse({}, "params")
    for name, code in {
        "deciding": head + "extensions = Extensions(rules=[rule])",
        "otherwise": head + "extensions = Extensions(rules=[rule])  # another code",
        "telling": head + "extensions = Extensions(notifiers=[print])",
    }.items():
        found = make(name, code).extensions
        assert Path(found.file).name == "extensions.py"
        prints[name] = sweep_fingerprint("rows", params.choosing_from(found), "cpu")
    prints["nothing"] = sweep_fingerprint("rows", params, "cpu")
    assert len({*prints.values()}) == 3
    assert prints["telling"] == prints["nothing"]


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("without", "", "does not define extensions: write extensions = Extensions"),
        ("another", "extensions = []", "extensions is a list: write extensions = Extensions"),
    ],
)
def test_a_module_that_is_wrong_is_one_error(
    make: Callable[[str, str], Project], name: str, code: str, told: str
) -> None:
    with pytest.raises(InputError) as said:
        _ = make(name, code).extensions
    assert told in str(said.value)


def test_parameters_keep_what_they_choose_from() -> None:
    own = Extensions(metrics=[cost()])
    known = parse({"task": "regression"}, "params").choosing_from(own)
    for params in (
        known,
        known.override(sweep={"seeds": 2}),
        known.model_copy(update={"task": "binary"}),
    ):
        assert "cost" in params.metrics.of("regression")
    assert known.metrics.pick("cost", "regression") == "cost"


@pytest.mark.parametrize("name", evergreen.PUBLIC)
def test_what_is_public_is_there(name: str) -> None:
    assert getattr(evergreen, name).__name__ == name
    assert name in evergreen.__all__


def test_what_is_not_public_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = evergreen.nothing


def test_a_report_of_ones_own_takes_no_name_of_the_librarys() -> None:
    """The library's are found where they are written; two more are named by what is compared."""
    written = re.compile(r'reports / "([a-z_]+)\.(?:html|json|png)"')
    code = (path.read_text() for path in (ROOT / "src" / "evergreen").rglob("*.py"))
    found = {name for text in code for name in written.findall(text)}
    assert len(found) >= 10
    assert found - {*WRITTEN} == set()
    assert {"losses", "schedules"} <= {*WRITTEN}
