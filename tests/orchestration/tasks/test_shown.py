"""What the UI shows holds no secret, in text, cells, keys or descriptions."""

from __future__ import annotations

import pytest

from evergreen.orchestration.tasks import shown

SECRET = "https://host/x?sig=abc123"


@pytest.mark.parametrize("kind", ["markdown", "table"])
def test_what_is_shown_holds_no_secret(kind, monkeypatch):
    seen = []
    monkeypatch.setattr(
        shown.artifacts,
        f"create_{kind}_artifact",
        lambda what, **about: seen.append((what, about)) or "an id",
    )
    given = f"see {SECRET}" if kind == "markdown" else [{"what": SECRET, SECRET: 3}]
    made = getattr(shown, f"create_{kind}_artifact")(given, key="key", description=SECRET)
    assert made == "an id"
    assert "abc123" not in str(seen)
    assert "sig=***" in str(seen)
    assert seen[0][1]["key"] == "key"
