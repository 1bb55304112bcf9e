"""Step: a function of the user's as a step of a flow, as the library's own steps are.

Named, retried and skipped like them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from evergreen.errors import InputError
from evergreen.orchestration.tasks.job import not_a_mistake, skipped, value

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Skipped:
    """What a step returns that had nothing to do, and why: the UI shows it as skipped."""

    why: str


def step(
    name: str, *, retries: int = 0, timeout: float | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that makes a function a step of a flow; call it there, as any function.

    `name`: in the UI and the log. `retries`: how often it is tried again where it fails, five
    seconds later, but for an InputError, which trying again cannot mend. `timeout`: seconds that it
    may take. What it prints stands in the run's log; where it fails, so does the run. Raises
    InputError for a name, number or time that cannot be.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError('@step needs a name, such as @step("publish features")')
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise InputError(f"@step({name!r}): retries must be a number from 0, not {retries!r}")
    if timeout is not None and not timeout > 0:
        raise InputError(f"@step({name!r}): timeout must be seconds, above 0, not {timeout!r}")

    def make(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def work(*given: P.args, **named: P.kwargs) -> Any:
            done = function(*given, **named)
            return skipped(done.why, done) if isinstance(done, Skipped) else done

        made: Any = task(work, name=name, task_run_name=name, retries=retries,
                         retry_delay_seconds=5, retry_condition_fn=not_a_mistake,
                         timeout_seconds=timeout, log_prints=True,
                         cache_policy=NO_CACHE)  # fmt: skip

        @wraps(function)
        def run(*given: P.args, **named: P.kwargs) -> R:
            return value(made(*given, **named))  # type: ignore[no-any-return]

        run.task = made  # type: ignore[attr-defined]  # for whoever wants Prefect's own
        return run

    return make
