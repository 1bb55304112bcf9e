"""Space: which ways of training may be tried, as Optuna takes it and as parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evergreen.errors import InputError
from evergreen.params import Params

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DIGITS = 3  # that a tuned number has: more would claim what no trial knows
WIDE = 10  # times from low to high, from which on a number is searched by its logarithm


def find_space(params: Params) -> dict[str, BaseDistribution]:
    """Return what `tune.space` declares, widened to hold the present value of each parameter.

    Raises InputError where the learner takes none of them, or one has no present value.
    """
    if params.train.learner == "linear":
        raise InputError("train.learner is linear, which has nothing to tune: choose another")
    return {
        name: _distribution(name, values, getattr(params.train, name))
        for name, values in params.tune.space.items()
    }


def present(params: Params) -> dict[str, Any]:
    """Return the present values of what is tuned."""
    return {name: getattr(params.train, name) for name in params.tune.space}


def with_values(params: Params, values: Mapping[str, Any]) -> Params:
    """Return the parameters with other values of what is tuned, checked like the file."""
    return params.override(train=values)


def rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as a person would write them."""
    return {
        name: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
        for name, value in values.items()
    }


def _distribution(name: str, values: tuple[Any, ...], now: Any) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(values[0], str):
        return CategoricalDistribution(tuple(dict.fromkeys([*values, now])))
    if not isinstance(now, int | float):
        raise InputError(f"tune.space: train.{name} has no number now: set it first")
    low, high = min(*values, now), max(*values, now)
    log = low > 0 and high >= WIDE * low
    if isinstance(now, int):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)
