"""Evergreen: a machine-learning pipeline whose model stays fresh."""

from importlib import import_module
from typing import TYPE_CHECKING

from evergreen import code

if TYPE_CHECKING:
    from evergreen.dataset import Dataset
    from evergreen.decision import Rule
    from evergreen.extensions import Event, Extensions
    from evergreen.metrics.metric import Form, Metric
    from evergreen.orchestration.step import Skipped, step
    from evergreen.report.finished import Finished

__all__ = [
    "Dataset", "Event", "Extensions", "Finished", "Form", "Metric", "Rule", "Skipped", "step",
    "__version__",
]  # fmt: skip
__version__ = "0.1.0"
PUBLIC = {  # name -> the module that defines it
    "Dataset": "evergreen.dataset",
    "Event": "evergreen.extensions",
    "Extensions": "evergreen.extensions",
    "Finished": "evergreen.report.finished",
    "Form": "evergreen.metrics.metric",
    "Metric": "evergreen.metrics.metric",
    "Rule": "evergreen.decision",
    "Skipped": "evergreen.orchestration.step",
    "step": "evergreen.orchestration.step",
}

code.begin()


def __getattr__(name: str) -> object:
    """Import what is public when it is first asked for: `evergreen --help` needs no polars."""
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
