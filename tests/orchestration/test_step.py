"""Step: a function of the user's behaves as the library's own steps do."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.logging import disable_run_logger

from evergreen.errors import InputError
from evergreen.orchestration.step import Skipped, step
from evergreen.orchestration.tasks.job import not_a_mistake


@step("publish", retries=2, timeout=60)
def publish(run: str) -> str | Skipped:
    """Publish a run."""
    return Skipped("nothing new") if run == "old" else f"published {run}"


TASK: Any = publish.task  # type: ignore[attr-defined]


def test_it_has_the_name_retries_and_time_that_were_asked_for() -> None:
    assert (TASK.name, TASK.retries, TASK.timeout_seconds) == ("publish", 2, 60)
    assert TASK.retry_condition_fn is not_a_mistake
    assert (publish.__name__, publish.__doc__) == ("publish", "Publish a run.")


def test_it_gives_what_the_function_gives() -> None:
    assert TASK.fn("new") == "published new"


def test_what_had_nothing_to_do_is_shown_as_skipped() -> None:
    with disable_run_logger():
        state = TASK.fn("old")
    assert (state.name, state.message, state.is_completed()) == ("Skipped", "nothing new", True)


@pytest.mark.parametrize(
    ("name", "how", "told"),
    [
        ("", {}, "@step needs a name"),
        (publish, {}, "@step needs a name"),
        ("a", {"retries": -1}, "retries must be a number from 0"),
        ("a", {"retries": True}, "retries must be a number from 0"),
        ("a", {"timeout": 0}, "timeout must be seconds, above 0"),
    ],
)
def test_what_cannot_be_is_refused(name: Any, how: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        step(name, **how)
