"""The typed, frozen view of `params.yaml`: what is not declared here is an error there."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import AliasToken

from evergreen.errors import InputError
from evergreen.redact import holds_secret

# Formats of dates in source.dates that strptime lacks
EPOCHS = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
Task = Literal["binary", "multiclass", "regression"]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
LARGEST = 1_000_000  # bytes of the file


class Section(BaseModel):
    """A part of `params.yaml`: closed (no unknown key) and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: object) -> object:
        if isinstance(value, bool):  # else true would count as 1
            raise ValueError("true and false are no values here")
        return value


class Source(Section):
    """Where batches come from."""

    kind: Literal["files", "sql", "python"] = "files"
    module: str | None = None
    until: str | None = None
    path: str | None = "inbox"
    encoding: str = "utf-8"
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None
    dates: tuple[str, ...] = ()
    nulls: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    url: str | None = None
    query: str | None = None
    period: Literal["day", "week", "month", "year"] = "month"
    lag_hours: Annotated[float, Field(ge=0)] = 24.0

    @field_validator("until", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        if isinstance(value, int) and 1000 <= value <= 9999:  # a year
            return str(value)
        if isinstance(value, (int, float)):  # YAML has read it as a number: 1.10 is 1.1 by now
            raise ValueError(f"put the batch's name in quotes: until: '{value}'")
        return str(value) if isinstance(value, date) else value

    @field_validator("nulls", mode="before")
    @classmethod
    def _as_texts(cls, value: object) -> object:
        """Take -999 for "-999"; what YAML reads as no text at all stands in quotes."""
        if not isinstance(value, (list, tuple)):
            raise ValueError("write a list of texts, such as ['\\N', '.']")
        if odd := [one for one in value if one is None or isinstance(one, (bool, list, dict))]:
            raise ValueError(f"put each text in quotes: {odd[0]!r} is none")
        return [str(one).strip() for one in value]

    @model_validator(mode="after")
    def _complete(self) -> Source:
        for key, value in (("path", self.path), ("url", self.url), ("query", self.query)):
            if value and holds_secret(value):
                raise ValueError(
                    f"{key!r} holds a password or a token: put it into the environment, and write ${{NAME}} here"
                )
        if self.kind == "files" and not self.path:
            raise ValueError(
                "kind 'files' needs 'path': a folder, a pattern such as inbox/*.csv, or a URL"
            )
        if self.kind == "python" and not self.module:
            raise ValueError(
                "kind 'python' needs 'module': one with batches(), read(name) and origin()"
            )
        if self.decimal == self.thousands:
            raise ValueError(
                f"'decimal' and 'thousands' are both {self.decimal!r}: one of them is another sign"
            )
        if odd := [one for one in self.dates if "%" not in one and one not in EPOCHS]:
            raise ValueError(
                f"'dates' holds {odd[0]!r}: write formats as strptime does, such as %d.%m.%Y, or {', '.join(EPOCHS)} for "
                "numbers since 1970"
            )
        if self.kind == "sql" and not (self.url and self.query):
            raise ValueError("kind 'sql' needs 'url' and 'query'")
        return self


class Validate(Section):
    """When a batch as a whole is bad."""

    max_bad_rows: Share = 0.02
    max_age_days: Annotated[float, Field(gt=0, le=36_500)] | None = None
    max_future_days: Annotated[float, Field(gt=0, le=36_500)] | None = 1.0


class Prepare(Section):
    """How features are encoded."""

    min_level_rows: Count = 20


class Split(Section):
    """Which batches train; the next trains nothing but stops early; the newest is the holdout."""

    train_batches: Count | None = 12
    cross_validate_below: Count | None = 5000
    min_share: Fraction | None = 0.5


class Train(Section):
    """The learner and its parameters, the same for every seed."""

    learner: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")] = "xgboost"
    refit: Literal["all", "none"] = "all"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    rounds: Count = 2000
    early_stopping_rounds: Count = 50
    learning_rate: Fraction = 0.05
    max_depth: Annotated[int, Field(ge=1, le=20)] = 6
    min_child_weight: Annotated[float, Field(ge=0)] = 5.0
    subsample: Fraction = 0.8
    colsample_bytree: Fraction = 0.5
    reg_lambda: Annotated[float, Field(ge=0)] = 1.0
    max_bin: Annotated[int, Field(ge=2, le=1024)] = 256


class Sweep(Section):
    """How many seeds, how many at once, and which model comes out."""

    seeds: Annotated[int, Field(ge=1, le=1000)] = 10
    first_seed: Annotated[int, Field(ge=0, le=2**31 - 1001)] = 0
    jobs: Count | None = None
    model: Literal["median", "mean"] = "mean"

    def seed_list(self) -> list[int]:
        """Return the seeds of the sweep, in order."""
        return list(range(self.first_seed, self.first_seed + self.seeds))


class Evaluate(Section):
    """The intervals of the evaluation."""

    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


class Leaks(Section):
    """What looks too good to be known at prediction time: nearly exact, it stops the run; strong, it is asked about."""

    max_single_score: Annotated[float, Field(gt=0.5, le=1)] | None = 0.999
    stand_out: Share | None = 0.7
    trusted: tuple[str, ...] = ()
    max_duplicates: Share | None = 0.05


class Bias(Section):
    """Beyond what the bias of the training data stops a run. Each is null as shipped: shown, and never stops one."""

    max_left_out: Share | None = None
    max_missing_difference: Share | None = None
    max_label_noise: Share | None = None
    max_duplicates: Share | None = None


class Gate(Section):
    """When a challenger replaces the champion. A rule is switched off with null, and every decision says so."""

    metric: str | None = None
    min_gain: Share = 0.001
    margin: Share = 0.005
    min_probability: Annotated[float, Field(ge=0.5, lt=1)] = 0.75
    refresh_margin: Share = 0.01
    max_age_days: Annotated[float, Field(gt=0)] | None = 180.0
    slice_margin: Share | None = 0.03
    max_calibration_error: Share | None = 0.1
    max_group_difference: Share | None = 0.1
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    approval: Literal["auto", "manual"] = "auto"


class Drift(Section):
    """When a batch counts as drifted, and when it is held back from training."""

    smallest_shift: Annotated[float, Field(gt=0)] = 0.02
    columns: dict[str, Annotated[float, Field(gt=0)]] = {}
    smallest_auc: Annotated[float, Field(gt=0, lt=0.5)] = 0.02
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    hold: Annotated[float, Field(gt=0)] | None = 0.5
    accepted: tuple[str, ...] = ()


class Retrain(Section):
    """When monitoring asks for a new champion, or brings the one before back. All times are those of the data."""

    windows: Annotated[int, Field(ge=1, le=100)] = 3
    needed: Annotated[int, Field(ge=1, le=100)] = 2
    min_loss: Share = 0.01
    min_probability: Annotated[float, Field(gt=0.5, lt=1)] = 0.75
    max_growth: Annotated[float, Field(gt=0)] | None = 0.25
    cooldown_days: Annotated[float, Field(ge=0)] = 20.0
    min_new_rows: Count = 1000
    budget: Annotated[int, Field(ge=0)] = 24
    max_age_days: Annotated[float, Field(gt=0)] | None = 180.0
    rollback: Literal["auto", "off"] = "auto"

    @model_validator(mode="after")
    def _reachable(self) -> Retrain:
        if self.needed > self.windows:
            raise ValueError(
                f"needed ({self.needed}) of windows ({self.windows}) batches cannot be: lower 'needed'"
            )
        return self


class Tracking(Section):
    """Names in MLflow."""

    experiment: Annotated[str, Field(min_length=1, pattern=r'^[^\s"][^"\r\n]*$')] = "evergreen"
    model: Annotated[str, Field(min_length=1, pattern=r'^[^\s/:"][^/:"\r\n]*$')] = "evergreen"


class Ports(Section):
    """Where `evergreen up` listens, on this machine only."""

    prefect: Port = 4200
    mlflow: Port = 5000


class Params(Section):
    """All of `params.yaml`."""

    task: Task = "binary"
    source: Source = Source()
    # BaseModel.validate is taken
    validation: Validate = Field(default=Validate(), alias="validate")
    prepare: Prepare = Prepare()
    split: Split = Split()
    train: Train = Train()
    sweep: Sweep = Sweep()
    evaluate: Evaluate = Evaluate()
    leaks: Leaks = Leaks()
    bias: Bias = Bias()
    gate: Gate = Gate()
    drift: Drift = Drift()
    retrain: Retrain = Retrain()
    tracking: Tracking = Tracking()
    ports: Ports = Ports()

    _text: bytes = PrivateAttr(default=b"")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Params) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    @property
    def text(self) -> bytes:
        """The file that this was read from, as it was then; empty where it was read from none."""
        return self._text

    def override(self, **sections: Mapping[str, Any]) -> Params:
        """Return a copy with some values replaced, checked like the file; None means 'as in the file'.

        Raises InputError for a value that the file could not hold either.
        """
        content = self.model_dump(by_alias=True)
        for section, values in sections.items():
            content[section] |= {key: value for key, value in values.items() if value is not None}
        return parse(content, "the flow's parameters", self.text)


def load(path: Path) -> Params:
    """Read `params.yaml` at `path`.

    Raises InputError that names each wrong key or value.
    """
    restore = f"restore it, for instance with `git checkout {path.name}`"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is missing: {restore}") from None
    if len(content) > LARGEST:
        raise InputError(
            f"{path} holds {len(content):,} bytes, too much for a file of parameters: {restore}"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8"
        ) from None
    found = read_yaml(text, path)
    if found is None:
        raise InputError(
            f"{path} is empty: {restore}, or write {{}} into it where all values shall be the default ones"
        )
    return parse(found, path.name, content)


def read_yaml(text: str, path: Path) -> Any:
    """Return what `text`, read from `path`, says as YAML; an alias, which can stand for gigabytes, is refused."""
    try:
        for token in YAML(typ="safe", pure=True).scan(text):
            if isinstance(token, AliasToken):
                line = token.start_mark.line + 1
                raise InputError(
                    f"{path}, line {line}: *{token.value} is not read: write out what it stands for"
                )
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply: no parameter is; correct it") from None
    except (ValueError, OverflowError) as error:
        # A date that the calendar lacks, a number of 5,000 digits
        raise InputError(f"{path} holds a value that cannot be read: {error}") from None


def parse(content: object, where: str, text: bytes = b"") -> Params:
    """Check `content` (as read from YAML `text`); `where` names it in errors."""
    if not isinstance(content, dict):
        raise InputError(f"{where} must hold keys and values, not {type(content).__name__}")
    try:
        found = Params.model_validate(content)
    except ValidationError as error:
        faults = "\n".join(f"  {_fault(one)}" for one in error.errors())
        raise InputError(f"{where} has {error.error_count()} wrong value(s):\n{faults}") from None
    found._text = text  # noqa: SLF001
    return found


def _fault(one: Any) -> str:
    place = ".".join(str(part) for part in one["loc"]) or "file"
    if one["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(one["loc"][-1]), _known(one["loc"][:-1]), n=1)
        return f"{place}: unknown key" + (f"; did you mean '{near[0]}'?" if near else "; remove it")
    said = one["msg"].removeprefix("Value error, ")
    given = "" if isinstance(one["input"], dict) else f" (given: {one['input']!r})"
    return f"{place}: {said[0].lower()}{said[1:]}{given}"


def _known(sections: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Params
    for name in sections:
        field = next((f for key, f in model.model_fields.items() if name in (key, f.alias)), None)
        if field is None or not isinstance(field.default, BaseModel):
            return []
        model = type(field.default)
    return [field.alias or key for key, field in model.model_fields.items()]
