"""A packaged model loaded in a new process: `python -m evergreen.stores.reload`.

MLflow's own loader has no part in it: it runs whatever the file MLmodel names.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen import code
from evergreen.errors import InputError
from evergreen.project import Project
from evergreen.scoring.package import AT_ONCE, read_package

if TYPE_CHECKING:
    import polars as pl

Array = np.ndarray[Any, np.dtype[Any]]


def predict_in_new_process(project: Project, package: Path, rows: pl.DataFrame) -> Array:
    """Return what the model in the folder `package` predicts for `rows` in a new process.

    The process compares the files with their list of checksums. Raises InputError where the model
    cannot be loaded or does not predict.
    """
    with project.temporary() as folder:
        given, found = Path(folder, "rows.parquet"), Path(folder, "predictions.npy")
        rows.write_parquet(given, row_group_size=AT_ONCE)
        paths = [str(package), str(given), str(found)]
        done = subprocess.run(
            [sys.executable, "-m", "evergreen.stores.reload", *paths],
            env=os.environ | code.environment(Path(folder, "code")),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"a new process cannot load it: {last}")
        return np.asarray(np.load(found, allow_pickle=False))


def main(package: str, rows: str, predictions: str) -> None:
    """Predict for `rows` (Parquet) with the model in the folder `package`, some at a time.

    They are the same ones that `predict_rows` takes together: whatever learner, the same bits.
    """
    import polars as pl

    model, given = read_package(Path(package)), pl.scan_parquet(rows)
    starts = range(0, max(1, given.select(pl.len()).collect().item()), AT_ONCE)
    said = [model.predict_rows(given.slice(start, AT_ONCE).collect()) for start in starts]
    np.save(predictions, np.concatenate(said), allow_pickle=False)


if __name__ == "__main__":
    # A process of seconds: looking through libraries for garbage would be a third of it
    gc.disable()
    main(*sys.argv[1:])
    gc.freeze()
