"""The modules of an old project's owner, which import from the library what moved there.

What they say stays.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import evergreen
from evergreen.errors import InputError

CONSTANTS = {  # of an old dataset.py -> what a Dataset calls it
    "COLUMNS": "columns", "KEY": "key", "TIME": "time", "LABEL": "label",
    "KNOWN_LATER": "known_later", "LEFT_OUT": "left_out", "FEATURES": "features",
    "SLICES": "slices", "GROUPS": "groups",
}  # fmt: skip
NEEDED = ("COLUMNS", "LABEL", "FEATURES")


def as_dataset(text: str) -> str:
    """Return the text of dataset.py, whose constants stay, with the object that is made of them.

    Raises InputError where it is no module of that kind.
    """
    tree = _parse(text)
    there = {name for node in tree.body for name in _assigned(node)}
    if lacking := [name for name in NEEDED if name not in there]:
        raise InputError(f"nothing is changed: dataset.py lacks {lacking[0]}: write it first")
    given = "".join(f"    {new}={old},\n" for old, new in CONSTANTS.items() if old in there)
    lines = text.rstrip().splitlines()
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if imports:
        lines[imports[-1].end_lineno : imports[-1].end_lineno] = [
            "",
            "from evergreen import Dataset",
        ]
    else:
        at = tree.body[0].end_lineno or 0 if ast.get_docstring(tree) else 0
        lines[at:at] = ["", "from evergreen import Dataset", ""]
    return "\n".join(lines) + f"\n\ndataset = Dataset(\n{given})\n"


def with_imports(text: str, package: str, gone: Collection[str]) -> str:
    """Return a module's text, with imports from modules that are `gone` taken from the library.

    `gone`: paths such as src/PACKAGE/errors.py. Only where the library has a module of that name
    with all that is asked for.
    """
    lines = text.splitlines(keepends=True)
    for node in ast.walk(_parse(text)):
        if not isinstance(node, ast.ImportFrom) or node.level:
            continue
        names = [name.name for name in node.names]
        whole = [f"{node.module}.{name}" for name in names]
        if node.module == package and all(_path(name) in gone for name in whole):
            found = all(_text_of(name, package) is not None for name in whole)
        elif _path(node.module or "") in gone:
            found = _defines(_text_of(node.module or "", package), names)
        else:
            continue
        if found:
            line = lines[node.lineno - 1]
            lines[node.lineno - 1] = line.replace(f"from {package}", "from evergreen", 1)
    return "".join(lines)


def imports_left(text: str, package: str, gone: Collection[str]) -> Iterator[str]:
    """Yield the modules that a module imports and that are `gone`."""
    for node in ast.walk(_parse(text)):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            inner = [f"{node.module}.{name.name}" for name in node.names]
            names = [node.module or "", *(inner if node.module == package else ())]
        else:
            continue
        yield from (name for name in names if name != package and _path(name) in gone)


def _parse(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise InputError(
            f"nothing is changed: a module cannot be read ({error}): correct it"
        ) from None


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _path(module: str) -> str:
    return f"src/{module.replace('.', '/')}.py"


def _text_of(module: str, package: str) -> str | None:
    """Return the text of the library's module of the same name; None where there is none."""
    name = module.removeprefix(f"{package}.").replace(".", "/")
    path = Path(evergreen.__file__).parent / f"{name}.py"
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _defines(text: str | None, names: list[str]) -> bool:
    return text is not None and all(
        re.search(rf"^((def|class) )?{re.escape(name)}\b", text, re.MULTILINE) for name in names
    )
