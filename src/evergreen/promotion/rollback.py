"""Roll back: does the champion before do better than the present one, on rows that came after both?"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import polars as pl

from evergreen.decision import KEEP, ROLL_BACK, Decision, Rule
from evergreen.errors import InputError
from evergreen.features.keys import hash_rows
from evergreen.features.split import LABEL
from evergreen.params import Params, Retrain
from evergreen.promotion.candidate import Candidate, days_of, resampling_of
from evergreen.promotion.compare import Difference, Rows, Side, check_unseen, difference
from evergreen.promotion.evidence import find_changes, see_champion
from evergreen.promotion.gate import tell, unit_of


def decide_rollback(
    comparison: Difference | None,
    models: Difference | None,
    params: Retrain,
    min_gain: float,
    min_probability: float,
    metric: str,
) -> Decision:
    """Return whether to `rollback` to the champion before, or to `keep` the present one.

    `comparison`: both on the same new rows, the champion before in the challenger's place, with the
    noise of rows and seeds; `models`: the two packaged models, by rows alone. None where the rows
    say nothing. `min_gain` and `min_probability` as in the gate: it is no easier to come back than
    to be promoted.
    """
    on = params.rollback == "auto"
    says = "the champion before comes back by itself where every rule is met"
    rules = [
        Rule(
            "rollback",
            on,
            says if on else "SWITCHED OFF (retrain.rollback): no champion comes back by itself",
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
        bound, told = min_gain * unit_of(metric, comparison), tell(metric, comparison)
        why = (
            f"by less than {bound:.4g}, the smallest gain that matters" if not comparison.value >= bound
            else "within the noise" if not comparison.low > 0
            else f"less surely than {min_probability:g}" if not comparison.probability >= min_probability
            else ""
        )  # fmt: skip
        says = f"the champion before is {f'not better enough, {why}' if why else 'better beyond the noise'}: {told}"
        rules.append(Rule("better", not why, says))
        better = models.value > 0
        says = f"the two packaged models: the one before is {'' if better else 'not '}better: {tell(metric, models)}"
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
    """Return whether the champion `before` shall be back, by labelled `rows` that came after both.

    Both are seen as the gate sees them: with the noise of rows and of seeds. What cannot be
    compared stays.
    """
    try:
        if changed := find_changes(before, present):
            raise InputError("; ".join(changed))
        untimed = () if present.model.definition.is_timed else (present, before)
        for one in untimed:  # rows that hold the same as one that was learnt from tell nothing
            seen = np.isin(hash_rows(one.known(rows)), one.model.learnt.keys)
            rows = rows.filter(~seen)
        check_unseen(hash_rows(present.known(rows)), champion=present.model.learnt.keys)
        old, new = see_champion(rows, before), see_champion(rows, present)
        y = present.model.encoder.transform_label(present.known(rows)[LABEL])
    except InputError as error:
        return Decision(KEEP, (f"the champion before cannot be compared: {error}",), {"rules": []})
    whole = Rows(present.model.encoder.task, y, {}, days_of(rows))
    how = resampling_of(params)
    seeds = difference(whole, metric, new, old, how)
    models = difference(whole, metric, Side(new.prediction), Side(old.prediction), how)
    return decide_rollback(
        seeds, models, params.retrain, params.gate.min_gain, params.gate.min_probability, metric
    )
