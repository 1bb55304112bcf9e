"""Who may decide by hand about the champion."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from evergreen.params.section import Section

Names = tuple[Annotated[str, Field(pattern=r"^\S+$")], ...]


class People(Section):
    """Who may decide by hand: logins, or e-mail addresses as git knows them; none: anybody."""

    approve: Names = Field(
        (),
        description="who may say yes to a challenger that waits: `promote --approve`, and the form",
    )
    override: Names = Field(
        (), description="who may promote against the gate: `promote --override`"
    )
    rollback: Names = Field((), description="who may bring an earlier champion back: `rollback`")
