"""Restore: the code, library, parameters and data of a version, in a folder of their own."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from evergreen.errors import InputError
from evergreen.ingest.listing import few
from evergreen.redact import HIDDEN, redact_code
from evergreen.reproduce import flow
from evergreen.reproduce.recorded import Recorded
from evergreen.stores import git
from evergreen.stores.dvc_bytes import Brought, bring_back

AGAIN = "evergreen/reproduce/again.py"  # what a library needs to train a version again


@dataclass(frozen=True)
class Restored:
    """What could be restored.

    `root`: the project's place in the folder; `stops`: what is lacking so that nothing can be
    trained; `lacks`: what is not as it was then, and may change the model.
    """

    root: Path
    library: Path
    data: Brought
    stops: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


def restore(recorded: Recorded, home: Path, folder: Path) -> Restored:
    """Restore in `folder` what a version was made of; `home`: the project that knows it.

    Code comes from git, data from DVC's cache or remote, the library from the version itself.
    """
    stops, lacks = list[str](), list[str]()
    root = _restore_code(recorded, home, folder / "code", stops, lacks)
    library = _unpack(recorded.library, folder / "library", stops)
    _write_params(recorded, root, stops, lacks)
    if not recorded.seeds:
        stops.append("seeds: the run does not say which it trained")
    data = _restore_data(recorded, home, root, stops)
    return Restored(root, library, data, tuple(stops), tuple(lacks))


def _restore_code(
    recorded: Recorded, home: Path, folder: Path, stops: list[str], lacks: list[str]
) -> Path:
    if not recorded.commit:
        why = recorded.tags.get("evergreen.git.no_commit") or "no commit is recorded"
        stops.append(f"code: {why}")
        return folder
    try:
        root = git.check_out(home, recorded.commit, folder)
    except InputError as error:
        stops.append(f"code: {error}")
        return folder
    diff, named = git.split_changes(recorded.changes)
    if diff.strip() and (why := git.apply(folder, diff)):
        lacks.append(f"the uncommitted change of then cannot be applied ({why})")
    lacks += flow.differences(root)
    if named:
        lacks.append(f"files of then were neither committed nor kept: {few(named)}")
    return root


def _unpack(wheel: Path | None, folder: Path, stops: list[str]) -> Path:
    """Unpack the library that the version carries."""
    try:
        if wheel is None:
            raise KeyError
        with zipfile.ZipFile(wheel) as archive:
            archive.getinfo(AGAIN)
            archive.extractall(folder)
    except (KeyError, zipfile.BadZipFile):
        stops.append(
            "library: the version carries none that can train it again: it was made by an older one"
        )
    return folder


def _write_params(recorded: Recorded, root: Path, stops: list[str], lacks: list[str]) -> None:
    """Write params.yaml as the run read it; where a secret is masked, the commit's may do."""
    text, path = recorded.params, root / "params.yaml"
    if not text:
        stops.append("parameters: params.yaml is not among the run's files")
        return
    if not root.is_dir():
        return
    there = path.read_text(encoding="utf-8") if path.is_file() else ""
    if redact_code(there) == text:
        return
    if HIDDEN in text:
        lacks.append("a secret in params.yaml is masked")
    path.write_text(text, encoding="utf-8")


def _restore_data(recorded: Recorded, home: Path, root: Path, stops: list[str]) -> Brought:
    """Bring back the files that the run's dvc.lock names."""
    if not recorded.lock:
        stops.append("data: dvc.lock is not among the run's files")
        return Brought(0)
    root.mkdir(parents=True, exist_ok=True)
    (root / "dvc.lock").write_text(recorded.lock, encoding="utf-8")
    try:
        data = bring_back(recorded.lock, root, (home, recorded.made_in))
    except InputError as error:
        stops.append(f"data: {error}")
        return Brought(0)
    if data.altered:
        stops.append(f"data: not the bytes that were recorded: {few(data.altered)}")
    if data.missing:
        stops.append(
            f"data: neither in DVC's cache nor in its remote: {few(data.missing)}: `dvc push` them "
            "where they are"
        )
    if data.altered or data.missing:
        stops += [f"data: {said}" for said in data.unread]
    return data
