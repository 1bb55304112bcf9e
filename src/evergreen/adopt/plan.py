"""Plan: which column is the label, the time, the key, a feature; and which are left out, and why."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import polars as pl

from evergreen.adopt.checks import PEOPLE, look
from evergreen.adopt.infer import MOMENT, Column, Inferred
from evergreen.adopt.names import MOMENTS, NAMES_ROWS, plain_name
from evergreen.adopt.suspect import suspect
from evergreen.adopt.warning import Doubt, listed, shown
from evergreen.dataset import ORDER, RESERVED, RESERVED_STARTS
from evergreen.errors import InputError
from evergreen.finding import count
from evergreen.metrics.metric import Task
from evergreen.params import Leaks

IN_ORDER = "order"  # what people say for ORDER
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
class Wishes:
    """What a person says of the table; None and empty: to be found out."""

    target: str
    time: str | None = None
    key: tuple[str, ...] = ()
    task: Task | None = None
    timeless: bool = False
    period: str | None = None
    max_bad_rows: float | None = None
    dates: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    known_later: tuple[str, ...] = ()


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
    doubts: tuple[Doubt, ...]


def plan(found: Inferred, wishes: Wishes, leaks: Leaks) -> Plan:
    """Return what the columns are for. Raises InputError where a wish cannot be met."""
    columns = found.columns
    target = _find_target(columns, wishes)
    task, positive, rare, doubts = _find_task(target, wishes.task)
    time, told = _find_time(found, wishes, target.name)
    key = _find_key(columns, wishes, target.name, time)
    others = {name: one for name, one in columns.items() if name not in (target.name, time)}
    when = columns[time] if time in columns and columns[time].dtype == MOMENT else None
    late = {_column(columns, name, "--known-later") for name in wishes.known_later}
    if target.name in late or time in late or late & {*key}:
        raise InputError(
            f"--known-later {', '.join(sorted(late))}: label, time and key cannot be named here"
        )
    told += [
        Doubt(name, "known later", "is known only afterwards, as you say", out=True)
        for name in sorted(late)
    ]
    told += [
        doubt
        for one in others.values()
        if one.name not in late
        for doubt in look(one, is_key=one.name in key, time=when)
    ]
    told = [replace(doubt, out=doubt.out and doubt.column not in key) for doubt in told]
    out = {doubt.column: doubt.says for doubt in told if doubt.out}
    kept = [one for name, one in others.items() if name not in out and name not in key]
    features = dict(zip(_name_features(kept, when), kept, strict=True))
    suspected = suspect(features, target, task, positive, leaks)
    doubts = [*doubts, *told, *suspected]
    out = {doubt.column: doubt.says for doubt in doubts if doubt.out}
    features = {name: one for name, one in features.items() if one.name not in out}
    if not features:
        why = listed([f"{shown(name)} {says}" for name, says in out.items()])
        raise InputError(
            f"no column is left to predict {target.name!r} from: {why or 'there is no other'}"
        )
    later = [doubt.column for doubt in doubts if doubt.kind in ("known later", "suspected leak")]
    gone = {
        doubt.column for doubt in doubts if doubt.kind in ("empty", "nested", "personal data")
    } - {*key}
    return Plan(
        task, target, positive, rare, time, key, features, (target.name, *later), out,
        tuple(name for name in columns if name not in gone), _strong_first((*found.doubts, *doubts)),
    )  # fmt: skip


def _strong_first(doubts: tuple[Doubt, ...]) -> tuple[Doubt, ...]:
    """Return doubts with those first that a person should look at first."""
    return tuple(sorted(doubts, key=lambda doubt: doubt.kind != "strong"))


# --- the label
# --------------------------------------------------------------------------------------------------


def _find_target(columns: Mapping[str, Column], wishes: Wishes) -> Column:
    target = columns[_column(columns, wishes.target, "--target")]
    if not target.levels:
        raise InputError(
            f"--target {target.name!r} is empty in every row: there is nothing to learn"
        )
    if target.levels == 1:
        raise InputError(
            f"--target {target.name!r} is {target.known[0]!r} in every row: there is nothing to learn"
        )
    if target.dtype == MOMENT:
        raise InputError(
            f"--target {target.name!r} holds dates: make days of them, or yes and no, in the source"
        )
    return target


def _find_task(
    target: Column, wished: Task | None
) -> tuple[Task, object, tuple[object, ...], list[Doubt]]:
    name, known, levels = target.name, target.known, target.levels
    whole = target.is_number and bool((known == known.cast(pl.Float64).round()).all())
    classes = levels if not target.is_number or (whole and levels <= CLASSES) else 0
    task: Task = wished or ("binary" if levels == 2 else "multiclass" if classes else "regression")
    _check_task(target, task, whole=whole)
    doubts, positive, rare = [], None, tuple[object, ...]()
    if target.missing:
        says = f"is not known in {target.values.null_count():,} of {len(target.values):,} rows: they are left out, and counted"
        doubts.append(Doubt(name, "unlabelled", says))
    if task == "regression":
        return task, None, (), doubts
    counts = known.value_counts(sort=True)
    values, rows = counts[name].to_list(), counts["count"].to_list()  # the rarest last
    if task == "binary":
        positive = next((one for one in values if str(one).strip().lower() in YES), values[-1])
        other = next(one for one in values if one != positive)
        doubts.append(
            Doubt(name, "label", f"is yes where it is {positive!r}, no where it is {other!r}")
        )
    elif not wished and target.is_number:
        doubts.append(
            Doubt(
                name,
                "label",
                f"holds {levels} different whole numbers: taken for classes (else --task regression)",
            )
        )
    if rows[-1] < FEWEST and task == "multiclass":
        rare = tuple(value for value, count in zip(values, rows, strict=True) if count < FEWEST)
        if levels - len(rare) < 2:
            raise InputError(
                f"--target {name!r}: of {levels} classes fewer than two have {FEWEST} rows or more"
            )
        says = f"has fewer than {FEWEST} rows of {listed([repr(one) for one in rare])}: such rows are left out"
        doubts.append(Doubt(name, "rare classes", says))
    elif rows[-1] < FEWEST or rows[-1] / len(known) < 0.05:
        says = f"is {values[-1]!r} in only {rows[-1]:,} of {len(known):,} rows ({rows[-1] / len(known):.1%})"
        doubts.append(Doubt(name, "imbalance", says))
    return task, positive, rare, doubts


def _check_task(target: Column, task: Task, *, whole: bool) -> None:
    name, known, levels = target.name, target.known, target.levels
    if task == "binary" and levels != 2:
        raise InputError(
            f"--task binary: {name!r} has {levels:,} values, not two, such as {_few(known)}"
        )
    if task == "regression" and not target.is_number:
        raise InputError(f"--task regression: {name!r} holds no numbers, but {_few(known)}")
    if task == "multiclass" and levels > min(100.0, len(known) / 10):
        raise InputError(
            f"--target {name!r} has {levels:,} different values in {len(known):,} rows, too many for classes: group them "
            "in the source, or choose another column"
        )
    if task == "multiclass" and target.is_number and not whole:
        raise InputError(
            f"--task multiclass: {name!r} holds fractions such as {_few(known.filter(known != known.round()))}"
        )


# --- time and key
# --------------------------------------------------------------------------------------------------


def _find_time(found: Inferred, wishes: Wishes, target: str) -> tuple[str, list[Doubt]]:
    columns = found.columns
    if wishes.timeless:
        return "", []
    if wishes.time in (ORDER, IN_ORDER) and wishes.time not in columns:
        return ORDER, []
    if wishes.time:
        return _check_time(found, wishes.time, target), []
    dated = [one for one in columns.values() if one.dtype == MOMENT and one.name != target]
    usable = [one for one in dated if not _why_not(one)]
    if len(usable) == 1:
        says = "says when each row happened (if it does not: --no-time)"
        return usable[0].name, [Doubt(usable[0].name, "time", says)]
    if usable:
        names = listed([shown(one.name) for one in usable])
        return "", [
            Doubt(
                "",
                "time",
                f"{names} hold dates: name the one that says when a row happened with --time",
            )
        ]
    doubts = [
        Doubt(
            one.name,
            "time",
            f"holds dates, but {_why_not(one)}: --time {one.name!r} takes it all the same",
        )
        for one in dated
    ]
    doubts += [
        Doubt(name, "time", says)
        for name, says in found.maybe.items()
        if name != target and not PEOPLE.search(plain_name(name))
    ]
    says = "no column surely says when: where rows, and later files, come in the order of time, say --time order"
    return "", [*doubts, Doubt("", "time", says)]


def _check_time(found: Inferred, name: str, target: str) -> str:
    """Return the column that a person says tells when. Raises InputError where it cannot."""
    one = found.columns[_column(found.columns, name, "--time")]
    if one.name == target:
        raise InputError(
            f"--time {one.name!r} is the target: name the column that says when a row happened"
        )
    if one.dtype != MOMENT and not one.is_number:
        raise InputError(
            f"--time {one.name!r} holds no dates, but {_few(one.known)}: write them as 2026-05-03 08:30, or say how they "
            "are written with --dates, such as --dates '%d.%m.%Y'"
        )
    if one.levels < 3:
        raise InputError(
            f"--time {one.name!r} holds {count(one.levels, 'moment')}: rows cannot be split by so few"
        )
    return one.name


def _why_not(one: Column) -> str:
    """Return why a column of dates is not taken for when a row happened, or nothing."""
    times = one.known.sort()
    if one.missing > 0.01:
        return f"{one.missing:.1%} of the rows have none"
    if PEOPLE.search(plain_name(one.name)):
        return "sounds like a person's"
    if one.levels < MOMENTS:
        return f"there are only {count(one.levels, 'moment')}"
    span: timedelta = times[-1] - times[0]
    return "" if span > timedelta(days=1) else "they span no more than a day"


def _find_key(
    columns: Mapping[str, Column], wishes: Wishes, target: str, time: str
) -> tuple[str, ...]:
    if wishes.key:
        key = tuple(dict.fromkeys(_column(columns, one, "--key") for one in wishes.key))
        if target in key:
            raise InputError(
                f"--key {target!r} is the target: rows that are scored would have no key"
            )
        if twice := _count_twice(columns, key):
            raise InputError(
                f"--key {', '.join(key)}: {twice[0]:,} rows share it with another, such as {twice[1]}: name more columns "
                "(--key again), or none"
            )
        return key
    named = [
        name
        for name, one in columns.items()
        if name not in (target, time)
        and not one.missing
        and not one.broken.any()
        and _may_be_key(one)
    ]
    candidates: list[tuple[str, ...]] = [(one,) for one in named]
    candidates += [(time, one) for one in named if time in columns and not columns[time].missing]
    return next((one for one in candidates if not _count_twice(columns, one)), ())


def _may_be_key(one: Column) -> bool:
    """Say whether a column names things: by its own name, or as texts without blanks that are all different."""
    if one.dtype not in (pl.String(), pl.Int64()) or PEOPLE.search(plain_name(one.name)):
        return False
    if NAMES_ROWS.search(plain_name(one.name)):
        return True
    return (
        one.dtype == pl.String()
        and one.levels == len(one.values)
        and not one.known.str.contains(r"[\s@]").any()
    )


def _count_twice(columns: Mapping[str, Column], key: tuple[str, ...]) -> tuple[int, str] | None:
    rows = pl.DataFrame({name: columns[name].values for name in key}).filter(
        ~pl.any_horizontal(*(columns[name].broken for name in key))
    )
    twice = rows.filter(rows.is_duplicated())
    if twice.is_empty():
        return None
    return twice.height, ", ".join(str(value) for value in twice.row(0))


# --- features
# --------------------------------------------------------------------------------------------------


def _name_features(columns: Iterable[Column], time: Column | None) -> list[str]:
    """Return a name for each column that XGBoost takes and no file of features uses for something else."""
    names: list[str] = []
    for one in columns:
        name = f"days since {one.name}" if one.dtype == MOMENT and time else one.name
        name = " ".join(name.translate({ord("["): "(", ord("]"): ")", ord("<"): " less "}).split())
        if name in RESERVED or name.startswith(RESERVED_STARTS):
            name = f"{name}_" if name in RESERVED else f"_{name}"
        while name in names:
            name = f"{name}_"
        names.append(name)
    return names


def _column(columns: Mapping[str, Column], name: str, option: str) -> str:
    if name in columns:
        return name
    near = [one for one in columns if one.strip().lower() == name.strip().lower()]
    near = near or difflib.get_close_matches(name, columns, n=1)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else f"there are {listed([shown(one) for one in columns], 20)}"
    )
    raise InputError(f"{option}: there is no column {name!r}; {hint}")


def _few(values: pl.Series) -> str:
    return ", ".join(repr(one) for one in values.unique(maintain_order=True).head(3))
