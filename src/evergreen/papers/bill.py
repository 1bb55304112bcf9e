"""Bill of materials: what a project is made of, as CycloneDX, and under which licences.

Names, versions and hashes are those of the lock (`requirements/run.txt`), licences and what needs
what those of the packages that are installed. It carries neither a time nor a drawn number: the
same lock and packages give the same bytes. A package whose licence is unknown is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from evergreen import __version__
from evergreen.errors import InputError
from evergreen.files import write_json, write_whole
from evergreen.papers.licences import Licence, find_licence
from evergreen.project import Project

LOCKS = ("run.txt", "library.txt")  # below requirements/: what a project runs on
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
SPEC = "1.6"  # of CycloneDX


@dataclass(frozen=True)
class Pin:
    """A package of a lock. `applies`: on this machine; others are for other systems or Pythons."""

    name: str
    version: str
    hashes: tuple[str, ...]
    applies: bool = True

    @property
    def ref(self) -> str:
        """The package's URL, which names it in the bill."""
        return f"pkg:pypi/{self.name}@{self.version}"


@dataclass(frozen=True)
class Part:
    """A package that is installed: its licence, and the packages that it needs."""

    pin: Pin
    licence: Licence
    needs: tuple[str, ...]


def read_locks(project: Project) -> list[Pin]:
    """Return what the project's lock pins, by name.

    Raises InputError where there is none, or a line pins nothing.
    """
    folder = (project.home or project.root) / "requirements"
    paths = [folder / name for name in LOCKS if (folder / name).is_file()]
    if not paths:
        raise InputError(
            f"{folder / LOCKS[0]} is missing: it pins what the project runs on; `git checkout` it"
        )
    pins = [pin for path in paths for pin in read_lock(path)]
    return sorted(pins, key=lambda pin: (pin.name, pin.version))


def read_lock(path: Path) -> list[Pin]:
    """Return what a file in the format of pip's requirements pins."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return [_pin(line, path) for line in lines if line and not line.startswith(("#", "-"))]


def _pin(line: str, path: Path) -> Pin:
    said, hashes = line.split(" --hash=")[0].strip(), tuple(HASH.findall(line))
    try:
        if said.endswith(".whl"):
            name, version, *_ = parse_wheel_filename(Path(said).name)
            return Pin(name, str(version), hashes)
        found = Requirement(said)
        (exact,) = (part for part in found.specifier if part.operator == "==")
    except (InvalidRequirement, InvalidWheelFilename, ValueError):
        raise InputError(
            f"{path} pins no version by {said!r}: make it anew with `make lock`"
        ) from None
    return Pin(canonicalize_name(found.name), exact.version, hashes, _applies(found.marker))


def _applies(marker: Marker | None, extra: str = "") -> bool:
    return marker is None or marker.evaluate({"extra": extra})


def find_installed(folders: Sequence[Path] = ()) -> dict[str, Distribution]:
    """Return name -> package of those that Python finds, or of those in `folders`."""
    found: dict[str, Distribution] = {}
    places = [str(folder) for folder in folders]
    for package in distributions(path=places) if places else distributions():
        for name in package.metadata.get_all("Name") or ():
            found.setdefault(canonicalize_name(name), package)
    return found


def look_up(pins: Sequence[Pin], installed: Mapping[str, Distribution]) -> list[Part]:
    """Return what is known of the pinned packages that apply here and are installed."""
    known = {pin.name for pin in pins if pin.applies}
    return [
        Part(pin, find_licence(package), tuple(_needs(package, known)))
        for pin in pins
        if pin.applies and (package := installed.get(pin.name))
    ]


def _needs(package: Distribution, known: set[str]) -> list[str]:
    """Return the names of the pinned packages that a package needs, whatever extras were chosen."""
    found = set()
    for line in package.requires or ():
        try:
            needed = Requirement(line)
        except InvalidRequirement:
            continue
        name = canonicalize_name(needed.name)
        if name in known and _applies(needed.marker):
            found.add(name)
    return sorted(found)


def unknown(parts: Iterable[Part]) -> list[str]:
    """Return the packages whose licence is unknown."""
    return [f"{part.pin.name} {part.pin.version}" for part in parts if not part.licence.spdx]


def make_bill(name: str, pins: Sequence[Pin], parts: Sequence[Part]) -> dict[str, Any]:
    """Return the bill of a project called `name`, as JSON can hold it."""
    about = {part.pin.ref: part for part in parts}
    named = {part.pin.name: part.pin.ref for part in parts}
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": name, "bom-ref": name},
            "properties": [{"name": "evergreen:version", "value": __version__}],
        },
        "components": [_component(pin, about.get(pin.ref)) for pin in pins],
        "dependencies": [
            {"ref": name, "dependsOn": sorted(about)},
            *(
                {"ref": part.pin.ref, "dependsOn": [named[needed] for needed in part.needs]}
                for part in parts
            ),
        ],
    }


def _component(pin: Pin, part: Part | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": pin.ref,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.ref,
        "scope": "required" if pin.applies else "excluded",
    }
    if pin.hashes:
        found["hashes"] = [{"alg": "SHA-256", "content": digest} for digest in sorted(pin.hashes)]
    if part and part.licence.spdx:
        found["licenses"] = [{"expression": part.licence.spdx}]
    return found


def write_bill(project: Project, pins: Sequence[Pin], parts: Sequence[Part]) -> Iterator[Path]:
    """Write `reports/sbom.json` and the list of licences, `reports/licences.md`; yield each."""
    bill, table = project.reports / "sbom.json", project.reports / "licences.md"
    write_json(bill, make_bill(project.distribution, pins, parts))
    yield bill
    text = tell_licences(parts)
    write_whole(table, lambda part: part.write_text(text, encoding="utf-8"))
    yield table


def tell_licences(parts: Sequence[Part]) -> str:
    """Return the list of licences as Markdown: how often each is there, then every package."""
    by_licence: dict[str, list[str]] = {}
    for part in parts:
        by_licence.setdefault(part.licence.spdx or "UNKNOWN", []).append(part.pin.name)
    lines = ["# Licences", "", "| licence | packages |", "|---|---|"]
    ranked = sorted(by_licence.items(), key=lambda item: (-len(item[1]), item[0]))
    lines += [f"| {spdx} | {len(names)} |" for spdx, names in ranked]
    bound = [part for part in parts if part.licence.is_copyleft]
    lines += ["", "Of these ask something of who passes on what is made of them (copyleft): "
              + (", ".join(f"{part.pin.name} ({part.licence.spdx})" for part in bound) or "none")
              + "."]  # fmt: skip
    lines += ["", "| package | version | licence | said by its |", "|---|---|---|---|"]
    lines += [
        f"| {part.pin.name} | {part.pin.version} | {part.licence.spdx or 'UNKNOWN'} "
        f"| {part.licence.said} |"
        for part in parts
    ]
    return "\n".join(lines) + "\n"
