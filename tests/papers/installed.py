"""Packages made up in a folder, as an installer leaves them."""

from __future__ import annotations

from importlib.metadata import Distribution, distributions
from pathlib import Path

MIT = (
    "Permission is hereby granted, free of charge, to any person\n"
    'THE SOFTWARE IS PROVIDED "AS IS"\n'
)


def install(folder: Path, name: str, *lines: str, version: str = "1.0", text: str = "") -> None:
    """Put a package into `folder`: lines of its metadata, and the text of its licence's file."""
    place = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir(parents=True)
    head = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines]
    (place / "METADATA").write_text("\n".join(head) + "\n")
    (place / "LICENSE").write_text(text)
    (place / "RECORD").write_text(f"{place.name}/METADATA,,\n{place.name}/LICENSE,,\n")


def package(folder: Path, *lines: str, text: str = "") -> Distribution:
    """A package of its own in `folder`."""
    install(folder, "alone", *lines, text=text)
    (found,) = distributions(path=[str(folder)])
    return found
