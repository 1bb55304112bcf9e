"""Page: what the HTML reports share: one look, one way to show values, and no way out.

A page is a Jinja2 template below `templates/` that extends `base.html`. It stands alone: no script,
and a policy that forbids the browser to fetch anything. Values come from data, so the environment
escapes all of them. The same findings give the same bytes: a page carries no time of its own.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from evergreen.redact import redact

if TYPE_CHECKING:
    from jinja2 import Environment

# No HTML allows them, or they reorder what follows
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def render(name: str, **values: Any) -> str:
    """Return the page of the template `name`, a file below `templates/`, with `values` in it.

    Raises jinja2.UndefinedError where the template needs a value that is not given.
    """
    return redact(_environment().get_template(name).render(values))


def share(part: int, whole: int) -> str:
    """Return a percentage that is 0% or 100% only where it is exactly that."""
    if not whole:
        return ""
    percent = 100 * part / whole
    return f"{percent:.0f}%" if part in (0, whole) else f"{min(max(percent, 0.01), 99.99):.2f}%"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("evergreen.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )


def _printable(value: Any) -> Any:
    """Return what an expression gives without characters that cannot be shown; escaping follows."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", value) if is_text else value
