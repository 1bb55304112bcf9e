"""The only caller of DVC: which bytes of data, and whether a stage has anything to do."""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from evergreen import code, recipes
from evergreen.errors import InputError
from evergreen.files import read_entries, sha256_of, write_entries
from evergreen.params import Params, look_up
from evergreen.project import Project
from evergreen.stores.dvc_recovery import drop_stale_locks, keep_record, restore_record

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

T = TypeVar("T")
STAGES = ("ingest", "validate", "prepare")
DAMAGED = (
    "dvc.lock is damaged: restore it with `git checkout dvc.lock`, or remove it, and the next run "
    "records what is there"
)
PARAMS = "params.yaml"
# In a project: a link to the numbers of the library that is installed
RECIPES = Path(".dvc", "tmp", "recipes.py")
_LOCKS: dict[Path, bytes] = {}  # of each project: dvc.lock as this process left it


def run_stage(
    project: Project,
    name: str,
    work: Callable[[bool], T],
    *,
    force: bool = False,
    params: bytes = b"",
) -> T | None:
    """Run the stage `name` of `dvc.yaml` if it has changed; record it as `dvc repro` would.

    `work` is called, with DVC's lock held, with whether the stage's outputs differ from what was
    recorded, so that it can tell finished files from altered ones. Code and `params.yaml` (the text
    that `work` uses, where given) are compared and recorded as they run, not as they were edited
    since. Returns None, and calls nothing, where nothing changed (unless `force`).
    Raises InputError where DVC cannot work.
    """
    with _opened(project) as repo:
        stage = _stage(repo, name)
        ran = {id(dep): found for dep in stage.deps if (found := _what_runs(dep, params))}
        due = force or stage.changed_stage() or _changed_deps(stage, ran)
        untouched = due and read_entries(_left(project)).get(name) == _signature(
            stage, _files(stage)
        )
        altered = not untouched and stage.changed_outs()
        if not (due or altered):
            _keep_lock(project)
            return None
        result = work(altered)
        # As save() and commit() do, but each output's files are looked at once. The run cache is
        # left to `dvc repro`: restoring from it would bring back old outputs.
        files = _files(stage)
        for dep in stage.deps:
            _save(dep, ran.get(id(dep)))
        stage.add_outs(relink=_links(repo))
        stage.md5 = stage.compute_md5()
        with keep_record(project):
            stage.dump(update_pipeline=False)
        _keep_lock(project)
        if files and files == _files(stage):  # else DVC may have seen what is no longer there
            write_entries(
                _left(project), read_entries(_left(project)) | {name: _signature(stage, files)}
            )
        return result


def run_step(
    project: Project,
    params: Params,
    name: str,
    step: Callable[..., T],
    stale: Callable[[Project, Params], Sized],
) -> T | None:
    """Run a stage as `run_stage` does; also where `stale` names batches to make again.

    `step` is called with `check`: whether its outputs are not as they were recorded.
    """
    due = bool(stale(project, params))
    return run_stage(
        project, name, lambda altered: step(check=altered), force=due, params=params.text
    )


def is_altered(project: Project, name: str) -> bool:
    """Return whether the outputs of the stage `name` are not as DVC recorded them."""
    with _opened(project) as repo:
        return bool(_stage(repo, name).changed_outs())


def load_library() -> None:
    """Import DVC, which takes a moment."""
    import dvc.repo  # noqa: F401


def link_recipes(project: Project) -> None:
    """Let DVC read the recipe numbers of the library that runs, by a path inside the project.

    Through a link, so that `dvc status` sees a release that was installed since without any command
    of ours.
    """
    link, target = project.root / RECIPES, Path(recipes.__file__).resolve()
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    part = link.with_name(f".part-{os.getpid()}-{link.name}")
    part.symlink_to(target)
    part.replace(link)


def changed_stages(project: Project) -> list[str]:
    """Return the stages that a run would not skip for DVC's reasons."""
    params = project.params.read_bytes()
    with _opened(project) as repo:
        return [name for name in STAGES if _is_due(_stage(repo, name), params)]


def _is_due(stage: Any, params: bytes) -> bool:
    """Return whether a stage has something to do; an unwritten parameter counts as its default."""
    own = [dep for dep in stage.deps if Path(dep.fs_path).name == PARAMS]
    ran = {id(dep): found for dep in own if (found := _what_runs(dep, params))}
    changed = stage.changed_stage() or _changed_deps(stage, ran)
    return bool(changed or stage.changed_outs())


def cache_of(project: Project) -> Path:
    """Return the folder in which DVC keeps the bytes of this project's data; takes no lock."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        repo = Repo(str(project.root))
    except DvcException as error:
        raise InputError(f"DVC cannot open {project.root}: {_message_of(error)}") from None
    try:
        return Path(repo.cache.local.path).parents[1]  # below it: files/md5
    finally:
        repo.close()


def checkout(project: Project, but: Collection[str] = ()) -> None:
    """Write the outputs that `dvc.lock` names, from DVC's cache; nothing of those in `but`.

    Raises InputError where the cache lacks some of it.
    """
    outputs = [path for path in data_versions(project) if path not in but] if but else []
    with _opened(project) as repo:
        if outputs or not but:
            repo.checkout([str(project.root / path) for path in outputs], force=True)
        _keep_lock(project)


def is_cached(cache: Path, digest: str) -> bool:
    """Return whether the cache has all files of an output."""

    def find(digest: str) -> Path:
        return cache / "files" / "md5" / digest[:2] / digest[2:]

    try:
        files = json.loads(find(digest).read_text()) if digest.endswith(".dir") else []
        return find(digest).is_file() and all(find(file["md5"]).is_file() for file in files)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def data_versions(project: Project) -> dict[str, str]:
    """Return path -> DVC hash of every output in `dvc.lock`; empty before the first run."""
    return outputs_of(read_lock(project), DAMAGED)


def outputs_of(lock: bytes | str, damaged: str) -> dict[str, str]:
    """Return path -> DVC hash of every output in the text of a `dvc.lock`.

    Raises InputError, which says `damaged`, where it is.
    """
    try:
        stages = (yaml.safe_load(lock) or {}).get("stages", {})
        return {
            str(out["path"]): str(out["md5"])
            for stage in stages.values()
            for out in stage.get("outs", [])
        }
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        raise InputError(damaged) from None


def read_lock(project: Project) -> bytes:
    """Return `dvc.lock` as this process left it, whatever was checked out since.

    Empty before the first run.
    """
    lock = project.root / "dvc.lock"
    return _LOCKS.get(project.root) or (lock.read_bytes() if lock.exists() else b"")


def _keep_lock(project: Project) -> None:
    lock = project.root / "dvc.lock"
    _LOCKS[project.root] = lock.read_bytes() if lock.exists() else b""


def _what_runs(dep: Any, params: bytes) -> HashInfo | None:
    """Return DVC's hash of a dependency as this process runs it; None for data.

    That is, of code, recipe numbers or parameters.
    """
    from dvc.dependency.param import ParamsDependency
    from dvc_data.hashfile.hash_info import HashInfo

    if isinstance(dep, ParamsDependency) and Path(dep.fs_path).name == RECIPES.name:
        numbers: Any = {name: getattr(recipes, name) for name in dep.params}
        return HashInfo("params", numbers)
    if isinstance(dep, ParamsDependency):
        values: Any = look_up(params, dep.params) if params else None
        return HashInfo("params", values) if params else None
    content = code.ran(dep.fs_path)
    return (
        None
        if content is None
        else HashInfo("md5", hashlib.md5(content, usedforsecurity=False).hexdigest())
    )


def _changed_deps(stage: Any, ran: Mapping[int, HashInfo]) -> bool:
    """Return whether a dependency is not as recorded: data as it is there, the rest as it `ran`."""
    from dvc.stage.decorators import rwlocked

    @rwlocked(read=["deps"])
    def compare(stage: Any) -> bool:
        known = ((dep, ran.get(id(dep))) for dep in stage.deps)
        return any(dep.hash_info != found if found else dep.changed() for dep, found in known)

    return not stage.frozen and bool(compare(stage))


def _save(dep: Any, ran: HashInfo | None) -> None:
    """Record a dependency: code and parameters as they ran."""
    from dvc.dependency.param import ParamsDependency

    if ran and isinstance(dep, ParamsDependency):  # which would refuse a key that is not written
        dep.hash_info = ran
        return
    if ran is None or dep.exists:
        dep.save()
    if ran and dep.hash_info != ran:  # edited since
        from dvc_data.hashfile.meta import Meta

        content = code.ran(dep.fs_path)
        dep.hash_info, dep.meta = ran, Meta(size=len(content)) if content else dep.meta


def _stage(repo: Repo, name: str) -> Any:
    # By absolute path: a bare name is looked up in the dvc.yaml of the working directory.
    return repo.stage.load_one(str(Path(repo.root_dir) / "dvc.yaml"), name)


def _left(project: Project) -> Path:
    """Return the file of how outputs were left: unless touched, DVC need not check each file."""
    return project.root / ".dvc" / "tmp" / "left.json"


def _signature(stage: Any, files: list[Any]) -> str:
    """Return a fingerprint of outputs: of their recorded hash, and their files."""
    return sha256_of([str(out.hash_info) for out in stage.outs], files)


def _files(stage: Any) -> list[Any]:
    """Return each file of the outputs with its time, size and inode, as DVC recognizes it.

    Empty where a file is unreadable.
    """
    paths = [
        os.path.join(folder, name)  # noqa: PTH118
        for out in stage.outs
        for folder, _, names in os.walk(out.fs_path)
        for name in names
    ]
    try:
        found = [(path, os.stat(path)) for path in sorted(paths)]  # noqa: PTH116
    except OSError:  # a link to nothing
        return []
    return [[path, stat.st_mtime_ns, stat.st_size, stat.st_ino] for path, stat in found]


def _links(repo: Repo) -> bool:
    """Return whether files are links into DVC's cache, not copies: only links are made again."""
    return not {"hardlink", "symlink"}.isdisjoint(repo.cache.local.cache_types)


@contextmanager
def _opened(project: Project) -> Iterator[Repo]:
    """Open DVC here with its lock held."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo

    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # DVC makes so many objects that at Python's 700 all libraries are searched for garbage often,
    # 0.2 s each time.
    gc.set_threshold(max(10_000, gc.get_threshold()[0]))
    drop_stale_locks(project)
    if (project.root / ".dvc").is_dir():
        link_recipes(project)
    try:
        repo = Repo(str(project.root))
    except DvcException as error:
        raise InputError(f"DVC cannot open {project.root}: {_message_of(error)}") from None
    try:
        with lock_repo(repo):
            restore_record(project)
            yield repo
    except LockError:
        raise InputError(
            "DVC is busy with this project: wait until the other dvc command ends, then run again"
        ) from None
    except DvcException as error:
        raise InputError(f"DVC: {_message_of(error)}") from error
    finally:
        repo.close()


def _message_of(error: Exception) -> str:
    """Return the message of DVC, and how to restore a file of its own that it cannot read."""
    message = " ".join(str(error).split())
    if "dvc.lock" in message:
        return f"{message}: {DAMAGED}"
    for name, path in (("dvc.yaml", "dvc.yaml"), ("config", ".dvc/config")):
        if name in message:
            return f"{message}: restore it, for instance with `git checkout {path}`"
    return message
