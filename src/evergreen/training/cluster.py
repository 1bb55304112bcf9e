"""Cluster: seeds are sent to workers of Dask, and one whose worker is lost goes to another.

Only files go there and back: a worker reads the rows from a folder that it shares with this
process, bins them once, and trains as this process would: the same bytes.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.errors import InputError
from evergreen.params import Compute, Train

if TYPE_CHECKING:
    from evergreen.training.learner import Trained
    from evergreen.training.seeds import Slots
    from evergreen.training.tables import Tables

ABOUT = "rows.json"  # of a folder of rows: what they are
PATIENCE = 10  # seconds that a scheduler may take to answer
ALL = 1000  # seeds that a sweep may have
WORKERS = 120  # seconds until it must have a worker
ALONE = threading.Lock()  # seeds of one worker process bin rows once


@dataclass(frozen=True)
class Cluster:
    """Workers that train the seeds of one sweep, whose rows are in `folder`."""

    client: Any
    folder: Path
    where: str  # in words

    def train(self, params: Train, seed: int, device: str, threads: int) -> Trained:
        """Return the model of a seed, trained by a worker.

        Raises InputError where the scheduler is gone, or a seed has ended several workers.
        """
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        given = str(self.folder), params.model_dump_json(), seed, device, threads
        try:
            future = self.client.submit(train_there, *given, pure=False)
            found: Trained = future.result()
        except KilledWorker:
            raise InputError(
                f"seed {seed} has ended several workers of {self.where}: if they lack memory, have "
                "fewer (compute.workers), or keep rows on disk (compute.memory: external)"
            ) from None
        except (CancelledError, FutureCancelledError, TimeoutError, OSError) as error:
            raise InputError(
                f"{self.where} is gone ({type(error).__name__}): start it again, or set "
                "compute.cluster to none, and run again; seeds that are trained are kept"
            ) from None
        return found


@contextmanager
def open_cluster(compute: Compute, slots: Slots, tables: Tables, folder: Path) -> Iterator[Cluster]:
    """Yield a cluster whose workers find the rows of `tables` in `folder`.

    Raises InputError where Dask is not installed, or nothing answers at `compute.address`, or its
    workers have other versions.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise InputError(
            "compute.cluster is dask, and Dask is not installed: `.venv/bin/pip install "
            "--require-hashes --no-deps -r requirements/cluster.txt`, or set compute.cluster to "
            "none"
        ) from None
    write_rows(tables, folder)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it says is said by errors
    if compute.address:
        client, where = _connect(compute.address), f"the Dask cluster at {compute.address}"
        try:
            check_workers(client, compute.address)
            yield Cluster(client, folder, where)
        finally:
            with suppress(Exception):
                client.run(forget)
            client.close()
        return
    with _start(slots.jobs, folder) as cluster, Client(cluster, timeout=WORKERS) as client:
        yield Cluster(client, folder, "the local Dask cluster")


def _start(workers: int, folder: Path) -> Any:
    """Return a cluster of processes of this machine.

    They listen on 127.0.0.1 alone, without a dashboard, and speak to whoever holds a key that is
    made here and lies in no file (TLS): who reaches a scheduler of Dask runs code on it.
    """
    import dask.config
    from distributed import LocalCluster, Security

    plain: dict[str, list[str]] = {
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    with dask.config.set(plain):
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=Security.temporary(),
            dashboard_address=None,
            worker_dashboard_address=None,
            memory_limit=0,  # it was estimated before; Dask would end what is near a limit
            local_directory=str(folder),
            silence_logs=logging.CRITICAL,
        )


def _connect(address: str) -> Any:
    from distributed import Client

    try:
        return Client(address, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"no Dask scheduler answers at {address} (compute.address in params.yaml): {said}: "
            "start it, correct the address, or leave it empty for a cluster of this machine"
        ) from None


def check_workers(client: Any, address: str) -> None:
    """Raise InputError where the cluster has no worker, or one of other versions than here."""
    if not client.nthreads():
        raise InputError(
            f"the Dask scheduler at {address} has no worker: start one, "
            f"`dask worker {address}`, in the environment of this project"
        )
    try:
        found = client.run(versions)
    except Exception as error:
        raise InputError(
            f"the workers of {address} cannot import this library "
            f"({type(error).__name__}: {error}): start them in the environment of this project"
        ) from None
    for worker, there in found.items():
        if there != (here := versions()):
            raise InputError(
                f"the worker {worker} of {address} has {_listed(there)}, and this process has "
                f"{_listed(here)}: other versions give other models; start it in the environment "
                "of this project"
            )


def versions() -> dict[str, str]:
    """Return the versions that a model's bytes depend on."""
    return {name: version(name) for name in ("numpy", "xgboost")} | {"evergreen": _own()}


def _own() -> str:
    from evergreen import __version__

    return __version__


def _listed(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(found.items()))


# --- rows in a folder


def write_rows(tables: Tables, folder: Path) -> None:
    """Write what each model of a sweep learns from and is stopped by."""
    for number, part in enumerate(parts := tables.parts()):
        for role in ("train", "validation"):
            np.save(folder / f"{number}-{role}-x.npy", getattr(part, role).x)
            np.save(folder / f"{number}-{role}-y.npy", getattr(part, role).y)
    about = {
        "task": tables.task,
        "features": tables.features,
        "categories": tables.categories,
        "classes": tables.classes,
        "parts": len(parts),
        "on_disk": tables.train.on_disk,
    }
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def read_rows(folder: Path) -> list[Tables]:
    """Return the tables of each model, without a holdout. Raises InputError where none are there.

    Rows that lay on disk do so here as well.
    """
    from evergreen.training.tables import Table, Tables

    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"a worker of Dask (process {os.getpid()}) does not see {folder}: the project must be "
            "in a folder that all machines of the cluster have, under the same path"
        ) from None

    def table(number: int, role: str) -> Table:
        x = np.load(folder / f"{number}-{role}-x.npy", mmap_mode="r" if about["on_disk"] else None)
        return Table(x, np.load(folder / f"{number}-{role}-y.npy"))

    def tables(number: int) -> Tables:
        train, later = (table(number, role) for role in ("train", "validation"))
        features, categories, classes = (
            tuple(about[name]) for name in ("features", "categories", "classes")
        )
        task = about["task"]
        return Tables(task, features, categories, classes, train, later, train.none())

    return [tables(number) for number in range(about["parts"])]


# --- what runs on a worker


def train_there(folder: str, params: str, seed: int, device: str, threads: int) -> Trained:
    """Return the model of a seed, trained on the rows in `folder`."""
    from evergreen.training.cross_validation import join
    from evergreen.training.learner import find_learner

    chosen = Train.model_validate_json(params)
    learner = find_learner(chosen.learner)
    with ALONE:
        binned = _bin(folder, params, threads)
    return join(
        [learner.train(part, chosen, seed, device=device, threads=threads) for part in binned]
    )


@lru_cache(maxsize=1)
def _bin(folder: str, params: str, threads: int) -> list[Any]:
    from evergreen.training.learner import find_learner

    chosen = Train.model_validate_json(params)
    learner = find_learner(chosen.learner)
    return [learner.build_matrix(part, chosen, threads) for part in read_rows(Path(folder))]


def forget() -> None:
    """Drop the rows of the last sweep."""
    _bin.cache_clear()


def share_workers(compute: Compute, slots: Slots) -> Slots:
    """Return how seeds share a cluster: one for each worker, with its part of this machine's cores.

    Of a cluster elsewhere as many seeds are sent as there are; each trains with one thread.
    """
    if compute.cluster == "none":
        return slots
    if compute.address:
        return replace(slots, jobs=ALL, threads=1)
    cores, jobs = slots.jobs * slots.threads, compute.workers or slots.jobs
    return replace(slots, jobs=jobs, threads=max(1, cores // jobs))
