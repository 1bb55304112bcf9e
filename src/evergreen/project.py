"""A project: where its files are, what its package defines, and the lock that one run holds.

`[tool.evergreen]` in its `pyproject.toml` names the package, and the versions of this library that
it works with.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evergreen import __version__, code
from evergreen.errors import InputError
from evergreen.files import sweep_left

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

    from evergreen.dataset import Dataset
    from evergreen.extensions import Extensions

SETTINGS = "pyproject.toml"
FLOWS = "evergreen.orchestration.flows"  # those that a project takes as they are
EXAMPLES = {  # what to write where it is not there
    "package": 'package = "my_pipeline", the name of the folder below src/ that holds dataset.py',
    "requires": f'requires = ">={__version__}", the versions of evergreen that it works with',
    "dataset": "dataset = Dataset(...)",
    "extensions": "extensions = Extensions(...)",
    "expectations": "def expectations(batch): ..., which returns a list",
}


@dataclass(frozen=True)
class Project:
    """The folder that holds `params.yaml` and `dvc.yaml`, and the places below it.

    `home`: the project that it is the workspace of, where it is one.
    """

    root: Path
    home: Path | None = None

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """Return the project that `start` (default: the working directory) lies in.

        Raises InputError where no folder from `start` upward holds both files.
        """
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
                return cls(folder)
        raise InputError(
            f"no project here: neither {here} nor a folder above it holds params.yaml and dvc.yaml"
        )

    @cached_property
    def package(self) -> str:
        """The name of the project's own package.

        Raises InputError where `pyproject.toml` names none, or asks for another version of this
        library.
        """
        table = _settings_of(self._pyproject, "tool", "evergreen")
        package, wanted = table.get("package"), table.get("requires")
        if not isinstance(package, str) or not isinstance(wanted, str):
            lacking = "requires" if isinstance(package, str) else "package"
            raise InputError(
                f"{SETTINGS}: [tool.evergreen] lacks {lacking}: write {EXAMPLES[lacking]}"
            )
        if not all(part.isidentifier() for part in package.split(".")):
            raise InputError(
                f"{SETTINGS}: package = {package!r} is not the name of a package: "
                f"write {EXAMPLES['package']}"
            )
        _check_version(wanted)
        return package

    @property
    def distribution(self) -> str:
        """The name that the project is installed as.

        Raises InputError where `pyproject.toml` lacks it.
        """
        name = _settings_of(self._pyproject, "project").get("name")
        if not isinstance(name, str):
            raise InputError(f"{SETTINGS}: [project] lacks name: write it")
        return name

    @property
    def _pyproject(self) -> Path:
        return (self.home or self.root) / SETTINGS

    @cached_property
    def dataset(self) -> Dataset:
        """What the project's `dataset.py` defines.

        Raises InputError where it is not there, or wrong, or declares nothing yet.
        """
        from evergreen.dataset import Dataset

        found = self._attribute("dataset", "dataset")
        if not isinstance(found, Dataset):
            kind = type(found).__name__
            raise InputError(
                f"{self.package}/dataset.py: dataset is a {kind}: write dataset = Dataset(...)"
            )
        if not found.columns:
            raise InputError(
                "dataset.py declares no columns: `evergreen adopt FILE --target COLUMN` writes it"
            )
        return found

    def expectations(self, batch: str) -> list[Expectation]:
        """Return the expectations for the batch called `batch`; importing them takes seconds."""
        found: list[Expectation] = self._attribute("expectations", "expectations")(batch)
        return found

    @cached_property
    def extensions(self) -> Extensions:
        """What the project's `extensions.py` adds to the library; nothing where it is not there.

        Raises InputError where it is wrong.
        """
        from evergreen.extensions import Extensions

        spec = self._spec("extensions")
        if spec is None or spec.origin is None:
            return Extensions()
        found = self._attribute("extensions", "extensions")
        if not isinstance(found, Extensions):
            raise InputError(
                f"{self.package}/extensions.py: extensions is a {type(found).__name__}: write "
                f"{EXAMPLES['extensions']}"
            )
        return found.at(spec.origin)

    def code_of(self, *names: str) -> list[Path]:
        """Return the files of modules of the project's package, and of its own that they import."""
        return sorted({path for name in names for path in code.with_imports(self._find(name))})

    def flow(self, name: str) -> Any:
        """Return the flow called `name`, of `flows/<name>.py`, else the library's.

        Raises InputError where there is neither.
        """
        path = self.root / "flows" / f"{name}.py"
        code.keep(path.parent)
        if not path.is_file():
            if not find_spec(f"{FLOWS}.{name}"):
                raise InputError(
                    f"flows/{name}.py is missing: it holds the flow {name!r}: restore it"
                )
            return getattr(import_module(f"{FLOWS}.{name}"), name)
        found = getattr(code.load(path, f"{self.package}_flows.{name}"), name, None)
        if not callable(found):
            raise InputError(
                f"flows/{name}.py does not define {name}: it must be a flow, made by @flow"
            )
        return found

    def _find(self, name: str) -> str:
        """Return where a module of the package is. Raises InputError where it is not there."""
        spec = self._spec(name)
        if spec is None or spec.origin is None:
            raise InputError(
                f"there is no module {self.package}.{name}, which {SETTINGS} asks for "
                "([tool.evergreen], package): correct the name, or install the project with "
                "`make setup`"
            )
        return spec.origin

    def _spec(self, name: str) -> ModuleSpec | None:
        """Return how a module of the package is found; None where it is not there."""
        try:
            package = find_spec(self.package)
            if package:
                for folder in package.submodule_search_locations or ():
                    code.keep(Path(folder))
            return package and find_spec(f"{self.package}.{name}")
        except ModuleNotFoundError as error:
            if not f"{self.package}.".startswith(f"{error.name}."):
                # Of something that the package imports
                raise
            return None

    def _attribute(self, name: str, attribute: str) -> Any:
        self._find(name)
        module: ModuleType = import_module(f"{self.package}.{name}")
        if not hasattr(module, attribute):
            raise InputError(
                f"{self.package}/{name}.py does not define {attribute}: write {EXAMPLES[attribute]}"
            )
        return getattr(module, attribute)

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def raw(self) -> Path:
        return self.root / "data" / "raw"

    @property
    def validation(self) -> Path:
        return self.root / "data" / "validation"

    @property
    def validated(self) -> Path:
        return self.root / "data" / "validated"

    @property
    def quarantine(self) -> Path:
        return self.root / "data" / "quarantine"

    @property
    def features(self) -> Path:
        return self.root / "data" / "features"

    @property
    def predictions(self) -> Path:
        return self.root / "data" / "predictions"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def stores(self) -> Path:
        return self.root / "stores"

    @property
    def workspace(self) -> Project:
        """Where a replay has data and a lock of its own."""
        return Project(self.stores / "replay", self.home or self.root)

    @contextmanager
    def temporary(self) -> Iterator[str]:
        """Make a folder below `stores/` for the block; the next run removes what a kill left.

        It also removes what a thread still wrote when the block had failed: the block's own error
        is the one to be told.
        """
        self.stores.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=self.stores, prefix=f".part-{os.getpid()}-", ignore_cleanup_errors=True
        ) as folder:
            yield folder

    @contextmanager
    def lock(self, patience: float = 0) -> Iterator[None]:
        """Hold the project: one run at a time changes data and models.

        The operating system drops the lock when its holder dies, however it dies.
        Raises InputError where another process still holds it after `patience` seconds.
        """
        from filelock import FileLock, Timeout

        self.stores.mkdir(parents=True, exist_ok=True)
        owner = self.stores / "run.pid"
        lock = FileLock(self.stores / "run.lock", timeout=patience)
        try:
            lock.acquire()
        except Timeout:
            pid = owner.read_text().strip() if owner.exists() else "unknown"
            raise InputError(
                f"another run of this project is under way (process {pid}): wait for it, "
                "or stop it, then run again"
            ) from None
        try:
            owner.write_text(str(os.getpid()))
            for folder in (self.root, self.reports, self.stores, self.root / ".dvc" / "tmp"):
                sweep_left(folder)
            yield
        finally:
            lock.release()


def _settings_of(path: Path, *names: str) -> dict[str, Any]:
    """Return a table of a TOML file, such as [tool.evergreen].

    Raises InputError where there is none.
    """
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing: it names the project's package under [tool.evergreen]"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} cannot be read ({error}): correct it") from None
    for name in names:
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        raise InputError(
            f"{path} lacks the table [{'.'.join(names)}]: restore it, or copy that of the template"
        )
    return table


def _check_version(wanted: str) -> None:
    """Raise InputError where this library is none of the versions `wanted`."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        fits = SpecifierSet(wanted).contains(__version__, prereleases=True)
    except InvalidSpecifier:
        raise InputError(
            f"{SETTINGS}: requires = {wanted!r} is not a range of versions: "
            f"write {EXAMPLES['requires']}"
        ) from None
    if not fits:
        raise InputError(
            f"this project works with evergreen {wanted} ({SETTINGS}, requires), "
            f"and {__version__} is installed: install one of these, "
            "or review the project's code and change requires"
        )
