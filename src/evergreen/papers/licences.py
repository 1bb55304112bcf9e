"""Licences: of installed packages, by what each says of itself, as identifiers of SPDX.

Packages say it in four ways: an expression (PEP 639), a word or a text in `License`, a classifier,
or a file only. The first that is understood counts; one that none is of is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

UNKNOWN = ""
# What people write -> SPDX; compared in lower case without "license", "the", signs and blanks
WORDS = {
    "0bsd": "0BSD",
    "apache": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apachesoftware": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "bsd": "BSD-3-Clause",
    "bsd2clause": "BSD-2-Clause",
    "bsd3clause": "BSD-3-Clause",
    "3clausebsd": "BSD-3-Clause",
    "newbsd": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "epl20orgpl20orlater": "EPL-2.0 OR GPL-2.0-or-later",
    "gplv2eplv1": "GPL-2.0-only OR EPL-1.0",
    "gplv2withlinkingexception": "GPL-2.0-only WITH GCC-exception-2.0",
    "isc": "ISC",
    "iscl": "ISC",
    "mit": "MIT",
    "mpl20": "MPL-2.0",
    "psf20": "PSF-2.0",
    "pythonsoftwarefoundation": "PSF-2.0",
    "unlicense": "Unlicense",
    "zpl21": "ZPL-2.1",
}
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Words of a text -> SPDX; more of them first
TEXTS = (
    ("Apache License", "Version 2.0", "Apache-2.0"),
    ("Permission is hereby granted, free of charge", "THE SOFTWARE IS PROVIDED", "MIT"),
    ("Redistribution and use in source and binary forms", "Neither the name", "BSD-3-Clause"),
    ("Redistribution and use in source and binary forms", "names of its", "BSD-3-Clause"),
    ("Redistribution and use in source and binary forms", "IS PROVIDED BY", "BSD-2-Clause"),
    ("Permission to use, copy, modify, and/or distribute this software", "ISC", "ISC"),
)
EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+()-]+)*")
NAMED = ("licen", "copying")  # what the name of a file with a licence holds
# Copyleft: what is changed of it, or links it, may have to be passed on under the same terms
COPYLEFT = re.compile(r"\b(A?L?GPL|MPL|EPL|CDDL|EUPL|OSL)-?")


@dataclass(frozen=True)
class Licence:
    """What a package is licensed under. `spdx`: empty where it is unknown. `said`: by which way."""

    spdx: str
    said: str

    @property
    def is_copyleft(self) -> bool:
        """Whether it asks something of who passes on what is made of it."""
        return bool(COPYLEFT.search(self.spdx))


def find_licence(package: Distribution) -> Licence:
    """Return what a package is licensed under."""
    for said, found in _ways(package):
        if found:
            return Licence(found, said)
    return Licence(UNKNOWN, "not said")


def _ways(package: Distribution) -> Iterator[tuple[str, str]]:
    about = package.metadata
    yield "expression", (about.get_all("License-Expression") or [""])[0]
    word = (about.get_all("License") or [""])[0].strip()
    yield "word", _by_word(word)
    names = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or []
             if line.startswith("License ::")]  # fmt: skip
    known = dict.fromkeys(CLASSIFIERS[name] for name in names if name in CLASSIFIERS)
    yield "classifier", " OR ".join(known)
    yield "text", _by_text(word)
    for path in package.files or ():
        if any(part in path.name.lower() for part in NAMED) and path.suffix not in (".py", ".pyc"):
            yield "file", _by_text(_read(package, str(path)))


def _by_word(said: str) -> str:
    """Return the identifier that a word or two stand for; unknown where they are not known."""
    if len(said) > 80 or "\n" in said:
        return UNKNOWN
    plain = re.sub(r"licen[sc]e|\bthe\b|version|\(.*?\)|[^a-z0-9]", "", said.lower())
    plain = re.sub(r"^apache20$", "apache2", plain)
    return WORDS.get(plain, said if _is_expression(said) else UNKNOWN)


def _is_expression(said: str) -> bool:
    """Return whether `said` is made of identifiers that are known here."""
    parts = re.split(r" (?:AND|OR|WITH) ", said)
    known = {*WORDS.values(), *CLASSIFIERS.values()}
    return bool(EXPRESSION.fullmatch(said)) and all(part in known for part in parts)


def _by_text(text: str) -> str:
    plain = " ".join(text.split())
    return next((spdx for *words, spdx in TEXTS if all(word in plain for word in words)), UNKNOWN)


def _read(package: Distribution, path: str) -> str:
    try:
        return Path(str(package.locate_file(path))).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
