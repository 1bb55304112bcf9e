"""Parameters: closed, typed, frozen; every wrong value is named with its place."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from evergreen.errors import InputError
from evergreen.params import Params, load, parse

ROOT = Path(__file__).resolve().parents[1]


def read(folder: Path, text: str | bytes) -> Params:
    path = folder / "params.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path)


def refusal(folder: Path, text: str | bytes, *parts: str) -> str:
    """What the InputError for a file says; it must hold all `parts`."""
    with pytest.raises(InputError) as caught:
        read(folder, text)
    said = str(caught.value)
    assert [part for part in ("params.yaml", *parts) if part not in said] == [], said
    return said


def test_file_of_the_project_is_valid() -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    params = load(ROOT / "params.yaml")
    assert (params.task, params.source.kind) == (content["task"], content["source"]["kind"])


def test_file_of_the_project_names_every_parameter() -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    text = (ROOT / "params.yaml").read_text()
    for name, field in Params.model_fields.items():
        section = field.alias or name
        assert section in content
        if isinstance(field.default, BaseModel):
            keys = set(type(field.default).model_fields)
            if content["source"]["kind"] != "python":
                keys -= {"module"}
            assert [key for key in keys if f" {key}:" not in text] == []


@pytest.mark.parametrize("text", ["{}", "task: binary", "# all as shipped\n{}\n"])
def test_what_is_not_written_has_its_default(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == Params()


@pytest.mark.parametrize("text", ["", "\n# nothing set\n", "---\n", "\ufeff", "null"])
def test_empty_file_is_no_wish_for_defaults(tmp_path: Path, text: str) -> None:
    refusal(tmp_path, text, "is empty", "git checkout params.yaml", "write {} into it")


LAUGHS = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij")
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (LAUGHS, ("line 2", "*a", "write out")),
        ("a: &a {x: 1}\nb: {<<: *a}\n", ("line 2", "*a")),
        ("task: &t [*t]\n", ("line 1", "*t")),
        ("task: " + "[" * 600 + "]" * 600, ("nested too deeply",)),
        ("task: " + "{a: " * 600 + "}" * 600, ("nested too deeply",)),
        ("source:\n" + "".join(f"{' ' * n}- \n" for n in range(1, 400)), ()),
        ("task: binary\n" + "#" * 2_000_000, ("2,000,013 bytes", "git checkout")),
        ("source: {until: 2024-13-45}", ("cannot be read", "month must be in 1..12")),
        ("sweep: {seeds: " + "9" * 5000 + "}", ("cannot be read",)),
        ("a: 1\n---\nb: 2\n", ("not valid YAML",)),
        ("a: 1\na: 2\n", ("not valid YAML", "duplicate key")),
        ("a: \x00", ("not valid YAML",)),
    ],
)
def test_file_that_would_be_too_much_is_refused_at_once(
    tmp_path: Path, text: str, parts: tuple[str, ...]
) -> None:
    refusal(tmp_path, text, *parts)


def test_parameters_know_the_text_they_were_read_from(tmp_path: Path) -> None:
    params = read(tmp_path, "task: regression  # euros\n")
    (tmp_path / "params.yaml").write_text("task: binary\n")
    assert params.text == params.override(sweep={"seeds": 2}).text == b"task: regression  # euros\n"
    assert Params().text == b""


def test_values_of_the_file_replace_defaults(tmp_path: Path) -> None:
    params = read(
        tmp_path,
        "task: multiclass\nvalidate: {max_bad_rows: 0.5}\nsweep: {seeds: 3, first_seed: 7}\n",
    )
    assert params.task == "multiclass"
    assert params.validation.max_bad_rows == 0.5
    assert params.sweep.seed_list() == [7, 8, 9]
    assert params.train == Params().train


# --- unknown keys
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("trian: {}", ("trian", "unknown key", "did you mean 'train'?")),
        ("validation: {}", ("validation", "unknown key", "did you mean 'validate'?")),
        ("train: {round: 3}", ("train.round", "unknown key", "did you mean 'rounds'?")),
        ("source: {seperator: ';'}", ("source.seperator", "did you mean 'separator'?")),
        ("validate: {max_bad_row: 0}", ("validate.max_bad_row", "did you mean 'max_bad_rows'?")),
        ("Train: {}", ("Train", "did you mean 'train'?")),
        ("zzz: 1", ("zzz", "unknown key", "remove it")),
        ("train: {zzz: 1}", ("train.zzz", "unknown key", "remove it")),
        ("1: 2", ("1",)),
    ],
)
def test_unknown_key_is_named_with_the_nearest_one(
    tmp_path: Path, text: str, parts: tuple[str, ...]
) -> None:
    refusal(tmp_path, text, "1 wrong value(s)", *parts)


# --- wrong values
# --------------------------------------------------------------------------------------------------

WRONG = [
    ("task: ranking", ("task", "'binary', 'multiclass' or 'regression'", "'ranking'")),
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
    (
        "validate: {max_bad_rows: 2}",
        ("validate.max_bad_rows", "less than or equal to 1", "given: 2"),
    ),
    (
        "validate: {max_bad_rows: -0.1}",
        ("validate.max_bad_rows", "greater than or equal to 0", "-0.1"),
    ),
    ("validate: {max_bad_rows: .nan}", ("validate.max_bad_rows", "finite", "nan")),
    ("validate: {max_age_days: 0}", ("validate.max_age_days", "greater than 0", "given: 0")),
    ("validate: {max_age_days: .inf}", ("validate.max_age_days", "finite", "inf")),
    ("prepare: {min_level_rows: 0}", ("prepare.min_level_rows", "greater than or equal to 1")),
    ("split: {train_batches: 0}", ("split.train_batches", "greater than or equal to 1")),
    ("split: {train_batches: many}", ("split.train_batches", "integer", "'many'")),
    ("train: {device: tpu}", ("train.device", "'auto', 'cpu' or 'cuda'", "'tpu'")),
    ("train: {rounds: 0}", ("train.rounds", "greater than or equal to 1", "given: 0")),
    ("train: {rounds: 2.5}", ("train.rounds", "integer", "2.5")),
    ("train: {rounds: many}", ("train.rounds", "integer", "'many'")),
    ("train: {rounds: [1]}", ("train.rounds", "integer", "[1]")),
    ("train: {rounds: null}", ("train.rounds", "integer", "None")),
    ("train: {rounds: true}", ("train.rounds", "True")),
    ("train: {learning_rate: 0}", ("train.learning_rate", "greater than 0")),
    ("train: {learning_rate: 1.01}", ("train.learning_rate", "less than or equal to 1")),
    ("train: {max_depth: 21}", ("train.max_depth", "less than or equal to 20")),
    ("train: {max_bin: 1}", ("train.max_bin", "greater than or equal to 2")),
    ("train: {reg_lambda: -1}", ("train.reg_lambda", "greater than or equal to 0")),
    ("bias: {max_left_out: 2}", ("bias.max_left_out", "less than or equal to 1", "given: 2")),
    ("bias: {max_duplicates: -0.1}", ("bias.max_duplicates", "greater than or equal to 0", "-0.1")),
    ("bias: {max_missing: 0.1}", ("bias.max_missing", "unknown key", "max_missing_difference")),
    ("sweep: {seeds: 1001}", ("sweep.seeds", "less than or equal to 1000")),
    ("sweep: {first_seed: -1}", ("sweep.first_seed", "greater than or equal to 0")),
    ("sweep: {model: best}", ("sweep.model", "'median' or 'mean'", "'best'")),
    ("evaluate: {confidence: 95}", ("evaluate.confidence", "less than 1", "given: 95")),
    ("evaluate: {resamples: 10}", ("evaluate.resamples", "greater than or equal to 100")),
    ("tracking: {model: a/b}", ("tracking.model", "pattern", "'a/b'")),
    ("tracking: {experiment: ''}", ("tracking.experiment", "at least 1 character")),
    ("ports: {mlflow: 99999}", ("ports.mlflow", "less than or equal to 65535", "99999")),
    ("train: 3", ("train", "given: 3")),
    ("train: [rounds]", ("train", "['rounds']")),
    ("train:\n", ("train", "None")),
]


@pytest.mark.parametrize(("text", "parts"), WRONG, ids=[text for text, _ in WRONG])
def test_wrong_value_is_named_with_its_place(
    tmp_path: Path, text: str, parts: tuple[str, ...]
) -> None:
    refusal(tmp_path, text, "1 wrong value(s)", *parts)


RIGHT = [
    ("validate: {max_bad_rows: 0}", "validation", "max_bad_rows", 0),
    ("validate: {max_bad_rows: 1}", "validation", "max_bad_rows", 1),
    ("validate: {max_age_days: null}", "validation", "max_age_days", None),
    ("split: {train_batches: null}", "split", "train_batches", None),
    ("train: {learning_rate: 1}", "train", "learning_rate", 1),
    ("train: {rounds: 2000.0}", "train", "rounds", 2000),
    ("train: {max_depth: 20}", "train", "max_depth", 20),
    ("sweep: {jobs: null}", "sweep", "jobs", None),
    ('source: {separator: "\\t"}', "source", "separator", "\t"),
    ("source: {kind: files, path: inbox}", "source", "path", "inbox"),
    ("source: {nulls: [\\N, ., -999, 'null']}", "source", "nulls", ("\\N", ".", "-999", "null")),
    ("source: {kind: sql, url: 'sqlite://', query: SELECT 1}", "source", "query", "SELECT 1"),
    ("tracking: {model: a-b_c.d}", "tracking", "model", "a-b_c.d"),
]


@pytest.mark.parametrize(("text", "section", "key", "value"), RIGHT, ids=[one[0] for one in RIGHT])
def test_right_value_at_the_edge_is_taken(
    tmp_path: Path, text: str, section: str, key: str, value: object
) -> None:
    assert getattr(getattr(read(tmp_path, text), section), key) == value


def test_all_wrong_values_are_told_at_once(tmp_path: Path) -> None:
    text = "task: x\ntrain: {rounds: 0, nope: 1}\nsweep: {seeds: many}\n"
    said = refusal(
        tmp_path, text, "4 wrong value(s)", "task:", "train.rounds:", "train.nope:", "sweep.seeds:"
    )
    assert len(said.splitlines()) == 5


# --- source.until
# --------------------------------------------------------------------------------------------------


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
def test_until_is_a_name_however_yaml_reads_it(
    tmp_path: Path, written: str, means: str | None
) -> None:
    assert read(tmp_path, f"source:\n  until: {written}\n").source.until == means


@pytest.mark.parametrize("written", ["010", "2013_06", "0x10", "12:30", "1.10", "yes"])
def test_until_that_yaml_reads_as_something_else_is_never_taken_for_it(
    tmp_path: Path, written: str
) -> None:
    """The file 010.csv is batch '010'; YAML reads 010 as the number 8."""
    try:
        found = read(tmp_path, f"source: {{until: {written}}}").source.until
    except InputError as error:
        found = str(error)
    assert found == written or "source.until" in str(found)


# --- files that are no parameters
# -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"train: [", ("not valid YAML", "line 1")),
        (b"train:\n\trounds: 3", ("not valid YAML", "line 2")),
        (b"a: b: c", ("not valid YAML", "line 1")),
        (b"a: !!python/object:os.system {}", ("not valid YAML",)),
        (b"a: \x00", ("not valid YAML",)),
        (b"task: binary # caf\xe9", ("not UTF-8", "byte 18", "save it as UTF-8")),
        ("task: binary".encode("utf-16"), ("not UTF-8", "byte 0", "save it as UTF-8")),
        (b"- train", ("keys and values", "list")),
        (b"binary", ("keys and values", "str")),
        (b"42", ("keys and values", "int")),
        (b"a: 1\n---\nb: 2", ("not valid YAML",)),
    ],
)
def test_file_that_holds_no_parameters(
    tmp_path: Path, content: bytes, parts: tuple[str, ...]
) -> None:
    refusal(tmp_path, content, *parts)


def test_missing_file_says_how_to_restore_it(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"params\.yaml is missing: restore it.*git checkout params\.yaml"
    ):
        load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "train: {rounds: 5}\ntrain: {max_depth: 3}\n",
        "source:\n  kind: python\n  kind: files\n  path: x\n",
    ],
)
def test_value_written_twice_is_not_dropped_in_silence(tmp_path: Path, text: str) -> None:
    refusal(tmp_path, text)


# --- override
# --------------------------------------------------------------------------------------------------


def test_override_replaces_what_is_given() -> None:
    base = Params()
    found = base.override(
        sweep={"seeds": 3, "jobs": None}, train={"device": None}, validate={"max_bad_rows": 0.5}
    )
    assert found.sweep.seeds == 3
    assert found.validation.max_bad_rows == 0.5
    assert found == base.model_copy(
        update={
            "sweep": base.sweep.model_copy(update={"seeds": 3}),
            "validation": base.validation.model_copy(update={"max_bad_rows": 0.5}),
        }
    )
    assert base == Params()


@pytest.mark.parametrize(
    ("sections", "parts"),
    [
        ({"sweep": {"seeds": 0}}, ("sweep.seeds", "greater than or equal to 1", "given: 0")),
        ({"sweep": {"seed": 3}}, ("sweep.seed", "unknown key", "did you mean 'seeds'?")),
        ({"train": {"device": "tpu"}}, ("train.device", "'tpu'")),
        ({"validate": {"max_bad_rows": 2}}, ("validate.max_bad_rows", "given: 2")),
        ({"source": {"kind": "files", "path": ""}}, ("source", "needs 'path'")),
    ],
)
def test_override_is_checked_like_the_file(
    sections: dict[str, Any], parts: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        Params().override(**sections)
    said = str(caught.value)
    assert [part for part in ("the flow's parameters", *parts) if part not in said] == [], said


VALID = st.fixed_dictionaries(
    {
        "task": st.sampled_from(["binary", "multiclass", "regression"]),
        "source": st.fixed_dictionaries(
            {"until": st.none() | st.text(max_size=9), "separator": st.sampled_from(";,|")}
        ),
        "validate": st.fixed_dictionaries(
            {"max_bad_rows": st.floats(0, 1), "max_age_days": st.none() | st.floats(0.1, 36_500)}
        ),
        "train": st.fixed_dictionaries(
            {"rounds": st.integers(1, 10**6), "subsample": st.floats(0.01, 1)}
        ),
        "sweep": st.fixed_dictionaries(
            {"seeds": st.integers(1, 1000), "jobs": st.none() | st.integers(1, 99)}
        ),
    }
)


@given(VALID)
@settings(max_examples=50, deadline=None)
def test_nothing_overridden_is_the_same_and_yaml_keeps_it(content: dict[str, Any]) -> None:
    params = parse(content, "here")
    assert params.override() == params
    assert (
        parse(yaml.safe_load(yaml.safe_dump(params.model_dump(by_alias=True))), "again") == params
    )


# --- frozen
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [(None, "task", "regression"), ("train", "rounds", 3), ("train", "nope", 3)],
)
def test_parameters_do_not_change(section: str | None, key: str, value: object) -> None:
    params = Params()
    with pytest.raises(ValidationError):
        setattr(getattr(params, section) if section else params, key, value)
    assert params == Params()
