"""`evergreen score`: what is asked wrongly ends before a server starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import error_of, invoke

from evergreen.cli.scoring import formula_warning
from evergreen.project import Project


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "name files to score, or a batch of data/raw with --batch"),
        ("a.csv --batch 2013-01", "name files to score, or a batch of data/raw with --batch"),
        ("a.csv b.csv --name new", "--name and --out are for one file at a time"),
        ("a.csv b.csv --out new.csv", "--name and --out are for one file at a time"),
    ],
)
def test_words_that_do_not_go_together(words: str, said: str, two_batches: Project) -> None:
    done = invoke(two_batches.root, "score", *words.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize("words", ["missing.csv", "--batch 2031-01"])
def test_what_is_not_there_starts_no_server(words: str, two_batches: Project) -> None:
    said = error_of(invoke(two_batches.root, "score", *words.split()))
    assert words.split()[-1] in said
    assert not (two_batches.stores / "prefect-server.log").exists()


def test_where_predictions_cannot_go_starts_no_server(two_batches: Project) -> None:
    given = Path(two_batches.root.parent, "inbox", "2013-01.parquet")
    said = error_of(invoke(two_batches.root, "score", str(given), "--out", "predictions.txt"))
    assert "predictions.txt" in said
    assert not (two_batches.stores / "prefect-server.log").exists()


def test_formulas_are_counted() -> None:
    assert formula_warning("new.csv", 1).startswith("new.csv: a spreadsheet would take 1 value ")
    assert " 2 values for formulas: --escape" in formula_warning("new.csv", 2)
