"""Personal key: made once, kept in `stores/personal.key`, its owner's; another one is noticed.

Beside each batch of `data/raw/` its manifest notes what was personal then and what tells the key
from others, so that rows in the clear, or hashed with another key, are never mixed with new ones.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from evergreen.dataset import DROP, Dataset
from evergreen.errors import InputError
from evergreen.files import make_secret, read_secret
from evergreen.ingest.manifest import Manifest
from evergreen.ingest.personal import NO_KEY, Key
from evergreen.project import Project

VARIABLE = "EVERGREEN_PERSONAL_KEY"
FILE = "personal.key"  # in stores/ of the project
FORM = re.compile(r"\S{32,}")
NOTED = "personal"  # in the manifest of data/raw/
FACT = "personal.check"  # of a training run: what tells the key of its rows from others
FORGET = (
    "`rm -rf data stores reports feedback dvc.lock .dvc/cache` forgets what was kept (and empty a "
    "DVC remote or MLflow server elsewhere), and `evergreen run` reads the source once more; "
    "docs/make-it-yours.md, Personal data"
)


def key_of(project: Project, dataset: Dataset) -> Key:
    """Return the key that rows to be scored are hashed with.

    Raises InputError where there is none, or `find_key` does.
    """
    key = find_key(project, dataset)
    if key is None:
        raise InputError(NO_KEY)
    return key


def find_key(project: Project, dataset: Dataset, *, make: bool = False) -> Key | None:
    """Return the project's key: of the environment, else of its file; None where there is none yet.

    `make`: make it then. Raises InputError where `data/raw/` holds rows that were kept under
    another declaration or with another key, or the key is damaged or too short.
    """
    raw = Manifest(project.raw)
    noted = {batch: entry[NOTED] for batch, entry in raw.entries.items() if NOTED in entry}
    if not dataset.personal and not noted:
        return None
    _check_declared(raw, dataset)
    path = (project.home or project.root) / "stores" / FILE
    secret = _read(path)
    if secret is None and noted:
        raise InputError(
            f"{path} is missing, and data/raw was hashed with it: restore it from a backup, or set "
            f"{VARIABLE}; with another key nobody would be known again. Is it lost? {FORGET}"
        )
    if secret is None and make:
        secret = make_secret(path, FORM, lambda: secrets.token_urlsafe(32))
    if secret is None:
        return None
    key = Key(secret)
    for batch, told in noted.items():
        if told["key"] != key.check:
            where = VARIABLE if os.environ.get(VARIABLE) else str(path)
            raise InputError(
                f"{where} is not the key that batch {batch!r} of data/raw was hashed with: put "
                f"that back; with another one nobody would be known again. Is it lost? {FORGET}"
            )
    return key


def facts_of(project: Project, dataset: Dataset) -> dict[str, str]:
    """Return what a training run notes of the key: nothing where no column is personal."""
    key = find_key(project, dataset) if dataset.personal else None
    return {FACT: key.check} if key else {}


def check_learnt(key: Key, tags: Mapping[str, str], version: str) -> None:
    """Raise InputError where a version has learnt from rows that another key hashed.

    `tags`: of its run. Here `data/raw/` may be missing, which would tell.
    """
    told = tags.get(f"evergreen.{FACT}", key.check)
    if told != key.check:
        raise InputError(
            f"version {version} has learnt from rows hashed with another key than this one: put "
            f"what stores/personal.key of its project holds into {VARIABLE}"
        )


def is_personal(project: Project) -> bool:
    """Return whether `data/raw/` holds rows that were hashed with a key."""
    return any(NOTED in entry for entry in Manifest(project.raw).entries.values())


def note(dataset: Dataset, key: Key | None) -> dict[str, Any]:
    """Return what the manifest notes beside a batch: nothing where no column is personal."""
    if not dataset.personal or key is None:
        return {}
    return {NOTED: {"columns": dict(dataset.personal), "key": key.check}}


def _read(path: Path) -> str | None:
    """Return the secret. Raises InputError where it is no such thing."""
    if secret := os.environ.get(VARIABLE, "").strip():
        if not FORM.fullmatch(secret):
            raise InputError(
                f"{VARIABLE} must be at least 32 characters without spaces, drawn by chance: "
                "`openssl rand -hex 32` makes some"
            )
        return secret
    secret = read_secret(path, FORM) or ""
    if not secret and path.exists():
        raise InputError(f"{path} is damaged: restore it from a backup, or set {VARIABLE}")
    return secret or None


def _check_declared(raw: Manifest, dataset: Dataset) -> None:
    """Raise InputError where a batch holds a column in another way than is declared now."""
    for batch, entry in raw.entries.items():
        then: Mapping[str, str] = entry.get(NOTED, {}).get("columns", {})
        changed = {
            name
            for name in {*then, *dataset.personal}
            if then.get(name) != dataset.personal.get(name)
        }
        file = raw.file(batch)
        if not changed or not file.is_file():
            continue
        if held := sorted(changed & {*pl.read_parquet_schema(file)}):
            name = held[0]
            if name in dataset.personal and then.get(name) is None:
                how = (
                    f"in the clear, and dataset.py declares it personal ({dataset.personal[name]})"
                )
            elif dataset.personal.get(name) == DROP:
                how = "hashed, and dataset.py drops it now"
            else:
                how = "hashed, and dataset.py declares it personal no more"
            raise InputError(
                f"batch {batch!r} of data/raw holds {name!r} {how}: nothing is mixed. {FORGET}"
            )
