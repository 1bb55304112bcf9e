"""Environment: what is here is not what trained a version."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from evergreen.errors import InputError
from evergreen.training.device import describe_machine, pick_device

LIBRARY, PYTHON = "library.", "library.python"


def pick(recorded: str) -> str:
    """Return the device to train on: that of then, else the CPU."""
    try:
        return pick_device("cuda" if recorded == "cuda" else "cpu")
    except InputError:
        return "cpu"


def differences(tags: Mapping[str, str], device: str) -> list[str]:
    """Return what differs from what a run recorded: libraries, device, hardware; a sentence each.

    `tags`: of the run; `device`: what trains now.
    """
    found = [
        f"{name.removeprefix(LIBRARY)}: {was} then, {now} now"
        for name, was in sorted(tags.items())
        if name.startswith(LIBRARY) and name != PYTHON and (now := _installed(name)) != was
    ]
    was, now = tags.get(PYTHON, ""), platform.python_version()
    if was and was != now:
        other = was.split(".")[:2] != now.split(".")[:2]
        found.append(f"Python: {was} then, {now} now" + other * ", for which others are pinned")
    if (was := tags.get("evergreen.device", device)) != device:
        found.append(f"device: {was} then, {device} now")
    was, now = tags.get("evergreen.machine", ""), describe_machine(device)
    if was and was != now:
        found.append(f"hardware: {was} then, {now} now")
    return found


def _installed(name: str) -> str:
    try:
        return version(name.removeprefix(LIBRARY))
    except PackageNotFoundError:
        return "not installed"
