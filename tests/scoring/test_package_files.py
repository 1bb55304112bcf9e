"""The files of a package: as they were written, or refused."""

from __future__ import annotations

import json
import pickletools
import re
from dataclasses import replace

import numpy as np
import pytest
from scoring.packages import KEYS, names, rows_of

from evergreen.errors import InputError
from evergreen.scoring.package import Learnt, Model, read_package, write_package


def test_the_files_of_a_package(packaged):
    folder, _, boosters = packaged()
    facts, seeds = (
        ["checksums.json", "encoder.json", "learnt.json", "learnt.npy", "made.json"],
        ["0", "11", "2"],
    )
    assert names(folder) == [*facts, *(f"seed-{seed}.ubj" for seed in seeds)]
    assert (folder / "seed-11.ubj").read_bytes() == boosters[11]


def test_nothing_in_a_package_is_a_pickle(packaged):
    folder, _, _ = packaged()
    for path in folder.iterdir():
        assert path.suffix in (".json", ".npy", ".ubj")
        with pytest.raises(ValueError, match=r"opcode|exhausted|expected|parse"):
            list(pickletools.genops(path.read_bytes()))
    # Else the pickle is inside
    assert np.load(folder / "learnt.npy", allow_pickle=False).dtype == np.uint64


@pytest.mark.parametrize(
    "name",
    [
        "encoder.json",
        "learnt.json",
        "learnt.npy",
        "made.json",
        "seed-0.ubj",
        "seed-11.ubj",
        "seed-2.ubj",
    ],
)
def test_an_altered_byte_is_found(name, packaged):
    folder, _, _ = packaged()
    path = folder / name
    content = path.read_bytes()
    places = {0, len(content) - 1, *np.random.default_rng(1).integers(0, len(content), 30).tolist()}
    for at in sorted(places):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(InputError, match=name):
            read_package(folder)
    path.write_bytes(content)
    read_package(folder)


@pytest.mark.slow
def test_an_altered_byte_of_the_checksums_is_found(packaged):
    folder, _, _ = packaged(seeds=(0,))
    path = folder / "checksums.json"
    content = path.read_bytes()
    for at, was in enumerate(content):
        flip = (0x01, 0x20, 0x80)[at % 3]
        path.write_bytes(content[:at] + bytes([was ^ flip]) + content[at + 1 :])
        with pytest.raises(InputError, match=re.escape(str(folder))):
            read_package(folder)


@pytest.mark.parametrize(
    "name",
    ["encoder.json", "learnt.json", "learnt.npy", "made.json", "seed-0.ubj", "checksums.json"],
)
@pytest.mark.parametrize("how", ["gone", "empty", "cut"])
def test_a_lost_file_is_found(name, how, packaged):
    folder, _, _ = packaged()
    path = folder / name
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"" if how == "empty" else path.read_bytes()[:-40])
    with pytest.raises(InputError, match=name):
        read_package(folder)


def test_a_file_that_was_added_is_no_part_of_the_model(packaged, trained):
    folder, _, _ = packaged(seeds=(0,))
    before = read_package(folder).predict_rows(rows_of()).tobytes()
    (folder / "seed-9.ubj").write_bytes(trained("binary", 9).booster)
    model = read_package(folder)
    assert model.seeds == (0,)
    assert model.predict_rows(rows_of()).tobytes() == before


def test_a_package_written_over_another_holds_the_new_model_only(packaged, make_tables, trained):
    folder, encoder, _ = packaged(seeds=(0, 2))
    other = replace(encoder, fitted_on=("2013-03",))
    write_package(
        folder,
        Model(other, {5: trained("binary", 5).booster}, Learnt(KEYS[:1], "2013-03-31T00:00:00")),
    )
    model = read_package(folder)
    assert (model.seeds, model.encoder) == ((5,), other)
    assert (model.learnt.keys.tolist(), model.learnt.newest) == ([2**64 - 1], "2013-03-31T00:00:00")


def test_checksums_are_those_of_the_files(packaged):
    import hashlib

    folder, _, _ = packaged()
    sums = json.loads((folder / "checksums.json").read_text())
    assert sorted(sums) == [name for name in names(folder) if name != "checksums.json"]
    for name, was in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == was
