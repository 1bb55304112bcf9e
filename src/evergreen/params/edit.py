"""Editing the text of `params.yaml`: values change, every comment stays."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter


class Representer(RoundTripRepresenter):
    """Writes null as the file does; a class of its own, since DVC shares the library's."""


Representer.add_representer(
    type(None),
    lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null"),
)


def editor() -> YAML:
    """Return what reads the text and writes it again with its comments."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.Representer = Representer
    return yaml


def put(content: CommentedMap, section: str, values: dict[str, Any]) -> None:
    """Set keys of a section, made where it lacks; new keys come first.

    A blank line may follow the last.
    """
    known = content.setdefault(section, CommentedMap())
    fresh = [key for key in values if key not in known]
    for key, value in values.items():
        if key in fresh:
            known.insert(fresh.index(key), key, in_line(value))
        else:
            known[key] = in_line(value)


def in_line(value: Any) -> Any:
    """Return a list or a mapping as it is written in one line."""
    if not isinstance(value, list | dict):
        return value
    flow = CommentedSeq(value) if isinstance(value, list) else CommentedMap(value)
    flow.fa.set_flow_style()
    return flow
