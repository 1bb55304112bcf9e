"""The code of this process, read once when the package is first imported.

So a whole run is of one code: every module of the project is imported from what was read then, and
every fingerprint is of that. What is edited or checked out meanwhile counts from the next process.
"""

from __future__ import annotations

import ast
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).resolve().parent
# Modules beside the package count, in src/
SOURCES = PACKAGE.parent if PACKAGE.parent.name == "src" else PACKAGE
HOME = PACKAGE.parents[1]  # the project, where the package lies in src/
INSTALLED = "site-packages"  # in the path of what is no project's own
_KEPT: dict[str, bytes] = {}  # path without links -> content


def begin() -> None:
    """Read the project's Python files, and let Python import them from what was read.

    Call it before any other module of the package is imported.
    """
    keep(SOURCES)
    sys.meta_path.insert(
        sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else 0, _Finder
    )


def keep(folder: Path) -> None:
    """Read the Python files below `folder`, of a package to import; those read before stay."""
    for path in folder.rglob("*.py"):
        with suppress(OSError):  # a link to nothing, as editors leave them
            _read(str(path))


def load(path: Path, name: str) -> ModuleType:
    """Return the module at `path`, imported under `name` as this process read it, once."""
    real = os.path.realpath(path)
    known = sys.modules.get(name)
    if known is not None and known.__file__ == real:
        return known
    spec = spec_from_file_location(name, real, loader=_Loader(name, real))
    assert spec
    assert spec.loader
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def read(path: Path) -> bytes:
    """Return the source at `path` as this process runs it, or would; the file may be newer."""
    kept = ran(path)
    return path.read_bytes() if kept is None else kept


def changed() -> list[Path]:
    """Return the files of the project that are no longer what this process runs."""
    return [Path(path) for path, content in sorted(_KEPT.items()) if _on_disk(path) != content]


def ran(path: str | Path) -> bytes | None:
    """Return the source that this process took from `path`; None where it took none."""
    return _KEPT.get(os.path.realpath(path))


def is_own(path: str) -> bool:
    """Return whether the file at `path` is of the project, not of a library."""
    real = os.path.realpath(path)
    return real in _KEPT or (
        real.endswith(".py") and real.startswith(f"{HOME}{os.sep}") and INSTALLED not in real
    )


def with_imports(path: str | Path) -> list[Path]:
    """Return `path` and the project's own modules that it imports, directly or not, sorted.

    Those that lie beside its package are the project's own; this library, and whatever is
    installed, is not.
    """
    found, ahead = set(), {Path(os.path.realpath(path))}
    while ahead:
        found |= ahead
        ahead = {
            imported for module in ahead for imported in _imports(module) if is_users(imported)
        } - found
    return sorted(found)


def is_users(path: Path) -> bool:
    """Return whether the module at `path` is a project's: not this library's, nor installed."""
    return not path.is_relative_to(PACKAGE) and INSTALLED not in path.parts


def environment(folder: Path) -> Mapping[str, str]:
    """Return the environment in which a new Python process runs this process's code.

    Where files differ by now, that is a copy in `folder`.
    """
    if not changed():
        return {}
    for path, content in _KEPT.items():
        if Path(path).is_relative_to(SOURCES):
            copy = folder / Path(path).relative_to(PACKAGE.parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
    others = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([others] if others else [])])}


class _Loader(SourceFileLoader):
    """Loads what was read; compiled files are found by its content, not by time and size."""

    def path_stats(self, path: str) -> Mapping[str, int]:
        content = _read(path)
        return {"mtime": zlib.crc32(content), "size": len(content)}

    def get_data(self, path: str) -> bytes:
        return _read(path) if path.endswith(".py") else super().get_data(path)


class _Finder:
    """Finds what Python would find; the project's own modules are loaded from what was read."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) or _removed(name)
        if spec and type(spec.loader) is SourceFileLoader and is_own(spec.origin or ""):
            spec.loader = _Loader(spec.name, spec.loader.path)
        return spec


def _removed(name: str) -> ModuleSpec | None:
    """Return where a module of the project lay that is gone by now, as after a checkout."""
    stem = PACKAGE.parent.joinpath(*name.split("."))
    for path, folders in ((f"{stem}.py", None), (str(stem / "__init__.py"), [str(stem)])):
        if path in _KEPT:
            loader = SourceFileLoader(name, path)
            return spec_from_file_location(
                name, path, loader=loader, submodule_search_locations=folders
            )
    return None


def _read(path: str) -> bytes:
    real = os.path.realpath(path)
    if real not in _KEPT:
        _KEPT[real] = Path(real).read_bytes()
    return _KEPT[real]


def _on_disk(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:  # gone
        return None


def _imports(path: Path) -> Iterator[Path]:
    """Yield the project's own modules that the source at `path` names in its imports."""
    folder, place = path.parent, _place(path)
    places = (place, place.parent if place.name == "src" else place / "src")
    for node in ast.walk(ast.parse(read(path), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(alias.name, places)
        elif isinstance(node, ast.ImportFrom):
            up = folder.joinpath(*[".."] * (node.level - 1)).resolve()
            for alias in node.names:
                yield from _files(
                    ".".join(filter(None, (node.module, alias.name))),
                    (up,) if node.level else places,
                )


def _place(path: Path) -> Path:
    """Return the folder that the package lies in which the module at `path` is of."""
    return next(folder for folder in path.parents if not (folder / "__init__.py").exists())


def _files(name: str, places: Iterable[Path]) -> Iterator[Path]:
    """Yield the file of the module `name`, and of each package it is in, if in `places`."""
    parts = [part for part in name.split(".") if part]
    for place in places:
        for count in range(1, len(parts) + 1):
            stem = place.joinpath(*parts[:count])
            for path in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
                if path != PACKAGE / "__init__.py" and path.is_file():
                    yield path.resolve()
