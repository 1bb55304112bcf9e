"""Held out: what models predicted for rows before the live model learnt from them.

The way of training was the same, and those models had not learnt from these rows. It speaks for the
live model where that would be asked about rows that it knows: beside a challenger on the same rows,
and for what monitoring may expect of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evergreen import formats
from evergreen.errors import InputError
from evergreen.features.keys import Hashes
from evergreen.files import write_whole

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class HeldOut:
    """Predictions by row. `keys`: hashes of the row keys, sorted, shape (rows,).

    `packaged`: of what is packaged, shape (rows,) or (rows, classes); `seeds`: of each seed, of
    that shape.
    """

    keys: Hashes
    packaged: Array = field(repr=False)
    seeds: tuple[Array, ...] = field(repr=False)

    @classmethod
    def of(cls, keys: Hashes, packaged: Array, seeds: tuple[Array, ...]) -> HeldOut:
        """Return what was said of rows in any order."""
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], packaged[order], tuple(said[order] for said in seeds))

    def find(self, keys: Hashes) -> Array:
        """Return where the rows with these keys are.

        Raises InputError where one is not among them.
        """
        if absent := int((~np.isin(keys, self.keys)).sum()):
            raise InputError(
                f"{absent:,} of {len(keys):,} rows that the model was trained on were never "
                "used to judge it: wait for a newer batch, or restore an earlier champion "
                "(`evergreen rollback`)"
            )
        return np.searchsorted(self.keys, keys)

    def write(self, path: Path) -> None:
        """Write it as arrays of numbers."""
        arrays = {"keys": self.keys, "packaged": self.packaged, "seeds": np.array(self.seeds)}
        write_whole(path, lambda part: _save(part, formats.stamp(arrays)))

    @classmethod
    def read(cls, path: Path) -> HeldOut:
        """Read it back."""
        with np.load(path, allow_pickle=False) as found:
            formats.check(found.get(formats.NUMBER, 1), path)
            return cls(found["keys"], found["packaged"], tuple(found["seeds"]))


def _save(path: Path, arrays: dict[str, Array]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
