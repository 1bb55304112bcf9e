"""Cluster: workers give the bytes that this process gives, whatever becomes of one of them."""

from __future__ import annotations

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from evergreen.errors import InputError
from evergreen.params import Compute
from evergreen.training import cluster
from evergreen.training.blocks import _write
from evergreen.training.cluster import (
    Cluster,
    check_workers,
    forget,
    open_cluster,
    read_rows,
    share_workers,
    train_there,
    versions,
    write_rows,
)
from evergreen.training.seeds import Slots
from evergreen.training.tables import Fold
from evergreen.training.xgboost import build_matrix, train

DASK = Compute(cluster="dask")
GONE = "tcp://127.0.0.1:9"  # where nothing listens


@pytest.mark.parametrize("on_disk", [False, True])
def test_rows_come_back_from_a_folder(on_disk: bool, make_tables: Any, tmp_path: Path) -> None:
    tables = make_tables("multiclass")
    if on_disk:
        x = _write(iter([tables.train.x]), tables.train.x.shape[1], tmp_path)
        tables = replace(tables, train=replace(tables.train, x=x))
    write_rows(tables, tmp_path)
    (found,) = read_rows(tmp_path)
    assert found.digest() == tables.digest()
    assert found.categories == tables.categories
    assert found.train.on_disk == on_disk


def test_each_fold_has_rows_of_its_own(make_tables: Any, tmp_path: Path) -> None:
    places = np.arange(100)
    folds = (Fold(places, places[:5], places), Fold(places[50:], places[:0], places))
    tables = replace(make_tables("binary"), folds=folds)
    write_rows(tables, tmp_path)
    found = read_rows(tmp_path)
    assert [part.digest() for part in found] == [part.digest() for part in tables.parts()]


def test_a_worker_trains_as_this_process_does(
    make_tables: Any, make_matrix: Any, quick: Any, tmp_path: Path
) -> None:
    write_rows(make_tables("binary"), tmp_path)
    try:
        there = train_there(str(tmp_path), quick.model_dump_json(), 3, "cpu", 1)
    finally:
        forget()
    here = train(make_matrix("binary"), quick, 3)
    assert (there.booster, there.history) == (here.booster, here.history)


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path: Path, quick: Any) -> None:
    with pytest.raises(
        InputError, match=r"does not see .*nowhere: the project must be in a folder"
    ):
        train_there(str(tmp_path / "nowhere"), quick.model_dump_json(), 3, "cpu", 1)


@pytest.mark.parametrize(
    ("compute", "jobs", "threads"),
    [
        (Compute(), 4, 2),
        (DASK, 4, 2),
        (Compute(cluster="dask", workers=2), 2, 4),
        (Compute(cluster="dask", workers=16), 16, 1),
        (Compute(cluster="dask", address="tcp://there:1"), 1000, 1),
    ],
)
def test_workers_share_the_cores(compute: Compute, jobs: int, threads: int) -> None:
    assert share_workers(compute, Slots(4, 2)) == Slots(jobs, threads)


class Scheduler:
    """A scheduler whose workers answer as they are told."""

    def __init__(self, *answers: Any) -> None:
        self.answers = answers

    def nthreads(self) -> dict[str, int]:
        return {f"tcp://w{at}": 1 for at, _ in enumerate(self.answers)}

    def run(self, _: object) -> dict[str, Any]:
        if isinstance(self.answers[0], Exception):
            raise self.answers[0]
        return dict(zip(self.nthreads(), self.answers, strict=True))


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ((), "has no worker: start one, `dask worker tcp://s`"),
        (
            (versions(), versions() | {"xgboost": "1.0"}),
            "w1 of tcp://s has .*xgboost 1.0, and this",
        ),
        ((ModuleNotFoundError("No module named 'evergreen'"),), "cannot import this library"),
    ],
)
def test_a_cluster_that_cannot_give_the_same_bytes_is_refused(answers: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_workers(Scheduler(*answers), "tcp://s")
    check_workers(Scheduler(versions(), versions()), "tcp://s")


def test_without_dask_the_extra_is_named(
    make_tables: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with (
        pytest.raises(InputError, match=r"pip install .* -r requirements/cluster.txt"),
        open_cluster(DASK, Slots(1, 1), make_tables("binary"), tmp_path),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("address", [GONE, "tcp://no-such-machine.invalid:8786"])
def test_an_address_that_answers_nothing_is_one_clear_error(
    address: str, make_tables: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    there = Compute(cluster="dask", address=address)
    with (
        pytest.raises(InputError, match=f"no Dask scheduler answers at {address}") as caught,
        open_cluster(there, Slots(1, 1), make_tables("binary"), tmp_path),
    ):
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.long
def test_a_seed_whose_worker_is_killed_is_trained_by_another(
    make_tables: Any, quick: Any, tmp_path: Path
) -> None:
    """By two processes, which nobody from outside reaches; in the end the scheduler goes."""
    pytest.importorskip("distributed")
    tables, seeds = make_tables("binary", (20_000, 4_000, 500)), range(4)
    long = quick.model_copy(update={"rounds": 150, "early_stopping_rounds": 150, "max_depth": 6})
    compute = Compute(cluster="dask", workers=2)
    with open_cluster(compute, Slots(2, 1), tables, tmp_path) as found:
        workers = processes(found)
        assert outside(psutil.Process().children(recursive=True)) == []
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(found.train, long, seed, "cpu", 1) for seed in seeds]
            wait_until(lambda: len(busy(found)) == 2)
            os.kill(workers[0], signal.SIGKILL)
            models = [future.result() for future in futures]
        assert workers[0] not in processes(found)
        found.client.cluster.scheduler.loop.add_callback(found.client.cluster.scheduler.close)
        wait_until(lambda: found.client.status != "running")
        with pytest.raises(InputError, match="the local Dask cluster is gone"):
            found.train(long, 9, "cpu", 1)
    matrix = build_matrix(tables, long)
    assert [model.booster for model in models] == [
        train(matrix, long, seed, threads=2).booster for seed in seeds
    ]


def processes(found: Cluster) -> list[int]:
    return list(found.client.run(os.getpid).values())


def busy(found: Cluster) -> list[Any]:
    return [tasks for tasks in found.client.processing().values() if tasks]


def wait_until(done: Any) -> None:
    ends = time.monotonic() + 60
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.05)


def outside(children: list[psutil.Process]) -> list[Any]:
    """Return the ports of this process and its children that other machines could reach."""
    open_ports = [
        port
        for process in (psutil.Process(), *children)
        for port in process.net_connections(kind="inet")
        if port.status == psutil.CONN_LISTEN
    ]
    assert open_ports
    return [port.laddr for port in open_ports if not is_loopback(port.laddr.ip)]


def is_loopback(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return address in ("127.0.0.1", "::1") and bool(socket.inet_pton(family, address))
