"""Write docs/api.md: what is public, by the docstrings that are there.

    python tests/docs/api.py

Public is what `evergreen/__init__.py` names in `__all__`, and what `evergreen.testing` defines.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
COMMAND = "python tests/docs/api.py"
OPENING = f"""# What is public

Written by `{COMMAND}` from the docstrings. Until 1.0 a minor version may change it, and
CHANGELOG.md says so; all else in the library may change at any time.
"""
LONGEST = 100  # characters of a signature in one line


def render() -> str:
    """Return the page."""
    modules = [
        importlib.import_module(name)
        for name in ("evergreen", "evergreen.testing")
        if find_spec(name)
    ]
    parts = [OPENING, *(part for module in modules for part in _module(module))]
    return "\n".join(parts)


def public(module: ModuleType) -> dict[str, Any]:
    """Return what is public of a module, by name."""
    names = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]  # fmt: skip
    return {name: getattr(module, name) for name in names if not name.startswith("__")}


def _module(module: ModuleType) -> Iterator[str]:
    for name, value in public(module).items():
        yield f"## `{module.__name__}.{name}`\n"
        yield from _entry(name, value)
        for member, found in _members(value):
            yield f"### `{name}.{member}`\n"
            yield from _entry(member, found)


def _entry(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value) or inspect.isroutine(value):
        yield f"```python\n{_signature(name, value)}\n```\n"
    first, _, rest = (inspect.getdoc(value) or "").partition("\n")
    if first:
        yield f"{first}\n"
    if rest.strip():
        yield f"```text\n{rest.strip(chr(10))}\n```\n"


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the methods and properties that a class itself defines."""
    for name, found in vars(value).items() if inspect.isclass(value) else ():
        inner = getattr(found, "__func__", found)
        if not name.startswith("_") and (inspect.isfunction(inner) or isinstance(inner, property)):
            yield name, inner


class _AsWritten(str):
    """An annotation that is shown as it stands in the code."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _signature(name: str, value: Any) -> str:
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return name
    given = [_unquoted(parameter) for parameter in found.parameters.values()]
    back = found.empty if inspect.isclass(value) else found.return_annotation
    found = found.replace(
        parameters=given, return_annotation=_AsWritten(back) if isinstance(back, str) else back
    )
    if len(f"{name}{found}") <= LONGEST:
        return f"{name}{found}"
    lines = "".join(f"    {line},\n" for line in _with_star(given))
    return f"{name}(\n{lines}){str(found).rpartition(')')[2]}"


def _unquoted(parameter: inspect.Parameter) -> inspect.Parameter:
    written = isinstance(parameter.annotation, str)
    return parameter.replace(annotation=_AsWritten(parameter.annotation)) if written else parameter


def _with_star(given: list[inspect.Parameter]) -> Iterator[inspect.Parameter | str]:
    """Yield parameters, and `*` before those that are given by name only."""
    named = False
    for parameter in given:
        if parameter.kind is parameter.KEYWORD_ONLY and not named:
            yield "*"
        named = named or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        yield parameter


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
