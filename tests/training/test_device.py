"""Device: CUDA only where it is there, an error where it is demanded in vain, and cores that may be
used.
"""

from __future__ import annotations

import pytest

from evergreen.errors import InputError
from evergreen.training import device
from evergreen.training.device import count_cores, count_gpus, pick_device


@pytest.mark.parametrize(
    ("wanted", "gpus", "built", "picked"),
    [
        ("cpu", 0, False, "cpu"),
        ("cpu", 2, True, "cpu"),
        ("auto", 0, True, "cpu"),
        ("auto", 1, False, "cpu"),
        ("auto", 1, True, "cuda"),
        ("cuda", 1, True, "cuda"),
    ],
)
def test_the_device_that_is_picked(wanted, gpus, built, picked, monkeypatch):
    monkeypatch.setattr(device, "count_gpus", lambda: gpus)
    monkeypatch.setattr(device, "_built_for_cuda", lambda: built)
    assert pick_device(wanted) == picked


@pytest.mark.parametrize(
    ("gpus", "built"),
    [
        pytest.param(0, True, id="no GPU"),
        pytest.param(0, False, id="neither"),
        pytest.param(1, False, id="an XGBoost without CUDA"),
    ],
)
def test_cuda_demanded_in_vain_is_an_error(gpus, built, monkeypatch):
    monkeypatch.setattr(device, "count_gpus", lambda: gpus)
    monkeypatch.setattr(device, "_built_for_cuda", lambda: built)
    with pytest.raises(InputError, match="cuda"):
        pick_device("cuda")


class Driver:
    """A CUDA driver that answers as told."""

    def __init__(self, starts, gpus):
        self.starts, self.gpus = starts, gpus

    def cuInit(self, flags):  # noqa: N802
        return 0 if self.starts else 100

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = self.gpus
        return 0


@pytest.mark.parametrize(("starts", "gpus", "found"), [(True, 2, 2), (True, 0, 0), (False, 2, 0)])
def test_gpus_are_those_that_the_driver_shows(starts, gpus, found, monkeypatch):
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: Driver(starts, gpus))
    assert count_gpus() == found


def test_without_a_driver_there_is_no_gpu(monkeypatch):
    def absent(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(device.ctypes, "CDLL", absent)
    assert count_gpus() == 0


@pytest.mark.parametrize(
    ("limit", "affinity", "cores"),
    [
        ("max 100000\n", 8, 8),
        ("200000 100000\n", 8, 2),
        ("250000 100000\n", 8, 2),
        ("50000 100000\n", 8, 1),
        ("1600000 100000\n", 4, 4),
        ("", 4, 4),
        ("nonsense here\n", 4, 4),
        (None, 4, 4),
    ],
)
def test_cores_are_those_of_the_affinity_and_the_container(
    limit, affinity, cores, tmp_path, monkeypatch
):
    file = tmp_path / "cpu.max"
    if limit is not None:
        file.write_text(limit)
    monkeypatch.setattr(
        device.os, "sched_getaffinity", lambda pid: set(range(affinity)), raising=False
    )
    monkeypatch.setattr(device, "Path", {"/sys/fs/cgroup/cpu.max": file}.__getitem__)
    assert count_cores() == cores


def test_this_machine_has_a_core():
    assert count_cores() >= 1


def test_the_machine_is_called_by_its_processor(monkeypatch):
    assert device.describe_machine("cpu").strip()
    monkeypatch.setattr(device, "Path", lambda _: Missing())
    assert device.describe_machine("cpu") == device.platform.machine()
    monkeypatch.setattr(device, "count_gpus", lambda: 0)
    assert device.describe_machine("cuda") == "a GPU"


class Missing:
    """A file that cannot be read."""

    def read_text(self, **_):
        raise FileNotFoundError
