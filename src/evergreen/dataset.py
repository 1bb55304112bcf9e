"""Dataset: what a row is, what is predicted, and from what; checked where it is made.

A project has one, in `dataset.py` of its own package. Whatever depends on it is handed the object.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import polars as pl

from evergreen.errors import InputError

ORDER = "<order>"  # as `time`: rows and batches come in the order of time, and no column says when
HASH, DROP = "hash", "drop"  # what is done with a personal column
ALIKE = 0.75  # of two names, from which on one may be meant by the other
RESERVED = ("event_time", "label")  # columns of a features file beside the features
RESERVED_STARTS = ("key_", "slice_", "group_")  # and what the names of others begin with


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """The definition of a dataset.

    columns: what a row holds, name -> type as it is delivered. Once made, `columns` is what
        `personal` leaves of it, and `delivered` is what was given.
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
    personal: column -> "hash" (kept as text, a keyed hash of its value) or "drop" (not kept), done
        before anything is stored or shown. Where it is not empty, columns that are not declared are
        not kept either; what is dropped need not be declared.

    Raises InputError where key, time, known_later or personal name no column, a feature cannot be
    called so, or reads what is known only later, or what is personal is needed in the clear.
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
    personal: Mapping[str, str] = field(default_factory=dict)
    delivered: Mapping[str, pl.DataType] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "delivered", self.columns)
        if self.personal:
            self._check_personal()
            kept = {
                name: pl.String() if name in self.personal else dtype
                for name, dtype in self.columns.items()
                if self.personal.get(name) != DROP
            }
            object.__setattr__(self, "columns", kept)
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
    def hashed(self) -> tuple[str, ...]:
        """The personal columns that are kept, as hashes."""
        return tuple(name for name, what in self.personal.items() if what == HASH)

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

    def _check_personal(self) -> None:
        """Raise InputError where `personal` cannot be done, or is at odds with the rest."""
        if not isinstance(self.personal, Mapping):
            raise InputError('dataset.py: personal must be a mapping, such as {"email": "hash"}')
        others = [name for name in self.columns if name not in self.personal]
        self._check_names(
            "personal", [name for name in self.personal if self._is_odd(name, others)]
        )
        for name, what in self.personal.items():
            if what not in (HASH, DROP):
                near = difflib.get_close_matches(str(what), (HASH, DROP), n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"write {HASH!r} or {DROP!r}"
                raise InputError(f"dataset.py: personal: {name!r} cannot be {what!r}; {hint}")
        if self.time in self.personal:
            raise InputError(
                f"dataset.py: {self.time!r} is personal and time: rows are ordered by it, so it "
                "must be kept as it is: let the source round it, to a day say, and take it out of "
                "personal"
            )
        for use, names in (("key", self.key), ("known_later", self.known_later)):
            for name in (name for name in names if self.personal.get(name) == DROP):
                raise InputError(
                    f"dataset.py: personal drops {name!r}, which {use} names: write {HASH!r}, or "
                    f"take it out of {use}"
                )
        for use, expression in self._expressions():
            self._check_reads(use, expression)

    def _is_odd(self, name: str, others: Sequence[str]) -> bool:
        """Return whether a personal name must be a column: a hashed one, or perhaps a slip."""
        slip = difflib.get_close_matches(str(name), others, n=1, cutoff=ALIKE)
        return self.personal[name] != DROP or bool(slip)

    def _expressions(self) -> Iterator[tuple[str, pl.Expr]]:
        """Yield each expression over a row, and what it is."""
        yield "label", self.label
        parts = ("left_out", "features", "slices", "groups")
        named = ((part, getattr(self, part).items()) for part in parts)
        yield from chain.from_iterable(
            ((f"{part}[{name!r}]", expression) for name, expression in items)
            for part, items in named
        )

    def _check_reads(self, use: str, expression: pl.Expr) -> None:
        """Raise InputError where an expression needs a personal value, of which a hash is kept."""
        whole = use.startswith(("features", "slices", "groups"))
        for name in sorted({*expression.meta.root_names()} & {*self.personal}):
            if self.personal[name] == DROP:
                raise InputError(
                    f"dataset.py: {use} reads {name!r}, which personal drops: take it out of "
                    f"personal or of {use}, or compute what is needed of it in the source"
                )
            if not (whole and expression.meta.is_column()) and _looks_into(expression, name):
                can = "takes it as it is, or asks" if whole else "asks"
                raise InputError(
                    f"dataset.py: {use} computes with {name!r}, of which only a hash is kept: "
                    f"compute it in the source, or write what {can} whether it is there (is_null)"
                )

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


def _looks_into(expression: pl.Expr, name: str) -> bool:
    """Return whether an expression uses more of a column than whether it is there."""
    column = pl.col(name)
    if any(expression.meta.eq(asked) for asked in (column.is_null(), column.is_not_null())):
        return False
    if expression.meta.is_column():
        return bool(expression.meta.eq(column))
    return any(_looks_into(part, name) for part in expression.meta.pop())
