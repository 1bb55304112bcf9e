"""Fingerprints: which trainings give the same model, so that none is trained twice."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from evergreen import recipes
from evergreen.dataset import Dataset
from evergreen.files import sha256_of, sha256_of_own
from evergreen.params import Params
from evergreen.training.learner import find_learner, is_librarys


def seed_fingerprint(data: str, params: Params, device: str, seed: int) -> str:
    """Return the fingerprint of one seed's model: equal ones on a CPU mean equal bytes.

    `data`: what stands for the rows it learns from (`Tables.digest`, or the version of all
    features).
    """
    chosen = params.train.chosen(params.task, exclude={"device", "refit"})
    learner = find_learner(params.train.learner)
    versions = [version(library) for library in learner.LIBRARIES]
    return sha256_of(
        data, params.task, chosen, device, seed, versions, recipe_of(params.train.learner)
    )


def way_of(dataset: Dataset, params: Params, name: str) -> str:
    """Return the fingerprint of how the learner `name` trains, rows and seeds aside.

    Between models of equal fingerprints only the data differ. It is of the recipe (and an own
    learner's code), the learner's parameters, the task and what `dataset.py` makes of a row.
    """
    chosen: dict[str, Any] = (
        params.train.chosen(params.task, exclude={"device"}) if name == params.train.learner else {}
    )
    learner = find_learner(name)
    features = {
        name: feature.meta.serialize(format="json") for name, feature in dataset.features.items()
    }
    label, left_out = (
        dataset.label.meta.serialize(format="json"),
        [*map(str, dataset.left_out.values())],
    )
    versions = [version(library) for library in learner.LIBRARIES]
    how = (
        params.task,
        params.sweep.model,
        params.prepare.model_dump(),
        chosen,
        features,
        label,
        left_out,
        versions,
    )
    return sha256_of(name, how, recipe_of(name))


def recipe_of(name: str) -> str:
    """Return the fingerprint of the recipe of training by the learner `name`.

    It holds the code of a learner that is the user's own.
    """
    return sha256_of(
        recipes.TRAIN, None if is_librarys(name) else sha256_of_own(find_learner(name).__file__)
    )


def sweep_fingerprint(data: str, params: Params, device: str) -> str:
    """Return the fingerprint of a training run: its seeds, how they are judged and combined."""
    seeds = [seed_fingerprint(data, params, device, seed) for seed in params.sweep.seed_list()]
    asks = params.gate.datasheet != "optional"  # the key came later: runs of before keep theirs
    gates = [section.model_dump() for section in (params.evaluate, params.leaks, params.bias)]
    gates.append(params.gate.model_dump(exclude=set() if asks else {"datasheet"}))
    how = (params.sweep.model, params.tracking.model, params.train.refit, gates)
    own = [params.extensions.code] if params.extensions.code else []
    return sha256_of(seeds, how, version("scikit-learn"), recipes.JUDGE, *own)
