"""Unpacker: whatever bytes do to the process that reads them, the next body is read."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pyarrow as pa
import pytest
from serving.test_unpack import KINDS, TABLE, flipped, pack

from evergreen.serving.body import BodyError
from evergreen.serving.unpack import ARROW, PARQUET
from evergreen.serving.unpacker import Unpacker

pytestmark = pytest.mark.slow
NAMES = ["n", "x", "word", "level"]
GOOD = {kind: pack(TABLE, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def unpacker():
    """One that has been started."""
    made = Unpacker(10_000, 2**22)
    made.unpack(ARROW, GOOD[ARROW], NAMES)
    yield made
    made.close()


def status_of(unpacker, kind, body, names=NAMES):
    """What the request gets: 200 for rows."""
    try:
        unpacker.unpack(kind, body, names)
    except BodyError as error:
        found = error
    else:
        return 200
    assert "\n" not in found.says
    assert len(found.says) <= 300
    return found.status


def lying_offsets():
    """Text whose offsets point far outside its bytes."""
    whole = pack(pa.table({"n": ["ab", "cd"]}), ARROW)
    ends, lie = (
        b"".join(at.to_bytes(4, "little") for at in ats) for ats in ((0, 2, 4), (0, 2, 2**31 - 1))
    )
    assert whole.count(ends) == 1
    return whole.replace(ends, lie)


def lying_dictionary():
    """Levels that the dictionary has not."""
    levels = pa.DictionaryArray.from_arrays(pa.array([0, 2**30], pa.int32()), ["a"], safe=False)
    return pack(pa.table({"n": levels}), ARROW)


def short_buffer():
    """A column that says more values than it has bytes for."""
    whole = pack(pa.table({"n": list(range(777, 2 * 777))}), ARROW)
    height, lie = (rows.to_bytes(8, "little") for rows in (777, 7777))
    return whole.replace(height, lie, 2)  # of the batch, and of its column


class Odd(pa.ExtensionType):
    """A type of somebody's own."""

    def __init__(self):
        super().__init__(pa.int64(), "odd")

    def __arrow_ext_serialize__(self):
        return b"\x80\x04cos\nsystem\n"  # as pickle would run it

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls()


def extension(kind):
    return pack(pa.table({"n": pa.ExtensionArray.from_storage(Odd(), pa.array([1]))}), kind)


def nested(depth, kind):
    values = pa.array([1])
    for _ in range(depth):
        values = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), values)
    return pack(pa.table({"n": values}), kind)


def bomb(kind):
    """Few bytes on the way, and gigabytes once they are read."""
    if kind == PARQUET:
        words = pa.array(["x" * 2**20]).take(pa.array([0] * 100))
        return pack(pa.table({"n": words}), kind, compression="zstd", use_dictionary=True)
    word = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), ["x" * 2**20])
    return pack(pa.table({"n": word}), kind)


def huge(kind):
    return pack(pa.table({f"{at}": [1] for at in range(10_001)}), kind)


HOSTILE = {
    "empty": (KINDS, lambda kind: b""),
    "not at all": (KINDS, lambda kind: b"hello" * 100),
    "of the other kind": (KINDS, lambda kind: GOOD[next(k for k in KINDS if k != kind)]),
    "offsets that lie": ((ARROW,), lambda kind: lying_offsets()),
    "levels that are not there": ((ARROW,), lambda kind: lying_dictionary()),
    "a short buffer": ((ARROW,), lambda kind: short_buffer()),
    "an extension": (KINDS, extension),
    "deep nesting": (KINDS, lambda kind: nested(60, kind)),
    "a bomb": (KINDS, bomb),
    "a huge schema": (KINDS, lambda kind: huge(kind)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, (kinds, _) in HOSTILE.items() for kind in kinds]
)
def test_hostile_bytes_cost_one_request(name, kind, unpacker):
    body = HOSTILE[name][1](kind)
    found = status_of(unpacker, kind, body, ["n"])
    assert found in ((200, 422) if name == "an extension" else (400, 413, 422))
    assert status_of(unpacker, kind, GOOD[kind]) == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_cut_off_is_refused(kind, unpacker):
    size = len(GOOD[kind])
    # An Arrow stream may end without a last word, after a whole table
    cuts = range(1, size - (16 if kind == ARROW else 0), max(1, size // 12))
    assert {status_of(unpacker, kind, GOOD[kind][:cut]) for cut in cuts} <= {400, 422}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flips", [15, pytest.param(2000, marks=pytest.mark.long)])
def test_no_flipped_bit_ends_it(kind, flips, unpacker):
    family = psutil.Process(unpacker._process.pid)
    found = [status_of(unpacker, kind, flipped(GOOD[kind], seed)) for seed in range(flips)]
    assert set(found) <= {200, 400, 413, 422}
    assert family.is_running()
    assert status_of(unpacker, kind, GOOD[kind]) == 200


def test_a_process_that_died_is_started_again_and_ends_with_its_owner():
    made = Unpacker(10, 2**20)
    assert status_of(made, ARROW, GOOD[ARROW]) == 200
    first = made._process
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert status_of(made, ARROW, GOOD[ARROW]) == 200
    second = made._process
    assert second.pid != first.pid
    assert psutil.Process(second.pid).environ().keys() == {
        "ARROW_DEFAULT_MEMORY_POOL", "JE_ARROW_MALLOC_CONF", "OMP_NUM_THREADS",
    }  # fmt: skip
    made.close()
    assert second.returncode == 0


def test_no_child_is_left(unpacker):
    assert status_of(unpacker, ARROW, bomb(ARROW), ["n"]) in (400, 413)
    until = time.monotonic() + 30
    family = psutil.Process(unpacker._process.pid)
    while family.children() and time.monotonic() < until:
        time.sleep(0.05)
    assert family.children() == []
