"""Snapshot: one folder of a backup, complete by itself, with a checksum for each of its files.

BACKUP/2026-11-30T02-15-00/backup.json     what it is of, and size and SHA-256 of each file
                           code.bundle     the git repository, to be cloned
                           project/...     the project's files, below the same names
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from evergreen.errors import InputError
from evergreen.files import sha256_of_file, write_json
from evergreen.formats import stamp, unstamp
from evergreen.ingest.listing import few

ABOUT, BUNDLE, FILES = "backup.json", "code.bundle", "project"


@dataclass(frozen=True)
class About:
    """What a snapshot is of.

    `root`: the folder of the project that it is of. `commit`: "none" where git knows none. `files`:
    relative path -> size in bytes, and SHA-256.
    """

    made: str
    library: str
    root: str
    commit: str
    files: dict[str, tuple[int, str]]


def find_snapshots(backup: Path) -> list[Path]:
    """Return the complete snapshots in `backup`, the oldest first."""
    return sorted(path.parent for path in backup.glob(f"*/{ABOUT}"))


def choose_snapshot(place: Path) -> Path:
    """Return `place` if it is a snapshot, else the newest in it.

    Raises InputError where there is none.
    """
    if (place / ABOUT).is_file():
        return place
    found = find_snapshots(place)
    if not found:
        raise InputError(
            f"{place} holds no backup: name the folder that `evergreen backup` wrote to, "
            "or one of the snapshots in it"
        )
    return found[-1]


def write_about(snapshot: Path, about: About) -> None:
    """Write what the snapshot is of; without it the folder is no snapshot."""
    write_json(snapshot / ABOUT, stamp(asdict(about)))


def read_about(snapshot: Path) -> About:
    """Return what a snapshot is of. Raises InputError where that is damaged or of a newer form."""
    path = snapshot / ABOUT
    try:
        content = unstamp(json.loads(path.read_text(encoding="utf-8")), path)
        files = {
            str(name): (int(size), str(sum_)) for name, (size, sum_) in content["files"].items()
        }
        made, library, root, commit = (
            str(content[name]) for name in ("made", "library", "root", "commit")
        )
        return About(made, library, root, commit, files)
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
    ) as error:  # fmt: skip
        raise InputError(
            f"{path} is damaged ({error}): restore from another snapshot in {snapshot.parent}"
        ) from None


def verify(snapshot: Path, about: About) -> None:
    """Raise InputError where a file of the snapshot is missing or not as it was written."""
    wrong = list(_find_wrong(snapshot, about))
    if wrong:
        raise InputError(
            f"{snapshot} is damaged: {few(wrong, 3)}: restore from another snapshot in "
            f"{snapshot.parent}"
        )


def _find_wrong(snapshot: Path, about: About) -> Iterator[str]:
    home = os.path.realpath(snapshot)
    for name, (size, expected) in about.files.items():
        path = snapshot / name
        try:
            name.encode()
            within = Path(os.path.realpath(path.parent)).is_relative_to(home)
            if not (_is_below(name) and within):
                yield f"{name!r} lies outside of it"
            elif not path.is_file() or path.is_symlink():
                yield f"{name} is missing"
            elif path.stat().st_size != size or sha256_of_file(path) != expected:
                yield f"{name} is not as it was written"
        except (OSError, ValueError) as error:  # unreadable, or no name that a file can have
            yield f"{name!r} cannot be read ({getattr(error, 'strerror', 'no name of a file')})"


def _is_below(name: str) -> bool:
    """Return whether a name is a plain relative path: of "a//b", what follows "a/" is absolute."""
    path = PurePosixPath(name)
    return str(path) == name and not path.is_absolute() and ".." not in path.parts
