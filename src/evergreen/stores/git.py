"""The git commit that a folder is at, its uncommitted changes, and both restored elsewhere."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evergreen import code
from evergreen.errors import InputError
from evergreen.redact import HIDDEN, redact_code

# Settings whose changes are kept with a run
SHOWN = ("params.yaml", "dvc.yaml", "prefect.yaml", "pyproject.toml")
LARGEST = 5_000_000  # bytes of a diff that are kept
# What stands in it for what is not
NEW, NOT_SHOWN, CUT = "new file: ", "changed, not shown: ", "[cut: "
PATIENCE, HOURS = 60, 10_000  # seconds; for what takes as long as the repository is large
# A `git commit` meanwhile goes on
READ = ["-c", "color.ui=false", "-c", "core.fsmonitor=false", "--no-optional-locks"]

# What a hook of git sets, of its own place
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


@dataclass(frozen=True)
class Commit:
    """A commit and its uncommitted changes, as a diff.

    `name`: "none" where it is not known; `why`: the reason then, and what to do.
    """

    name: str = "none"
    changes: str = ""
    why: str = ""


@cache
def first_commit(root: Path) -> tuple[Commit, bytes]:
    """Return the commit of the code that this process runs, and `params.yaml`.

    Both as they were at the first call. Call it early: where code was edited before, no commit is
    known.
    """
    found, params = read_commit(root), (root / "params.yaml").read_bytes()
    if edited := code.changed():
        names = ", ".join(os.path.relpath(path, code.HOME) for path in edited[:3])
        found = Commit(why=f"{names} was edited while the run started: run again when it is done")
    return found, params


def email(root: Path) -> str:
    """Return the e-mail address that git puts on commits here; '' where it knows none."""
    try:
        return _git(root, "config", "user.email").strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def is_changed(root: Path) -> bool:
    """Return whether a tracked file differs from the commit; `dvc.lock` does not count."""
    with _explained(root):
        return bool(_git(root, "status", "--porcelain", "-uno", "--", ".", ":!dvc.lock").strip())


def read_commit(root: Path) -> Commit:
    """Return the commit that `root` is at and its uncommitted changes, without secrets.

    Only code and settings are shown; other files that changed, and new ones, are named. `dvc.lock`
    does not count: a run itself writes it, and it is recorded whole.
    """
    only = ("--", ".", ":!dvc.lock")
    try:
        name = _git(root, "rev-parse", "--verify", "HEAD").strip()
        changed = _git(root, "diff", "--name-only", "--relative", "HEAD", *only).splitlines()
        shown = [path for path in changed if path.endswith(".py") or path in SHOWN]
        changes = (
            _git(root, "diff", "--no-ext-diff", "--no-textconv", "HEAD", "--", *shown)
            if shown
            else ""
        )
        new = _git(root, "ls-files", "--others", "--exclude-standard", *only)
    except subprocess.CalledProcessError as error:
        return Commit(why=_explain(root, error.stderr))
    except subprocess.TimeoutExpired:
        return Commit(
            why=f"git does not answer within {PATIENCE} seconds: see what `git status` says"
        )
    except OSError:
        return Commit(why="git is not installed, or cannot be started: install it")
    named = [f"{NEW}{path}\n" for path in new.splitlines()]
    named += [f"{NOT_SHOWN}{path}\n" for path in changed if path not in shown]
    return Commit(name, redact_code(changes + "".join(named)))


def list_files(root: Path) -> list[str]:
    """Return the files below `root` that git tracks, and new ones that it does not ignore.

    Relative to it. Raises InputError where git cannot tell.
    """
    with _explained(root):
        listed = _git(
            root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", whole=True
        )
    return sorted({name for name in listed.split("\0") if name})


def write_bundle(root: Path, place: Path) -> None:
    """Write all commits of the repository into one file, to be cloned from.

    Raises InputError where git cannot.
    """
    with _explained(root):
        _git(root, "bundle", "create", "-q", str(place), "--all", "HEAD", patience=HOURS)


def why_not_cloned(root: Path) -> str:
    """Return why a bundle of the repository could not be cloned; empty where it can."""
    with _explained(root):
        shallow = _git(root, "rev-parse", "--is-shallow-repository").strip() == "true"
    return "it is shallow: `git fetch --unshallow` makes it whole" if shallow else ""


def find_repositories(root: Path) -> list[str]:
    """Return the folders below `root` that are git repositories of their own, submodules too."""
    with _explained(root):
        listed = _git(root, "ls-files", "-z", "--stage", whole=True)
        others = _git(root, "ls-files", "-z", "--others", "--exclude-standard", whole=True)
    own = [line.partition("\t")[2] for line in listed.split("\0") if line.startswith("160000")]
    own += [name for name in others.split("\0") if name.endswith("/")]
    return own


@contextmanager
def _explained(root: Path) -> Iterator[None]:
    try:
        yield
    except subprocess.CalledProcessError as error:
        raise InputError(_explain(root, error.stderr)) from None
    except subprocess.TimeoutExpired:
        raise InputError(f"git does not answer within {PATIENCE} seconds in {root}") from None
    except OSError:
        raise InputError("git is not installed, or cannot be started: install it") from None


def check_out(root: Path, commit: str, folder: Path) -> Path:
    """Make `folder` a clone of the repository that `root` lies in, at `commit`.

    Its objects are shared, its hooks do not run. Returns the place of `root` in the clone; raises
    InputError where git cannot.
    """
    with _explained(root):
        top = _git(root, "rev-parse", "--show-toplevel").rstrip("\n")
        below = _git(root, "rev-parse", "--show-prefix").strip()
        if not has(root, commit):
            raise InputError(f"the commit {commit[:12]} is not in this repository: `git fetch`")
        _git(root, "clone", "--quiet", "--no-checkout", "--shared", "--", top, str(folder))
        _git(folder, "-c", "core.hooksPath=/dev/null", "checkout", "--quiet", "--detach", commit)
    return folder / below


def split_changes(changes: str) -> tuple[str, tuple[str, ...]]:
    """Return the diff that git can apply, and the files that are only named beside it."""
    lines = changes.splitlines(keepends=True)
    named = [line for line in lines if line.startswith((NEW, NOT_SHOWN))]
    names = tuple(line.partition(": ")[2].strip() for line in named)
    return "".join(line for line in lines if line not in named), names


def apply(folder: Path, diff: str) -> str:
    """Apply a diff to the clone at `folder`, wholly or not at all; return why it cannot be."""
    if HIDDEN in diff:
        return "a secret in it is masked"
    if CUT in diff:
        return "it is too long to be kept whole"
    with tempfile.NamedTemporaryFile("wb", suffix=".diff") as file:
        file.write(diff.encode())
        file.flush()
        try:
            _git(folder, "apply", "--whitespace=nowarn", "--", file.name)
        except subprocess.CalledProcessError as error:
            return str(error.stderr).strip().partition("\n")[0].removeprefix("error: ")
    return ""


def has(root: Path, commit: str) -> bool:
    """Return whether the repository that `root` lies in has a commit."""
    try:
        _git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except subprocess.CalledProcessError:
        return False
    return True


def _git(root: Path, *words: str, patience: float | None = None, whole: bool = False) -> str:
    """Return what git prints; unless `whole`, at most the part that is kept.

    Raises CalledProcessError where it fails.
    """
    env = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    with tempfile.TemporaryFile() as output:  # not in memory: a diff can be as large as the files
        command = ["git", *READ, "-C", str(root), *words]
        done = subprocess.run(
            command,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=PATIENCE if patience is None else patience,
            env=env | {"LC_ALL": "C"},
            check=False,
        )
        if done.returncode:
            raise subprocess.CalledProcessError(
                done.returncode, command, stderr=done.stderr.decode(errors="replace")
            )
        size = os.fstat(output.fileno()).st_size
        output.seek(0)
        text = output.read(size if whole else LARGEST).decode(errors="replace")
    return text if whole or size <= LARGEST else f"{text}\n{CUT}{size:,} bytes in all]\n"


def _explain(root: Path, message: str) -> str:
    """Return why git knows no commit, and what to do."""
    if "dubious ownership" in message:
        return (
            f"git refuses {root}, which belongs to another user: "
            f"`git config --global --add safe.directory {root}`, or run as its owner"
        )
    if "not a git repository" in message:
        return f"{root} is in no git repository: `git init && git add -A && git commit -m Start`"
    if "Needed a single revision" in message or "bad revision 'HEAD'" in message:
        return "nothing is committed yet: `git add -A && git commit -m Start`"
    if "must be run in a work tree" in message:
        return f"{root} is a bare git repository: work in a clone of it"
    first = next(
        (line for line in message.splitlines() if line.startswith("fatal:")), message.strip()
    )
    reason = first.removeprefix("fatal: ") or "no message"
    return f"git fails ({reason}): see what `git status` and `git fsck` say"
