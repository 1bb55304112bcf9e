"""The sections of `params.yaml` but for its source: what each value means, and its default."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from evergreen.params.section import Section

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Validate(Section):
    """When a batch as a whole is bad."""

    max_bad_rows: Share = Field(
        0.02, description="a batch with a larger share of bad rows stops the run"
    )
    max_age_days: Annotated[float, Field(gt=0, le=36_500)] | None = Field(
        None, description="a batch whose newest row is older stops the run; null: any age"
    )
    max_future_days: Annotated[float, Field(gt=0, le=36_500)] | None = Field(
        1.0,
        description="a row whose time is further ahead of the clock (UTC) is bad; null: any time",
    )


class Prepare(Section):
    """How features are encoded."""

    min_level_rows: Count = Field(
        20, description='a category seen in fewer training rows counts as "other"'
    )


class Split(Section):
    """Which batches train; the newest before the holdout stop trainings; the newest judges."""

    train_batches: Count | None = Field(
        12, description="train on at most so many batches, the newest; null: all of history"
    )
    cross_validate_below: Count | None = Field(
        5000,
        description="with fewer rows all are trained on, and judged by cross-validation (forward "
        "in time); null: never",
    )
    min_share: Fraction | None = Field(
        0.5,
        description="least share of the champion's training rows that must be left; with fewer a "
        "run stops; null: any",
    )


class Sweep(Section):
    """How many seeds, how many at once, and which model comes out."""

    seeds: Annotated[int, Field(ge=1, le=1000)] = Field(
        10, description="one model per seed; their spread says how much of a metric is luck"
    )
    first_seed: Annotated[int, Field(ge=0, le=2**31 - 1001)] = Field(
        0, description="seeds count from here"
    )
    jobs: Count | None = Field(
        None, description="models trained side by side; null: as many as there are cores"
    )
    model: Literal["median", "mean"] = Field(
        "mean",
        description="what is registered: the mean of all seeds' models, or the median seed's",
    )

    def seed_list(self) -> list[int]:
        """Return the seeds of the sweep, in order."""
        return list(range(self.first_seed, self.first_seed + self.seeds))


class Evaluate(Section):
    """The intervals of the evaluation."""

    resamples: Annotated[int, Field(ge=100, le=100_000)] = Field(
        1000, description="bootstrap resamples of the holdout behind each interval"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="confidence of the intervals"
    )


class Leaks(Section):
    """Features too good to be known at prediction time: nearly exact ones stop the run."""

    max_single_score: Annotated[float, Field(gt=0.5, le=1)] | None = Field(
        0.999,
        description="no feature alone may predict the label better: AUC (binary, classes), R2 "
        "(regression); nor a few numbers together predict it nearly exactly",
    )
    stand_out: Share | None = Field(
        0.7,
        description="reported, and stops nothing: a feature with so much skill (2 AUC - 1, or R2) "
        "where no other has half of it",
    )
    trusted: tuple[str, ...] = Field(
        (),
        description="features that a person has checked: known at prediction time, however good",
    )
    max_duplicates: Share | None = Field(
        0.05,
        description="at most this share of holdout rows may repeat a training row: features and "
        "label, all or all but one",
    )


class Bias(Section):
    """The bias of training data that stops a run; null, as shipped: it is shown, and stops none."""

    max_left_out: Share | None = Field(
        None,
        description="share of training rows left out on purpose (left_out in dataset.py, or no "
        "label)",
    )
    max_missing_difference: Share | None = Field(
        None,
        description="largest difference between levels of a group (slices, groups) in the share of "
        "rows that lack a feature",
    )
    max_label_noise: Share | None = Field(
        None, description="share of labels that a model which has not seen them contradicts"
    )
    max_duplicates: Share | None = Field(
        None,
        description="share of training rows whose features and label another row has under "
        "another key",
    )


class Gate(Section):
    """When a challenger replaces the champion; null switches a rule off, as each decision says."""

    metric: str | None = Field(
        None,
        description="the metric that decides; null: roc_auc (binary), accuracy (multiclass), rmse "
        "(regression), or that of another `train.loss`",
    )
    min_gain: Share = Field(
        0.001,
        description="smallest gain that matters: in the metric itself; for errors (log_loss, "
        "brier, rmse, mae) as a share of the champion's, here and in each margin",
    )
    margin: Share = Field(
        0.005,
        description="the packaged model may be worse by at most this; other metrics by this beyond "
        "their noise",
    )
    min_probability: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.75,
        description="probability with which a challenger of some seed must beat a champion of some "
        "seed",
    )
    refresh_margin: Share = Field(
        0.01,
        description="a challenger that differs from the champion only by newer data must surely "
        "lose no more than this; any other has to be better, by min_gain and min_probability",
    )
    max_age_days: Annotated[float, Field(gt=0)] | None = Field(
        180.0,
        description="a champion whose newest row is older than this is replaced by any that is no "
        "worse; null: never",
    )
    slice_margin: Share | None = Field(
        0.03,
        description="no slice (slices in dataset.py) may fall by more than this beyond its noise; "
        "null: not checked",
    )
    max_calibration_error: Share | None = Field(
        0.1,
        description="largest mean calibration error, or the champion's plus `margin`; null: not "
        "checked",
    )
    max_group_difference: Share | None = Field(
        0.1,
        description="largest sure difference between groups (groups in dataset.py) in error rates, "
        "accuracy or mean error; null: not checked",
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5,
        description="from this probability on a binary prediction counts as yes when groups are "
        "compared",
    )
    datasheet: Literal["optional", "required"] = Field(
        "optional",
        description="required: nothing is promoted while datasheet.yaml has a question unanswered "
        "(`evergreen papers` writes it)",
    )
    approval: Literal["auto", "manual"] = Field(
        "auto",
        description="auto, or manual: a person approves in the Prefect UI or by `evergreen promote "
        "--approve`",
    )


class Drift(Section):
    """When a batch counts as drifted, and when it is held back from training."""

    smallest_shift: Annotated[float, Field(gt=0)] = Field(
        0.02,
        description="smallest shift that matters, beyond what past batches differ from one "
        "another, as PSI: 0.02 is a mean moved by 0.15 standard deviations, 0.1 by a third of one",
    )
    columns: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {},
        description="other values for some columns, or for label or prediction: "
        "{distance: 0.05, label: 0.01}",
    )
    smallest_auc: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.02,
        description="for all columns at once: by how much a classifier's AUC must exceed chance "
        "and what is usual among past batches",
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95,
        description="of the intervals; at most 1 - confidence of the columns reported as drifted "
        "are so by chance",
    )
    hold: Annotated[float, Field(gt=0)] | None = Field(
        0.5,
        description="a batch with a column shifted by so much more than usual is held back until "
        "the next batch shows the same (labels wait for a person) or `accepted` names it; null: no "
        "batch is held back",
    )
    accepted: tuple[str, ...] = Field(
        (), description="batches that are never held back: a person has checked them"
    )


class Retrain(Section):
    """When monitoring requests a new champion, or a rollback; all times are those of the data."""

    windows: Annotated[int, Field(ge=1, le=100)] = Field(
        3, description="how many of the newest batches are looked at"
    )
    needed: Annotated[int, Field(ge=1, le=100)] = Field(
        2,
        description="in so many of them the metric must have fallen, or the label drifted; drift "
        "of inputs only warns",
    )
    min_loss: Share = Field(
        0.01,
        description="smallest loss that matters, counted as gate.min_gain is; also the largest "
        "cost of staleness on a labelled batch, measured by a fresh model of one seed",
    )
    min_probability: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.75,
        description="with which staleness has to cost anything: a false alarm costs a training, a "
        "missed one weeks",
    )
    max_growth: Annotated[float, Field(gt=0)] | None = Field(
        0.25,
        description="labelled rows that are new to the champion, as a share of its training rows; "
        "null: any",
    )
    cooldown_days: Annotated[float, Field(ge=0)] = Field(
        20.0, description="no retraining within so many days of the last one"
    )
    min_new_rows: Count = Field(
        1000, description="labelled rows that are new to the champion, at least"
    )
    budget: Annotated[int, Field(ge=0)] = Field(
        24, description="trainings within 365 days at most, of which the monthly schedule makes 12"
    )
    max_age_days: Annotated[float, Field(gt=0)] | None = Field(
        180.0,
        description="a champion whose newest row is older is retrained without any loss; null: "
        "never",
    )
    rollback: Literal["auto", "off"] = Field(
        "auto",
        description="auto: the previous champion is restored where it does better on new rows, "
        "beyond noise; or off",
    )

    @model_validator(mode="after")
    def _reachable(self) -> Retrain:
        if self.needed > self.windows:
            raise ValueError(
                f"needed ({self.needed}) of windows ({self.windows}) batches cannot be: lower "
                f"'needed'"
            )
        return self


class Tracking(Section):
    """Names in MLflow, and where the bytes of data go."""

    experiment: Annotated[str, Field(min_length=1, pattern=r'^[^\s"][^"\r\n]*$')] = Field(
        "evergreen", description="the name of the experiment in MLflow"
    )
    model: Annotated[str, Field(min_length=1, pattern=r'^[^\s/:"][^/:"\r\n]*$')] = Field(
        "evergreen", description="the name in MLflow's registry of models"
    )
    push: Literal["local", "always", "never"] = Field(
        "local",
        description="whether a run pushes data to DVC's remote; local: to a folder of this machine",
    )
    onnx: Literal["beside", "off"] = Field(
        "off", description="beside: each version carries its ONNX graph beside its package; or off"
    )


class Serve(Section):
    """What `evergreen serve` takes, and keeps of it."""

    port: Port = Field(8000, description="where it listens")
    up: Literal["auto", "off"] = Field(
        "auto",
        description="auto: `evergreen up` starts it, unless EVERGREEN_SERVE_URL names another; or "
        "off",
    )
    max_body_mb: Annotated[float, Field(gt=0, le=1024)] = Field(
        16.0, description="largest body of a request, in MiB"
    )
    max_rows: Count = Field(10_000, description="most rows of a request")
    timeout: Annotated[float, Field(gt=0, le=600)] = Field(
        30.0, description="seconds that a request may take, its body included"
    )
    connections: Count = Field(
        500, description="connections at a time; beyond it those that send nothing make room"
    )
    at_once: Count = Field(2, description="requests of many rows that are predicted at a time")
    poll: Annotated[float, Field(gt=0, le=3600)] = Field(
        2.0, description="seconds between looks at who is champion"
    )
    keep: Literal["all", "off"] = Field(
        "all", description="what was predicted is kept for monitoring, as `score` keeps it; or off"
    )
    keep_minutes: Annotated[float, Field(gt=0, le=1440)] = Field(
        5.0, description="what was predicted becomes a batch so often"
    )
    keep_rows: Count = Field(50_000, description="or once there are so many rows")
    queue: Count = Field(
        1000, description="requests that wait to be kept; beyond it they are dropped and counted"
    )


class Ports(Section):
    """Where `evergreen up` listens, on this machine only."""

    prefect: Port = Field(4200, description="of Prefect's page and API")
    mlflow: Port = Field(5000, description="of MLflow's")
