"""The section `source`: a wrong value is named with its place; a batch's name is a text."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import refusal

from evergreen.errors import InputError
from evergreen.params import Params, parse, read_yaml


def read(text: str) -> Params:
    return parse(read_yaml(text, Path("params.yaml")), "params.yaml")


WRONG = [
    ("source: {kind: ftp}", ("source.kind", "'files', 'sql' or 'python'", "'ftp'")),
    ("source: {kind: files, path: null}", ("source", "'files' needs 'path'", "inbox/*.csv")),
    ("source: {kind: files, path: ''}", ("source", "'files' needs 'path'")),
    ("source: {kind: python, module: null}", ("source", "'python' needs 'module'", "read(name)")),
    ("source: {kind: sql, url: x}", ("source", "'sql' needs 'url' and 'query'")),
    ("source: {kind: sql, query: x}", ("source", "'sql' needs 'url' and 'query'")),
    ("source: {period: hour}", ("source.period", "'day', 'week', 'month' or 'year'", "'hour'")),
    ("source: {separator: ';;'}", ("source.separator", "at most 1 character", "';;'")),
    ("source: {separator: ''}", ("source.separator", "at least 1 character")),
    ("source: {decimal: ';'}", ("source.decimal", "';'")),
    ("source: {thousands: '.'}", ("source", "'decimal' and 'thousands' are both '.'")),
    (
        "source: {nulls: NA}",
        ("source.nulls", "write a list of texts, such as ['\\N', '.']", "'NA'"),
    ),
    ("source: {nulls: [null]}", ("source.nulls", "put each text in quotes")),
    ("source: {nulls: [true]}", ("source.nulls", "put each text in quotes")),
    ("source: {nulls: ['']}", ("source.nulls", "at least 1 character")),
    ("source: {dates: [DD.MM.YYYY]}", ("source", "'dates' holds 'DD.MM.YYYY'", "such as %d.%m.%Y")),
]


@pytest.mark.parametrize(("text", "parts"), WRONG, ids=[text for text, _ in WRONG])
def test_wrong_value_is_named_with_its_place(text: str, parts: tuple[str, ...]) -> None:
    refusal(lambda: read(text), "1 wrong value(s)", *parts)


RIGHT = [
    ('source: {separator: "\\t"}', "source", "separator", "\t"),
    ("source: {kind: files, path: inbox}", "source", "path", "inbox"),
    ("source: {nulls: [\\N, ., -999, 'null']}", "source", "nulls", ("\\N", ".", "-999", "null")),
    ("source: {kind: sql, url: 'sqlite://', query: SELECT 1}", "source", "query", "SELECT 1"),
]


@pytest.mark.parametrize(
    ("text", "section", "key", "value"), RIGHT, ids=[case[0] for case in RIGHT]
)
def test_right_value_at_the_edge_is_taken(text: str, section: str, key: str, value: object) -> None:
    assert getattr(getattr(read(text), section), key) == value


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("2013-06", "2013-06"),
        ("'2013'", "2013"),
        ("2013", "2013"),
        ("2013-06-01", "2013-06-01"),
        ("2013-W05", "2013-W05"),
        ("week-7", "week-7"),
        ("null", None),
        ("", None),
    ],
)
def test_until_is_a_name_however_yaml_reads_it(written: str, means: str | None) -> None:
    assert read(f"source:\n  until: {written}\n").source.until == means


@pytest.mark.parametrize("written", ["010", "2013_06", "0x10", "12:30", "1.10", "yes"])
def test_until_that_yaml_reads_as_something_else_is_never_taken_for_it(written: str) -> None:
    """The file 010.csv is batch '010'; YAML reads 010 as the number 8."""
    try:
        found = read(f"source: {{until: {written}}}").source.until
    except InputError as error:
        found = str(error)
    assert found == written or "source.until" in str(found)
