"""The learner's own files, beside a description of the encoder: for who has the learner's library.

`encoder.json` says how a row becomes numbers, and what to do with the predictions of each file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.errors import InputError
from evergreen.export.trees import as_json
from evergreen.features.encoder import FIRST, MISSING, OTHER
from evergreen.files import write_json, write_whole
from evergreen.scoring.package import SEED
from evergreen.training.learner import XGBOOST, find_learner

if TYPE_CHECKING:
    from evergreen.scoring.package import Model

DESCRIPTION = "encoder.json"


def write_own(model: Model, folder: Path, form: str, about: Mapping[str, str]) -> list[Path]:
    """Write a file for each seed and the description into `folder`; returns all of them.

    `form`: json, or ubj. Raises InputError where the learner has no such file.
    """
    suffix = find_learner(model.learner).SUFFIX
    if f".{form}" != suffix and model.learner != XGBOOST:
        raise InputError(f"a model of the learner {model.learner} is {suffix[1:]}: export that")
    files = []
    for seed in model.seeds:
        content = model.boosters[seed]
        content = as_json(content) if f".{form}" != suffix else content
        files.append(folder / f"{SEED}{seed}.{form}")
        write_whole(files[-1], lambda part, content=content: part.write_bytes(content))  # type: ignore[misc]
    write_json(folder / DESCRIPTION, describe(model, files) | dict(about))
    return [*files, folder / DESCRIPTION]


def describe(model: Model, files: list[Path]) -> dict[str, Any]:
    """Return the encoder, and how to use the files, as plain values."""
    encoder = model.encoder
    features = [
        {"name": name, "kind": "number"}
        if name not in encoder.levels
        else {
            "name": name,
            "kind": "category",
            "codes": {level: code for code, level in enumerate(encoder.levels[name], FIRST)},
        }
        for name in encoder.features
    ]
    return {
        "task": encoder.task,
        "classes": encoder.classes,
        "features": features,  # in the order of the columns
        "missing_category": MISSING,
        "other_category": OTHER,
        "missing_number": "NaN",
        "infinite_number": "NaN",
        "learner": model.learner,
        "files": [file.name for file in files],
        "prediction": "the mean of what the files predict for float32 columns",
    }
