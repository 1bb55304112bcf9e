"""Ingest: take new batches from the source into `data/raw/`, each of them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.files import read_entries, write_entries, write_whole
from evergreen.finding import count, span
from evergreen.ingest.manifest import Manifest, when
from evergreen.ingest.moments import moments
from evergreen.ingest.naming import natural
from evergreen.ingest.personal_key import find_key, note
from evergreen.ingest.sources import Offer, Source, open_source
from evergreen.ingest.values import typed
from evergreen.params import Params
from evergreen.project import Project

# In data/raw: batches without rows, with their origins, so that nobody asks for them again
EMPTY = "empty.json"


@dataclass(frozen=True)
class Ingested:
    """What an ingest did: the batches it took, and all that `data/raw/` now holds, by event time.

    `passed_over`: the files of the source that are no batch, each with why.
    """

    new: tuple[str, ...]
    batches: tuple[str, ...]
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """What an ingest would find in the source."""

    offers: tuple[Offer, ...]  # batches new to `data/raw/`, or changed in the source
    passed_over: tuple[str, ...]  # files that are no batch, each with why


def ingest(
    project: Project,
    dataset: Dataset,
    params: Params,
    names: Sequence[str] = (),
    *,
    following: bool = False,
    replace: bool = False,
    check: bool = False,
) -> Ingested:
    """Take batches from the source of `params` into `data/raw/`.

    Without `names`: all up to `source.until`; with `following`: the one after the newest there is.
    A batch that is there already is left alone where its content is the same. With `check`, what is
    there must first be as ingested.

    Raises InputError for a batch that the source does not have or cannot deliver whole, and for one
    that is there with other content (unless `replace`).
    """
    if check:
        check_unchanged(project, names if replace else ())
    key = find_key(project, dataset, make=True)
    source = open_source(params.source, dataset, key)
    offers = source.offers()
    raw, before = Manifest(project.raw), read_entries(project.raw / EMPTY)
    empty = dict(before)
    new = []
    for offer in _wanted(offers, params, raw, names, following):
        known = raw.entries.get(offer.name)
        if (
            known
            and known["origin"] == offer.origin
            and not names
            and raw.file(offer.name).exists()
        ):
            continue
        if offer.may_be_empty and empty.get(offer.name) == offer.origin and not names:
            continue
        if _take(source, dataset, offer, raw, replace, note(dataset, key)):
            new.append(offer.name)
            if following:
                break
        elif offer.may_be_empty and offer.name not in raw.entries:
            empty[offer.name] = offer.origin
    if empty != before:
        write_entries(project.raw / EMPTY, empty)
    if not raw.entries:
        until = f" up to source.until ({params.source.until!r})" if params.source.until else ""
        raise InputError(f"the source holds no batch{until}: check source in params.yaml")
    return Ingested(tuple(new), tuple(raw.in_order()), source.passed_over)


def find_waiting(project: Project, dataset: Dataset, params: Params) -> Waiting:
    """Return what `ingest` would find: batches that are new or changed, and files passed over."""
    raw = Manifest(project.raw)
    source = open_source(params.source, dataset, find_key(project, dataset))
    offers = _wanted(source.offers(), params, raw, (), following=False)
    known = read_entries(project.raw / EMPTY) | {
        name: entry["origin"] for name, entry in raw.entries.items()
    }
    return Waiting(
        tuple(offer for offer in offers if known.get(offer.name) != offer.origin),
        source.passed_over,
    )


def check_unchanged(project: Project, besides: Sequence[str] = ()) -> None:
    """Raise InputError where a file of `data/raw/` is not what was ingested.

    Files of the batches in `besides` are not checked.
    """
    for batch, path in Manifest(project.raw).altered_by_batch(besides):
        how = "was changed after it was ingested" if path.exists() else "is missing"
        raise InputError(
            f"{path} {how} (batch {batch!r}): restore it with `dvc checkout --force data/raw` (or "
            f"`dvc pull`), or ingest the batch again with `evergreen ingest {batch} --replace`"
        )


def drop(project: Project, names: Sequence[str]) -> None:
    """Take batches out of `data/raw/`; DVC's cache keeps their bytes.

    Raises InputError for a name that is not there.
    """
    raw = Manifest(project.raw)
    if unknown := [name for name in names if name not in raw.entries]:
        raise InputError(f"data/raw holds no batch {unknown[0]!r}; `evergreen status` lists them")
    raw.drop(names)


def _wanted(
    offers: list[Offer], params: Params, raw: Manifest, names: Sequence[str], following: bool
) -> list[Offer]:
    by_name = {offer.name: offer for offer in offers}
    if unknown := [name for name in names if name not in by_name]:
        have = (
            f"{count(len(offers), 'batch', 'batches')}, {span([offer.name for offer in offers])}"
            if offers
            else "none"
        )
        raise InputError(f"the source has no batch {unknown[0]!r}; it holds {have}")
    if names:
        return [by_name[name] for name in names]
    if following:
        newest = max(raw.entries, key=natural, default="")
        fresh = [offer for offer in offers if natural(offer.name) > natural(newest)]
        if not fresh:
            raise InputError(f"the source has no batch after {newest!r}: nothing to ingest")
        return fresh
    until = params.source.until
    return [offer for offer in offers if until is None or natural(offer.name) <= natural(until)]


def _take(
    source: Source,
    dataset: Dataset,
    offer: Offer,
    raw: Manifest,
    replace: bool,
    noted: Mapping[str, object],
) -> bool:
    frame = typed(source.read(offer.name), dataset.columns)
    if frame.is_empty() and offer.may_be_empty:
        return False
    if frame.is_empty():
        raise InputError(
            f"batch {offer.name!r} has no rows: deliver it again, or remove it from the source"
        )
    path = raw.file(offer.name)
    known = raw.entries.get(offer.name)
    if known and path.exists() and not replace:
        if not _same(path, frame, dataset):
            raise InputError(
                f"batch {offer.name!r} was ingested before with other content ({known['rows']:,} "
                f"rows then, {frame.height:,} now), and batches must not change: deliver it under "
                f"a new name, or replace the old one with `evergreen ingest {offer.name} --replace`"
            )
        if known["origin"] != offer.origin:
            raw.update(offer.name, origin=offer.origin)
        return False
    write_whole(path, lambda part: frame.write_parquet(part))
    arrived = (
        datetime.fromisoformat(known["start"])
        if known and not dataset.has_time_column
        else _arrival(raw, dataset)
    )
    raw.record(
        offer.name,
        path,
        origin=offer.origin,
        rows=frame.height,
        **when(moments(dataset, frame, arrived)),
        **noted,
    )
    return True


def _same(path: Path, frame: pl.DataFrame, dataset: Dataset) -> bool:
    before = pl.read_parquet(path)
    if before.schema != frame.schema:  # columns may be declared otherwise since
        before = typed(before, dataset.columns)
        frame = typed(frame, before.schema)  # a column that is declared no more is read as text
    return before.schema == frame.schema and before.equals(frame)


def _arrival(raw: Manifest, dataset: Dataset) -> datetime:
    """Return the time of a batch whose rows have none: now (UTC), and after every other batch."""
    now = datetime.now(UTC).replace(tzinfo=None)
    if dataset.has_time_column:
        return now
    ends = [
        datetime.fromisoformat(entry["end"]) + timedelta(microseconds=1)
        for entry in raw.entries.values()
    ]
    return max([now, *ends])
