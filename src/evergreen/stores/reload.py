"""A packaged model loaded in a new process: `python -m evergreen.stores.reload`.

MLflow's own loader has no part in it: it runs whatever the file MLmodel names.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen import code
from evergreen.errors import InputError
from evergreen.project import Project
from evergreen.scoring.package import AT_ONCE, MADE, read_package
from evergreen.training.learner import XGBOOST

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

    with without_sklearn(Path(package)):
        model = read_package(Path(package))
    given = pl.scan_parquet(rows)
    starts = range(0, max(1, given.select(pl.len()).collect().item()), AT_ONCE)
    said = [model.predict_rows(given.slice(start, AT_ONCE).collect()) for start in starts]
    np.save(predictions, np.concatenate(said), allow_pickle=False)


@contextmanager
def without_sklearn(package: Path) -> Iterator[None]:
    """Keep XGBoost, where it loads the package, from loading scikit-learn and pandas as well.

    They are for its wrappers, which nothing here uses: 80 MB and a second. A learner of the
    project's own gets what it asks for.
    """
    made = dict[str, Any]()
    with suppress(OSError, ValueError):  # damaged: reading the package says so
        made = json.loads((package / MADE).read_text(encoding="utf-8"))
    if made.get("learner") != XGBOOST or {"xgboost", "sklearn"} & sys.modules.keys():
        yield
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment]  # importing it is an ImportError
    try:
        yield
    finally:
        del sys.modules["sklearn"]


if __name__ == "__main__":
    # A process of seconds: looking through libraries for garbage would be a third of it
    gc.disable()
    main(*sys.argv[1:])
    gc.freeze()
