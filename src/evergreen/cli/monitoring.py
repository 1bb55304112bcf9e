"""`evergreen monitor`: every new batch compared with what the champion was trained on."""

from __future__ import annotations

from typing import Any

import click

from evergreen.cli.session import open_flow, open_project
from evergreen.cli.table import held_rows, show_table, titled


@click.command()
def monitor() -> None:
    """Compare new batches with the champion's training data; request a retraining when it is due.

    While `evergreen up` runs, that starts it; else `evergreen run` does.
    """
    from evergreen.stores import dvc

    with open_project(lock=False) as (project, params):
        found = open_flow(project, params, "monitoring", dvc.load_library)()
        rows = finding_rows(found)
        rows += held_rows(project)
        if found.version:
            rows.append(["page", "reports/monitoring.html"])
        show_table(["what", "found"], rows)


def finding_rows(found: Any) -> list[list[str]]:
    """Return what a monitoring found, and what it decided, as rows of a table."""
    champion = f"version {found.version}" if found.version else found.missing
    rows = [["champion", champion], ["new batches", ", ".join(found.batches) or "none"]]
    for question, decision in (("retrain?", found.decision), ("roll back?", found.rollback)):
        if decision:
            rows += titled(question, (decision.action, *decision.reasons))
    if found.asked:
        how = "`evergreen run`, or `evergreen up` starts it"
        rows.append(["requested", f"a retraining, after {found.asked[-1]}: {how}"])
    return rows
