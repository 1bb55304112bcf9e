"""The quick tests in two halves: nothing is left out, and a failure of either is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import unit


def test_each_test_file_is_in_one_half() -> None:
    found = [
        path
        for half in unit.halves()
        for place in half
        for path in ([place] if place.is_file() else place.rglob("test_*.py"))
    ]
    assert sorted(found) == sorted(unit.TESTS.rglob("test_*.py"))


@pytest.mark.slow
@pytest.mark.parametrize(("passes", "code"), [(True, 0), (False, 1)])
def test_a_failure_of_either_half_is_one(
    passes: bool, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, body in (("first", "pass"), ("rest", "pass" if passes else "assert 0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"test_{name}.py").write_text(f"def test_{name}():\n    {body}\n")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # two seconds a process
    monkeypatch.setattr(unit, "halves", lambda: ([tmp_path / "first"], [tmp_path / "rest"]))
    assert unit.main(["-c", "/dev/null"]) == code
    assert capsys.readouterr().out.count("1 passed") == 1 + passes
