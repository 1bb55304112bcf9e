"""The page that lists every parameter: `python -m evergreen.params.page > docs/params.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from evergreen.params.read import Params

HEAD = """\
# Every parameter

`params.yaml` holds what a person sets first; all else is as below, and can be written there too. An
unknown key is an error. This page is made from the code: `python -m evergreen.params.page`.
"""


def render() -> str:
    """Return the page, as Markdown: a table per section of key, default and meaning."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for name, field in Params.model_fields.items():
        section, title = field.default, field.alias or name
        if not isinstance(section, BaseModel):
            yield f"**{title}**: {field.description}; default: `{section}`\n"
            continue
        about = (type(section).__doc__ or "").strip()
        yield f"## {title}\n\n{about}\n\n| key | default | meaning |\n|---|---|---|"
        yield "".join(_row(key, field) for key, field in type(section).model_fields.items())


def _row(key: str, field: FieldInfo) -> str:
    return f"| `{key}` | `{_plain(field.default)}` | {field.description} |\n"


def _plain(value: Any) -> str:
    """Return a default as it is written in YAML."""
    if isinstance(value, str):
        return value if value.isalnum() else f'"{value}"'
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value)


if __name__ == "__main__":
    print(render(), end="")
