"""The layout: every module has its mirrored test, and every flow fits a screen."""

from __future__ import annotations

import ast
from pathlib import Path

from conftest import ROOT

PACKAGE, FLOWS, TESTS = ROOT / "src" / "evergreen", ROOT / "flows", ROOT / "tests"
EXAMPLE = ROOT / "src" / "late_flights"
SCREEN = 60  # lines
MODULES = {
    str(path.relative_to(ROOT)): TESTS / path.relative_to(base).with_name(f"test_{path.name}")
    for base, folder in ((PACKAGE, PACKAGE), (EXAMPLE.parent, EXAMPLE), (ROOT, FLOWS))
    for path in sorted(folder.rglob("*.py"))
    if path.name != "__init__.py"
}


def flows_of(path: Path) -> dict[str, int]:
    """Name -> lines, decorators included, of every function that is a Prefect flow."""
    functions = [
        function
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
    ]
    return {
        function.name: (function.end_lineno or 0) - mark.lineno + 1
        for function in functions
        for mark in function.decorator_list
        if ast.unparse(mark).split("(")[0] in ("flow", "prefect.flow")
    }


def has_tests(path: Path) -> bool:
    return path.exists() and "def test_" in path.read_text()


def test_every_module_has_a_mirrored_test() -> None:
    assert [module for module, mirrored in MODULES.items() if not has_tests(mirrored)] == []


def test_a_module_without_one_would_be_seen(tmp_path: Path) -> None:
    assert not has_tests(tmp_path / "test_new.py")
    (tmp_path / "test_new.py").write_text("import pytest\n")
    assert not has_tests(tmp_path / "test_new.py")


def test_every_flow_fits_a_screen() -> None:
    paths = [*FLOWS.glob("*.py"), *(PACKAGE / "orchestration" / "flows").glob("*.py")]
    lengths = {name: lines for path in paths for name, lines in flows_of(path).items()}
    assert sorted(lengths) == ["monitoring", "replay", "scoring", "training"]
    assert {name: lines for name, lines in lengths.items() if lines > SCREEN} == {}


def test_a_long_flow_would_be_seen(tmp_path: Path) -> None:
    body = "    pass\n" * SCREEN
    for mark in ("@flow", "@flow(name='long')", "@prefect.flow"):
        (tmp_path / "long.py").write_text(f"{mark}\ndef long():\n{body}\n\ndef helper():\n{body}")
        assert flows_of(tmp_path / "long.py") == {"long": SCREEN + 2}


def unlike_others(code: str) -> list[str]:
    """Functions that hand something back, and whose docstring does not say "Return ..."."""
    return [
        function.name
        for function in ast.walk(ast.parse(code))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and function.returns
        and ast.unparse(function.returns) != "None"
        and (ast.get_docstring(function) or "").startswith(("Say ", "Tell ", "Give ", "Returns "))
    ]


def test_what_is_handed_back_is_called_so() -> None:
    paths = [path for base in (PACKAGE, EXAMPLE, FLOWS) for path in base.rglob("*.py")]
    assert {path.name: found for path in paths if (found := unlike_others(path.read_text()))} == {}
    for says, found in (("Say it.", ["f"]), ("Return it.", [])):
        assert unlike_others(f"def f() -> str:\n    {says!r}\n") == found
        assert unlike_others(f"def f() -> None:\n    {says!r}\n") == []
