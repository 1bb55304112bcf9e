"""`evergreen migrate`: a commit of the template, or its newest."""

from __future__ import annotations

import pytest
from commands import invoke

from evergreen.project import Project


@pytest.mark.slow
@pytest.mark.parametrize(("words", "ref"), [((), None), (("v2",), "v2")])
def test_it_takes_a_commit(
    words: tuple[str, ...],
    ref: str | None,
    two_batches: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def migrate(*given: object) -> str:
        asked.extend(given)
        return "migrated"

    monkeypatch.setattr("evergreen.migrate.migrate.migrate", migrate)
    assert invoke(two_batches.root, "migrate", *words).output == "migrated\n"
    assert asked == [two_batches.root, ref]


def test_a_project_that_was_made_from_no_template(two_batches: Project) -> None:
    done = invoke(two_batches.root, "migrate")
    assert done.exit_code == 1
    assert "there is no .template.json here" in done.stderr
