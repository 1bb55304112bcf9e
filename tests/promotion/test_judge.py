"""Evidence: what the gate knows of two candidates, and what keeps them from being compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from promotion.gated import broken
from promotion.relearnt import relearnt

from evergreen.decision import ASK, PROMOTE, REFUSE
from evergreen.errors import InputError
from evergreen.evaluation.calibration import calibration_error
from evergreen.evaluation.evaluate import predict
from evergreen.features.split import GROUP, LABEL, SLICE, TIME
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.promotion.compare import Side
from evergreen.promotion.judge import judge

pytestmark = pytest.mark.usefixtures("same_resamples")
Array = np.ndarray[Any, np.dtype[Any]]


# --- what is gathered


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_evidence_is_what_both_models_say_of_the_rows(task, world, settle):
    champion, challenger, rows = world.champion(task), world.better(task), world.holdout(task)
    judged, decision = settle(task, challenger, champion, groups=True)
    evidence = judged.evidence
    x, y = (
        challenger.model.encoder.transform(rows),
        challenger.model.encoder.transform_label(rows[LABEL]),
    )
    metric = LIBRARY.pick(None, task)
    assert decision.action == PROMOTE
    assert (evidence.champion, evidence.seeds_expected, evidence.faults, evidence.reload) == (
        "1",
        4,
        (),
        0.0,
    )
    assert evidence.comparison.metric == metric
    assert evidence.comparison.rows == rows.height
    for name, side in (("champion", champion), ("challenger", challenger)):
        assert judged.predictions[name].tobytes() == side.model.predict_rows(rows).tobytes()
        alone = [LIBRARY.measure(task, y, predict(booster, x))[metric] for booster in side.seeds]
        assert evidence.comparison.by_seed[name] == pytest.approx(alone)
    assert evidence.calibration == tuple(
        calibration_error(task, y, judged.predictions[name]) for name in ("champion", "challenger")
    )
    assert list(evidence.comparison.slices) == [f"place={name}" for name in sorted(world.places)]
    assert list(evidence.comparison.baselines) == ["constant", "linear"]
    assert list(evidence.groups) == ["member"]
    assert judged.y.tobytes() == y.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_without_a_champion_the_challenger_is_judged_alone(task, world, settle):
    judged, decision = settle(task, world.better(task), None)
    assert decision.action == PROMOTE
    assert (judged.evidence.champion, judged.evidence.champion_age_days) == (None, None)
    assert judged.evidence.calibration[0] is None
    assert list(judged.predictions) == ["challenger"]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_mean_of_seeds_is_compared_as_the_mean(task, world, settle):
    mean, rows = world.better(task, "mean"), world.holdout(task)
    judged, _ = settle(task, mean, world.champion(task))
    assert mean.predict_unseen(rows).averaged
    assert not world.better(task).predict_unseen(rows).averaged
    metric = LIBRARY.pick(None, task)
    found = judged.evidence.comparison
    shown = LIBRARY.measure(task, judged.y, judged.predictions["challenger"])[metric]
    assert found.whole[metric].challenger == pytest.approx(shown)
    assert len(found.by_seed["challenger"]) == 4
    assert found.whole[metric].challenger != pytest.approx(
        np.mean(found.by_seed["challenger"]), rel=1e-4
    )


@pytest.mark.parametrize(
    ("task", "labels", "classes", "codes"),
    [
        ("binary", ["no", "yes", "no"], ("no", "yes"), [0, 1, 0]),
        ("binary", ["10", "9", "10"], ("9", "10"), [1, 0, 1]),
        ("multiclass", ["c", "a", "b"], ("c", "b", "a"), [0, 2, 1]),
        ("regression", [1.5, -2.0, 0.25], (), [1.5, -2.0, 0.25]),
    ],
)
def test_labels_are_codes_of_the_challengers_classes(task, labels, classes, codes, world, settle):
    encoder = replace(world.encoder(task), classes=classes)
    rows = world.draw_rows(task, 90, 0, "holdout").with_columns(pl.Series(LABEL, labels * 30))
    draw = np.random.default_rng(0)
    p = draw.dirichlet(np.ones(3), 90) if task == "multiclass" else draw.random(90)
    judged, _ = settle(
        task,
        world.tell(task, Side(p, (p, p)), encoder=encoder),
        None,
        rows=rows,
        baselines={"flat": p},
    )
    assert judged.y.tolist() == codes * 30


@pytest.mark.slow
def test_a_label_that_no_training_row_had_is_an_error_that_names_it(world, settle):
    rows = world.holdout("binary").with_columns(pl.Series(LABEL, ["perhaps"] * 1500))
    with pytest.raises(
        InputError, match="label 'perhaps' is in no training row; those hold no, yes"
    ):
        settle("binary", world.better("binary"), world.champion("binary"), rows=rows)


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "expected"), [(None, "roc_auc"), ("log_loss", "log_loss")])
def test_the_metric_that_decides_is_a_parameter(metric, expected, world, settle):
    judged, decision = settle(
        "binary", world.better("binary"), world.champion("binary"), metric=metric
    )
    assert judged.evidence.comparison.metric == expected
    assert decision.reasons[0].startswith(f"better beyond the noise: {expected} ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "metric"), [("binary", "rocauc"), ("binary", "rmse"), ("multiclass", "brier")]
)
def test_a_metric_that_the_task_does_not_have_is_an_error_that_names_it(
    task, metric, world, settle
):
    with pytest.raises(InputError, match=metric):
        settle(task, world.better(task), world.champion(task), metric=metric)


def test_notes_and_the_number_of_seeds_are_handed_on(world, settle):
    judged, decision = settle(
        "binary", world.better("binary"), None, seeds=6, notes=("a check was off",)
    )
    assert (judged.evidence.notes, judged.evidence.seeds_expected) == (("a check was off",), 6)
    assert broken(decision) == {"seeds"}


# --- slices and groups


def slices_of(column: list[str | None], world: Any, settle: Any) -> dict[str, Any]:
    rows = world.draw_rows("regression", len(column), 0, "holdout").with_columns(
        pl.Series(f"{SLICE}place", column)
    )
    judged, _ = settle(
        "regression", world.better("regression"), world.champion("regression"), rows=rows
    )
    return dict(judged.evidence.comparison.slices)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("levels", "names"),
    [
        ({"ash": 30, "bay": 29, "cove": 200}, ["place=ash", "place=cove"]),
        ({"ash": 400}, ["place=ash"]),
        ({None: 100, "ash": 100}, ["place=ash"]),
        ({"a=b|c": 100, "": 100}, ["place=", "place=a=b|c"]),
        ({None: 200}, []),
    ],
)
def test_each_value_of_30_rows_is_a_slice(levels, names, world, settle):
    column = [level for level, count in levels.items() for _ in range(count)]
    assert list(slices_of(column, world, settle)) == names


@pytest.mark.slow
def test_a_slice_holds_the_rows_of_its_value(world, settle):
    column = ["ash", "bay", None] * 200
    found = slices_of(column, world, settle)
    rows = world.draw_rows("regression", 600, 0, "holdout").filter(np.arange(600) % 3 == 1)
    challenger = world.better("regression")
    x, y = (
        challenger.model.encoder.transform(rows),
        challenger.model.encoder.transform_label(rows[LABEL]),
    )
    alone = [
        LIBRARY.measure("regression", y, predict(seed, x))["rmse"] for seed in challenger.seeds
    ]
    assert found["place=bay"].challenger == pytest.approx(np.mean(alone))


@pytest.mark.slow
def test_sixty_slices_are_all_looked_at(world, settle):
    column = [f"level {at % 60:02}" for at in range(60 * 40)]
    found = slices_of(column, world, settle)
    assert len(found) == 60
    known = [lead for lead in found.values() if lead]
    assert len(known) == 60
    assert min(lead.high - lead.low for lead in known) > 0


@pytest.mark.slow
def test_a_row_whose_group_is_not_known_is_in_a_group_too(world, settle):
    """A person who does not say is a person."""
    rows = world.holdout("regression")
    unknown = pl.Series(f"{GROUP}member", [None, "us", "them"] * 500)
    judged, _ = settle(
        "regression", world.better("regression"), None, rows=rows.with_columns(unknown), groups=True
    )
    named = pl.Series(f"{GROUP}member", ["who knows", "us", "them"] * 500)
    other, _ = settle(
        "regression", world.better("regression"), None, rows=rows.with_columns(named), groups=True
    )
    assert judged.evidence.groups == other.evidence.groups


def test_groups_that_are_declared_but_too_small_are_not_called_undeclared(world, settle):
    rows = world.holdout("regression").with_columns(
        pl.Series(f"{GROUP}member", ["us"] * 1480 + ["them"] * 20)
    )
    _, decision = settle("regression", world.better("regression"), None, rows=rows, groups=True)
    told = next(rule["says"] for rule in decision.rules if rule["name"] == "groups")
    assert "no groups are declared" not in told


def test_without_slices_and_groups_nothing_is_looked_at(world, settle):
    rows = world.holdout("regression").drop(f"{SLICE}place", f"{GROUP}member")
    judged, decision = settle(
        "regression", world.better("regression"), world.champion("regression"), rows=rows
    )
    assert (judged.evidence.comparison.slices, dict(judged.evidence.groups)) == ({}, {})
    told = {rule["name"]: rule["says"] for rule in decision.rules}
    assert told["slices"] == "no slice to compare"
    assert "groups in dataset.py" in told["groups"]


# --- age


@pytest.mark.slow
@pytest.mark.parametrize(
    ("newest", "days"),
    [
        ("2013-04-30 00:00:00", 0.0),
        ("2013-04-28 12:00:00", 1.5),
        ("2013-04-28T12:00:00", 1.5),
        ("2012-04-30", 365.0),
        ("2013-05-10 00:00:00", -10.0),
    ],
)
def test_the_age_of_the_champion_is_counted_to_the_newest_row(newest, days, world, settle):
    rows = world.holdout("regression").with_columns(
        pl.Series(TIME, [datetime.fromisoformat("2013-04-30")] * 1500)
    )
    champion = relearnt(world.champion("regression"), np.array([1], np.uint64), newest)
    judged, _ = settle("regression", world.better("regression"), champion, rows=rows)
    assert judged.evidence.champion_age_days == pytest.approx(days)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "newest"),
    [
        (date.fromisoformat("2013-04-30"), "2013-04-28"),
        (datetime(2013, 4, 30, tzinfo=UTC), "2013-04-28 00:00:00+00:00"),
    ],
)
def test_event_times_may_be_days_or_know_their_zone(moment, newest, world, settle):
    rows = world.holdout("regression").with_columns(pl.Series(TIME, [moment] * 1500))
    champion = relearnt(world.champion("regression"), np.array([1], np.uint64), newest)
    judged, _ = settle("regression", world.better("regression"), champion, rows=rows)
    assert judged.evidence.champion_age_days == pytest.approx(2.0)


@pytest.mark.slow
def test_an_old_champion_yields_to_its_equal(world, settle):
    """The same sweep once more is no better, and within a wide margin no worse; only age lets it
    in.
    """
    young, equal = world.champion("regression"), replace(world.champion("regression"), version="2")
    old = relearnt(young, np.array([1], np.uint64), "2012-01-01")
    assert settle("regression", equal, young, margin=0.5)[1].action == REFUSE
    _, decision = settle("regression", equal, old, margin=0.5)
    assert decision.action == PROMOTE
    assert "days older (at most 180), and the challenger is no worse" in decision.reasons[0]
    assert settle("regression", equal, old, margin=0.5, max_age_days=None)[1].action == REFUSE


# --- what only a person can answer


@pytest.mark.parametrize(
    ("noise", "before", "new", "asked"),
    [(0.6, 3.0, True, True), (1.365, 3.67, True, True), (0.6, 3.0, False, False),
     (2.0, 3.0, True, False)],
    ids=["far more by a new feature", "as two leaks that each hide: 0.85 after 0.65",
         "far more by those known", "a little more by a new feature"],
)  # fmt: skip
def test_new_features_that_tell_far_more_than_the_champion_knew_are_asked_about(
    noise, before, new, asked, world, settle
):
    y = world.encoder("binary").transform_label(world.holdout("binary")[LABEL])
    draw = np.random.default_rng(0)

    def side(noise: float) -> Side:
        said = [of_noise("binary", y, noise, draw) for _ in range(world.seeds)]
        return Side(said[0], tuple(said))

    known = world.features[:1] + world.features[2:] if new else world.features
    champion = world.tell(
        "binary", side(before), version="1", encoder=world.encoder("binary", known)
    )
    bold = {"max_calibration_error": None, "slice_margin": None}
    judged, decision = settle("binary", world.tell("binary", side(noise)), champion, **bold)
    assert (decision.action == ASK) == asked
    assert [
        "'second', which the champion lacks" in question for question in judged.evidence.questions
    ] == [True] * asked
    assert not asked or "evergreen promote --approve" in " ".join(decision.reasons)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(
    ("noise", "trusted", "asked"),
    [(0.3, (), True), (0.3, ("second",), False), (3.5, (), False)],
    ids=["far more", "by what a person has checked", "a little more"],
)
def test_new_features_are_asked_about_in_every_task(task, noise, trusted, asked, world):
    y = world.encoder(task).transform_label(world.holdout(task)[LABEL])
    draw = np.random.default_rng(1)

    def side(noise: float) -> Side:
        said = [of_noise(task, y, noise, draw) for _ in range(world.seeds)]
        return Side(said[0], tuple(said))

    known = world.encoder(task, world.features[:1] + world.features[2:])
    champion = world.tell(task, side(4.0), version="1", encoder=known)
    params = world.params(task).override(leaks={"trusted": list(trusted)})
    rows = world.holdout(task).drop(f"{GROUP}member", strict=False)
    judged = judge(rows, world.tell(task, side(noise)), champion, {}, params)
    assert [
        "'second', which the champion lacks" in question for question in judged.evidence.questions
    ] == [True] * asked


def of_noise(task: str, y: Array, noise: float, draw: np.random.Generator) -> Array:
    """Predict labels from themselves and noise."""
    if task == "regression":
        return (y + noise * y.std() * draw.normal(size=len(y))).astype(np.float32)
    if task == "binary":
        return (1 / (1 + np.exp(-(2 * y - 1 + noise * draw.normal(size=len(y)))))).astype(
            np.float32
        )
    scores = np.eye(int(y.max()) + 1)[y.astype(int)]
    raised = np.exp(scores + noise / 2 * draw.normal(size=scores.shape))
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_first_model_is_of_use_where_a_constant_is_surely_worse(task, world, settle):
    judged, _ = settle(task, world.better(task), None)
    assert judged.evidence.useful == {"binary": "log_loss", "regression": "rmse"}[task]
    assert settle(task, world.better(task), world.champion(task))[0].evidence.useful == ""
    y = world.better(task).model.encoder.transform_label(world.holdout(task)["label"])
    flat = {"constant": np.full(len(y), y.mean()), "linear": np.full(len(y), y.mean())}
    wrong = np.asarray(0.99 - 0.98 * y if task == "binary" else y[::-1])
    assert (
        settle(task, world.tell(task, Side(wrong, (wrong, wrong))), None, baselines=flat)[
            0
        ].evidence.useful
        == ""
    )
