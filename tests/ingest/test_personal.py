"""Personal: hashed or dropped before anything is kept; equal values stay equal, and nobody's."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import refusal, settings_of
from planted import DATASET, EXPECTATIONS, PERSONAL, find, people, spoilt, values_of

from evergreen import params as parameters
from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.features.prepare import prepare
from evergreen.ingest.batches import ingest
from evergreen.ingest.personal import DONE, Key, hash_column, protect, without_values
from evergreen.ingest.personal_key import find_key
from evergreen.params import Serve, Validate
from evergreen.quality.bias import find_bias
from evergreen.quality.bias_findings import Evidence
from evergreen.quality.held_batches import find_held
from evergreen.report.bias_page import write_bias_page
from evergreen.report.validation_page import write_validation_page
from evergreen.scoring.unlabelled import check_given, read_given
from evergreen.serving.answers import Desk
from evergreen.serving.body import JSON, BodyError
from evergreen.validation.contract import Contract
from evergreen.validation.validate import read_reports, validate

KEY = Key("k" * 32)
MADE = Dataset(
    columns={"email": pl.String(), "id": pl.Int64(), "born": pl.Date(), "size": pl.Float64()},
    key=("id",),
    label=pl.col("size") > 1,
    features={"size": pl.col("size")},
    personal={"email": "hash", "id": "hash", "born": "drop"},
)
WHOLE = pl.Int64()


def hashes(values: list[Any], dtype: pl.DataType, kind: Any = None, key: Key = KEY) -> list[Any]:
    return hash_column(pl.Series("it", values, kind), dtype, key).to_list()


def test_rows_are_kept_without_what_is_personal() -> None:
    rows = pl.DataFrame(
        {"email": ["a@x.org", None], "id": [1, 2], "born": ["", ""], "size": [1, 2], "note": "n"}
    )
    kept = protect(rows, MADE, KEY)
    assert kept.schema == {"email": pl.String, "id": pl.String, "size": pl.Int64}
    assert kept["email"].to_list() == [KEY.hash("a@x.org"), None]
    assert kept["size"].to_list() == [1, 2]
    assert protect(kept, MADE, KEY).equals(kept)  # what was kept can be delivered again
    assert MADE.columns == {"email": pl.String, "id": pl.String, "size": pl.Float64}


@pytest.mark.parametrize(
    ("dtype", "alike"),
    [
        (WHOLE, ([42], [42.0], ["42"], ["42.0"], [" 42"], [Decimal(42)])),
        (pl.Float64(), ([1.5], ["1.5"], ["1.50"], [Decimal("1.5")])),
        (pl.Date(), ([date(2024, 3, 1)], ["2024-03-01"], ["2024-3-1"])),
        (pl.String(), (["a@x.org"], [b"a@x.org"])),
        (WHOLE, (["no number"], [b"no number"])),
    ],
)
def test_a_value_is_the_same_however_it_is_delivered(
    dtype: pl.DataType, alike: tuple[list[Any], ...]
) -> None:
    found = [hashes(values, dtype) for values in alike]
    assert {value for (value,) in found} == {found[0][0]}
    assert DONE.fullmatch(found[0][0])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, None], None),
        ([None], pl.Int64),
        ([float("nan")], pl.Float64),
        ([None], pl.List(int)),
    ],
)
def test_no_value_stays_none(values: list[Any], kind: Any) -> None:
    for dtype in (WHOLE, pl.Float64(), pl.String()):
        if dtype != pl.String() or kind != pl.Float64:
            assert hashes(values, dtype, kind) == [None] * len(values)


def test_values_and_keys_are_told_apart() -> None:
    values = [f"{at}@x.org" for at in range(3000)]
    assert len({*hashes(values, pl.String())}) == 3000
    assert hashes(values * 3, pl.String()) == hashes(values, pl.String()) * 3
    few = [str(at % 7) for at in range(3000)] + [None]
    assert hashes(few, pl.String()) == [None if v is None else KEY.hash(v) for v in few]
    other = Key("K" * 32)
    assert not {*hashes(values, pl.String())} & {*hashes(values, pl.String(), key=other)}
    assert (KEY.check, KEY.mark("o")) != (other.check, other.mark("o"))
    assert KEY.check == Key("k" * 32).check


def test_what_no_column_can_hold_is_hashed_as_text() -> None:
    assert all(
        DONE.fullmatch(value) for value in hashes([[1, 2]], WHOLE) + hashes([b"\xff"], WHOLE)
    )
    assert hashes(["x"], pl.String(), pl.Categorical) == [KEY.hash("x")]


def test_without_a_key_or_a_known_column_nothing_is_kept() -> None:
    rows = pl.DataFrame({"email": ["a@x.org"]})
    refusal(lambda: protect(rows, MADE, None), "no key", "EVERGREEN_PERSONAL_KEY")
    headless = pl.DataFrame({"a@x.org": ["b@x.org"], "1": ["2"]})
    said = refusal(lambda: protect(headless, MADE, KEY, "may.csv"), "may.csv", "2 columns")
    assert "@" not in said


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ('invalid syntax for integer: "a@x.org"', "invalid syntax for integer: ***"),
        ("no such 'mail' for 'a@x.org'", "no such ***"),
        ('column "mail" does not exist', 'column "mail" does not exist'),
        ("no such column: mail", "no such column: mail"),
        ("(1292, \"Incorrect value: 'a@x' for `mail`\")", "(1292, ***"),
        ("Duplicate entry 'O'Brien' for key 'mail'", "Duplicate entry ***"),
    ],
)  # fmt: skip
def test_an_error_of_a_database_names_what_the_query_holds(said: str, shown: str) -> None:
    assert without_values(said, 'SELECT mail AS "e" FROM t') == shown


# --- what a run leaves


def declared(personal: str) -> tuple[Dataset, Any]:
    """The dataset of planted people, and its expectations."""
    text: dict[str, Any] = {}
    exec(DATASET.replace("@PERSONAL@", personal) + EXPECTATIONS, text)
    return text["dataset"], text["expectations"]


def go_through(root: Path, personal: str) -> tuple[list[str], str]:
    """Let planted people go through all that reads rows; return the values, and what was said."""
    project, inbox = settings_of(root / "project"), root / "inbox"
    inbox.mkdir()
    dataset, expectations = declared(personal)
    frames = [people(batch) for batch in range(3)]
    frames[1] = spoilt(frames[1])
    frames[0].write_parquet(inbox / "b0.parquet")
    frames[1].write_csv(inbox / "b1.csv")
    frames[2].write_csv(inbox / "b2.csv")
    chosen = parameters.parse(
        {"source": {"kind": "files", "path": str(inbox)}, "validate": {"max_bad_rows": 0.1},
         "split": {"cross_validate_below": None}},
        "params.yaml",
    )  # fmt: skip
    ingest(project, dataset, chosen)
    contract = Contract(dataset, expectations, Validate(max_bad_rows=0.1))
    validate(project, contract)
    prepare(project, dataset, chosen, find_held)
    write_validation_page(project, read_reports(project), "people")
    report = find_bias(Evidence.read(project, dataset), seed=0)
    write_bias_page(project, report, "people", chosen.bias)
    said = [refused(root, project, dataset, chosen), *served(project, contract)]
    given = read_given(project, dataset, chosen.source, str(inbox / "b2.csv"))
    said.append(str(check_given(given, contract).quarantined.to_dicts()))
    columns = ("email", "phone", "adviser", "name", "note")
    return values_of(frames, columns), "\n".join(said)


def refused(root: Path, project: Any, dataset: Dataset, chosen: Any) -> str:
    """What is said of files that are broken, each in another way."""
    lines = people(5).head(20).write_csv().splitlines()
    broken = {
        "long": [*lines[:5], f"{lines[5]},{lines[6]}", *lines[7:]],
        "short": [*lines[:5], lines[5].rpartition(",")[0], *lines[6:]],
        "headless": lines[1:],
        "twice": [lines[1].replace("gold", "x"), *lines],
        "quoted": [*lines[:5], '"' + lines[5], *lines[6:]],
        "latin": [*lines[:5], lines[5].replace("Name", "Näme")],
    }
    said = []
    for name, text in broken.items():
        path = root / f"{name}.csv"
        path.write_bytes("\n".join(text).encode("latin-1") + b"\n")
        with pytest.raises(InputError) as caught:
            read_given(project, dataset, chosen.source, str(path))
        said.append(str(caught.value))
        path.unlink()
    return "\n".join(said)


def served(project: Any, contract: Contract) -> list[str]:
    """What is answered to requests that are odd, and what is read of good ones."""
    dataset = contract.dataset
    desk = Desk(contract, Serve(max_rows=100, at_once=1), find_key(project, dataset))
    row = json.loads(people(6)[:1].write_ndjson())
    odd = [{"phone": [row["phone"]]}, {"phone": "planted-phone-none"}, {"email": None}]
    return [
        *(answered(desk, body) for body in (row, [row, row], *(row | change for change in odd))),
        *(answered(desk, body) for body in ({f"{row['email']} ": 1}, "planted")),
    ]


def answered(desk: Desk, body: Any) -> str:
    """What labels are read as, or why not."""
    try:
        return str(asyncio.run(desk.read_labels(JSON, json.dumps(body).encode())).to_dicts())
    except BodyError as error:
        return error.says


@pytest.mark.slow
@pytest.mark.parametrize("personal", [PERSONAL, "{}"], ids=["declared", "not declared"])
def test_no_value_of_a_personal_column_is_left_anywhere(
    personal: str, tmp_path: Path, great_expectations: None
) -> None:
    values, said = go_through(tmp_path, personal)
    places = {Path(line.split(": ")[0]).parent.name for line in find(tmp_path / "project", values)}
    heard = [value for value in values if value in said] + re.findall("planted-[56]-[0-9]+", said)
    if personal == "{}":  # so the search can fail
        assert places >= {"raw", "validated", "quarantine", "validation", "features", "reports"}
        assert len(heard) > 10
    else:
        assert (places, heard, "planted" in said.lower()) == (set(), [], False)


def test_a_join_by_hashes_finds_everybody(tmp_path: Path) -> None:
    dataset, _ = declared(PERSONAL)
    desk = Desk(Contract(dataset, lambda _: [], Validate()), Serve(at_once=1), KEY)
    desk_rows = people(0)
    body = json.dumps([json.loads(line) for line in desk_rows.write_ndjson().splitlines()])
    asked = desk._read(dataset.key, JSON, body.encode()).typed
    filed = protect(desk_rows.with_columns(pl.col("phone").cast(pl.Float64)), dataset, KEY)
    assert asked.select(dataset.key).equals(filed.select(dataset.key))
