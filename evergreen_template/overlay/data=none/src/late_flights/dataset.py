"""YOURS: what a row is, what is predicted, and from what.

Nothing is declared yet. `evergreen adopt FILE --target COLUMN` writes this for your table; or write
it by hand: `evergreen docs make-it-yours` shows what goes where.
"""

from __future__ import annotations

import polars as pl

from evergreen import Dataset

dataset = Dataset(
    columns={},  # what a row holds: column -> type
    key=(),  # names a row; no two share it. Empty: rows are known by what they hold
    # When it happened, a time or a number; "<order>": rows and batches come in its order; "":
    # nothing says
    time="",
    label=pl.lit(None, pl.Boolean),  # what is predicted
    known_later=(),  # the label may use these, no feature may
    left_out={},  # rows that cannot be learnt from, and why
    features={},  # each an expression over one row; text becomes a category, the rest numbers
    slices={},  # no value of these may get a much worse model, whatever the whole gains
    groups={},  # groups of people, say: predictions may differ between them only within bounds
)
