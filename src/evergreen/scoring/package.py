"""Package: a model as a folder with its encoder and boosters, from rows of features to predictions.

No pickle: the encoder is JSON, a booster what its learner writes (XGBoost's UBJSON). MLflow loads
the folder through `_load_pyfunc`. With them lies which learner made it, what `dataset.py` said
then, and what it has learnt from, so that nobody judges it by rows that it knows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen import formats
from evergreen.errors import InputError
from evergreen.features.definition import Definition
from evergreen.features.encoder import FEW, FEWEST, Encoder
from evergreen.features.keys import Hashes, hash_rows
from evergreen.files import sha256_of_file, write_json
from evergreen.training.learner import XGBOOST, find_learner

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]
CHECKSUMS, LEARNT, MADE, SAID = "checksums.json", "learnt.npy", "made.json", "definition.json"
AT_ONCE = 50_000  # rows that are encoded together
OFTEN = 50  # times, until that is worth laying them out
SEED = "seed-"  # what the name of a booster's file begins with


@dataclass(frozen=True)
class Learnt:
    """What a model has learnt from or was stopped by.

    `keys`: hashes of row keys, uint64, shape (rows,). `newest`: the time of the newest row.
    `batches`: those that the rows are of; empty where a model of an earlier version does not say.
    """

    keys: Hashes
    newest: str  # ISO 8601
    batches: tuple[str, ...] = ()

    @classmethod
    def of(cls, tables: Tables, newest: str, batches: Sequence[str] = ()) -> Learnt:
        """Return what a model of `tables` has learnt from: its training and stopping rows."""
        parts = [part.keys for part in (tables.train, tables.validation) if part.keys is not None]
        some = [keys for keys in parts if len(keys)] or parts
        keys = np.concatenate(some) if len(some) > 1 else some[0]  # which is no copy
        return cls(keys, newest, tuple(batches))


class Model:
    """An encoder and one or more boosters of one learner; the prediction is the mean over boosters.

    `definition`: what dataset.py said when it was made; None: not known. `way`: stands for how it
    was trained, rows aside (`fingerprints.way_of`). `refit`: it has learnt from what judged the
    way of training as well. `rounds`: how often it was boosted, the median over seeds. Raises
    InputError where there is no booster, or the learner is not there.
    """

    def __init__(
        self,
        encoder: Encoder,
        boosters: Mapping[int, bytes],
        learnt: Learnt,
        learner: str = XGBOOST,
        definition: Definition | None = None,
        *,
        way: str = "",
        refit: bool = False,
        rounds: int = 1,
    ) -> None:
        if not boosters:
            raise InputError("a model without a booster predicts nothing: do not use it")
        load = find_learner(learner).load
        self.encoder, self.learnt, self.learner = encoder, learnt, learner
        self.way, self.refit, self.rounds = way, refit, rounds
        self.said = definition
        self.definition = definition or Definition(
            encoder.task, None, dict.fromkeys(encoder.features)
        )
        self.seeds, self.boosters = tuple(sorted(boosters)), dict(boosters)
        self._boosters = [load(boosters[seed]) for seed in self.seeds]
        self._asked = 0  # for a few rows

    def predict_rows(self, rows: pl.DataFrame) -> Array:
        """Return predictions for rows of features: (rows,), or (rows, classes) for multiclass."""
        if rows.height <= AT_ONCE:
            return self._predict_rows(rows)
        starts = range(0, rows.height, AT_ONCE)
        return np.concatenate([self._predict_rows(rows.slice(at, AT_ONCE)) for at in starts])

    def _predict_rows(self, rows: pl.DataFrame) -> Array:
        x = self.encoder.transform(rows)
        if 0 < len(x) <= FEWEST:
            self._asked += 1
            if self._asked > OFTEN and self._joined:
                return _mean(self._joined.predict(x))
        with _one_thread() if len(x) <= FEW else nullcontext():
            return _mean([booster.predict(x) for booster in self._boosters])

    def expect_few(self) -> None:
        """Get ready for a few rows at a time, which takes as long as some hundred of them."""
        self._asked = OFTEN
        _ = self._joined

    @cached_property
    def _joined(self) -> Any:
        """The boosters together, as a learner lays them out for a few rows; None if it does not."""
        join = getattr(find_learner(self.learner), "join", None)
        return join(self._boosters) if join else None

    def predicts_same(self, other: Model) -> bool:
        """Return whether both are equal bit for bit, so that they predict the same for any rows."""
        mine, its = (
            (replace(model.encoder, fitted_on=()), model.learner, model.boosters)
            for model in (self, other)
        )
        return mine == its

    def unseen(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return those rows of a features file whose keys it has not learnt from."""
        return rows.filter(~np.isin(hash_rows(rows), self.learnt.keys))

    def predict(self, rows: pd.DataFrame, params: dict[str, Any] | None = None) -> Array:
        """Return predictions for a pandas frame of features: what MLflow calls."""
        import polars as pl

        there = [name for name in self.encoder.features if name in rows.columns]
        return self.predict_rows(pl.from_pandas(rows[there]))


def _mean(said: Sequence[Array]) -> Array:
    """Return the mean over models, of each row the same bits whatever rows are beside it.

    Seeds are added one after the other, as NumPy's mean does for many rows but not for one.
    """
    total = np.array(said[0])
    for more in said[1:]:
        total += more
    return np.asarray(np.true_divide(total, len(said), dtype=np.float64).astype(total.dtype))


def _one_thread() -> AbstractContextManager[None]:
    """Let XGBoost, where it is in use, take a single thread: waking all takes longer than a row."""
    xgboost = sys.modules.get("xgboost")
    limited: AbstractContextManager[None] = (
        xgboost.config_context(nthread=1) if xgboost else nullcontext()
    )
    return limited


def write_package(folder: Path, model: Model) -> Path:
    """Write the model into `folder` with the checksum of each file; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob(f"{SEED}*"), *folder.glob("*.json"), *folder.glob("*.npy")):
        old.unlink()
    suffix, learnt = find_learner(model.learner).SUFFIX, model.learnt
    model.encoder.write(folder / "encoder.json")
    write_json(folder / "learnt.json", {"newest": learnt.newest, "batches": learnt.batches})
    made = {
        "learner": model.learner,
        "seeds": model.seeds,
        "way": model.way,
        "refit": model.refit,
        "rounds": model.rounds,
    }
    write_json(folder / MADE, formats.stamp(made))
    if model.said:
        model.said.write(folder / SAID)
    np.save(folder / LEARNT, np.sort(learnt.keys), allow_pickle=False)
    for seed, content in model.boosters.items():
        (folder / f"{SEED}{seed}{suffix}").write_bytes(content)
    sums = {path.name: sha256_of_file(path) for path in sorted(folder.iterdir())}
    write_json(folder / CHECKSUMS, sums)
    return folder


def read_package(folder: Path) -> Model:
    """Return a model. Raises InputError where a file was altered, or nothing can load it."""
    try:
        sums = dict(json.loads((folder / CHECKSUMS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise InputError(
            f"{folder / 'checksums.json'} is missing or damaged: do not use this model"
        ) from None
    for name, was in sums.items():
        path = folder / name
        if not path.is_file() or sha256_of_file(path) != was:
            raise InputError(
                f"{path} is missing or was changed after the model was packaged: "
                "do not use this model"
            )
    made = json.loads((folder / MADE).read_text(encoding="utf-8")) if MADE in sums else {}
    made = formats.unstamp(made, folder / MADE)
    files = {
        Path(name).stem.removeprefix(SEED): folder / name for name in sums if name.startswith(SEED)
    }
    boosters = {int(seed): path.read_bytes() for seed, path in files.items()}
    said = json.loads((folder / "learnt.json").read_text(encoding="utf-8"))
    learnt = Learnt(
        np.load(folder / LEARNT, allow_pickle=False), said["newest"], tuple(said.get("batches", ()))
    )
    learner = _learner_of(folder, {path.suffix for path in files.values()}, boosters, made)
    way, refit, rounds = (
        str(made.get("way", "")),
        bool(made.get("refit")),
        int(made.get("rounds", 1)),
    )
    encoder, definition = (
        Encoder.read(folder / "encoder.json"),
        Definition.read(folder / SAID) if SAID in sums else None,
    )
    return Model(
        encoder, boosters, learnt, learner, definition, way=way, refit=refit, rounds=rounds
    )


def _learner_of(
    folder: Path, suffixes: set[str], boosters: Mapping[int, bytes], made: Mapping[str, Any]
) -> str:
    """Return which learner made a package.

    The first packages did not say; theirs is known by XGBoost's suffix only.
    """
    if not made:
        if suffixes == {find_learner(XGBOOST).SUFFIX}:
            return XGBOOST
        raise InputError(f"{folder} does not say which learner made it: run `evergreen run`")
    if made["seeds"] != sorted(boosters):
        raise InputError(
            f"{folder} holds seeds {sorted(boosters)}, not {made['seeds']}: do not use this model"
        )
    return str(made["learner"])


def _load_pyfunc(path: str) -> Model:
    return read_package(Path(path))
