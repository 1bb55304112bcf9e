"""Reading `params.yaml`: what no section declares is an error there, named with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import (
    AliasToken,
    BlockEndToken,
    BlockMappingStartToken,
    BlockSequenceStartToken,
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
)

from evergreen.errors import InputError
from evergreen.extensions import Extensions
from evergreen.metrics.by_loss import lead_by
from evergreen.metrics.metric import Metrics, Task
from evergreen.params.compute import Compute
from evergreen.params.people import People
from evergreen.params.section import Section
from evergreen.params.sections import (
    Bias,
    Drift,
    Evaluate,
    Gate,
    Leaks,
    Ports,
    Prepare,
    Retrain,
    Serve,
    Split,
    Sweep,
    Tracking,
    Validate,
)
from evergreen.params.source import Source
from evergreen.params.train import FOR_TASK, OF_LOSS, Train
from evergreen.params.tuning import Tune

LARGEST = 1_000_000  # bytes of the file
DEEPEST = 100  # levels of a file; its parser takes the square of them
_OPENING = (
    BlockMappingStartToken,
    BlockSequenceStartToken,
    FlowMappingStartToken,
    FlowSequenceStartToken,
)
_CLOSING = (BlockEndToken, FlowMappingEndToken, FlowSequenceEndToken)
_NOWHERE = object()


class Params(Section):
    """All of `params.yaml`."""

    task: Task = Field("binary", description="binary, multiclass or regression")
    source: Source = Source()
    # BaseModel.validate is taken
    validation: Validate = Field(default=Validate(), alias="validate")
    prepare: Prepare = Prepare()
    split: Split = Split()
    train: Train = Train()
    sweep: Sweep = Sweep()
    compute: Compute = Compute()
    evaluate: Evaluate = Evaluate()
    leaks: Leaks = Leaks()
    bias: Bias = Bias()
    gate: Gate = Gate()
    people: People = People()
    drift: Drift = Drift()
    retrain: Retrain = Retrain()
    tune: Tune = Tune()
    serve: Serve = Serve()
    tracking: Tracking = Tracking()
    ports: Ports = Ports()

    _text: bytes = PrivateAttr(default=b"")
    _extensions: Extensions = PrivateAttr(default=Extensions())

    @model_validator(mode="after")
    def _suits(self) -> Params:
        loss, there = self.train.loss_for(self.task), FOR_TASK[self.task]
        if loss not in there:
            raise ValueError(
                f"train.loss is {loss}, which is none of task {self.task}: "
                f"there are {', '.join(there)}"
            )
        for name in self.train.unread():
            # Of a schedule it may wait for one, which tuning tries
            if name in OF_LOSS:
                raise ValueError(
                    f"train.{name} is of `loss: {OF_LOSS[name]}`, and train.loss is "
                    f"{self.train.loss}: remove it"
                )
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Params) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    @property
    def text(self) -> bytes:
        """The file that this was read from, as it was then; empty where it was read from none."""
        return self._text

    @property
    def extensions(self) -> Extensions:
        """What the project adds to the library, which these parameters choose from."""
        return self._extensions

    @property
    def metrics(self) -> Metrics:
        """The metrics that there are, led by that of the loss: the library's and the project's."""
        loss = self.train.loss_for(self.task)
        numbers = {"quantile": self.train.quantile, "tweedie": self.train.tweedie_power}
        return lead_by(self._extensions.all_metrics, loss, numbers.get(loss))

    def choosing_from(self, extensions: Extensions) -> Params:
        """Return a copy of these parameters for a project that adds `extensions`."""
        found = self.model_copy()
        found._extensions = extensions  # noqa: SLF001
        return found

    def override(self, **sections: Mapping[str, Any]) -> Params:
        """Return a copy with some values replaced, checked like the file.

        None means "as in the file". Raises InputError for a value that the file could not hold.
        """
        content = self.model_dump(by_alias=True)
        for section, values in sections.items():
            content[section] |= {key: value for key, value in values.items() if value is not None}
        found = parse(content, "the flow's parameters", self.text)
        return found.choosing_from(self.extensions)


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
        raise InputError(f"{path} is empty: {restore}, or write {{}} into it to keep every default")
    return parse(found, path.name, content)


def read_yaml(text: str, path: Path) -> Any:
    """Return the content of `text`, read from `path` as YAML.

    Raises InputError where it cannot be read, or has an alias, which can stand for gigabytes.
    """
    try:
        depth = 0
        for token in YAML(typ="safe", pure=True).scan(text):
            depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if depth > DEEPEST:
                raise RecursionError
            if isinstance(token, AliasToken):
                line = token.start_mark.line + 1
                raise InputError(
                    f"{path}, line {line}: *{token.value} is not read, as any alias of YAML: "
                    "write out its value"
                )
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply: correct it") from None
    except (ValueError, OverflowError) as error:
        # A date that the calendar lacks, a number of 5,000 digits
        raise InputError(f"{path} holds a value that cannot be read: {error}") from None


def look_up(text: bytes, keys: Iterable[str]) -> dict[str, Any]:
    """Return the value of each of `keys`, such as `drift.hold`, in the text of `params.yaml`.

    A key that is not written has its default. Raises InputError for one that is no parameter.
    """
    written = read_yaml(text.decode(), Path("params.yaml"))
    whole = parse(written, "params.yaml").model_dump(mode="json", by_alias=True)
    found = {key: _find(written, key, _find(whole, key, _NOWHERE)) for key in keys}
    if odd := [key for key, value in found.items() if value is _NOWHERE]:
        raise InputError(f"dvc.yaml names {odd[0]}, which is no parameter: correct it")
    return found


def _find(content: Any, key: str, otherwise: object) -> Any:
    for part in key.split("."):
        if not isinstance(content, dict) or part not in content:
            return otherwise
        content = content[part]
    return content


def parse(content: object, where: str, text: bytes = b"") -> Params:
    """Check `content` (as read from YAML `text`); `where` names it in errors."""
    if not isinstance(content, dict):
        raise InputError(f"{where} must hold keys and values, not {type(content).__name__}")
    try:
        found = Params.model_validate(content)
    except ValidationError as error:
        faults = "\n".join(f"  {_fault(fault)}" for fault in error.errors())
        raise InputError(f"{where} has {error.error_count()} wrong value(s):\n{faults}") from None
    found._text = text  # noqa: SLF001
    return found


def _fault(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"]) or "file"
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), _known(fault["loc"][:-1]), n=1)
        return f"{place}: unknown key" + (f"; did you mean '{near[0]}'?" if near else "; remove it")
    message = fault["msg"].removeprefix("Value error, ")
    given = "" if isinstance(fault["input"], dict) else f" (given: {fault['input']!r})"
    return f"{place}: {message[0].lower()}{message[1:]}{given}"


def _known(sections: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Params
    for name in sections:
        field = next((f for key, f in model.model_fields.items() if name in (key, f.alias)), None)
        if field is None or not isinstance(field.default, BaseModel):
            return []
        model = type(field.default)
    return [field.alias or key for key, field in model.model_fields.items()]
