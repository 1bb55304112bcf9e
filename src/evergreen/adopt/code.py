"""Code: names and values as Python source, in the format of this project."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

WIDE, WIDEST = 100, 120  # the format's longest line, and the longest that is not told of
SECTION = "# --- {} "


def literal(value: object) -> str:
    """Return a plain value as Python; text in double quotes, unless it holds more of these."""
    if not isinstance(value, str):
        return repr(value)
    quote = "'" if value.count('"') > value.count("'") else '"'
    body = "".join(_escaped(sign, quote) for sign in value)
    return f"{quote}{body}{quote}"


def _escaped(sign: str, quote: str) -> str:
    return (
        f"\\{sign}"
        if sign in ("\\", quote)
        else repr(sign)[1:-1]
        if not sign.isprintable()
        else sign
    )


def column(name: str) -> str:
    """Return the expression that reads a column."""
    return f"pl.col({literal(name)})"


def group(values: Sequence[str], brackets: str = "()") -> str:
    """Return values, each one Python already, as a tuple or a list in one line."""
    comma = "," if len(values) == 1 and brackets == "()" else ""
    return f"{brackets[0]}{', '.join(values)}{comma}{brackets[1]}"


def spread(
    before: str, values: Sequence[str], after: str, *, indent: str = "", comment: str = ""
) -> list[str]:
    """Return `before`, the values and `after` (a bracket) in one line, or in one for each value."""
    comma = "," if len(values) == 1 and after.startswith(")") else ""
    line = f"{indent}{before}{', '.join(values)}{comma}{after}"
    if width(line + comment) <= WIDE:
        return [line + comment]
    return [
        f"{indent}{before}{comment}",
        *(f"{indent}    {value}," for value in values),
        f"{indent}{after}",
    ]


def keep(lines: list[str]) -> list[str]:
    """Return the lines of a statement, with marks for the formatter where one is too long."""
    if all(width(line) <= WIDE for line in lines):
        return lines
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    marked = [line if width(line) <= WIDEST else f"{line}  # noqa: E501" for line in lines]
    return [f"{indent}# fmt: off", *marked, f"{indent}# fmt: on"]


def section(title: str, indent: str = "") -> str:
    """Return the comment that begins a part of a file, or of what is indented there."""
    return f"{indent}{SECTION.format(title)}".ljust(WIDE, "-")


def width(line: str) -> int:
    """Return how wide a line is on the screen."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in line)
