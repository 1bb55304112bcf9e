"""Wheel: the library as one file that pip installs, the same bytes from the same files.

The template puts it into a new project, and a registered model carries it, so that it can be loaded
where no index knows this library. Standard library only: the template runs in any environment.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from importlib.metadata import entry_points

NAME = "evergreen"


def name_of(version: str) -> str:
    """Return the file's name, which says what it holds."""
    return f"{NAME}-{version}-py3-none-any.whl"


def build_wheel(version: str, files: Mapping[str, bytes], about: Mapping[str, bytes]) -> bytes:
    """Return the wheel of `files` (path below the installation -> content).

    `about`: METADATA, entry_points.txt and what else describes it, by name. Nothing is compressed:
    what deflating gives depends on the machine.
    """
    place = f"{NAME}-{version}.dist-info"
    tag = b"Wheel-Version: 1.0\nGenerator: evergreen\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    contents = {**files, **{f"{place}/{name}": content for name, content in about.items()}}
    contents[f"{place}/WHEEL"] = tag
    record = f"{place}/RECORD"
    lines = [
        f"{name},sha256={_digest(content)},{len(content)}"
        for name, content in sorted(contents.items())
    ]
    contents[record] = ("\n".join([*lines, f"{record},,"]) + "\n").encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name)  # of 1980
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def installed() -> tuple[str, bytes]:
    """Return the name and the bytes of the wheel of this library, as this process runs it.

    Raises InputError where nothing that is installed holds the library.
    """
    from evergreen import __version__, code
    from evergreen.errors import InputError

    # By its command: in the repository that it is written in, the project holds it
    known = next(iter(entry_points(group="console_scripts", name=NAME)), None)
    if known is None or known.dist is None:
        raise InputError(f"{NAME} is not installed in this environment: run `make setup`")
    metadata = known.dist.read_text("METADATA") or ""
    for key, value in (("Name", NAME), ("Version", __version__)):
        metadata = re.sub(rf"(?m)^{key}: .*$", f"{key}: {value}", metadata, count=1)
    paths = (
        path
        for path in code.PACKAGE.rglob("*")
        if path.is_file() and not {"__pycache__", "docs"} & {*path.relative_to(code.PACKAGE).parts}
    )
    files = {
        f"{NAME}/{path.relative_to(code.PACKAGE).as_posix()}": code.read(path) for path in paths
    }
    return name_of(__version__), build_wheel(__version__, files, {"METADATA": metadata.encode()})


def _digest(content: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
