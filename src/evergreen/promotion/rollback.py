"""Roll back: does the previous champion do better than the present one, on rows newer than both?"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import polars as pl

from evergreen.decision import KEEP, ROLL_BACK, Decision, Rule
from evergreen.errors import InputError
from evergreen.features.keys import hash_rows
from evergreen.features.split import LABEL
from evergreen.metrics.metric import Metrics
from evergreen.params import Params, Retrain
from evergreen.promotion.candidate import Candidate, days_of, resampling_of
from evergreen.promotion.compare import Difference, Rows, Side, check_unseen, difference
from evergreen.promotion.guardrails import tell, unit_of
from evergreen.promotion.judge import find_changes, predict_champion


def decide_rollback(
    comparison: Difference | None,
    models: Difference | None,
    params: Retrain,
    min_gain: float,
    min_probability: float,
    metric: str,
    *,
    metrics: Metrics,
) -> Decision:
    """Return whether to `rollback` to the previous champion, or to `keep` the present one.

    `comparison`: both on the same new rows, the previous champion in the challenger's place, with
    the noise of rows and seeds; `models`: the two packaged models, by rows alone. None where the
    rows cannot judge a model. `min_gain` and `min_probability` as in the gate: it is no easier to
    be restored than to be promoted.
    """
    on = params.rollback == "auto"
    says = "the previous champion is restored automatically if every rule is met"
    rules = [
        Rule(
            "rollback",
            on,
            says
            if on
            else "SWITCHED OFF (retrain.rollback): no champion is restored automatically",
        )
    ]
    if comparison is None or models is None:
        rules.append(
            Rule(
                "better",
                met=False,
                says=f"too few new rows to compare the two champions in {metric}",
            )
        )
    else:
        bound, gain = min_gain * unit_of(metrics[metric], comparison), tell(metric, comparison)
        why = ""
        if not comparison.value >= bound:
            why = f"by less than {bound:.4g}, the smallest gain that matters"
        elif not comparison.low > 0:
            why = "within the noise"
        elif not comparison.probability >= min_probability:
            why = f"less surely than {min_probability:g}"
        how = f"not better enough, {why}" if why else "better beyond the noise"
        says = f"the previous champion is {how}: {gain}"
        rules.append(Rule("better", not why, says))
        better = models.value > 0
        is_better = "better" if better else "not better"
        says = f"of the two packaged models the previous one is {is_better}: {tell(metric, models)}"
        rules.append(Rule("models", better, says))
    plain = {
        "rules": [asdict(rule) for rule in rules],
        "metric": metric,
        "comparison": asdict(comparison) if comparison else None,
        "models": asdict(models) if models else None,
        "min_gain": min_gain,
        "min_probability": min_probability,
        "retrain": params.model_dump(),
    }
    broken = tuple(rule.says for rule in rules if not rule.met)
    return Decision(KEEP, broken, plain) if broken else Decision(ROLL_BACK, (rules[1].says,), plain)


def judge_rollback(
    rows: pl.DataFrame, present: Candidate, before: Candidate, metric: str, params: Params
) -> Decision:
    """Return whether to restore the champion `before`, by labelled `rows` newer than both.

    They are compared as in the gate: with the noise of rows and of seeds. Where they cannot be
    compared, the present one stays.
    """
    try:
        if changed := find_changes(before, present):
            raise InputError("; ".join(changed))
        untimed = () if present.model.definition.is_timed else (present, before)
        for candidate in untimed:  # rows equal to one of the training data cannot judge
            seen = np.isin(
                hash_rows(candidate.with_own_features(rows)), candidate.model.learnt.keys
            )
            rows = rows.filter(~seen)
        if rows.is_empty():
            raise InputError("the two champions have learnt from all of the new rows")
        check_unseen(hash_rows(present.with_own_features(rows)), champion=present.model.learnt.keys)
        old, new = predict_champion(rows, before), predict_champion(rows, present)
        y = present.model.encoder.transform_label(present.with_own_features(rows)[LABEL])
    except InputError as error:
        return Decision(
            KEEP, (f"the previous champion cannot be compared: {error}",), {"rules": []}
        )
    whole = Rows(present.model.encoder.task, y, {}, days_of(rows), params.metrics)
    how = resampling_of(params)
    seeds = difference(whole, metric, new, old, how)
    models = difference(whole, metric, Side(new.prediction), Side(old.prediction), how)
    bounds = params.gate.min_gain, params.gate.min_probability
    return decide_rollback(seeds, models, params.retrain, *bounds, metric, metrics=params.metrics)
