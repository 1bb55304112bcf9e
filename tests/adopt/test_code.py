"""Code: whatever a name holds, the Python that is written says just that, and is in format."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.adopt.code import column, keep, literal, section, spread, width


@pytest.mark.slow
@given(
    st.text(max_size=30)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
)
def test_a_literal_is_the_value_and_one_line(value: object) -> None:
    text = literal(value)
    assert ast.literal_eval(text) == value
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", '"plain"'),
        ("it's", '"it\'s"'),
        ('say "so"', "'say \"so\"'"),
        ("""'"'""", '''"'\\"'"'''),
        ("a\\b\n", '"a\\\\b\\n"'),
        ("größe", '"größe"'),
        ("\u2028", '"\\u2028"'),
        (1.5, "1.5"),
        (True, "True"),
    ],
)
def test_quotes_are_those_of_the_format(value: object, text: str) -> None:
    assert literal(value) == text


@pytest.mark.slow
@given(st.text(max_size=20))
def test_a_name_cannot_leave_its_quotes(name: str) -> None:
    tree = ast.parse(column(name), mode="eval").body
    assert isinstance(tree, ast.Call)
    assert ast.literal_eval(tree.args[0]) == name


def test_values_stand_in_one_line_where_they_fit() -> None:
    assert spread("key=(", ['"a"'], "),", comment="  # why") == ['key=("a",),  # why']
    assert spread("x = [", ["1", "2"], "]", indent="    ") == ["    x = [1, 2]"]
    long = spread("key=(", ['"a"'] * 30, "),", comment="  # why")
    assert long[:2] + long[-1:] == ["key=(  # why", '    "a",', "),"]


def test_what_is_too_long_is_kept_from_the_formatter() -> None:
    assert keep(["    x = 1"]) == ["    x = 1"]
    assert keep(["    x = [", "y" * 110, "z" * 150, "    ]"]) == [
        "    # fmt: off",
        "    x = [",
        "y" * 110,
        "z" * 150 + "  # noqa: E501",
        "    ]",
        "    # fmt: on",
    ]
    assert keep(["地" * 51])[0] == "# fmt: off"


def test_sections_are_as_wide_as_the_page() -> None:
    assert width(section("what is predicted")) == 100
