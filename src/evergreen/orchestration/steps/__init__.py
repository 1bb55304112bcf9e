"""The steps that flows are made of: a line of `flows/training.py` or `flows/monitoring.py`.

Behind each are Prefect tasks: how often it is retried, how long it may take, what the UI shows of
it. This is the one place for such policy: what they call knows no Prefect, flows know only order.
"""

from evergreen.orchestration.place import keep_going
from evergreen.orchestration.steps.monitoring import (
    ask,
    know_champion,
    look,
    look_back,
    write_page,
)
from evergreen.orchestration.steps.training import (
    check_leaks,
    compare,
    conclude,
    decide,
    evaluate,
    refit,
    register,
    reuse,
    train,
)
from evergreen.orchestration.tasks.data import ingest, prepare, validate
from evergreen.orchestration.tasks.run import (
    Monitoring,
    Outcome,
    Run,
    Training,
    Watch,
    open_monitoring,
    open_training,
)

__all__ = [
    "Monitoring",
    "Outcome",
    "Run",
    "Training",
    "Watch",
    "ask",
    "check_leaks",
    "compare",
    "conclude",
    "decide",
    "evaluate",
    "ingest",
    "know_champion",
    "look",
    "look_back",
    "open_monitoring",
    "open_training",
    "prepare",
    "refit",
    "register",
    "reuse",
    "train",
    "validate",
    "write_page",
]

keep_going()  # a worker imports the flow before the run begins
