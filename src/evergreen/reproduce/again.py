"""Again: train a version once more, in a process of its own: `python -m evergreen.reproduce.again`.

The library that the version carries runs this, not the one that compares: what is asked and what
is written stays as it is.
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen import params as parameters
from evergreen.errors import explain
from evergreen.evaluation.evaluate import Evaluation, evaluate, measure_seed
from evergreen.evaluation.held_out import HeldOut
from evergreen.features.keys import hash_rows
from evergreen.features.split import Split, read_part
from evergreen.files import write_json
from evergreen.params import Params
from evergreen.project import Project
from evergreen.promotion.simplest import LINEAR
from evergreen.promotion.trained_models import TrainedModel, learnt_before
from evergreen.replay.challenge import (
    Way,
    baselines_of,
    linear_of,
    refit,
    train_judged,
    trees_of,
)
from evergreen.scoring.package import Model, write_package

METRICS, HELD_OUT, PACKAGE = "metrics.json", "held_out.npz", "package"
ERROR = "error: "  # what a message for a person begins with, last of all that is said


@dataclass(frozen=True)
class Asked:
    """What to train: in which project, and how a run was told to by more than its params.yaml.

    `learner`, `refit`: of the version's package, which the gate had a say in.
    """

    project: str
    seeds: list[int]
    model: str
    device: str
    learner: str
    refit: bool

    def params(self, project: Project) -> Params:
        """Return the parameters, those that the run replaced included."""
        sweep: dict[str, Any] = {"first_seed": min(self.seeds), "seeds": len(self.seeds)}
        found = parameters.load(project.params).choosing_from(project.extensions)
        return found.override(
            sweep=sweep | {"model": self.model or None}, train={"device": self.device}
        )


def again(asked: Asked, folder: Path) -> None:
    """Train, judge and refit; write the package, metrics and predictions into `folder`."""
    project = Project(Path(asked.project))
    params, dataset = asked.params(project), project.dataset
    _say("training what is judged")
    way = train_judged(project, dataset, params, asked.device)
    learnt = learnt_before(project, way.tables)
    trees = trees_of(way.tables, way.trained, dataset, params, learnt)
    linear = linear_of(way.tables, dataset, params, learnt)
    _say("judging it")
    write_json(folder / METRICS, _known(_evaluate(way, trees, linear, params).as_values()))
    judged = (linear if asked.learner == LINEAR else trees).candidate("again")
    rows = read_part(project, Split.of(project).judging)
    side = judged.predict_unseen(rows)
    held_out = HeldOut.of(hash_rows(rows), side.prediction, side.seeds)
    held_out.write(folder / HELD_OUT)
    live: Model = judged.model
    if asked.refit and way.rounds:
        _say("training what goes live, on all rows")
        how = project, dataset, params, asked.device, way.rounds
        live = refit(*how, judged, held_out).model
    write_package(folder / PACKAGE, live)


def _evaluate(way: Way, trees: TrainedModel, linear: TrainedModel, params: Params) -> Evaluation:
    """Judge the trees as the training flow does."""
    tables, learner, metrics = way.tables, params.train.learner, params.metrics
    measured = [
        measure_seed(tables, seed.booster, learner, metrics=metrics) for seed in way.trained
    ]
    baselines = baselines_of(tables, linear, params)
    chosen = {seed: trees.boosters[seed] for seed in trees.chosen}
    return evaluate(tables, chosen, measured, baselines, params.evaluate, learner, metrics=metrics)


def _say(what: str) -> None:
    """Show how far it is."""
    print(what, flush=True)


def _known(values: dict[str, float]) -> dict[str, float]:
    """Return the values that are numbers, as a run records them."""
    return {name: float(value) for name, value in values.items() if value == value}


def main(asked: str, folder: str) -> None:
    """Train what the JSON in `asked` says, and write it into `folder`."""
    try:
        again(Asked(**json.loads(asked)), Path(folder))
    except Exception as error:
        told = explain(error)
        if told is None:
            raise
        sys.exit(f"{ERROR}{told}")


if __name__ == "__main__":
    main(*sys.argv[1:])
    gc.freeze()
