"""From new batches to the question whether the champion still fits: the order of the steps."""

from __future__ import annotations

from prefect import flow

from evergreen.orchestration import steps


@flow(name="monitoring")
def monitoring() -> steps.Watch:
    """See every new batch beside what the champion knows; ask for a retraining where it is time."""
    with steps.open_monitoring() as run:
        steps.ingest(run)
        steps.validate(run)
        steps.prepare(run)
        if steps.know_champion(run):
            steps.look(run)
            steps.look_back(run)
            steps.write_page(run)
            steps.ask(run)
    return run.result()
