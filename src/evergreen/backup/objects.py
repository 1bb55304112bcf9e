"""Objects: the artifacts of a stack, copied between its S3 store and a folder, both ways.

`python -m evergreen.backup.objects FROM TO`, each a folder or a URL such as s3://artifacts. MLflow
never changes a file that it has taken, so a copy made again takes what is new alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from evergreen.errors import InputError
from evergreen.files import write_whole
from evergreen.redact import redact


def copy_objects(source: str, target: str) -> tuple[int, int]:
    """Copy each file below `source` that `target` lacks or has in another size.

    Returns how many were copied, and how many there are. Raises InputError where a place cannot be
    reached, or a file would land outside of the target.
    """
    origin, place = _open(source), _open(target)
    try:
        there = dict(_sizes(*origin))
        have = dict(_sizes(*place))
        wanted = sorted(name for name, size in there.items() if have.get(name) != size)
        for name in wanted:
            _check(name, source)
        for name in wanted:
            _copy(origin, place, name)
    except InputError:
        raise
    except Exception as error:  # whatever a store raises
        said = redact(" ".join(str(error).split()))
        raise InputError(f"{source} cannot be copied to {target}: {said}: do it again") from None
    return len(wanted), len(there)


Place = tuple[Any, str]  # a file system of fsspec, and the folder in it


def _open(url: str) -> Place:
    from fsspec.core import url_to_fs

    try:
        files, folder = url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise InputError(f"{url} is no folder and no URL that is known: {error}") from None
    return files, str(folder).rstrip("/")


def _sizes(files: Any, folder: str) -> Iterator[tuple[str, int]]:
    """Yield each file's name below the folder, and its size; none where there is no folder."""
    files.invalidate_cache()
    if not files.exists(folder):
        return
    for path, about in files.find(folder, detail=True).items():
        if ".part-" not in path:  # of a copy under way
            yield str(path).removeprefix(folder).lstrip("/"), int(about["size"] or 0)


def _check(name: str, source: str) -> None:
    path = PurePosixPath(name)
    if not name or str(path) != name or path.is_absolute() or ".." in path.parts:
        raise InputError(f"{source} holds {name!r}, which lies outside of it: remove it there")


def _copy(origin: Place, place: Place, name: str) -> None:
    (here, source), (there, target) = origin, place
    if "file" in there.protocol:
        write_whole(Path(target, name), lambda part: here.get_file(f"{source}/{name}", str(part)))
    elif "file" in here.protocol:
        there.put_file(f"{source}/{name}", f"{target}/{name}")
    else:
        raise InputError("one of the two must be a folder")


def main(words: list[str]) -> int:
    """Copy; return 1 where it was refused, in a sentence."""
    if len(words) != 2:
        print("python -m evergreen.backup.objects FROM TO", file=sys.stderr)
        return 2
    try:
        copied, of = copy_objects(*words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{copied} of {of} files copied from {words[0]} to {words[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
