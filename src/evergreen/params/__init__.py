"""The parameters of a project: `params.yaml` holds what differs from the defaults here."""

from evergreen.metrics.metric import Task
from evergreen.params.compute import Compute
from evergreen.params.read import Params, load, look_up, parse, read_yaml
from evergreen.params.sections import (
    Bias,
    Drift,
    Evaluate,
    Gate,
    Leaks,
    Ports,
    Prepare,
    Retrain,
    Serve,
    Split,
    Sweep,
    Tracking,
    Validate,
)
from evergreen.params.source import EPOCHS, Source
from evergreen.params.train import Train
from evergreen.params.tuning import Tune

__all__ = [
    "Bias",
    "Compute",
    "Drift",
    "EPOCHS",
    "Evaluate",
    "Gate",
    "Leaks",
    "Params",
    "Ports",
    "Prepare",
    "Retrain",
    "Serve",
    "Source",
    "Split",
    "Sweep",
    "Task",
    "Tracking",
    "Train",
    "Tune",
    "Validate",
    "load",
    "look_up",
    "parse",
    "read_yaml",
]
