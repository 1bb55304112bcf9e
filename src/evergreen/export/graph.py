"""Graph: an ONNX graph node by node, and the part of it that every model has: its encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.errors import InputError
from evergreen.features.encoder import FIRST, MISSING, OTHER

if TYPE_CHECKING:
    import onnx

    from evergreen.features.encoder import Encoder

ML = "ai.onnx.ml"  # the domain of trees and dictionaries
OPSETS, IR = {"": 17, ML: 3}, 8  # what runtimes since 2022 read
OUTPUT = "prediction"
EXTRA = "onnx"  # of this library: what has to be installed


class Graph:
    """The nodes, constants and inputs of a graph that is being built."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.inputs: list[Any] = []

    def take(self, name: str, *, text: bool) -> str:
        """Add an input of shape (rows, 1): text, or a float32."""
        from onnx import TensorProto, helper

        kind = TensorProto.STRING if text else TensorProto.FLOAT
        self.inputs.append(helper.make_tensor_value_info(name, kind, ["rows", 1]))
        return name

    def hold(self, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant; returns its name."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.asarray(value, dtype=dtype), name)
        return name

    def add(self, kind: str, *inputs: str, name: str = "", domain: str = "", **how: Any) -> str:
        """Add a node with a single output; returns that output's name."""
        from onnx import helper

        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], domain=domain, **how))
        return name

    def logistic(self, x: str, dtype: Any = np.float32) -> str:
        """Add 1 / (1 + exp(-x)): runtimes approximate the operator, and small shares suffer."""
        above = self.add("Add", self.add("Exp", self.add("Neg", x)), self.hold(1, dtype))
        return self.add("Reciprocal", above)

    def finish(self, shape: list[str | int]) -> onnx.ModelProto:
        """Return the model; `shape`: of its output."""
        from onnx import TensorProto, checker, helper

        output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)
        constants = list(self.constants.values())
        graph = helper.make_graph(self.nodes, "evergreen", self.inputs, [output], constants)
        sets = [helper.make_opsetid(domain, number) for domain, number in OPSETS.items()]
        made = helper.make_model(
            graph, opset_imports=sets, ir_version=IR, producer_name="evergreen"
        )
        checker.check_model(made, full_check=True)
        return made


def add_encoder(graph: Graph, encoder: Encoder) -> str:
    """Add an input for each feature, and what `Encoder.transform` makes of them; returns its name.

    A missing number is NaN, a missing text `missing_text(encoder)`.
    """
    columns = []
    for name in encoder.features:
        given = graph.take(name, text=name in encoder.levels)
        if name in encoder.levels:
            levels = encoder.levels[name]
            given = graph.add(
                "LabelEncoder",
                given,
                domain=ML,
                keys_strings=[missing_text(encoder), *levels],
                values_floats=[float(MISSING), *map(float, range(FIRST, FIRST + len(levels)))],
                default_float=float(OTHER),
            )
        columns.append(given)
    x = graph.add("Concat", *columns, axis=1)
    return graph.add("Where", graph.add("IsInf", x), graph.hold(np.nan), x)


def missing_text(encoder: Encoder) -> str:
    """Return the text that stands for no text: ONNX has none, and "" is a text like any other."""
    known = {level for levels in encoder.levels.values() for level in levels}
    text = "<missing>"
    while text in known:
        text = f"<{text}>"
    return text


def load_library(name: str) -> Any:
    """Return the library `onnx` or `onnxruntime`. Raises InputError where it is not installed."""
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise InputError(
            f"{name} is not installed, and is needed for that: `.venv/bin/python -m pip install "
            f"--no-deps --require-hashes -r requirements/onnx.txt` (or the extra {EXTRA!r})"
        ) from None
