"""The params.yaml of an old project: today's file, with each number changed in the old one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from evergreen.errors import InputError
from evergreen.params import Params
from evergreen.params.edit import editor, in_line, put

GONE = {  # keys that are no more -> what to say of them
    "retrain.max_staleness": "retrain.min_loss says now what missing newer batches may cost as well"
}
WHOLE = ("source",)  # sections whose keys belong together


def merge_params(mine: str, old: str, new: str, package: str) -> tuple[str, list[str]]:
    """Return the text `new` with the values in which `mine` differs from `old`, and notes.

    `old` and `new`: what the template gave then, and gives now. A key that is no more is dropped.
    """
    yaml = editor()
    content, notes = yaml.load(new), []
    before, after = _leaves(_load(old)), _leaves(_load(mine))
    for (section, key), value in after.items():
        if before.get((section, key), value) == value and (section, key) in before:
            continue
        name = f"{section}.{key}" if key else section
        if name == "train.learner" and value not in ("xgboost", "linear"):
            value = f"{package}.model.{value}"
            notes.append(
                f"params.yaml: train.learner is {value} now, the module as Python finds it"
            )
        if not _put(content, section, key, value):
            why = GONE.get(name, "no key is called so any more")
            notes.append(f"params.yaml: {name} ({value}) is dropped: {why}")
    written = io.StringIO()
    yaml.dump(content, written)
    return written.getvalue(), notes


def _load(text: str) -> dict[str, Any]:
    try:
        found = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise InputError(f"nothing is changed: params.yaml cannot be read ({error})") from None
    if not isinstance(found, dict):
        raise InputError("nothing is changed: params.yaml holds no sections: correct it")
    return found


def _leaves(content: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """Return (section, key) -> value; the key is empty where a section stays whole."""
    found: dict[tuple[str, str], Any] = {}
    for section, values in content.items():
        if isinstance(values, Mapping) and section not in WHOLE:
            found |= {(section, key): value for key, value in values.items()}
        else:
            found[section, ""] = values
    return found


def _put(content: CommentedMap, section: str, key: str, value: Any) -> bool:
    known = Params().model_dump(by_alias=True).get(section)
    if known is None or (key and (not isinstance(known, dict) or key not in known)):
        return False
    if not key:
        content[section] = (
            in_line(value)
            if section not in WHOLE
            else CommentedMap((name, in_line(part)) for name, part in value.items())
        )
        return True
    put(content, section, {key: value})
    return True
