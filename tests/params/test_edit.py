"""Editing params.yaml: values change, comments and blank lines stay where they were."""

from __future__ import annotations

import io

import pytest

from evergreen.params.edit import differences, editor, patch, put

TEXT = """\
# the file
train:
  rounds: 5   # at most

drift:        # of batches
  accepted: []
"""
EDITS = {
    "a value": ({"train": {"rounds": None}}, TEXT.replace("rounds: 5   #", "rounds: null #")),
    "new keys, in order, before a blank line": (
        {"train": {"rounds": 7, "max_bin": 9, "max_depth": 3}},
        TEXT.replace("  rounds: 5", "  max_bin: 9\n  max_depth: 3\n  rounds: 7"),
    ),
    "a new section": ({"gate": {"margin": 0.5}}, TEXT + "gate:\n  margin: 0.5\n"),
    "a list in one line": (
        {"drift": {"accepted": ["a", "b"]}},
        TEXT.replace("[]", "[a, b]"),
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_only_what_is_set_changes(case: str) -> None:
    sections, expected = EDITS[case]
    yaml = editor()
    content, written = yaml.load(TEXT), io.StringIO()
    for section, values in sections.items():
        put(content, section, values)
    yaml.dump(content, written)
    assert written.getvalue() == expected


def test_a_patched_text_and_what_differs() -> None:
    after = patch(TEXT, "train", {"rounds": 7})
    assert after == TEXT.replace("rounds: 5 ", "rounds: 7 ")
    assert patch("# nothing yet\n", "train", {"rounds": 7}).endswith("train:\n  rounds: 7\n")
    shown = differences(TEXT, after, "params.yaml").splitlines()
    assert shown[:2] == ["--- a/params.yaml", "+++ b/params.yaml"]
    assert [line for line in shown[3:] if line[0] in "-+"] == [
        "-  rounds: 5   # at most",
        "+  rounds: 7   # at most",
    ]
    assert differences(TEXT, TEXT, "params.yaml") == ""
