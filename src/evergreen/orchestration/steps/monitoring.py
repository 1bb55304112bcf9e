"""The steps of a monitoring after the data, each a line of the flow.

Each adds to the run what it saw.
"""

from __future__ import annotations

from evergreen.orchestration.tasks import champion, monitoring
from evergreen.orchestration.tasks.job import skip
from evergreen.orchestration.tasks.run import Monitoring


def know_champion(run: Monitoring) -> bool:
    """Gather what the champion is known by; return False, and ask for a training, without one."""
    run.name()
    run.champion = champion.know_champion(run.job)
    if not run.champion:
        run.missing = monitoring.ask_for_first(run.job)
    return bool(run.champion)


def look(run: Monitoring) -> None:
    """Compare each new batch with the champion's rows, and decide whether to retrain."""
    if not run.champion:
        return
    run.waiting = monitoring.find_waiting(run.job, run.champion)
    for batch in run.waiting:
        last = batch is run.waiting[-1]
        run.decision = monitoring.look(run.job, run.champion, batch, last=last)
    if not run.waiting:
        skip("look", "every batch was looked at before")


def look_back(run: Monitoring) -> None:
    """Restore the previous champion where it does better on rows that came since."""
    if run.champion:
        run.rollback = monitoring.look_back(run.job, run.champion)


def write_page(run: Monitoring) -> None:
    """Write reports/monitoring.html."""
    if run.champion:
        monitoring.write_page(run.job, run.champion)


def ask(run: Monitoring) -> None:
    """Ask for the newest retraining that was decided upon and not made; an event starts it."""
    if run.champion:
        run.asked = tuple(entry.batch for entry in monitoring.ask(run.job, run.champion))
