"""Manifest: what a data folder holds, batch by batch, so that only new batches cost work."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from evergreen import formats
from evergreen.errors import InputError
from evergreen.files import sha256_of, sha256_of_file, sweep_left, write_entries
from evergreen.ingest.naming import Place, natural

Entry = dict[str, Any]


class Manifest:
    """`manifest.json` of a data folder: which batches are complete, and what each was made from.

    A file without an entry is a leftover of a killed run and is written anew.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "manifest.json"
        self.entries: dict[str, Entry] = {}
        if self.path.exists():
            try:
                self.entries = json.loads(self.path.read_text(encoding="utf-8"))
            except ValueError:
                raise InputError(
                    f"{self.path} is damaged: restore the folder with `{self._checkout()}`"
                ) from None
            for entry in self.entries.values():
                formats.check(entry.get(formats.NUMBER, 1), self.path)

    def in_order(self) -> dict[str, Entry]:
        """Return the entries by event time, oldest first.

        By the middle row of each, so that a few rows far from the others do not move a batch.
        """

        def place(batch: str) -> tuple[str, Place]:
            return self.entries[batch]["middle"], natural(batch)

        return {batch: self.entries[batch] for batch in sorted(self.entries, key=place)}

    def file(self, batch: str, suffix: str = ".parquet") -> Path:
        """Return where `batch` lies in this folder."""
        return self.folder / f"{batch}{suffix}"

    def record(self, batch: str, *files: Path, **facts: object) -> None:
        """Note that `batch` is complete in `files`, and write the manifest."""
        sums = {
            path.relative_to(self.folder.parent).as_posix(): sha256_of_file(path) for path in files
        }
        self._put(batch, {"files": sums, **facts})

    def update(self, batch: str, **facts: object) -> None:
        """Note other facts about `batch`, whose files stay as they are, and write the manifest."""
        entry = {key: value for key, value in self.entries[batch].items() if key != "sum"}
        self._put(batch, entry | facts)

    def _put(self, batch: str, entry: Entry) -> None:
        entry = formats.stamp(entry)
        self.entries[batch] = entry | {"sum": sha256_of(entry)}
        self.write()

    def drop(self, batches: Iterable[str]) -> None:
        """Forget `batches` and remove their files."""
        gone = [self.entries.pop(batch) for batch in batches]
        if gone:
            self.write()
        for name in (name for entry in gone for name in entry["files"]):
            (self.folder.parent / name).unlink(missing_ok=True)

    def version(self, batch: str, suffix: str = ".parquet") -> str:
        """Return the checksum of the batch's own file."""
        return str(self.entries[batch]["files"][f"{self.folder.name}/{batch}{suffix}"])

    def altered(self, besides: Collection[str] = ()) -> list[Path]:
        """Return the files that are missing or altered; those of batches in `besides` excepted."""
        return [path for _, path in self.altered_by_batch(besides)]

    def altered_by_batch(self, besides: Collection[str] = ()) -> Iterator[tuple[str, Path]]:
        """Yield each such file, and the batch it is of."""
        for batch in (batch for batch in self.entries if batch not in besides):
            yield from ((batch, path) for path in self._altered(batch))

    def forget_altered(self) -> None:
        """Drop the batches with such files, so that they are made anew."""
        self.entries = {
            batch: entry for batch, entry in self.entries.items() if not self._altered(batch)
        }

    def outdated(self, fingerprints: Mapping[str, str]) -> list[str]:
        """Return the batches that are not here, or were made from something else.

        `fingerprints`: batch -> the hash of what it would be made from now.
        """
        return [
            name
            for name, fingerprint in fingerprints.items()
            if self.entries.get(name, {}).get("stamp") != fingerprint
        ]

    def check(self, batch: str) -> None:
        """Raise InputError where the batch's own file is not as it was recorded."""
        path = self.file(batch)
        if not path.is_file() or sha256_of_file(path) != self.version(batch):
            raise InputError(
                f"{path} is missing or was changed: restore it with `{self._checkout()}`"
            )

    def write(self) -> None:
        """Put the entries on disk, whole or not at all."""
        sweep_left(self.folder)
        write_entries(self.path, self.entries)

    def _checkout(self) -> str:
        return f"dvc checkout --force {self.folder.parent.name}/{self.folder.name}"

    def _altered(self, batch: str) -> list[Path]:
        entry = dict(self.entries[batch])
        if entry.pop("sum", None) != sha256_of(entry):  # the entry itself was edited
            return [self.path]
        sums = {self.folder.parent / name: was for name, was in entry["files"].items()}
        return [
            path for path, was in sums.items() if not path.is_file() or sha256_of_file(path) != was
        ]


def when(times: pl.Series) -> dict[str, str]:
    """Return when the first, middle and last row of a batch were; empty where none has a time."""
    ranked = times.drop_nulls().sort()
    last = len(ranked) - 1
    places = {"start": 0, "middle": last // 2, "end": last}
    return {name: str(ranked[place]) if last >= 0 else "" for name, place in places.items()}
