"""The params.yaml of an old project: today's file, with every number that was changed in the old one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter

from evergreen.errors import InputError
from evergreen.params import Params

GONE = {  # keys that are no more -> what to say of them
    "retrain.max_staleness": "retrain.min_loss says now what missing newer batches may cost as well"
}
WHOLE = ("source",)  # sections whose keys belong together


class Representer(RoundTripRepresenter):
    """Writes null as the file does."""


Representer.add_representer(
    type(None), lambda one, _: one.represent_scalar("tag:yaml.org,2002:null", "null")
)


def merge_params(mine: str, old: str, new: str, package: str) -> tuple[str, list[str]]:
    """Return the text `new` with the values that differ between `old` and `mine`, and what is to be said.

    `old` and `new`: what the template gave then, and gives now. A key that `new` leaves to its
    default is written into it; one that is no more is dropped.
    """
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.Representer = Representer
    content, notes = yaml.load(new), []
    before, after = _leaves(_load(old)), _leaves(_load(mine))
    for (section, key), value in reversed(
        after.items()
    ):  # each is put before those that come after
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
    return written.getvalue(), notes[::-1]


def _load(text: str) -> dict[str, Any]:
    try:
        found = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise InputError(f"nothing is changed: params.yaml cannot be read ({error})") from None
    if not isinstance(found, dict):
        raise InputError("nothing is changed: params.yaml holds no sections: correct it")
    return found


def _leaves(content: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """Return (section, key) -> value; the key is empty where a section is one value, or stays whole."""
    found: dict[tuple[str, str], Any] = {}
    for section, values in content.items():
        if isinstance(values, Mapping) and section not in WHOLE:
            found |= {(section, key): value for key, value in values.items()}
        else:
            found[section, ""] = values
    return found


def _put(content: CommentedMap, section: str, key: str, value: Any) -> bool:
    """Write a value; return False where there is no such parameter."""
    known = Params().model_dump(mode="json", by_alias=True)
    if section not in known or (key and key not in known[section]):
        return False
    if not key and not isinstance(value, Mapping):
        content[section] = _flow(value)
        return True
    place = content.setdefault(section, CommentedMap())
    if not key:
        for name in [name for name in place if name not in value]:
            del place[name]
    for at, (name, inner) in enumerate((value if not key else {key: value}).items()):
        if name in place:
            place[name] = _flow(inner)
        else:
            place.insert(
                at, name, _flow(inner)
            )  # after the last one, a blank line would be between
    return True


def _flow(value: Any) -> Any:
    """Return a list or a mapping as it is written in one line."""
    if not isinstance(value, list | dict):
        return value
    flow = CommentedSeq(value) if isinstance(value, list) else CommentedMap(value)
    flow.fa.set_flow_style()
    return flow
