"""The section `people`: who may decide by hand."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import refusal

from evergreen.params import parse


@pytest.mark.parametrize(
    ("people", "part"),
    [
        ({"approve": "ada"}, "people.approve: "),
        ({"rollback": [""]}, "people.rollback.0: "),
        ({"rollback": ["Ada Lovelace"]}, "people.rollback.0: "),
        ({"promote": ["ada"]}, "people.promote: unknown key"),
    ],
)
def test_a_wrong_value_is_one_clear_error(people: dict[str, Any], part: str) -> None:
    refusal(lambda: parse({"people": people}, "params.yaml"), part)


def test_names_are_logins_or_addresses() -> None:
    found = parse({"people": {"approve": ["ada", "grace@example.org"]}}, "params.yaml").people
    assert (found.approve, found.override) == (("ada", "grace@example.org"), ())
