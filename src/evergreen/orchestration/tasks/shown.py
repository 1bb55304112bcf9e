"""What the UI shows of a task: Prefect's own functions, given redacted text."""

from __future__ import annotations

from typing import Any

from prefect import artifacts

from evergreen.redact import redact_all


def create_markdown_artifact(markdown: str, **about: Any) -> Any:
    """Show text; `about` as Prefect's function has it."""
    return artifacts.create_markdown_artifact(redact_all(markdown), **redact_all(about))


def create_table_artifact(table: Any, **about: Any) -> Any:
    """Show a table; `about` as Prefect's function has it."""
    return artifacts.create_table_artifact(redact_all(table), **redact_all(about))
