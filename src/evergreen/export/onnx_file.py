"""One ONNX file of a model: written once it agrees with the package on real rows, and read again.

Inputs: one of shape (rows, 1) for each feature, text or float32; NaN is no number, and the text in
the metadata `missing_text` no text. Output `prediction`: (rows,), or (rows, classes).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as version_of_library
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evergreen.errors import InputError
from evergreen.export.graph import OUTPUT, Graph, add_encoder, load_library, missing_text
from evergreen.export.linear import add_linear
from evergreen.export.trees import add_trees
from evergreen.features.featurize import features_of
from evergreen.ingest.manifest import Manifest
from evergreen.training.learner import XGBOOST, find_learner

if TYPE_CHECKING:
    from evergreen.features.encoder import Encoder
    from evergreen.project import Project
    from evergreen.scoring.package import Model

Array = np.ndarray[Any, np.dtype[Any]]
PARTS = {XGBOOST: add_trees, "linear": add_linear}
DIFFERENCE = "largest_difference"  # of an export, in its metadata
MOST_ROWS = 2000  # real ones that a graph is checked on
# Sums of float32 in another order: of a probability, and of a number as a share of the largest
NEAR, NEAR_SHARE = 1e-6, 5e-6


@dataclass(frozen=True)
class Agreement:
    """How far a graph is from the package: the largest difference, and on how many rows."""

    rows: int
    largest: float

    @property
    def says(self) -> str:
        return f"differs from the package by at most {self.largest:.1e} on {self.rows:,} rows"


def is_export(path: Path) -> bool:
    """Return whether `path` is a file that an export wrote."""
    if not path.is_file():
        return False
    try:
        found = load_library("onnx").load_model(path, load_external_data=False)
    except InputError:
        raise
    except Exception:  # whatever its reader of bytes raises: it is something else
        return False
    return any(fact.key == DIFFERENCE for fact in found.metadata_props)


class OnnxModel:
    """An exported graph, ready to predict on one thread."""

    def __init__(self, content: bytes) -> None:
        runtime = load_library("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # more cost time, and gain none
        options.log_severity_level = 3
        self._session = runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self.facts = dict(self._session.get_modelmeta().custom_metadata_map)
        self.features = {
            given.name: given.type == "tensor(string)" for given in self._session.get_inputs()
        }

    def predict_rows(self, rows: pl.DataFrame) -> Array:
        """Return predictions for rows of features: (rows,), or (rows, classes).

        Raises InputError where a feature is missing.
        """
        return np.asarray(self._session.run([OUTPUT], self.inputs(rows))[0])

    def inputs(self, rows: pl.DataFrame) -> dict[str, Array]:
        """Return what the graph is given for rows of features, by name.

        Raises InputError where a feature is missing.
        """
        if lacking := [name for name in self.features if name not in rows.columns]:
            raise InputError(
                f"the rows lack the feature(s) {', '.join(lacking)}, which the model needs"
            )
        return {name: self._column(rows[name], text) for name, text in self.features.items()}

    def _column(self, column: pl.Series, text: bool) -> Array:
        if not text:
            return column.cast(pl.Float32).fill_null(float("nan")).to_numpy().reshape(-1, 1)
        texts = column.cast(pl.String).fill_null(self.facts["missing_text"])
        return np.array(texts.to_list(), dtype=object).reshape(-1, 1)


def make_onnx(
    model: Model, rows: pl.DataFrame, about: Mapping[str, str]
) -> tuple[bytes, Agreement]:
    """Return the file of a model, and how far it is from the package.

    `rows`: real rows of the model's features. `about`: more facts for the file. The same input
    gives the same bytes. Raises InputError where the learner has no ONNX form, or the graph does
    not agree.
    """
    load_library("onnx")
    made = build(model)
    content = made.SerializeToString(deterministic=True)
    agreement = compare(model, OnnxModel(content), spoil(rows, model.encoder))
    _note(made, {**about, "checked_rows": f"{agreement.rows}"})
    _note(made, {DIFFERENCE: f"{agreement.largest:.3g}"})
    return made.SerializeToString(deterministic=True), agreement


def build(model: Model) -> Any:
    """Return the graph of a model (onnx.ModelProto), not yet compared with it."""
    if model.learner not in PARTS:
        raise InputError(
            f"the learner {model.learner} has no ONNX form: {', '.join(PARTS)} have one"
        )
    encoder, add = model.encoder, PARTS[model.learner]
    several = encoder.task == "multiclass"
    columns = len(encoder.classes) if several else 1
    graph = Graph()
    x = add_encoder(graph, encoder)
    parts = [add(graph, x, model.boosters[seed], columns) for seed in model.seeds]
    mean = graph.add("Mean", *parts)
    if several:
        graph.add("Identity", mean, name=OUTPUT)
    else:
        graph.add("Squeeze", mean, graph.hold([1], np.int64), name=OUTPUT)
    made = graph.finish(["rows", columns] if several else ["rows"])
    libraries = (*find_learner(model.learner).LIBRARIES, "onnx", "evergreen-pipeline")
    facts = {
        "task": encoder.task,
        "classes": json.dumps(encoder.classes),
        "features": json.dumps(encoder.features),
        "missing_text": missing_text(encoder),
        "learner": model.learner,
        "seeds": json.dumps(model.seeds),
        "newest_row": model.learnt.newest,
        "libraries": json.dumps({name: _version(name) for name in libraries}),
    }
    _note(made, facts)
    return made


def compare(model: Model, graph: OnnxModel, rows: pl.DataFrame) -> Agreement:
    """Return how far a graph is from the package on `rows`.

    Raises InputError where that is more than sums of float32 in another order can be.
    """
    package, other = model.predict_rows(rows), graph.predict_rows(rows)
    if package.shape != other.shape or not np.isfinite(other).all():
        raise InputError("the exported graph predicts something else: it was not written")
    apart = np.abs(package.astype(np.float64) - other)
    largest = float(apart.max(initial=0))
    if model.encoder.task == "regression":
        allowed = NEAR_SHARE * max(float(np.abs(package).max(initial=0)), NEAR)
    else:
        allowed = NEAR
    if largest > allowed:
        raise InputError(
            f"the exported graph differs from the package by {largest:.2g}, more than float32 "
            f"explains ({allowed:.1g}): it was not written"
        )
    return Agreement(rows.height, largest)


def real_rows(project: Project, model: Model) -> pl.DataFrame:
    """Return rows of the newest batch with the features of the model.

    Raises InputError where there is no batch.
    """
    features = Manifest(project.features)
    names = list(features.in_order())
    if not names:
        raise InputError("data/features has no rows to compare with: `evergreen run` makes them")
    rows, task = pl.read_parquet(features.file(names[-1])), model.encoder.task
    return features_of(project, project.dataset, rows, model.definition, task)


def spoil(rows: pl.DataFrame, encoder: Encoder) -> pl.DataFrame:
    """Return some of the real `rows`, and each once more with values missing, unseen or infinite.

    Raises InputError where there are none.
    """
    if rows.is_empty():
        raise InputError("there are no rows to compare the graph with: `evergreen run` makes some")
    rows = rows.select(encoder.features).gather_every(max(1, rows.height // MOST_ROWS))
    at, bad = pl.int_range(rows.height), []
    for place, name in enumerate(encoder.features):
        turn, column = (at + place) % 5, pl.col(name)
        if name in encoder.levels:
            odd = [pl.lit(None, pl.String), pl.lit("\u2603 seen by none"), pl.lit("")]
            column = column.cast(pl.String)
        else:
            odd = [pl.lit(value, pl.Float32) for value in (None, np.inf, -np.inf)]
            column = column.cast(pl.Float32)
        for number, value in enumerate(odd):
            column = pl.when(turn == number).then(value).otherwise(column)
        bad.append(column.alias(name))
    spoilt = rows.select(bad)
    return pl.concat([rows.cast(spoilt.schema), spoilt])


def _note(made: Any, facts: Mapping[str, str]) -> None:
    for key, value in facts.items():
        made.metadata_props.add(key=key, value=value)


def _version(library: str) -> str:
    from evergreen import __version__

    return __version__ if library == "evergreen-pipeline" else version_of_library(library)
