"""Which device trains: CUDA where a GPU and an XGBoost built for it are there, else the CPU."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path
from typing import Literal

from evergreen.errors import InputError

Device = Literal["cpu", "cuda"]


def pick_device(wanted: Literal["auto", "cpu", "cuda"]) -> Device:
    """Return the device to train on.

    Raises InputError where CUDA is asked for and not available.
    """
    if wanted == "cpu":
        return "cpu"
    found = count_gpus()
    if wanted == "cuda" and not found:
        raise InputError(
            "train.device is 'cuda' but no NVIDIA GPU was found: use 'auto' or 'cpu', or check "
            "nvidia-smi"
        )
    built = bool(found) and _built_for_cuda()
    if wanted == "cuda" and not built:
        raise InputError(
            "train.device is 'cuda' but this XGBoost was built without CUDA: use 'auto' or 'cpu'"
        )
    return "cuda" if built else "cpu"


def count_gpus() -> int:
    """Return how many NVIDIA GPUs the driver shows; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def describe_machine(device: str) -> str:
    """Return the processor that a training on `device` runs on, in words, as its maker calls it."""
    if device == "cuda":
        return _gpu_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


def _gpu_name() -> str:
    """Return what the driver calls the first GPU."""
    name = ctypes.create_string_buffer(100)
    if not count_gpus() or ctypes.CDLL("libcuda.so.1").cuDeviceGetName(name, len(name), 0):
        return "a GPU"
    return name.value.decode(errors="replace")


def count_cores() -> int:
    """Return how many CPU cores this process may use, by its affinity and its container's limit."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores


def _built_for_cuda() -> bool:
    import xgboost as xgb

    return bool(xgb.build_info().get("USE_CUDA"))
