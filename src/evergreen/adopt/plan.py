"""Plan: which column is the label, the time, the key, a feature, and why others are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from evergreen.adopt.checks import check_column
from evergreen.adopt.columns import MOMENT, Column, Inferred
from evergreen.adopt.suspect import warn_of_leaks
from evergreen.adopt.time_and_key import find_key, find_time
from evergreen.adopt.warning import ColumnWarning, listed, shown
from evergreen.adopt.wishes import Wishes, find_column, show_few
from evergreen.dataset import DROP, HASH, RESERVED, RESERVED_STARTS
from evergreen.errors import InputError
from evergreen.metrics.metric import Task
from evergreen.params import Leaks

CLASSES = 20  # whole numbers, at most, that count as classes
FEWEST = 10  # rows of a class, below which it cannot be learnt and judged
YES = (
    "yes",
    "y",
    "true",
    "t",
    "1",
    "1.0",
    "positive",
    "pos",
    "si",
    "oui",
    "ja",
    "won",
    "churned",
    "default",
)


@dataclass(frozen=True)
class Plan:
    """What the columns are for.

    `positive`: the value of a binary label that counts as yes. `rare`: classes with too few rows to
    learn. `features`: name -> column. `later`: columns known only afterwards. `left_out`: column ->
    why. `declared`: all that a row holds.
    """

    task: Task
    target: Column
    positive: object
    rare: tuple[object, ...]
    time: str
    key: tuple[str, ...]
    features: Mapping[str, Column]
    later: tuple[str, ...]
    left_out: Mapping[str, str]
    declared: tuple[str, ...]
    warnings: tuple[ColumnWarning, ...]


def plan(found: Inferred, wishes: Wishes, leaks: Leaks) -> Plan:
    """Return what the columns are for. Raises InputError where a wish cannot be met."""
    columns = found.columns
    target = _find_target(columns, wishes)
    task, positive, rare, warnings = _find_task(target, wishes.task)
    time, told = find_time(found, wishes, target.name)
    key = find_key(columns, wishes, target.name, time)
    others = {name: column for name, column in columns.items() if name not in (target.name, time)}
    when = columns[time] if time in columns and columns[time].dtype == MOMENT else None
    late = {find_column(columns, name, "--known-later") for name in wishes.known_later}
    if target.name in late or time in late or late & {*key}:
        raise InputError(
            f"--known-later {', '.join(sorted(late))}: label, time and key cannot be named here"
        )
    told += [
        ColumnWarning(name, "known later", "is known only afterwards, as you say", out=True)
        for name in sorted(late)
    ]
    told += [
        warning
        for column in others.values()
        if column.name not in late
        for warning in check_column(column, is_key=column.name in key, time=when)
    ]
    told = [replace(warning, out=warning.out and warning.column not in key) for warning in told]
    out = {warning.column: warning.says for warning in told if warning.out}
    kept = [column for name, column in others.items() if name not in out and name not in key]
    features = dict(zip(_name_features(kept, when), kept, strict=True))
    suspected = warn_of_leaks(features, target, task, positive, leaks)
    warnings = [*warnings, *told, *suspected]
    out = {warning.column: warning.says for warning in warnings if warning.out}
    features = {name: column for name, column in features.items() if column.name not in out}
    if not features:
        why = listed([f"{shown(name)} {says}" for name, says in out.items()])
        raise InputError(
            f"no column is left to predict {target.name!r} from: {why or 'there is no other'}"
        )
    later = [
        warning.column for warning in warnings if warning.kind in ("known later", "suspected leak")
    ]
    gone = {
        warning.column
        for warning in warnings
        if warning.kind in ("empty", "nested", "personal data")
    } - {*key}
    return Plan(
        task, target, positive, rare, time, key, features, (target.name, *later), out,
        tuple(name for name in columns if name not in gone),
        _strong_first((*found.warnings, *warnings)),
    )  # fmt: skip


def suspected(plan: Plan) -> dict[str, str]:
    """Return column -> what `personal` could say of it, for those that seem to be personal data."""
    names = [warning.column for warning in plan.warnings if warning.kind == "personal data"]
    return {name: HASH if name in plan.key else DROP for name in names}


def _strong_first(warnings: tuple[ColumnWarning, ...]) -> tuple[ColumnWarning, ...]:
    """Return warnings with those first that a person should look at first."""
    return tuple(sorted(warnings, key=lambda warning: warning.kind != "strong"))


# --- the label


def _find_target(columns: Mapping[str, Column], wishes: Wishes) -> Column:
    target = columns[find_column(columns, wishes.target, "--target")]
    if not target.levels:
        raise InputError(
            f"--target {target.name!r} is empty in every row: there is nothing to learn"
        )
    if target.levels == 1:
        raise InputError(
            f"--target {target.name!r} is {target.known[0]!r} in every row: there is nothing to "
            "learn"
        )
    if target.dtype == MOMENT:
        raise InputError(
            f"--target {target.name!r} holds dates: make days of them, or yes and no, in the source"
        )
    return target


def _find_task(
    target: Column, wished: Task | None
) -> tuple[Task, object, tuple[object, ...], list[ColumnWarning]]:
    name, known, levels = target.name, target.known, target.levels
    whole = target.is_number and bool((known == known.cast(pl.Float64).round()).all())
    classes = levels if not target.is_number or (whole and levels <= CLASSES) else 0
    task: Task = wished or ("binary" if levels == 2 else "multiclass" if classes else "regression")
    _check_task(target, task, whole=whole)
    warnings, positive, rare = [], None, tuple[object, ...]()
    if target.missing:
        says = (
            f"is not known in {target.values.null_count():,} of {len(target.values):,} rows: they "
            "are left out, and counted"
        )
        warnings.append(ColumnWarning(name, "unlabelled", says))
    if task == "regression":
        return task, None, (), warnings
    counts = known.value_counts(sort=True)
    values, rows = counts[name].to_list(), counts["count"].to_list()  # the rarest last
    if task == "binary":
        positive = next(
            (value for value in values if str(value).strip().lower() in YES), values[-1]
        )
        other = next(value for value in values if value != positive)
        warnings.append(
            ColumnWarning(
                name, "label", f"is yes where it is {positive!r}, no where it is {other!r}"
            )
        )
    elif not wished and target.is_number:
        warnings.append(
            ColumnWarning(
                name,
                "label",
                (
                    f"holds {levels} different whole numbers: taken for classes (else --task "
                    "regression)"
                ),
            )
        )
    if rows[-1] < FEWEST and task == "multiclass":
        rare = tuple(value for value, count in zip(values, rows, strict=True) if count < FEWEST)
        if levels - len(rare) < 2:
            raise InputError(
                f"--target {name!r}: of {levels} classes fewer than two have {FEWEST} rows or more"
            )
        says = (
            f"has fewer than {FEWEST} rows of {listed([repr(value) for value in rare])}: such rows "
            "are left out"
        )
        warnings.append(ColumnWarning(name, "rare classes", says))
    elif rows[-1] < FEWEST or rows[-1] / len(known) < 0.05:
        says = (
            f"is {values[-1]!r} in only {rows[-1]:,} of {len(known):,} rows "
            f"({rows[-1] / len(known):.1%})"
        )
        warnings.append(ColumnWarning(name, "imbalance", says))
    return task, positive, rare, warnings


def _check_task(target: Column, task: Task, *, whole: bool) -> None:
    name, known, levels = target.name, target.known, target.levels
    if task == "binary" and levels != 2:
        raise InputError(
            f"--task binary: {name!r} has {levels:,} values, not two, such as {show_few(known)}"
        )
    if task == "regression" and not target.is_number:
        raise InputError(f"--task regression: {name!r} holds no numbers, but {show_few(known)}")
    if task == "multiclass" and levels > min(100.0, len(known) / 10):
        raise InputError(
            f"--target {name!r} has {levels:,} different values in {len(known):,} rows, too many "
            "for classes: group them in the source, or choose another column"
        )
    if task == "multiclass" and target.is_number and not whole:
        raise InputError(
            f"--task multiclass: {name!r} holds fractions such as "
            f"{show_few(known.filter(known != known.round()))}"
        )


# --- time and key


# --- features


def _name_features(columns: Iterable[Column], time: Column | None) -> list[str]:
    """Return a name for each column that XGBoost accepts and no file of features reserves."""
    names: list[str] = []
    for column in columns:
        name = f"days since {column.name}" if column.dtype == MOMENT and time else column.name
        name = " ".join(name.translate({ord("["): "(", ord("]"): ")", ord("<"): " less "}).split())
        if name in RESERVED or name.startswith(RESERVED_STARTS):
            name = f"{name}_" if name in RESERVED else f"_{name}"
        while name in names:
            name = f"{name}_"
        names.append(name)
    return names
