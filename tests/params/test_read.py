"""Parameters: closed, typed, frozen; every wrong value is named with its place."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.errors import InputError
from evergreen.params import Params, load, parse

ROOT = Path(__file__).resolve().parents[2]


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


def test_what_the_file_of_the_project_writes_is_the_default() -> None:
    """So that nobody has to know both; what a new project is asked, and the example's, differ."""
    given, defaults = (params.model_dump() for params in (load(ROOT / "params.yaml"), Params()))
    for about_it in ("task", "source", "tracking"):
        given.pop(about_it), defaults.pop(about_it)
    assert given == defaults


@pytest.mark.parametrize("text", ["{}", "task: binary", "# all as shipped\n{}\n"])
def test_what_is_not_written_has_its_default(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == Params()


@pytest.mark.parametrize("text", ["", "\n# nothing set\n", "---\n", "\ufeff", "null"])
def test_empty_file_is_no_wish_for_defaults(tmp_path: Path, text: str) -> None:
    refusal(tmp_path, text, "is empty", "git checkout params.yaml", "write {} into it")


LAUGHS = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij")
)


@pytest.mark.slow
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


def test_all_wrong_values_are_told_at_once(tmp_path: Path) -> None:
    text = "task: x\ntrain: {rounds: 0, nope: 1}\nsweep: {seeds: many}\n"
    said = refusal(
        tmp_path, text, "4 wrong value(s)", "task:", "train.rounds:", "train.nope:", "sweep.seeds:"
    )
    assert len(said.splitlines()) == 5


# --- files that are no parameters


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


@pytest.mark.slow
@given(VALID)
@settings(max_examples=25)
def test_nothing_overridden_is_the_same_and_yaml_keeps_it(content: dict[str, Any]) -> None:
    params = parse(content, "here")
    assert params.override() == params
    assert (
        parse(yaml.safe_load(yaml.safe_dump(params.model_dump(by_alias=True))), "again") == params
    )
