"""The section `train` of `params.yaml`: the learner, its loss, its learning rate, its trees."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from evergreen.metrics.metric import Task
from evergreen.params.section import Section

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Loss = Literal[
    "auto", "squared", "absolute", "pseudo_huber", "quantile", "gamma", "tweedie", "poisson",
    "log_loss", "weighted_log_loss", "focal",
]  # fmt: skip
Schedule = Literal["constant", "time", "exponential", "step", "cosine"]
WEIGHTED: Loss = "weighted_log_loss"
# What auto stands for
USUAL: dict[Task, Loss] = {
    "binary": "log_loss",
    "multiclass": "log_loss",
    "regression": "squared",
}
FOR_TASK: dict[Task, tuple[Loss, ...]] = {
    "binary": ("log_loss", WEIGHTED, "focal"),
    "multiclass": ("log_loss",),
    "regression": (
        "squared", "absolute", "pseudo_huber", "quantile", "gamma", "tweedie", "poisson",
    ),
}  # fmt: skip
OF_LOSS: dict[str, Loss] = {  # a number -> the loss that has it
    "quantile": "quantile",
    "huber_slope": "pseudo_huber",
    "tweedie_power": "tweedie",
    "positive_weight": WEIGHTED,
    "focal_gamma": "focal",
}
OF_SCHEDULE = ("schedule_rounds", "schedule_end")


class Train(Section):
    """The learner and its parameters, the same for every seed."""

    learner: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")] = Field(
        "xgboost", description="xgboost, or a module of yours: `evergreen docs make-it-yours`"
    )
    refit: Literal["all", "none"] = Field(
        "all",
        description="all: what goes live is trained on all rows, the newest batch included, as "
        "often as early stopping found, once that way of training was judged; none: the judged "
        "model itself goes live",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto, cpu or cuda")
    rounds: Count = Field(2000, description="boosting rounds at most; early stopping ends before")
    early_stopping_rounds: Count = Field(
        50, description="rounds without a gain that end the training"
    )
    learning_rate: Fraction = Field(0.05, description="what each tree adds")
    max_depth: Annotated[int, Field(ge=1, le=20)] = Field(6, description="levels of a tree")
    min_child_weight: Annotated[float, Field(ge=0)] = Field(
        5.0, description="how much weight a leaf needs"
    )
    subsample: Fraction = Field(0.8, description="share of rows that each tree sees")
    colsample_bytree: Fraction = Field(0.5, description="share of features that each tree sees")
    reg_lambda: Annotated[float, Field(ge=0)] = Field(1.0, description="L2 penalty on leaf values")
    max_bin: Annotated[int, Field(ge=2, le=1024)] = Field(
        256, description="bins of a numeric feature"
    )
    loss: Loss = Field(
        "auto",
        description="what training lowers: auto (log loss, or squared error); regression: squared, "
        "absolute, pseudo_huber, quantile, gamma, tweedie, poisson; binary: log_loss, "
        "weighted_log_loss, focal; `evergreen docs losses`",
    )
    quantile: Annotated[float, Field(ge=0.001, le=0.999)] = Field(
        0.5, description="of `loss: quantile`: the share of labels that lie below the prediction"
    )
    huber_slope: Annotated[float, Field(gt=0)] = Field(
        1.0,
        description="of `loss: pseudo_huber`: from about this error on, in units of the label, its "
        "size counts and not its square",
    )
    tweedie_power: Annotated[float, Field(gt=1, lt=2)] = Field(
        1.5, description="of `loss: tweedie`: the variance grows by this power of the mean"
    )
    positive_weight: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="of `loss: weighted_log_loss`: as how many rows a positive one counts; null: "
        "so that both classes weigh the same",
    )
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = Field(
        2.0, description="of `loss: focal`: how little a row counts that is predicted well"
    )
    schedule: Schedule = Field(
        "constant",
        description="how the learning rate falls: constant, time, exponential, step, cosine",
    )
    schedule_rounds: Annotated[int, Field(ge=2)] = Field(
        200,
        description="of a schedule: rounds until it has ended, and the rate stays; early stopping "
        "waits for that",
    )
    schedule_end: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="of a schedule: what is left of learning_rate at its end, as a share"
    )

    def loss_for(self, task: Task) -> Loss:
        """Return the loss, and of auto what it stands for."""
        return USUAL[task] if self.loss == "auto" else self.loss

    def named_loss(self, task: Task) -> list[object]:
        """Return a loss that is not the usual one, and its numbers; nothing of a usual one."""
        loss = self.loss_for(task)
        if loss == USUAL[task]:
            return []
        return [loss, *(getattr(self, name) for name, of in OF_LOSS.items() if of == loss)]

    def aimed_quantile(self) -> float | None:
        """Return the quantile of the label that the loss aims at; None where that is its mean."""
        if self.loss == "quantile":
            return self.quantile
        return 0.5 if self.loss in ("absolute", "pseudo_huber") else None

    def with_loss(self, loss: Loss) -> Train:
        """Return a copy with another loss, less the numbers that are not of it."""
        kept = {name: getattr(self, name) for name, of in OF_LOSS.items() if of == loss}
        plain = self.model_dump(exclude={*OF_LOSS}) | kept
        return Train(**plain | {"loss": loss})

    def with_schedule(self, schedule: Schedule) -> Train:
        """Return a copy with another schedule."""
        return self.model_copy(update={"schedule": schedule})

    def chosen(self, task: Task, exclude: set[str]) -> dict[str, Any]:
        """Return its values, less those of a loss and a schedule that are as usual.

        So what stands for a way of training is the same as before there was a choice, and the same
        whether a loss is named or auto stands for it.
        """
        known, usual = self.model_dump(exclude=exclude), self.unread()
        usual += [name for name in (*OF_LOSS, "schedule", *OF_SCHEDULE) if not self._is_set(name)]
        if self.loss_for(task) == USUAL[task]:
            usual.append("loss")
        return {name: value for name, value in known.items() if name not in usual}

    def unread(self) -> list[str]:
        """Return the numbers that are set, and are of another loss or schedule."""
        found = [name for name, loss in OF_LOSS.items() if self.loss != loss]
        found += OF_SCHEDULE if self.schedule == "constant" else ()
        return [name for name in found if self._is_set(name)]

    def _is_set(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)
