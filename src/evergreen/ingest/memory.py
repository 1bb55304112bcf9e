"""Memory: whether a table fits into free memory, checked before it is read.

A small file may hold a large table.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from evergreen.errors import InputError

COPIES = 3  # of a table at once: as it was read, in declared types, while its rules are asked
TEXT = 16  # bytes of a text in a table of polars, besides its letters
# Bytes of a field of a CSV file besides its letters: in Arrow's table and in polars'
FIELD = TEXT + 8
# A text is there so often: as it was delivered, as UTF-8, in Arrow's table and in polars'
TIMES = 4
WIDTHS = {"BOOLEAN": 1 / 8, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 8}
GROUPS = Path("/sys/fs/cgroup")  # say what a container or a service may use
OWN = Path("/proc/self/cgroup")  # in which of them this process is
LIMITS = {
    "": ("memory.max", "memory.current", "memory.stat"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"),
}  # of the second and the first version of Linux' control groups, by controller
STEP = 2**22  # bytes that are unpacked at once


def free_memory() -> float:
    """Return how many bytes this process may still take.

    The least of what machine, container and shell (`ulimit -v`) leave.
    """
    import psutil

    return min(psutil.virtual_memory().available, *_limits())


def check_size(needed: float, path: str) -> None:
    """Raise InputError where a table of `needed` bytes, out of the file at `path`, does not fit."""
    if needed > (free := free_memory()):
        raise InputError(
            f"{path} takes at least {needed / 1e9:,.1f} GB of memory as a table, and "
            f"{free / 1e9:,.1f} GB are free: split it into smaller files, one for each batch, "
            "or use a larger machine"
        )


def check_text(content: bytes, separator: str, path: str) -> None:
    """Raise InputError where the fields of a CSV file do not fit."""
    fields = content.count(separator.encode()) + content.count(b"\n")
    check_size(TIMES * len(content) + FIELD * fields, path)


def check_parquet(source: bytes | Path, path: str) -> None:
    """Raise InputError where the values of a Parquet file do not fit.

    Counted by values: the size of its pages says little, as they are packed.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            about = file.metadata
    except (ArrowException, OSError):
        return  # damaged: reading it says so
    size = 0.0
    for part in (about.row_group(at) for at in range(about.num_row_groups)):
        for column in (part.column(at) for at in range(part.num_columns)):
            width = WIDTHS.get(column.physical_type)
            size += column.num_values * (width or TEXT) + (
                0 if width else column.total_uncompressed_size
            )
    check_size(COPIES * size, path)


def unpack(file: BinaryIO, path: str) -> bytes:
    """Return all that a stream of unpacked bytes holds. Raises InputError where it does not fit."""
    parts, size = [], 0
    while part := file.read(STEP):
        parts.append(part)
        size += len(part)
        check_size(TIMES * size, path)
    return b"".join(parts)


def _limits() -> Iterator[float]:
    import psutil

    yield math.inf
    with suppress(ImportError, OSError, ValueError):
        import resource

        room, _ = resource.getrlimit(resource.RLIMIT_AS)
        if room != resource.RLIM_INFINITY:
            yield max(0, room - psutil.Process().memory_info().vms)
    for controller, names in LIMITS.items():
        own = _group(controller)
        for group in (own, *own.parents):  # each may have a limit
            folder = GROUPS / controller / group.relative_to("/")
            with suppress(OSError, ValueError):  # "max": there is no limit
                texts = [(folder / name).read_text(encoding="ascii") for name in names]
                # Given back when needed, as where the machine counts (MemAvailable)
                pattern = r"^{}(?:in)?active_file (\d+)$".format("total_" if controller else "")
                files = sum(map(int, re.findall(pattern, texts[2], re.MULTILINE)))
                yield max(0, int(texts[0]) - int(texts[1]) + files)


def _group(controller: str) -> PurePosixPath:
    """Return the control group of this process, as a path from the outermost one that it sees."""
    with suppress(OSError, ValueError):
        for line in OWN.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return PurePosixPath("/", path)
    return PurePosixPath("/")
