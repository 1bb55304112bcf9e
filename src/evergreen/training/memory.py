"""Memory: whether the rows of a training fit into what is free, and where they lie then."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evergreen.errors import InputError

if TYPE_CHECKING:
    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.training.seeds import Slots

# Bytes of a number. Encoded: float32. Binned: XGBoost keeps rows by bin (1 byte, and 4 where a
# value is missing anywhere) and columns by bin (1 to 2).
ENCODED, BINNED = 4, 6
# Of a batch as a table: read, encoded, and what sorting or reading it needs besides
BATCH = 16
# Bytes of a row besides: its key, label and weight, and copies of them while they are joined
ROW = 40
# And of each model in training: gradient, prediction, place in the tree, once for each class
MODEL = 32
# Of a block of numbers on disk that is being binned, and of the pages read ahead
BLOCKS = 500_000_000
MMAP_THRESHOLD = -3  # how mallopt(3) calls the bytes from which an allocation is one of its own
SPARE = 300_000_000  # what else a run holds by then: libraries, pictures, a registry
# Of that, what no run does without: the libraries of evaluation and of the registry, and the new
# process that loads the model again (`python -m benchmarks.memory_cap`: with few rows, 120 MB)
LATER = 100_000_000


@dataclass(frozen=True)
class Need:
    """What a training takes at its peak, in bytes, estimated; and of how many rows and columns.

    `least`: what it takes with its rows on disk even where all goes well; with less it is killed.
    """

    rows: int
    columns: int
    in_memory: float
    external: float
    least: float

    @classmethod
    def of(
        cls, rows: int, batch: int, columns: int, models: int, classes: int = 1, copies: int = 1
    ) -> Need:
        """Return the need of `rows` training rows, of which `batch` are in the largest batch.

        `models`: how many train at once; `copies`: processes that have the rows each. The largest
        batch is there twice, as a table and encoded, while the rows so far are. The rest is by row
        and number (`python -m benchmarks.memory`, and `memory_cap` for a whole run).
        """
        around = batch * columns * (BATCH + ENCODED) + rows * ROW + SPARE
        model = rows * MODEL * classes
        inside = rows * columns * (ENCODED + BINNED)
        outside = around + copies * (min(BLOCKS, inside) + model)
        # A batch as a table and encoded; the process that loads the model comes when those are gone
        least = max(LATER, 2 * batch * columns * ENCODED + model)
        return cls(rows, columns, around + copies * inside + models * model, outside, least)


def place_rows(project: Project, params: Params, slots: Slots, device: str) -> tuple[Slots, str]:
    """Return how seeds share the machine, given where their rows lie, and that in words.

    Raises InputError where not even rows on disk fit, or where those cannot be trained on.
    """
    from evergreen.ingest.memory import free_memory
    from evergreen.training.learner import find_learner

    wanted, need, free = params.compute.memory, need_of(project, params, slots), free_memory()
    if wanted == "in-memory" or (wanted == "auto" and need.in_memory <= free):
        return slots, "in-memory"
    if need.least > free or (wanted == "auto" and need.external > free):
        raise InputError(too_large(need, free))
    if check := getattr(find_learner(params.train.learner), "check_external", None):
        check(params.task, params.train, device)
    why = f"about {need.in_memory / 1e9:,.1f} GB in memory, and {free / 1e9:,.1f} GB are free"
    own = params.compute.cluster == "dask"  # each worker has files of its own
    slots = replace(slots, on_disk=True) if own else slots.in_turn()
    return slots, f"external: {need.rows:,} rows of {need.columns} features take {why}"


def hold_less() -> None:
    """Give memory that is freed back to the system at once; on Linux, and for arrays of 1 MiB.

    Its C library would keep much of it, for each thread some, where rows come and go in blocks;
    Python would keep what stands in circles, as the rows do that XGBoost has binned in blocks.
    """
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # another system
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, 2**20)
        library.malloc_trim(0)


def too_large(need: Need, free: float) -> str:
    """Return what to do where a training does not fit, or would be killed for certain."""
    surely = need.least > free
    takes = f"at least {need.least / 1e6:,.0f}" if surely else f"about {need.external / 1e6:,.0f}"
    anyway = "" if surely else "try all the same (compute.memory: external), "
    return (
        f"{need.rows:,} rows of {need.columns} features take {takes} MB of memory even with their "
        f"numbers on disk, and {free / 1e6:,.0f} MB are free: train on fewer batches "
        f"(split.train_batches), cut the source into smaller ones, {anyway}or use a machine with "
        "more memory"
    )


def need_of(project: Project, params: Params, slots: Slots) -> Need:
    """Return what the training needs whose features are prepared."""
    from evergreen.features.encoder import ENCODER, Encoder
    from evergreen.features.split import Split
    from evergreen.ingest.manifest import Manifest

    entries = Manifest(project.features).entries
    rows = [int(entries[name]["rows"]) for name in Split.of(project).batches()]
    encoder = Encoder.read(project.features / ENCODER)
    classes = len(encoder.classes) if encoder.task == "multiclass" else 1
    here = params.compute.cluster == "dask" and not params.compute.address
    models = 1 if params.compute.address else slots.jobs  # those of other machines are not seen
    how = len(encoder.features), models, classes, slots.jobs if here else 1
    return Need.of(sum(rows), max(rows), *how)
