"""YOURS: what a row is, what is predicted, and from what.

Nothing is declared yet. `evergreen adopt FILE --target COLUMN` writes this for your table; or write it by hand, with
tests/example/dataset.py as an example.
"""

from __future__ import annotations

import polars as pl

COLUMNS: dict[str, pl.DataType] = {}  # what a row holds: column -> type
KEY: tuple[str, ...] = ()  # names a row; no two share it. Empty: rows are known by what they hold
TIME = (
    ""  # when the event happened, a time or a number; "<order>": rows and batches come in its order; "": nothing says
)

LABEL: pl.Expr = pl.lit(None, pl.Boolean)  # what is predicted
KNOWN_LATER: tuple[str, ...] = ()  # the label may use these, no feature may
LEFT_OUT: dict[str, pl.Expr] = {}  # rows that cannot be learnt from, and why

FEATURES: dict[str, pl.Expr] = {}  # each an expression over one row; text becomes a category, the rest numbers

SLICES: dict[str, pl.Expr] = {}  # no value of these may get a much worse model, whatever the whole gains
GROUPS: dict[str, pl.Expr] = {}  # groups of people, say: predictions may differ between them only within bounds
