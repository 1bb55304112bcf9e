"""Place: what is lost at Prefect's server breaks off no run that holds the project."""

from __future__ import annotations

import threading
import time
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow_engine
from prefect._internal.concurrency.cancellation import CancelledError

from evergreen.orchestration import place, steps

SECONDS = 20.0  # that a thread may take to find out


def hold(held: Any) -> bool:
    """Hold a place as Prefect's engine does; say whether the run went on when it was lost."""
    before = {*threading.enumerate()}
    try:
        with held(uuid4(), 300, raise_on_lease_renewal_failure=True):
            (renews,) = (
                thread for thread in threading.enumerate()
                if thread not in before and "renewal" in thread.name
            )  # fmt: skip
            renews.join(SECONDS)
            assert not renews.is_alive()
            until = time.monotonic() + 0.5
            while time.monotonic() < until:  # it would be broken off between two lines
                time.sleep(0.01)
    except CancelledError:
        return False
    return True


def test_a_run_goes_on_whose_place_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    assert steps.training  # a flow has them imported before it begins

    def lost(*_: object) -> None:
        time.sleep(0.1)
        raise ConnectionError("no such lease")

    monkeypatch.setattr("prefect.concurrency._leases._lease_renewal_loop", lost)
    assert not hold(place._hold)  # as Prefect has it
    assert hold(flow_engine.maintain_concurrency_lease)
