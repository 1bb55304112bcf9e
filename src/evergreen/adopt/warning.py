"""Warning: something about a column that a person should check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ColumnWarning:
    """Something about a column that a person should check.

    `column`: which; empty where it is about all of them. `kind`: in a word or two. `says`: a
    sentence, less the column. `out`: the column is no feature because of it.
    """

    column: str
    kind: str
    says: str
    out: bool = False

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"{shown(self.column)} {self.says}" if self.column else self.says


def shown(name: str, room: int = 60) -> str:
    """Return a name in quotes, on one line and not too long, whatever it holds."""
    text = repr(name)
    return text if len(text) <= room else f"{text[: room - 4]}...{text[-1]}"


def listed(values: list[str], room: int = 5) -> str:
    """Return the first of `values` as a list in a sentence, and how many more there are."""
    more = f" and {len(values) - room} more" if len(values) > room else ""
    return ", ".join(values[:room]) + more
