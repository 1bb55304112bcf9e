"""Seeds: cores are shared, results combined, and the model is the one that was promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evergreen.errors import InputError
from evergreen.params import Params, Sweep
from evergreen.training.seeds import Slots, choose, share_cores, summarize

BASE = Params()


@pytest.mark.parametrize(
    ("cores", "seeds", "jobs", "device", "slots"),
    [
        (1, 10, None, "cpu", Slots(1, 1)),
        (2, 10, None, "cpu", Slots(2, 1)),
        (16, 10, None, "cpu", Slots(10, 1)),
        (16, 3, None, "cpu", Slots(3, 5)),
        (16, 1, None, "cpu", Slots(1, 16)),
        (16, 10, 4, "cpu", Slots(4, 4)),
        (16, 2, 4, "cpu", Slots(2, 8)),
        (16, 10, 1, "cpu", Slots(1, 16)),
        (16, 10, None, "cuda", Slots(1, 16)),
    ],
)
def test_cores_are_shared(cores, seeds, jobs, device, slots):
    assert share_cores(Sweep(seeds=seeds, jobs=jobs), cores, device) == slots


@settings(deadline=None)
@given(
    cores=st.integers(1, 256),
    seeds=st.integers(1, 1000),
    jobs=st.none() | st.integers(1, 300),
    device=st.sampled_from(["cpu", "cuda"]),
)
def test_no_core_is_asked_for_twice(cores, seeds, jobs, device):
    slots = share_cores(Sweep(seeds=seeds, jobs=jobs), cores, device)
    assert 1 <= slots.jobs <= seeds
    assert slots.threads >= 1
    assert slots.jobs * slots.threads <= cores or slots.jobs == 1


@pytest.mark.parametrize("jobs", [None, 1, 4])
def test_a_gpu_takes_one_seed_at_a_time(jobs):
    assert share_cores(Sweep(seeds=10, jobs=jobs), 16, "cuda").jobs == 1


@pytest.mark.parametrize(
    ("losses", "model", "chosen"),
    [
        ({0: 0.3, 1: 0.1, 2: 0.2}, "median", (2,)),
        ({0: 0.3, 1: 0.1, 2: 0.2, 3: 0.4}, "median", (2,)),  # the better of the two in the middle
        ({5: 0.5, 6: 0.4, 7: 0.3, 8: 0.2, 9: 0.1}, "median", (7,)),
        ({4: 0.7}, "median", (4,)),
        ({4: 0.7, 5: 0.6}, "median", (5,)),
        ({3: 0.2, 1: 0.2, 2: 0.2}, "median", (2,)),  # ties: in order of seed
        ({4: 0.2, 3: 0.2, 2: 0.2, 1: 0.2}, "median", (2,)),
        ({2: 0.2, 1: 0.2, 0: 0.1}, "median", (1,)),
        ({3: 0.3, 1: 0.1, 2: 0.2}, "mean", (1, 2, 3)),
        ({7: 0.3}, "mean", (7,)),
    ],
)
def test_the_seeds_that_are_registered(losses, model, chosen):
    assert choose(losses, model) == chosen


@pytest.mark.parametrize("model", ["median", "mean"])
def test_no_seed_is_an_error(model):
    with pytest.raises(InputError, match="no seed trained"):
        choose({}, model)


@pytest.mark.slow
@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 99), st.floats(0, 10), min_size=3, max_size=30))
def test_the_median_seed_is_neither_best_nor_worst_and_does_not_depend_on_order(losses):
    (seed,) = choose(losses, "median")
    assert choose(dict(reversed(losses.items())), "median") == (seed,)
    ranked = sorted(losses, key=lambda seed: (losses[seed], seed))
    assert seed not in (ranked[0], ranked[-1])
    assert losses[seed] <= np.median(list(losses.values())) <= max(losses.values())


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("count", [2, 3, 10])
def test_the_spread_is_students_interval_of_the_mean(count, confidence):
    values = np.random.default_rng(count).normal(0.7, 0.01, count)
    spread = summarize(values, confidence)
    low, high = stats.t.interval(confidence, count - 1, loc=values.mean(), scale=stats.sem(values))
    assert (spread.low, spread.high) == pytest.approx((low, high), rel=1e-12)
    assert (spread.mean, spread.deviation) == pytest.approx(
        (values.mean(), values.std(ddof=1)), rel=1e-12
    )
    assert spread.values == tuple(values)


def test_equal_values_have_no_spread():
    spread = summarize(iter([0.5, 0.5, 0.5]), 0.95)
    assert (spread.mean, spread.deviation, spread.low, spread.high) == (0.5, 0.0, 0.5, 0.5)


def test_a_single_seed_has_no_interval_and_warns_of_nothing():
    spread = summarize([0.7], 0.95)
    assert (spread.mean, spread.values) == (0.7, (0.7,))
    assert np.isnan([spread.deviation, spread.low, spread.high]).all()


@pytest.mark.parametrize(
    ("slots", "models", "shared"),
    [
        (Slots(8, 1), 1, Slots(1, 8)),
        (Slots(8, 1), 3, Slots(3, 2)),
        (Slots(2, 1), 3, Slots(2, 1)),
        (Slots(1, 4, on_disk=True), 1, Slots(1, 4, on_disk=True)),
    ],
)
def test_where_there_are_few_models_each_gets_more_threads(slots, models, shared):
    assert slots.among(models) == shared
