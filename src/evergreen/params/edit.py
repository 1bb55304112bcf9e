"""Editing the text of `params.yaml`: values change, every comment stays."""

from __future__ import annotations

import difflib
import io
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


def patch(text: str, section: str, values: dict[str, Any]) -> str:
    """Return the text with other values in a section."""
    yaml, written = editor(), io.StringIO()
    content = yaml.load(text) or CommentedMap()
    put(content, section, values)
    yaml.dump(content, written)
    return written.getvalue()


def differences(before: str, after: str, name: str) -> str:
    """Return the lines that differ, as `git diff` shows them of the file called `name`."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}"))


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
