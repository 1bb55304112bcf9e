"""Licences: each way of saying one is understood, and one that is unknown in a lock is red."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT
from papers.installed import MIT, install, package

from evergreen.papers.bill import find_installed, look_up, read_lock, unknown
from evergreen.papers.licences import Licence, find_licence

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
BSD = "Redistribution and use in source and binary forms ... IS PROVIDED BY"
SAID = {
    "an expression": (["License-Expression: MIT AND PSF-2.0"], "", "MIT AND PSF-2.0"),
    "an expression first": (["License-Expression: MIT", "License: BSD"], "", "MIT"),
    "a word": (["License: Apache License, Version 2.0"], "", "Apache-2.0"),
    "an identifier": (["License: BSD-2-Clause"], "", "BSD-2-Clause"),
    "identifiers": (["License: MPL-2.0 AND MIT"], "", "MPL-2.0 AND MIT"),
    "British": (["License: The MIT Licence"], "", "MIT"),
    "two words": (["License: GPLv2 | EPLv1"], "", "GPL-2.0-only OR EPL-1.0"),
    "a classifier": (["Classifier: License :: OSI Approved :: MIT License"], "", "MIT"),
    "two classifiers": (
        ["Classifier: License :: OSI Approved :: BSD License",
         "Classifier: License :: OSI Approved :: Apache Software License"],
        "", "BSD-3-Clause OR Apache-2.0",
    ),
    "a whole text": ([f"License: {MIT.replace(chr(10), chr(10) + '        ').strip()}"], "", "MIT"),
    "a file": ([], MIT, "MIT"),
    "a file of two clauses": ([], BSD, "BSD-2-Clause"),
    "a file of three": ([], f"{BSD} Neither the name of", "BSD-3-Clause"),
    "a word that nobody knows": (["License: Beerware"], "", ""),
    "the same with a file": (["License: see LICENSE"], MIT, "MIT"),
    "approved, of no name": (["Classifier: License :: OSI Approved"], "", ""),
    "an own text": ([], "You may look at it.", ""),
    "nothing": ([], "", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_what_a_package_says(case: str, tmp_path: Path) -> None:
    lines, text, spdx = SAID[case]
    assert find_licence(package(tmp_path, *lines, text=text)).spdx == spdx


@pytest.mark.parametrize(
    ("spdx", "asks"),
    [
        ("MIT", False), ("Apache-2.0", False), ("LGPL-3.0-only", True), ("MPL-2.0 AND MIT", True),
        ("EPL-2.0 OR GPL-2.0-or-later", True), ("AGPL-3.0-only", True), ("", False),
        ("BSD-3-Clause AND Zlib", False),
    ],
)  # fmt: skip
def test_copyleft(spdx: str, asks: bool) -> None:
    assert Licence(spdx, "word").is_copyleft == asks


@pytest.mark.slow
@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_that_is_pinned_and_installed_has_a_known_licence(lock: Path) -> None:
    parts = look_up(read_lock(lock), find_installed())
    assert parts
    assert unknown(parts) == []


def test_a_planted_unknown_licence_is_red(tmp_path: Path) -> None:
    install(tmp_path / "site", "good", "License: MIT")
    install(tmp_path / "site", "planted", "License: Beerware")
    lock = tmp_path / "run.txt"
    lock.write_text("good==1.0\nplanted==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    assert unknown(look_up(read_lock(lock), find_installed([tmp_path / "site"]))) == ["planted 1.0"]
