"""Monitor: a batch beside what the champion has learnt from, and how well the champion does on it.

Summaries kept per batch (`statistics/sketch.py`) describe what the champion has learnt from; only
the rows of the batch itself are read, and those of the champion's holdout, on which estimates
without labels are calibrated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from evergreen.evaluation.held_out import HeldOut
from evergreen.evaluation.intervals import Estimate
from evergreen.features.encoder import as_class
from evergreen.features.keys import hash_rows
from evergreen.features.split import LABEL, TIME
from evergreen.ingest.manifest import Manifest
from evergreen.monitoring.drift import PREDICTION, DriftReport, find_drift, find_usual_auc
from evergreen.monitoring.performance import (
    Calibration,
    adjust,
    estimate,
    fit_calibration,
    measure_live,
)
from evergreen.monitoring.windows import ChampionState, Window
from evergreen.params import Params
from evergreen.scoring.package import Model
from evergreen.statistics.pooling import pool
from evergreen.statistics.sketch import SKETCH, Sketch, sketch

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Reference:
    """What a batch is compared with: what the champion has learnt from, and its holdout.

    `past`: the batches that it has learnt from; `whole`: their pool.
    `usual_auc`: how well its own batches can be told from one another. `expected`: each metric on
    its holdout.
    """

    version: str
    model: Model = field(repr=False)
    past: tuple[Sketch, ...] = field(repr=False)
    whole: Sketch = field(repr=False)
    usual_auc: float
    calibration: Calibration | None = field(repr=False)
    expected: Mapping[str, Estimate]

    @classmethod
    def of(
        cls,
        version: str,
        model: Model,
        past: Sequence[Sketch],
        holdout: pl.DataFrame,
        p: Array,
        params: Params,
        usual_auc: float | None = None,
    ) -> Reference:
        """Return the reference of a model that has learnt from batches `past`.

        What it is expected to do follows from `p`, the predictions for the rows of `holdout`
        by a model that had not learnt from them. `usual_auc`: where it is known already.
        """
        task, seed = model.encoder.task, params.sweep.first_seed
        y = model.encoder.transform_label(holdout[LABEL])
        whole = pool(past)
        return cls(
            version,
            model,
            tuple(past),
            replace(whole, columns=whole.columns | _predictions(model, p, holdout[TIME]).columns),
            find_usual_auc(past, params.drift, seed) if usual_auc is None else usual_auc,
            fit_calibration(task, y, p),
            measure_live(task, y, p, _days(holdout), params.evaluate, seed, metrics=params.metrics),
        )


def gather(
    version: str,
    model: Model,
    held_out: HeldOut | None,
    features: Manifest,
    learnt: Sequence[str],
    holdout: Sequence[str],
    params: Params,
    usual_auc: float | None = None,
    own: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows,
) -> Reference:
    """Return the reference of a champion.

    `learnt`, `holdout`: the batches in `features` that it has learnt from and was judged by.
    `held_out`: the predictions for the rows that judged it, where it was refit on them since.
    `own`: gives rows of features files the features, label and key that it was made for.
    """
    past = [Sketch.read(features.file(name, SKETCH)) for name in learnt]
    rows = pl.concat([pl.read_parquet(features.file(name)) for name in holdout])
    if held_out:
        rows = own(rows)
        rows = rows.filter(np.isin(hash_rows(rows), held_out.keys))
        p = held_out.packaged[held_out.find(hash_rows(rows))]
    else:
        later = pl.col(TIME) >= datetime.fromisoformat(model.learnt.newest)
        rows = own(rows.filter(later)) if model.definition.is_timed else model.unseen(own(rows))
        p = predict(model, rows)
    return Reference.of(version, model, past, rows, p, params, usual_auc)


@dataclass(frozen=True)
class Observation:
    """What was observed of a batch: drift, and each metric, by labels and estimated without.

    `adjusted`: the estimates, less sure by as much as those of earlier batches were wrong. `unfit`:
    why the batch is held back from training. `answered`: its labels came with another batch, whose
    entry is the better one. `staleness`: what it cost that the champion lacks the batches before.
    """

    batch: str
    start: datetime
    end: datetime
    rows: int
    labelled: int
    drift: DriftReport
    real: Mapping[str, Estimate]
    estimated: Mapping[str, Estimate]
    adjusted: Mapping[str, Estimate]
    unfit: tuple[str, ...] = ()
    answered: bool = False
    staleness: Estimate | None = None

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        times = {"start": self.start.isoformat(), "end": self.end.isoformat()}
        return asdict(self) | times | {"drift": self.drift.as_plain()}


def observe(
    name: str,
    rows: pl.DataFrame,
    kept: Sketch,
    labelled_later: pl.DataFrame | None,
    reference: Reference,
    params: Params,
    earlier: Sequence[Mapping[str, Any]] = (),
    unfit: Sequence[str] = (),
    staleness: Estimate | None = None,
) -> Observation:
    """Return what is observed of a batch.

    `rows`: a features file, or predictions that were kept, which are taken as they were made.
    `kept`: the sketch of the features. `labelled_later`: those of `rows` whose labels came later,
    where they came without. `earlier`: what was observed of earlier batches under this champion, as
    plain values. `staleness`: as in `Observation`.
    """
    model, seed = reference.model, params.sweep.first_seed
    task, days = model.encoder.task, _days(rows)
    p = predict(model, rows)
    batch = replace(kept, columns=kept.columns | _predictions(model, p, rows[TIME]).columns)
    labelled = rows if LABEL in rows.columns else labelled_later
    if labelled is not None and task != "regression":
        # Of a class that the champion has never met no prediction can be right
        labelled = labelled.filter(as_class(labelled[LABEL]).is_in(model.encoder.classes))
    how, metrics = (params.evaluate, seed), params.metrics
    real: dict[str, Estimate] = {}
    if labelled is not None and labelled.height:
        y = model.encoder.transform_label(labelled[LABEL])
        p_labelled, days_labelled = predict(model, labelled), _days(labelled)
        real = measure_live(task, y, p_labelled, days_labelled, *how, metrics=metrics)
    estimated = estimate(task, p, reference.calibration, days, *how, metrics=metrics)
    return Observation(
        batch=name,
        start=_moment(rows[TIME].min()),
        end=_moment(rows[TIME].max()),
        rows=rows.height,
        labelled=0 if labelled is None else labelled.height,
        drift=find_drift(
            batch, reference.whole, reference.past, params.drift, reference.usual_auc, seed
        ),
        real=real,
        estimated=estimated,
        adjusted={
            name: adjust(found, _past(earlier, name), params.evaluate.confidence)
            for name, found in estimated.items()
        },
        unfit=tuple(unfit),
        answered=LABEL not in rows.columns
        and labelled is not None
        and labelled.height >= rows.height / 2,
        staleness=staleness,
    )


def predict(model: Model, rows: pl.DataFrame) -> Array:
    """Return the predictions kept with `rows`, or else those of `model` for their features."""
    names = [
        name for name in rows.columns if name == PREDICTION or name.startswith(f"{PREDICTION}_")
    ]
    if not names or set(model.encoder.features) <= set(rows.columns):
        return model.predict_rows(rows)
    predicted = rows.select(names).to_numpy()
    return predicted[:, 0] if names == [PREDICTION] else predicted


def champion_state(
    reference: Reference, metric: str, retrainings: Sequence[datetime], features: Manifest
) -> ChampionState:
    """Return what the policy must know of the champion; `features`: all batches that there are."""
    newest = reference.model.learnt.newest
    return ChampionState(
        version=reference.version,
        learnt_until=datetime.fromisoformat(newest),
        expected=reference.expected[metric],
        metric=metric,
        retrainings=tuple(retrainings),
        new_rows=sum(entry["rows"] for entry in features.entries.values() if entry["end"] > newest),
        learnt_rows=len(reference.model.learnt.keys),
    )


def window_of(observed: Mapping[str, Any], metric: str) -> Window:
    """Return what the policy must know of a batch, from its observation as plain values."""
    drift = observed["drift"]
    return Window(
        batch=observed["batch"],
        end=datetime.fromisoformat(observed["end"]),
        rows=observed["rows"],
        labelled=observed["labelled"],
        drifted=tuple(drift["drifted"]),
        together=drift["together"],
        label_drifted=drift["label_drifted"],
        prediction_drifted=drift["prediction_drifted"],
        real=_estimate(observed["real"].get(metric)),
        estimated=_estimate(observed["adjusted"].get(metric)),
        unfit=tuple(observed["unfit"]),
        staleness=_estimate(observed.get("staleness")),
    )


def _past(earlier: Sequence[Mapping[str, Any]], metric: str) -> list[tuple[Estimate, Estimate]]:
    pairs = (
        (_estimate(batch["estimated"].get(metric)), _estimate(batch["real"].get(metric)))
        for batch in earlier
    )
    return [(predicted, real) for predicted, real in pairs if predicted and real]


def _estimate(plain: Mapping[str, float] | None) -> Estimate | None:
    return Estimate(**plain) if plain else None


def _predictions(model: Model, p: Array, times: pl.Series) -> Sketch:
    """Return the sketch of predictions: numbers, or the most likely classes."""
    several = p.ndim == 2
    predicted = np.array(model.encoder.classes, dtype=object)[p.argmax(axis=1)] if several else p
    column = pl.Series(predicted, dtype=pl.String if several else pl.Float32)
    return sketch(pl.DataFrame({PREDICTION: column}), times)


def _days(rows: pl.DataFrame) -> Array:
    return rows[TIME].dt.date().to_physical().to_numpy()


def _moment(value: Any) -> datetime:
    return datetime.fromisoformat(str(value))  # of a day or a moment
