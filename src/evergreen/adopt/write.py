"""Write: put what was adopted into the project, all of it or nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from evergreen.adopt.adopt import Adoption
from evergreen.adopt.params_patch import INBOX
from evergreen.errors import InputError
from evergreen.files import write_whole
from evergreen.ingest.manifest import Manifest
from evergreen.project import Project
from evergreen.stores.git import read_commit

OWN = (
    "src/{package}/dataset.py",
    "src/{package}/expectations.py",
    "src/{package}/flights.py",
    "params.yaml",
)
FORGET = "`rm -rf data stores reports dvc.lock inbox` forgets all of it"


def check_fresh(project: Project) -> None:
    """Raise InputError where adopting would lose batches, or changes that are not committed."""
    if Manifest(project.raw).entries:
        raise InputError(
            f"data/ already holds batches of the present dataset.py: {FORGET}; then adopt again"
        )
    inbox = project.root / INBOX
    if inbox.exists() and (not inbox.is_dir() or any(inbox.iterdir())):
        raise InputError(
            f"{INBOX}/ already holds files, and `evergreen adopt` fills it: move them to another "
            "folder, or remove them"
        )
    asked = ["git", "-C", str(project.root), "status", "--porcelain", "--", *own_files(project)]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InputError(
            "git is not installed, and `evergreen adopt` overwrites files that are tracked by it: "
            "install git"
        ) from None
    if done.returncode:
        why = read_commit(project.root).why or f"git fails ({done.stderr.strip()})"
        raise InputError(f"`evergreen adopt` overwrites files that are tracked by git, and {why}")
    if changed := [line[3:] for line in done.stdout.splitlines()]:
        raise InputError(
            f"{', '.join(changed)}: changed since the last commit, and `evergreen adopt` "
            "overwrites it: `git commit` it, or `git checkout` it to undo the change"
        )


def own_files(project: Project) -> list[str]:
    """Return the files that adopting overwrites; the last but one, the example's source, goes."""
    return [name.format(package=project.package) for name in OWN]


def write(project: Project, adoption: Adoption) -> None:
    """Write every file of `adoption`, all or none, and remove the source of the example."""
    paths = {project.root / name: text for name, text in adoption.texts.items()}
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    part = Path(tempfile.mkdtemp(dir=project.root, prefix=f".part-{os.getpid()}-"))
    try:
        for name, content in adoption.batches.items():
            (part / Path(name).name).write_bytes(content)
        for path, text in paths.items():
            write_whole(path, lambda part, text=text: part.write_text(text, encoding="utf-8"))  # type: ignore[misc]
        if adoption.batches:
            part.chmod(0o755)
            part.replace(project.root / INBOX)
        (project.root / own_files(project)[-2]).unlink(missing_ok=True)
    except BaseException:
        _put_back(before)
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put_back(before: Mapping[Path, bytes | None]) -> None:
    for path, content in before.items():
        if content is None:
            path.unlink(missing_ok=True)
        elif path.read_bytes() != content:
            path.write_bytes(content)


def take_first_batches(project: Project) -> str:
    """Ingest and validate in new processes, and return what the last one printed.

    New processes import the new dataset.py.

    Raises InputError with what failed; what was written stays, to be edited.
    """
    said = ""
    for command in ("ingest", "validate"):
        done = subprocess.run(
            [sys.executable, "-m", "evergreen.cli", command],
            cwd=project.root,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            why = (done.stderr.strip() or done.stdout.strip()).rpartition("error: ")[2]
            raise InputError(
                f"the files are written, but `evergreen {command}` refused the table: {why}\n"
                "edit dataset.py, expectations.py or params.yaml, then `evergreen run`"
            )
        said = done.stdout.strip()
    return said
