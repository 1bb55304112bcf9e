"""From new batches to the question whether the champion still fits: the order of the steps, a line each."""

from __future__ import annotations

from prefect import flow

from evergreen.orchestration.steps import (
    Watch,
    ask,
    ingest,
    know_champion,
    look,
    look_back,
    open_monitoring,
    prepare,
    validate,
    write_page,
)


@flow(name="monitoring")
def monitoring() -> Watch:
    """Look at every new batch beside what the champion has learnt from, and ask for a retraining where it is time."""
    with open_monitoring() as run:
        ingest(run)
        validate(run)
        prepare(run)
        if know_champion(run):
            look(run)
            look_back(run)
            write_page(run)
            ask(run)
    return run.result()
