"""Flow: what a project's order of steps has that is not repeated when a version is made again."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from evergreen.ingest.listing import few

FLOW = "flows/training.py"
OPENED = ".open_training"
# The library's own order, which is repeated where it bears on the model
ORDER = (
    "ingest",
    "validate",
    "prepare",
    "reuse",
    "check_leaks",
    "train",
    "evaluate",
    "compare",
    "refit",
    "register",
    "decide",
)


def differences(root: Path) -> list[str]:
    """Return what the flow of the project at `root` does otherwise than the library's order."""
    try:
        tree = ast.parse((root / FLOW).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        return [f"{FLOW} cannot be read ({type(error).__name__}): the library's own order runs"]
    called = [name for block in _blocks(tree) for name in _calls(block)]
    if called == list(ORDER):
        return []
    if own := [name for name in called if name not in ORDER]:
        return [f"{FLOW} has steps of its own, which are not repeated: {few(own)}"]
    return [f"{FLOW} has another order of steps than the library, whose own runs"]


def _blocks(tree: ast.AST) -> Iterator[tuple[ast.With, str, str]]:
    """Yield each block that opens a training, what it calls that, and the module it is of."""
    for node in ast.walk(tree):
        for item in node.items if isinstance(node, ast.With) else ():
            call, name = item.context_expr, item.optional_vars
            if not (isinstance(call, ast.Call) and isinstance(name, ast.Name)):
                continue
            opens = ast.unparse(call.func)
            if isinstance(node, ast.With) and opens.endswith(OPENED):
                yield node, name.id, opens.removesuffix(OPENED)


def _calls(block: tuple[ast.With, str, str]) -> Iterator[str]:
    """Yield what is called with the training, in the order of lines."""
    node, run, steps = block
    found = [
        call
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and any(isinstance(part, ast.Name) and part.id == run for part in _given(call))
    ]
    for call in sorted(found, key=lambda call: (call.lineno, call.col_offset)):
        yield ast.unparse(call.func).removeprefix(f"{steps}.")


def _given(call: ast.Call) -> Iterator[ast.AST]:
    """Yield all that stands in the arguments of a call."""
    for part in (*call.args, *(named.value for named in call.keywords)):
        yield from ast.walk(part)
