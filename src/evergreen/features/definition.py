"""Definition: what `dataset.py` said when a model was made.

That is what the model predicts, from what, and what names and dates a row. It is packaged with the
model, so that a champion computes its own features from the raw columns and is measured by its own
label, whatever `dataset.py` says by then. Expressions are kept as polars' JSON, which holds no
code; one that calls a Python function cannot be kept so, and is taken from `dataset.py` by its
name.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.files import write_json

# That polars would run
CODE = {"AnonymousFunction", "AnonymousAgg", "FfiPlugin", "PythonUdf", "Python", "SubPlan"}
# Literals: what else is a list of numbers is a pickle
BYTES = {"Series", "List", "Array", "Binary"}
LONGEST = 8  # numbers in a list that can be no pickle


class LostError(InputError):
    """What a model needs is not there any more: it cannot predict."""


@dataclass(frozen=True)
class Written:
    """An expression as text for a person, and as JSON; None where it calls a Python function."""

    says: str
    content: str | None = field(repr=False)

    @classmethod
    def of(cls, expression: pl.Expr) -> Written:
        """Write an expression down."""
        try:
            content = expression.meta.serialize(format="json")
            _check_no_code(json.loads(content))
        except Exception:  # whatever cannot be written
            return cls(str(expression), None)
        return cls(str(expression), content)

    def read(self) -> pl.Expr | None:
        """Return the expression; None where it was not written, or cannot be read.

        Another version of polars may have written it. Raises InputError where it holds code.
        """
        if self.content is None:
            return None
        try:
            _check_no_code(json.loads(self.content))
            return pl.Expr.deserialize(io.StringIO(self.content), format="json")
        except (ValueError, pl.exceptions.PolarsError):
            return None

    def is_same(self, other: Written) -> bool:
        """Return whether both are the same expression."""
        mine, theirs = self.read(), other.read()
        if mine is None or theirs is None:  # the text is all that there is
            return self.says == other.says
        return Written.of(mine).content == Written.of(theirs).content


@dataclass(frozen=True)
class Definition:
    """What `dataset.py` said; None where that is not known, as of a model of an older version."""

    task: str
    label: Written | None
    features: Mapping[str, Written | None]
    key: tuple[str, ...] | None = None
    time: str | None = None
    columns: tuple[str, ...] = ()  # that stand in for a missing key

    @classmethod
    def of(cls, dataset: Dataset, task: str) -> Definition:
        """Return what `dataset.py` says now."""
        features = {name: Written.of(expression) for name, expression in dataset.features.items()}
        named = (tuple(dataset.key), dataset.time, () if dataset.key else dataset.known_in_time)
        return cls(task, Written.of(dataset.label), features, *named)

    @property
    def is_timed(self) -> bool:
        """Whether something says when rows happened; where that is not known, it does."""
        return self.time != ""

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Definition:
        """Read it back. Raises InputError where an expression holds code."""
        plain = json.loads(path.read_text(encoding="utf-8"))
        features = {name: Written(**written) for name, written in plain["features"].items()}
        named = (tuple(plain["key"]), plain["time"], tuple(plain["columns"]))
        found = cls(plain["task"], Written(**plain["label"]), features, *named)
        for written in (found.label, *features.values()):
            if written:
                written.read()
        return found

    def is_present(self, dataset: Dataset, task: str) -> bool:
        """Return whether `dataset.py` still gives the same label, names of rows and features."""
        now = Definition.of(dataset, task)
        label = self.label is None or (
            self.task == task and self.label.is_same(now.label or self.label)
        )
        return (
            label
            and self.names_rows_as(now)
            and all(
                _is_same(written, now.features.get(name)) for name, written in self.features.items()
            )
        )

    def names_rows_as(self, now: Definition) -> bool:
        """Return whether rows are identified by the same columns."""
        return self.key is None or (self.key, self.columns) == (now.key, now.columns)

    def expressions(self, dataset: Dataset) -> dict[str, pl.Expr]:
        """Return the features as they were; what was not written is what `dataset.py` calls so now.

        Raises LostError where there is none of that name.
        """
        found = {}
        for name, written in self.features.items():
            own = written.read() if written else None
            if own is None and name not in dataset.features:
                raise LostError(
                    f"the model needs the feature {name!r}, which is no longer in dataset.py: "
                    "restore it, or train another model with `evergreen run`"
                )
            found[name] = dataset.features[name] if own is None else own
        return found

    def label_expression(self, dataset: Dataset) -> pl.Expr:
        """Return the label as it was, or that of `dataset.py` where it was not written."""
        own = self.label.read() if self.label else None
        return dataset.label if own is None else own

    def changes(self, now: Definition) -> Iterator[str]:
        """Yield a sentence for each difference to `now` that rules out a comparison."""
        if (
            self.label
            and now.label
            and (self.task != now.task or not self.label.is_same(now.label))
        ):
            yield (
                f"it predicts {self.label.says} ({self.task}), "
                f"and label is {now.label.says} ({now.task}) now"
            )
        if self.time is not None and now.time is not None and self.time != now.time:
            was, there = (f"{name!r}" if name else "no column" for name in (self.time, now.time))
            yield f"time was {was} and is {there} now: the rows it was trained on are not known"


def check_columns(expressions: Mapping[str, pl.Expr], columns: list[str]) -> None:
    """Raise LostError where an expression reads a column that is not there."""
    for name, expression in expressions.items():
        if gone := [column for column in expression.meta.root_names() if column not in columns]:
            raise LostError(
                f"the model needs the column {gone[0]!r} (for {name}), which no longer exists: "
                "declare it again in dataset.py (columns), or train another model with "
                "`evergreen run`"
            )


def _is_same(own: Written | None, now: Written | None) -> bool:
    return now is not None and (own is None or own.is_same(now))


def _check_no_code(node: Any, within: str = "") -> None:
    """Raise InputError where JSON of an expression holds what polars would run as code.

    That is a pickle, or a library.
    """
    if isinstance(node, dict):
        for name, value in node.items():
            if name in CODE:
                raise InputError(
                    f"an expression of the model holds code ({name}): do not use this model"
                )
            _check_no_code(value, name)
    elif isinstance(node, list):
        numbers = [number for number in node if isinstance(number, int)]
        if len(numbers) > LONGEST and within not in BYTES:
            raise InputError(
                f"an expression of the model holds code ({within}): do not use this model"
            )
        for value in node:
            _check_no_code(value, within)
