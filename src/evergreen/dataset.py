"""Dataset: what a row is, what is predicted, and from what; checked where it is made.

A project has one, in `dataset.py` of its own package. Whatever depends on it is handed the object.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from evergreen.errors import InputError

ORDER = "<order>"  # as `time`: rows and batches come in the order of time, and no column says when
RESERVED = ("event_time", "label")  # columns of a features file beside the features
RESERVED_STARTS = ("key_", "slice_", "group_")  # and what the names of others begin with


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """The definition of a dataset.

    columns: what a row holds, name -> type.
    key: columns that name a row; no two rows share it. Empty: a row is known by what it holds.
    time: the column that says when a row happened, a time or a number that grows with time; orders
        rows and batches. `ORDER`: rows and batches come in the order of time. Empty: nothing says
        when.
    label: what is predicted.
    known_later: columns that are known only after the event; the label may use them, no feature
    may.
    left_out: reason -> rows that cannot be learnt from.
    features: name -> expression over one row; text becomes a category, the rest numbers.
    slices: no value of these may get a much worse model, whatever the whole gains.
    groups: groups of people, say; predictions may differ between them only within bounds.

    Raises InputError where key, time or known_later name no column, or a feature cannot be called
    so, or reads what is known only later.
    """

    columns: Mapping[str, pl.DataType]
    key: tuple[str, ...] = ()
    time: str = ""
    label: pl.Expr
    known_later: tuple[str, ...] = ()
    left_out: Mapping[str, pl.Expr] = field(default_factory=dict)
    features: Mapping[str, pl.Expr]
    slices: Mapping[str, pl.Expr] = field(default_factory=dict)
    groups: Mapping[str, pl.Expr] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("key", "known_later"):
            self._check_names(name, getattr(self, name))
        if self.has_time_column:
            self._check_names("time", (self.time,))
            kind = self.columns[self.time]
            if not (kind.is_temporal() or kind.is_numeric()):
                raise InputError(
                    f"dataset.py: time is {self.time!r}, declared as {kind}, neither a time nor a "
                    "number: name another column, or none"
                )
        for name, expression in self.features.items():
            self._check_feature(name, expression)

    @property
    def has_time_column(self) -> bool:
        """Whether a column says when."""
        return self.time not in ("", ORDER)

    @property
    def has_dates(self) -> bool:
        """Whether a column of times says when: only then it can be compared with the clock."""
        return self.has_time_column and self.columns[self.time].is_temporal()

    @property
    def known_in_time(self) -> tuple[str, ...]:
        """The columns that are known at prediction time."""
        return tuple(name for name in self.columns if name not in self.known_later)

    def _check_names(self, what: str, names: Sequence[str]) -> None:
        if isinstance(names, str):
            raise InputError(
                f"dataset.py: {what} must be a tuple, such as ({names!r},): mind the comma"
            )
        if unknown := [name for name in names if name not in self.columns]:
            near = difflib.get_close_matches(str(unknown[0]), self.columns, n=1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"columns holds {', '.join(self.columns) or 'none'}"
            )
            raise InputError(f"dataset.py: {what} names {unknown[0]!r}, which is no column; {hint}")

    def _check_feature(self, name: str, expression: pl.Expr) -> None:
        if name in RESERVED or name.startswith(RESERVED_STARTS):
            time, label = RESERVED
            key, *starts, last = RESERVED_STARTS
            raise InputError(
                f"dataset.py: no feature can be called {name!r}: {label!r}, {time!r} and what "
                f"begins with {key!r}, {', '.join(map(repr, starts))} or {last!r} are other "
                "columns of a features file: rename it"
            )
        if later := sorted(set(expression.meta.root_names()) & set(self.known_later)):
            raise InputError(
                f"dataset.py: feature {name!r} reads {later[0]!r}, which is known only later "
                "(known_later): a model cannot have it when it must predict; take the feature out"
            )
