"""Croissant: the data set as MLCommons' format has it (1.1), with its Responsible AI fields (1.0).

What a machine knows is filled in: files and their hashes, columns and their statistics, what was
put aside and left out, what is missing and skewed. What only people know comes from
`datasheet.yaml`, and what is unanswered there is listed. The same data gives the same bytes.

`mlcroissant validate --jsonld reports/croissant.json`, the reference validator, passes it offline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.files import write_json
from evergreen.finding import Finding, count
from evergreen.ingest.manifest import Manifest
from evergreen.papers.columns import ColumnStatistics, summarize_columns
from evergreen.papers.datasheet import Datasheet
from evergreen.papers.responsible import describe_responsibly
from evergreen.params import Params
from evergreen.project import Project
from evergreen.redact import redact_all

CONFORMS = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
PARQUET = "application/x-parquet"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
MOST_RECORDS = 100  # batches whose columns are listed, the newest: those of all are the same
PLAIN = re.compile(r"[A-Za-z0-9._-]+")  # names that can stand in an `@id`
DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


def write_croissant(
    project: Project,
    params: Params,
    datasheet: Datasheet,
    version: str = "",
    findings: Sequence[Finding] = (),
) -> Path:
    """Write `reports/croissant.json` for the validated batches, and return its path.

    `version`: of the data, DVC's hash. `findings`: of the report on bias. Raises InputError where
    no batch is validated, or a file is not as it was recorded.
    """
    path = project.reports / "croissant.json"
    content = describe(project, params, datasheet, version, findings)
    write_json(path, redact_all(content))
    return path


def describe(
    project: Project,
    params: Params,
    datasheet: Datasheet,
    version: str = "",
    findings: Sequence[Finding] = (),
) -> dict[str, Any]:
    """Return the description as JSON can hold it."""
    done, dataset = Manifest(project.validated), project.dataset
    batches = list(done.in_order())
    if not batches:
        raise InputError("no batch is validated yet: `evergreen ingest` and `validate` first")
    for batch in batches:
        done.check(batch)
    files = [done.file(batch) for batch in batches]
    statistics = summarize_columns(files, dataset.columns)
    about = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS),
        "name": datasheet.get("title") or params.tracking.model,
        "description": _description(datasheet, statistics, len(batches)),
        "version": f"1.0.0+{version.removesuffix('.dir')[:12]}" if version else "1.0.0",
        "distribution": list(_files(done, batches)),
        "recordSet": list(_records(dataset, batches, statistics)),
        "variableMeasured": [_measured(column) for column in statistics],
    }
    said = describe_responsibly(project, params, datasheet, statistics, findings)
    return about | _said_of_it(datasheet) | {f"rai:{name}": text for name, text in said.items()}


def _description(datasheet: Datasheet, columns: Sequence[ColumnStatistics], batches: int) -> str:
    size = (
        f"{count(columns[0].rows, 'row')} of {count(len(columns), 'column')} in "
        f"{count(batches, 'batch', 'batches')}, as they were validated."
    )
    listed = f"The newest {MOST_RECORDS} are listed as record sets; all have the same columns."
    parts = (datasheet.get("description"), size, listed if batches > MOST_RECORDS else "")
    return "\n".join(part for part in parts if part)


def _said_of_it(datasheet: Datasheet) -> dict[str, Any]:
    """Return what people have answered that schema.org has a property for."""
    licence, url, published = map(datasheet.get, ("licence", "url", "published"))
    known = {
        "license": _licence(licence),
        "citeAs": datasheet.get("cite_as"),
        "url": url if re.match(r"https?://\S+$", url) else "",
        "datePublished": published if DATE.fullmatch(published) else "",
        "creator": _organization(datasheet.get("made_by")),
        "funder": _organization(datasheet.get("paid_by")),
    }
    return {name: said for name, said in known.items() if said}


def _licence(said: str) -> str:
    return f"https://spdx.org/licenses/{said}.html" if SPDX.fullmatch(said) else said


def _organization(name: str) -> dict[str, str]:
    return {"@type": "sc:Organization", "name": name} if name else {}


def _files(done: Manifest, batches: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a file of each batch, with its hash."""
    ids = make_ids(batches)
    for batch in batches:
        path = done.file(batch)
        yield {
            "@type": "cr:FileObject",
            "@id": f"{ids[batch]}.parquet",
            "name": path.name,
            "contentUrl": f"../data/validated/{path.name}",
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": PARQUET,
            "sha256": done.version(batch),
        }


def _records(
    dataset: Dataset, batches: Sequence[str], columns: Sequence[ColumnStatistics]
) -> Iterator[dict[str, Any]]:
    """Yield the newest batches as records: the reference loader reads files, not sets of them."""
    ids, own = make_ids(batches), make_ids([column.name for column in columns])
    keys = [own[name] for name in dataset.key]
    for batch in batches[-MOST_RECORDS:]:
        yield {
            "@type": "cr:RecordSet",
            "@id": ids[batch],
            "name": batch,
            "field": [
                {"@id": f"{ids[batch]}/{own[column.name]}", **_field(dataset, column)}
                | {
                    "source": {
                        "fileObject": {"@id": f"{ids[batch]}.parquet"},
                        "extract": {"column": column.name},
                    }
                }
                for column in columns
            ],
            **({"key": [{"@id": f"{ids[batch]}/{key}"} for key in keys]} if keys else {}),
        }


def make_ids(names: Sequence[str]) -> dict[str, str]:
    """Return name -> what stands for it in an `@id`: without blanks and signs, none there twice."""
    ids: dict[str, str] = {name: name for name in names if PLAIN.fullmatch(name)}
    for place, name in enumerate(names):
        if name not in ids:
            found = f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)}-{place}"
            while found in ids.values():
                found += "-"
            ids[name] = found
    return ids


def _field(dataset: Dataset, column: ColumnStatistics) -> dict[str, Any]:
    """Return what a column is, in whatever batch."""
    roles = {
        "names a row": column.name in dataset.key,
        "says when": column.name == dataset.time,
        "known only later": column.name in dataset.known_later,
    }
    told = ", ".join(role for role, has in roles.items() if has)
    return {
        "@type": "cr:Field",
        "name": column.name,
        **({"description": told} if told else {}),
        "dataType": _type_of(column.dtype),
    }


def _type_of(dtype: pl.DataType) -> str:
    if dtype.is_integer():
        return "sc:Integer"
    if dtype.is_numeric():
        return "sc:Float"
    known = {pl.Boolean: "sc:Boolean", pl.Date: "sc:Date", pl.Datetime: "sc:DateTime"}
    return known.get(dtype.base_type(), "sc:Text")


def _measured(column: ColumnStatistics) -> dict[str, Any]:
    """Return a column's statistics as values by name."""
    facts = {"rows": column.rows, "missing": column.missing, **column.facts}
    edges = {"least": "minValue", "largest": "maxValue"}
    return {
        "@type": "sc:PropertyValue",
        "name": column.name,
        "description": column.tell(),
        **{edges[name]: facts[name] for name in edges if name in facts},
        "valueReference": [
            {"@type": "sc:PropertyValue", "name": name, "value": value}
            for name, value in facts.items()
            if name not in edges
        ],
    }
