"""Rows: copies, labels that are wrong, a loss that outliers rule, and the worst rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from evergreen.diagnosis.fault import COPIES, LABEL_NOISE, WRONG_LOSS, Fault, Found
from evergreen.diagnosis.lab import Lab, variance_of_mean
from evergreen.finding import Finding, Kind, percent
from evergreen.training.cross_validation import fit_side_by_side, predict_holdout
from evergreen.training.tables import Table, Tables

Array = np.ndarray[Any, np.dtype[Any]]
COPIED = 0.02  # least share of copied rows, beyond coincidence, that is a fault
FOLDS = 4  # of all rows, each predicted by a model of the others
SUREST = 0.2  # of the rows predicted as a class, those that the model is surest of
STEEPER = 1.38  # the log odds there, beside those of the surer half, of a normal score
SURELY = 2.5  # standard errors that the errors of the surest are beyond those
NOISY, MOST_NOISY = 0.05, 0.35  # errors of the surest that may be noise of labels
FEWEST = 50  # rows predicted as a class, below which nothing is said of it
OUTLYING = 0.01  # of rows, those with the largest residuals
TAIL = 0.35  # of the squared error that they make, from which it rules the loss
RULED = 0.6  # from which outliers rule it so far that they are no labels of other rows
FAR = 3.0  # robust standard deviations, from which a number is far from its prediction
STRANGE = 0.7  # of how far labels of other rows are, those that are wrong at least
EVEN = 0.5  # least rate of them on one side of the predictions beside the other
SHOWN = 12


def find_rows_copied(tables: Tables) -> Found:
    """Return the share of rows whose features and label another row has, beyond coincidence.

    Where features have few values, equal rows are no copies. By coincidence, rows that are equal
    but for one column would be far more than those that are equal in all: as many more as two rows
    seldom have the same value there. Of copies they are no more.
    """
    share, chance = share_copied(tables.train)
    beyond = share * (1 - chance)
    question = "Are rows there twice?"
    said = f"{percent(share)} of the rows to learn from have the features and the label of another"
    if beyond < COPIED:
        why = f", {percent(chance)} of such pairs by coincidence" if share else ""
        return Found(answers=((question, f"{said}{why}."),))
    says = (
        f"{said}, and coincidence explains {percent(chance)} of such pairs: they count more than "
        "once, and the same row may learn and judge"
    )
    remedy = "keep each row once in the source, or let key in dataset.py name what identifies a row"
    return Found(faults=(Fault(COPIES, says, remedy, beyond),))


def share_copied(table: Table) -> tuple[float, float]:
    """Return the share of rows that another equals, and of such pairs the share by coincidence."""
    columns = [*_filled(table.x).T, table.y]
    parts = np.stack([_numbered(column) for column in columns])
    total = _mixed(parts)
    whole = total.sum(axis=0, dtype=np.uint64)
    counts = np.unique(whole, return_counts=True)[1]
    pairs = _pairs(counts)
    if not pairs:
        return 0.0, 0.0
    by_chance = max(
        (_pairs(np.unique(whole - total[at], return_counts=True)[1]) - pairs) * _meeting(column)
        for at, column in enumerate(parts)
    )
    return float(counts[counts > 1].sum() / len(table)), min(1.0, by_chance / pairs)


def _filled(x: Array) -> Array:
    """Return the features with a number for what is missing, so that it equals itself."""
    return np.where(np.isnan(x), np.float32(-9e37), x)


def _numbered(column: Array) -> Array:
    return np.unique(column, return_inverse=True)[1].astype(np.uint64)


def _mixed(parts: Array) -> Array:
    """Return a random number for each value of each column, so that their sum stands for a row."""
    draw = np.random.default_rng(7)
    found = np.empty_like(parts)
    for at, column in enumerate(parts):
        table = draw.integers(0, 2**63, int(column.max()) + 1, dtype=np.uint64)
        found[at] = table[column]
    return found


def _pairs(counts: Array) -> float:
    return float((counts.astype(np.float64) * (counts - 1)).sum() / 2)


def _meeting(column: Array) -> float:
    """Return the odds that two rows have the same value in a column."""
    counts = np.bincount(column.astype(np.intp))
    same = _pairs(counts) / max(1.0, len(column) * (len(column) - 1) / 2)
    return same / max(1e-12, 1 - same)


def find_diversity(tables: Tables) -> Found:
    """Answer whether rows differ enough to learn from: distinct rows, constant columns, classes."""
    x = tables.train.x
    own = len(np.unique(_filled(x), axis=0)) / max(1, len(x))
    same = [name for name, column in zip(tables.features, x.T, strict=True) if _is_constant(column)]
    said = f"{percent(own)} of the rows have features that no earlier row has"
    said += f"; constant: {', '.join(same)}" if same else "; no feature is constant"
    if tables.task != "regression":
        counts = np.bincount(tables.train.y.astype(np.intp), minlength=len(tables.classes))
        rarest = int(counts.argmin())
        said += f"; {tables.classes[rarest]!r} is the rarest class, with {counts[rarest]:,} rows"
    return Found(answers=(("Do rows differ?", f"{said}."),))


def _is_constant(column: Array) -> bool:
    return bool(np.isnan(column).all() or (column == column[0]).all())


def find_noise(lab: Lab) -> Found:
    """Return how many labels are wrong at least, where that can be told."""
    question, (y, p) = "Are labels wrong?", predict_all(lab)
    numbers = lab.tables.task == "regression"
    noise, how = wrong_numbers(y, p) if numbers else plateau(y.astype(np.intp), p)
    if noise is None:
        return Found(answers=((question, f"None can be told: {how}."),))
    says = f"about {percent(noise)} of the labels contradict what the features say: {how}"
    remedy = (
        "check the labels in the source, the suspects in reports/bias.html first "
        "(bias.max_label_noise stops a run); no parameter mends them. If they are right, a feature "
        "is missing that decides"
    )
    return Found(faults=(Fault(LABEL_NOISE, says, remedy, noise),))


def wrong_numbers(y: Array, p: Array) -> tuple[float | None, str]:
    """Return the share of numbers that are labels of other rows, and how it shows; None: not told.

    `y`, `p`: labels and predictions of models that have not learnt from them, shape (rows,). Such a
    label is as far from its prediction as those of two rows drawn at random, whether much or little
    is predicted. Large errors that belong to the thing itself are no farther than they must be to
    count as large, or come where much is predicted, or rule the squared error.
    """
    residuals = y.astype(np.float64) - p
    away = np.abs(residuals - np.median(residuals))
    limit = FAR * 1.4826 * float(np.median(away))
    far, above = away > limit, p > np.median(p)
    share = float(far.mean())
    how = f"{percent(share)} of the labels are far from what is predicted"
    strangers = np.abs(np.random.default_rng(19).permutation(y) - p)
    caught = float((strangers > limit).mean())
    if share < NOISY or share_of_tail(residuals) >= RULED or not caught:
        return None, how
    alike = float(np.median(away[far])) / float(np.median(strangers[strangers > limit]))
    sides = sorted([float(far[above].mean()), float(far[~above].mean())])
    if alike < STRANGE or sides[0] < EVEN * sides[1]:
        return None, f"{how}, as errors of the thing itself may be"
    noise = min(1.0, share / caught)
    return noise, f"{how}, as far as the labels of other rows are"


def predict_all(lab: Lab) -> tuple[Array, Array]:
    """Return the labels of all rows, and what models predict that have not learnt from them."""
    tables = lab.tables
    parts = (tables.train, tables.validation, tables.holdout)
    whole = Table(
        np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])
    )
    which = np.random.default_rng(13).permutation(len(whole)) % FOLDS
    params = lab.params.model_copy(update={"rounds": lab.base.rounds})
    said: Array | None = None
    for fold in range(FOLDS):
        away = np.flatnonzero(which == fold)
        rest = whole.take(np.flatnonzero(which != fold))
        only = replace(
            tables, train=rest, validation=rest.none(), holdout=whole.take(away), folds=()
        )
        p = predict_holdout(
            only,
            fit_side_by_side(only, params, lab.seeds[:1], device="cpu", jobs=1, threads=lab.jobs)[
                0
            ].booster,
            params.learner,
        )
        said = np.empty((len(whole), *p.shape[1:]), p.dtype) if said is None else said
        said[away] = p
    assert said is not None
    return whole.y, said


def plateau(y: Array, p: Array) -> tuple[float | None, str]:
    """Return the share of labels that are wrong by the errors of the surest rows, and how it shows.

    `y`: codes of classes, shape (rows,). `p`: by models that have not learnt from these rows, shape
    (rows,) or (rows, classes). None: not told.

    Where labels are flipped, no row is surer than that: among the rows that the model is surest of,
    on the side of each class, as many have another label as among the surer half. Where labels are
    merely hard to tell, errors fall towards the surest: of a normally distributed score, whose log
    odds are 1.38 times as high in the surest fifth as in the surer half. What is beyond that by
    two and a half standard errors, for the two classes that the model is surest of, is told. That
    the surest rows show the noise: Liu and Tao, Classification with noisy labels by importance
    reweighting, 2016.
    """
    whole = np.column_stack([1 - p, p]) if p.ndim == 1 else p
    said, sure = whole.argmax(axis=1), whole.max(axis=1)
    wrong, sides = said != y, []
    for label in range(whole.shape[1]):
        at = np.flatnonzero(said == label)
        if len(at) < FEWEST:
            continue
        at = at[np.argsort(-sure[at], kind="stable")]
        top = max(FEWEST // 2, int(SUREST * len(at)))
        sides.append((float(wrong[at[:top]].mean()), float(wrong[at[: len(at) // 2]].mean()), top))
    lasting = (
        "errors fall towards the rows that a model is surest of, as where labels are hard to tell"
    )
    if len(sides) < 2:
        return None, "a model is sure of one class only"
    surest = sorted(sides)[:2]
    error = float(np.mean([most for most, _, _ in surest]))
    beyond = [most - _falling(half) for most, half, _ in surest]
    deviation = np.sqrt(sum(max(most, 1 / top) * (1 - most) / top for most, _, top in surest)) / 2
    if not NOISY <= error <= MOST_NOISY or min(beyond) <= 0 or np.mean(beyond) < SURELY * deviation:
        return None, lasting
    half = float(np.mean([half for _, half, _ in surest]))
    return error, (
        f"of the fifth that a model is surest of, {percent(error)} have another label, nearly as "
        f"many as of the surer half ({percent(half)})"
    )


def _falling(half: float) -> float:
    """Return the error of the surest fifth that goes with an error of the surer half."""
    inside = min(max(half, 1e-6), 0.5)
    return float(1 / (1 + ((1 - inside) / inside) ** STEEPER))


def share_of_tail(residuals: Array) -> float:
    """Return the share of the squared error that the hundredth of rows with the largest makes."""
    squares = np.sort(residuals.astype(np.float64) ** 2)
    return float(squares[-max(1, round(OUTLYING * len(squares))) :].sum() / (squares.sum() or 1.0))


def find_loss(lab: Lab) -> Found:
    """Return whether a few outliers rule the squared error (regression).

    It is so where a hundredth of the rows makes a large part of it, and a model that is not pulled
    by the outermost labels is surely better in the absolute error.
    """
    question = "Does the loss suit the label?"
    if lab.tables.task != "regression" or lab.params.loss not in ("auto", "squared"):
        return Found()
    tables, base = lab.tables, lab.base
    tail = share_of_tail(tables.holdout.y - base.p)
    said = (
        f"the hundredth of rows with the largest residuals makes {percent(tail)} of the squared "
        "error"
    )
    if tail < TAIL:
        return Found(answers=((question, f"Nothing speaks against it: {said}."),))
    low, high = np.quantile(tables.train.y, [OUTLYING, 1 - OUTLYING])
    parts = (
        replace(part, y=np.clip(part.y, low, high)) for part in (tables.train, tables.validation)
    )
    train, stop = parts
    calm = lab.fit(replace(tables, train=train, validation=stop))
    before, after = (
        np.abs(tables.holdout.y.astype(np.float64) - trial.p) for trial in (base, calm)
    )
    fall, error = (
        float((before - after).mean()),
        float(np.sqrt(variance_of_mean(before - after, lab.days))),
    )
    relative = fall / float(before.mean())
    if fall < 3 * error or relative < 0.02:
        return Found(
            answers=(
                (question, f"{said.capitalize()}, but a model without them is not surely better."),
            )
        )
    says = (
        f"{said}; a model that is not pulled by the outermost labels has an absolute error lower "
        f"by {percent(relative)}"
    )
    remedy = "set train.loss to absolute or pseudo_huber, which outliers do not rule"
    return Found(faults=(Fault(WRONG_LOSS, says, remedy, relative),))


def worst_rows(lab: Lab, named: dict[str, int]) -> Finding:
    """Return the rows with the largest losses; `named`: the features to show of them, by column."""
    tables, base = lab.tables, lab.base
    losses = base.losses.mean(axis=0)
    at = np.argsort(-losses, kind="stable")[:SHOWN]
    regression = tables.task == "regression"
    kind: Kind = "number" if regression else "text"

    def label(code: float) -> str | float:
        return float(code) if regression else tables.classes[int(code)]

    def said(place: int) -> str | float:
        p = base.p[place]
        if regression:
            return float(p)
        best = int(np.argmax(p)) if np.ndim(p) else int(p >= 0.5)
        sure = float(np.max(p)) if np.ndim(p) else float(max(p, 1 - p))
        return f"{tables.classes[best]} ({percent(sure)})"

    return Finding(
        "rows",
        "worst rows",
        float(losses[at].sum() / losses.sum()),
        f"The {len(at)} rows with the largest losses; they make "
        f"{percent(float(losses[at].sum() / losses.sum()))} of it.",
        columns={
            "label": kind,
            "predicted": kind,
            "loss": "number",
            **dict.fromkeys(named, "text"),
        },
        rows=tuple(
            (
                label(tables.holdout.y[place]),
                said(place),
                float(losses[place]),
                *(
                    value_of(tables, column, float(tables.holdout.x[place, column]))
                    for column in named.values()
                ),
            )
            for place in at.tolist()
        ),
    )


def value_of(tables: Tables, column: int, value: float) -> str:
    """Return an encoded value of a feature in words."""
    from evergreen.features.encoder import FIRST, MISSING, OTHER

    name = tables.features[column]
    if name not in tables.categories:
        return "missing" if np.isnan(value) else f"{value:.4g}"
    levels = tables.encoder.levels[name] if tables.encoder else ()
    code = int(value)
    if code == MISSING:
        return "missing"
    if code == OTHER:
        return "other"
    return levels[code - FIRST] if code - FIRST < len(levels) else f"level {code}"
