"""Files that are there whole or not at all, and the fingerprints of what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from evergreen import code


def write_whole(path: Path, write: Callable[[Path], object], *, mode: int = 0o644) -> None:
    """Let `write` fill a temporary neighbour of `path`, then put it in place in one step.

    Until then only its owner can read it; `mode`: who may from then on. A crash or a full disk
    leaves what was at `path` before, and no other trace that counts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".part-{os.getpid()}-", suffix=path.suffix
    )
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(mode)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read_secret(path: Path, form: re.Pattern[str]) -> str | None:
    """Return the secret at `path`, from now on its owner's alone; None where there is none.

    Or none of the given form.
    """
    with suppress(FileNotFoundError):
        if path.stat().st_mode & 0o077:  # a copy, say
            path.chmod(0o600)
        secret = path.read_text(encoding="utf-8", errors="replace").strip()
        return secret if form.fullmatch(secret) else None
    return None


def make_secret(path: Path, form: re.Pattern[str], draw: Callable[[], str]) -> str:
    """Return the secret at `path`; where there is none of that form, `draw` one and keep it.

    Processes that start at once get the same; only its owner can read it.
    """
    from filelock import FileLock

    if secret := read_secret(path, form):
        return secret
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        if secret := read_secret(path, form):
            return secret
        secret = draw()
        write_whole(path, lambda part: part.write_text(f"{secret}\n", encoding="utf-8"), mode=0o600)
        return secret


def sweep_left(folder: Path) -> None:
    """Remove what killed processes left in `folder`; what a live process made stays.

    Temporary files and folders are called `.part-`, the number of their process, and something
    more.
    """
    for part in folder.glob(".part-*"):
        number = part.name.split("-")[1]
        if number.isdigit() and _made_by_live(int(number), part):
            continue
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _made_by_live(number: int, path: Path) -> bool:
    """Return whether the process that made `path` still runs: its number may be another's now."""
    import psutil

    try:
        return float(psutil.Process(number).create_time()) <= path.stat().st_ctime
    except (psutil.NoSuchProcess, OSError):
        return False


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON with sorted keys, whole or not at all."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_entries(path: Path, entries: Mapping[str, Any]) -> None:
    """Write a JSON object sorted by key, an entry a line, whole or not at all.

    Of many entries ten times as fast as `write_json`.
    """
    encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
    lines = ",\n".join(
        f" {encode(name)}: {encode(entry)}" for name, entry in sorted(entries.items())
    )
    write_whole(path, lambda part: part.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8"))


def read_entries(path: Path) -> dict[str, Any]:
    """Return what `write_entries` wrote; empty where it is missing or damaged.

    So only for what can be found out again.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of the bytes at `path`, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(*parts: object) -> str:
    """Return the SHA-256 of plain values (anything JSON can hold), in hexadecimal."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def sha256_of_own(*paths: str | Path) -> str:
    """Return one SHA-256 for the user's modules at `paths` and those of theirs that they import.

    Of the code that this process runs.
    """
    return sha256_of_modules(module for path in paths for module in code.with_imports(path))


def sha256_of_modules(paths: Iterable[Path]) -> str:
    """Return one SHA-256 for the modules at `paths`, in any order, as this process runs them."""
    modules = {*paths}
    return sha256_of(
        *sorted((module.name, hashlib.sha256(code.read(module)).hexdigest()) for module in modules)
    )
