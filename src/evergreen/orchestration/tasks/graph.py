"""Graph: the ONNX graph that a version carries beside its package, where that is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prefect.logging import get_run_logger

from evergreen.errors import InputError
from evergreen.export.graph import load_library
from evergreen.export.onnx_file import make_onnx, real_rows

if TYPE_CHECKING:
    from evergreen.orchestration.tasks.job import Job
    from evergreen.params import Params
    from evergreen.scoring.package import Model

FILE = "model.onnx"


def check_graph(params: Params) -> None:
    """Raise InputError where a graph is wanted and cannot be written here."""
    if params.tracking.onnx == "beside":
        load_library("onnx")
        load_library("onnxruntime")


def graph_of(job: Job, model: Model, run_id: str) -> Mapping[str, bytes]:
    """Return the graph by the name of its file; nothing where none is wanted, or there can be none.

    A model is not lost for it: why there is none is reported.
    """
    if job.params.tracking.onnx == "off":
        return {}
    about = {"model": job.params.tracking.model, "run": run_id}
    try:
        content, agreement = make_onnx(model, real_rows(job.project, model), about)
    except InputError as error:
        get_run_logger().warning("the version carries no ONNX graph: %s", error)
        return {}
    get_run_logger().info("%s, beside the package, %s", FILE, agreement.says)
    return {FILE: content}
