"""Validate: split each new batch into valid rows and quarantined rows, or stop at a bad batch.

Great Expectations is imported where a batch is checked and nowhere else: the import costs more than
checking a million rows. Its `BASIC` results are twice as fast as `COMPLETE`; what failed is asked
again for the positions of its rows.
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from evergreen import recipes
from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.files import sha256_of, sha256_of_modules, sweep_parts, write_json, write_whole
from evergreen.ingest.manifest import Manifest, when
from evergreen.ingest.memory import check_parquet
from evergreen.ingest.moments import moments
from evergreen.ingest.sources import parse
from evergreen.params import Params
from evergreen.params import Validate as ValidateParams
from evergreen.project import Project

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation import Expectation

TYPE_NAMES = {
    "temporal": "a date or time",
    "integer": "a whole number",
    "numeric": "a number",
    "other": "a true or false",
}
UNPARSED, AHEAD = " (text that is not {kind})", " (to come)"  # of columns that must be empty
DELIVERED = " (as delivered)"  # of a column of which some values do not fit: those are not missing
# Why, and which row of the batch it was, from 1 on
REASONS, QUARANTINE_ROW = "quarantine_reasons", "quarantine_row"
ABOUT_COLUMNS = ("ExpectTableColumn", "ExpectColumnToExist", "ExpectColumnTypeToBe")
REPORTS_SHOWN = 24  # batches on the validation page
PHRASES = {  # the rules people use most, in words; any other rule is called by its own name
    "ExpectColumnValuesToBeBetween": "{min_value} to {max_value}",
    "ExpectColumnValuesToNotBeNull": "not missing",
    "ExpectColumnValuesToBeInSet": "one of {value_set}",
    "ExpectColumnValuesToMatchRegex": "looks like {regex}",
    "ExpectColumnValuesToBeUnique": "unique",
    "ExpectColumnPairValuesAToBeGreaterThanB": "greater than {column_B}",
    "ExpectColumnMinToBeBetween": "smallest is {min_value} to {max_value}",
    "ExpectColumnMaxToBeBetween": "largest is {min_value} to {max_value}",
    "ExpectTableRowCountToBeBetween": "{min_value} to {max_value} rows",
}


@dataclass(frozen=True)
class Check:
    """One expectation of one batch, and what came of it."""

    says: str
    scope: str  # rows: breaking rows go to quarantine | batch: a failure stops the flow
    passed: bool
    broken: int = 0  # rows that break it
    examples: tuple[str, ...] = ()
    observed: str = ""


@dataclass(frozen=True)
class BatchReport:
    """What validation found in one batch; `faults` is empty unless the batch as a whole is bad."""

    batch: str
    rows: int
    valid: int
    quarantined: int
    checks: tuple[Check, ...]
    faults: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> BatchReport:
        """Return the report that `asdict` turned into `content`."""
        checks = tuple(
            Check(**{**one, "examples": tuple(one["examples"])}) for one in content["checks"]
        )
        return cls(**{**content, "checks": checks, "faults": tuple(content["faults"])})


@dataclass(frozen=True)
class Validated:
    """What a validation did: the batches it checked now, the newest reports, and how many batches there are."""

    new: tuple[str, ...]
    reports: tuple[BatchReport, ...]
    batches: int


@dataclass(frozen=True)
class Outcome:
    """A batch taken apart: its report, the valid rows in declared types, and the others with their reasons."""

    report: BatchReport
    valid: pl.DataFrame = field(repr=False)
    quarantined: pl.DataFrame = field(repr=False)


class BadBatchError(InputError):
    """A batch as a whole is bad; `report` says how."""

    def __init__(self, report: BatchReport) -> None:
        self.report = report
        faults = "\n".join(f"  {fault}" for fault in report.faults)
        super().__init__(
            f"batch {report.batch!r} is bad, and nothing after it was changed:\n{faults}\n"
            f"deliver it again and take it with `evergreen ingest {report.batch} --replace`, take it out of the source "
            f"and then out with `evergreen ingest {report.batch} --drop`, or change what is expected in "
            "dataset.py (columns), expectations.py or params.yaml (validate); see reports/validation.html"
        )


@dataclass(frozen=True)
class Contract:
    """What is expected of any batch: what `dataset` declares, the `expectations` of a batch by its name, `params`."""

    dataset: Dataset
    expectations: Callable[[str], list[Expectation]] = field(repr=False)
    params: ValidateParams

    @classmethod
    def of(cls, project: Project, params: Params) -> Contract:
        """Return the contract of a project."""
        return cls(project.dataset, project.expectations, params.validation)

    def check(self, frame: pl.DataFrame, batch: str, *, labelled: bool = True) -> Outcome:
        """Take one raw batch, shape (rows, columns as delivered), apart.

        Not `labelled`: rows to be scored, perhaps a few. What is known later is not looked at, and
        null in the valid rows; of expectations.py holds what is about rows or columns and names
        none known later.
        """
        from great_expectations.expectations import ExpectTableColumnsToMatchSet

        dataset = self.dataset
        later = () if labelled else dataset.known_later
        columns = [name for name in dataset.columns if name not in later]
        schema = ExpectTableColumnsToMatchSet(
            column_set=columns,
            exact_match=False,
            description="every column that dataset.py declares is there",
        )
        checks, broken = _run([schema], frame.head(1), frame.height)
        if not checks[0].passed:
            missing = ", ".join(repr(name) for name in columns if name not in frame.columns)
            fault = f"missing column(s) {missing}; it has {', '.join(frame.columns)}"
            return _bad(batch, frame, checks, [fault])
        parsed = _parsed(
            dataset,
            frame.with_columns(pl.lit(None, dataset.columns[name]).alias(name) for name in later),
        )
        parsed = self._with_times_to_come(parsed)
        expected = [one for one in self.expectations(batch) if labelled or self._holds_in_time(one)]
        expected = [_of_delivered(one, parsed) for one in (*self._declared(parsed), *expected)]
        found, broken = _run(expected, parsed, frame.height)
        checks += found
        reasons = _reasons(broken, frame.height)
        rows_bad = sum(1 for one in reasons if one)
        faults = [
            _fault(check, frame.height)
            for check in checks
            if check.scope == "batch" and not check.passed
        ]
        if rows_bad > self.params.max_bad_rows * frame.height:
            faults += _too_many(checks, rows_bad, frame.height, self.params.max_bad_rows)
        if faults:
            return _bad(batch, frame, checks, faults)
        good = pl.Series([not one for one in reasons])
        report = BatchReport(batch, frame.height, frame.height - rows_bad, rows_bad, tuple(checks))
        return Outcome(
            report,
            parsed.filter(good).select(*dataset.columns),
            frame.with_columns(
                pl.Series(REASONS, reasons, dtype=pl.List(pl.String)),
                pl.int_range(1, frame.height + 1, dtype=pl.UInt32, eager=True).alias(
                    QUARANTINE_ROW
                ),
            ).filter(~good),
        )

    def _with_times_to_come(self, parsed: pl.DataFrame) -> pl.DataFrame:
        """Return `parsed` and, where rows are ahead of the clock, a column of their times, which must be empty.

        One such row would make every later batch an old one.
        """
        if not self.dataset.has_dates or self.params.max_future_days is None:
            return parsed
        time = self.dataset.time
        ahead = parsed[time].cast(pl.Datetime("us")) > _now() + timedelta(
            days=self.params.max_future_days
        )
        if not ahead.any():
            return parsed
        times = pl.when(ahead).then(pl.col(time).cast(pl.String)).alias(time + AHEAD)
        return parsed.with_columns(times)

    def _declared(self, parsed: pl.DataFrame) -> Iterable[Expectation]:
        """Yield what `dataset.py` and `params.yaml` imply."""
        import great_expectations.expectations as gxe

        dataset, params = self.dataset, self.params
        for column, dtype in dataset.columns.items():
            name = column + UNPARSED.format(kind=_kind(dtype))
            if name in parsed.columns:
                yield gxe.ExpectColumnValuesToBeNull(
                    column=name, description=f"{column}: is {_kind(dtype)}"
                )
        if dataset.has_time_column:
            yield gxe.ExpectColumnValuesToNotBeNull(
                column=dataset.time, description=f"{dataset.time}: is there"
            )
        unique = f"{', '.join(dataset.key)}: unique together"
        if len(dataset.key) == 1:
            # That it is unique is asked of the rows that have it
            there = f"{dataset.key[0]}: is there"
            yield gxe.ExpectColumnValuesToNotBeNull(column=dataset.key[0], description=there)
            yield gxe.ExpectColumnValuesToBeUnique(column=dataset.key[0], description=unique)
        elif dataset.key:
            yield gxe.ExpectCompoundColumnsToBeUnique(
                column_list=list(dataset.key), ignore_row_if="never", description=unique
            )
        if dataset.time + AHEAD in parsed.columns:
            ahead = f"{dataset.time}: at most {params.max_future_days:g} day(s) ahead of the clock"
            yield gxe.ExpectColumnValuesToBeNull(column=dataset.time + AHEAD, description=ahead)
        if params.max_age_days is not None and not dataset.has_dates:
            raise InputError(
                "validate.max_age_days needs a column of times: name one as time in dataset.py"
            )
        if params.max_age_days is not None:
            oldest = _now() - timedelta(days=params.max_age_days)
            fresh = f"newest {dataset.time}: at most {params.max_age_days:g} days old"
            yield gxe.ExpectColumnMaxToBeBetween(
                column=dataset.time, min_value=oldest, description=fresh
            )

    def _holds_in_time(self, expectation: Expectation) -> bool:
        """Say whether `expectation` is about rows or columns, and about none that is known later."""
        kwargs = expectation.configuration.kwargs
        named = {
            name
            for key, value in kwargs.items()
            if key.startswith("column")
            for name in _texts(value)
        }
        condition = json.dumps(kwargs.get("row_condition"), default=str)
        if any(
            name in named or re.search(rf"\b{re.escape(name)}\b", condition)
            for name in self.dataset.known_later
        ):
            return False
        return _about_rows(expectation) or type(expectation).__name__.startswith(ABOUT_COLUMNS)


def validate(project: Project, contract: Contract, *, check: bool = False) -> Validated:
    """Check each batch of `data/raw/` that is new, or whose `contract` has changed; with `check`, or whose files have.

    Writes `data/validated/`, `data/quarantine/` and `data/validation/`; nothing of it where a batch
    is bad. Raises BadBatchError for the first bad batch.
    """
    raw, done = Manifest(project.raw), Manifest(project.validated)
    if check:
        done.forget_altered()
    stamps = _stamps(project, contract.params)
    new = done.not_stamped(stamps)
    outcomes = []
    for name in new:
        raw.check(name)
        outcomes.append(contract.check(read_raw(project.raw / f"{name}.parquet"), name))
        if outcomes[-1].report.faults:
            raise BadBatchError(outcomes[-1].report)
    done.drop([name for name in done.entries if name not in stamps])
    for outcome in outcomes:
        _keep(
            project,
            contract.dataset,
            outcome,
            done,
            stamps[outcome.report.batch],
            raw.entries[outcome.report.batch],
        )
    return Validated(tuple(new), tuple(read_reports(project)), batches=len(stamps))


def stale(project: Project, params: Params) -> list[str]:
    """Return the batches that were not checked yet, or by another contract: also where DVC knows no file that changed."""
    return Manifest(project.validated).not_stamped(_stamps(project, params.validation))


def _stamps(project: Project, params: ValidateParams) -> dict[str, str]:
    raw, expected = Manifest(project.raw), fingerprint(project, params)
    return {name: sha256_of(raw.version(name), expected) for name in raw.in_order()}


def load_library() -> None:
    """Import Great Expectations, which takes two seconds."""
    import great_expectations.expectations  # noqa: F401


def fingerprint(project: Project, params: ValidateParams) -> str:
    """Return what stands for what is expected of any batch: the recipe, the user's own files and parameters."""
    own = sha256_of_modules(project.code_of("dataset", "expectations"))
    return sha256_of(recipes.VALIDATE, own, params.model_dump())


def read_reports(project: Project) -> list[BatchReport]:
    """Return the reports of the newest validated batches, by event time."""
    order = list(Manifest(project.validated).in_order())[-REPORTS_SHOWN:]
    files = (project.validation / f"{name}.json" for name in order)
    return [BatchReport.from_json(json.loads(file.read_text(encoding="utf-8"))) for file in files]


def read_raw(path: Path) -> pl.DataFrame:
    """Read one raw batch. Raises InputError where the file is damaged, or too large for the memory."""
    check_parquet(path, str(path))
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): bring it back with `dvc checkout --force data/raw`"
        ) from None


def _parsed(dataset: Dataset, frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` in declared types; text that does not fit moves to a column of its own, which must be empty."""
    columns = []
    for name, dtype in dataset.columns.items():
        columns.append(parse(frame[name], dtype))
        if columns[-1].null_count() > frame[name].null_count():
            unfit = pl.select(
                pl.when(columns[-1].is_null()).then(_as_text(frame[name]))
            ).to_series()
            columns.append(unfit.alias(name + UNPARSED.format(kind=_kind(dtype))))
            columns.append(_as_text(frame[name]).alias(name + DELIVERED))
    return pl.DataFrame(
        [*columns, *(frame[name] for name in frame.columns if name not in dataset.columns)]
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _as_text(column: pl.Series) -> pl.Series:
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:  # lists and other nested values
        return pl.Series(
            column.name,
            [None if value is None else str(value) for value in column],
            dtype=pl.String,
        )


def _kind(dtype: pl.DataType) -> str:
    group = "temporal" if dtype.is_temporal() else "integer" if dtype.is_integer() else "numeric"
    return TYPE_NAMES[group if dtype.is_temporal() or dtype.is_numeric() else "other"]


def _of_delivered(expectation: Expectation, parsed: pl.DataFrame) -> Expectation:
    """Return `expectation`; one that values are there, of the column as delivered: what does not fit is not missing."""
    kwargs = expectation.configuration.kwargs
    name = f"{kwargs.get('column')}{DELIVERED}"
    if type(expectation).__name__ != "ExpectColumnValuesToNotBeNull" or name not in parsed.columns:
        return expectation
    return expectation.copy(update={"column": name, "description": _says(expectation)})


def _run(
    expected: Iterable[Expectation], frame: pl.DataFrame, rows: int
) -> tuple[list[Check], dict[str, list[int]]]:
    """Return a check per expectation, and for each broken rule about rows the positions of the rows that break it."""
    expected = list(expected)
    checks: list[Check] = []
    broken: dict[str, list[int]] = {}
    results = _ask(expected, frame, "BASIC")
    again = [
        one
        for one, result in zip(expected, results, strict=True)
        if not result.success and _about_rows(one)
    ]
    positions = iter(_ask(again, frame, "COMPLETE")) if again else iter(())
    for one, result in zip(expected, results, strict=True):
        raised = result.exception_info or {}
        if raised.get("raised_exception") or any(
            isinstance(v, dict) and v.get("raised_exception") for v in raised.values()
        ):
            raise InputError(f"expectations.py: {_says(one)}: cannot be evaluated ({_why(raised)})")
        if not result.success and _about_rows(one):
            found = next(positions).result.get("unexpected_index_list")
            if found is not None:
                broken.setdefault(_says(one), []).extend(int(at) for at in found)
            checks.append(_check(one, result, rows, "batch" if found is None else "rows"))
        else:
            checks.append(_check(one, result, rows, "rows" if _about_rows(one) else "batch"))
    return checks, broken


def _ask(
    expected: list[Expectation], frame: pl.DataFrame, result_format: str
) -> list[ExpectationValidationResult]:
    import great_expectations as gx

    logging.getLogger("great_expectations.data_context.types.base").setLevel(
        logging.WARNING
    )  # tells of each temporary folder
    # Only the columns that are named, and text as categories: the engine copies the whole frame for
    # every rule.
    named = {
        name
        for one in expected
        for value in one.configuration.kwargs.values()
        for name in _texts(value)
    }
    columns = [name for name in frame.columns if name in named] or frame.columns[:1]
    if any(_needs_all_columns(one) for one in expected):
        columns = frame.columns
    table = frame.select(columns).with_columns(pl.col(pl.String).cast(pl.Categorical)).to_pandas()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("batches").add_dataframe_asset("batch")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
    marked = [one.copy(update={"meta": {"place": place}}) for place, one in enumerate(expected)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the engine's own, about pandas
        found = batch.validate(
            gx.ExpectationSuite("contract", expectations=marked), result_format=result_format
        )
    return sorted(found.results, key=lambda result: int(result.expectation_config.meta["place"]))


def _needs_all_columns(expectation: Expectation) -> bool:
    conditional = expectation.configuration.kwargs.get("row_condition") is not None
    return conditional or type(expectation).__name__.startswith("ExpectTableColumn")


def _texts(value: object) -> list[str]:
    return [
        one
        for one in (value if isinstance(value, (list, tuple, set)) else [value])
        if isinstance(one, str)
    ]


def _about_rows(expectation: Expectation) -> bool:
    """Say whether single rows break `expectation`; with `mostly` below 1 it is about the batch."""
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )

    kinds = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
    return (
        isinstance(expectation, kinds)
        and float(expectation.configuration.kwargs.get("mostly", 1)) >= 1
    )


def _says(expectation: Expectation) -> str:
    """Return the rule in words: its own description, or one made of its name and values."""
    if expectation.description:
        return str(expectation.description)
    kwargs = {key: _short(value) for key, value in expectation.configuration.kwargs.items()}
    kind = type(expectation).__name__
    words = (
        PHRASES.get(kind) or re.sub(r"(?<!^)(?=[A-Z])", " ", kind.removeprefix("Expect")).lower()
    )
    about = kwargs.get("column") or kwargs.get("column_A") or "batch"
    share = float(expectation.configuration.kwargs.get("mostly", 1))
    return f"{about}: {words.format_map(_Blank(kwargs))}" + (
        f" in at least {share:.0%} of rows" if share < 1 else ""
    )


class _Blank(dict[str, str]):
    """Values for a phrase; an end that is not given is open."""

    def __missing__(self, key: str) -> str:
        return "any"


def _short(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"
    text = ", ".join(str(one) for one in value) if isinstance(value, (list, tuple)) else str(value)
    return text.removesuffix(" 00:00:00") if len(text) <= 60 else text[:57] + "..."


def _check(
    expectation: Expectation, result: ExpectationValidationResult, rows: int, scope: str
) -> Check:
    found = result.result
    unexpected = [
        one for one in found.get("partial_unexpected_list") or [] if one == one
    ]  # a missing value shows nothing
    examples = tuple(dict.fromkeys(_short(_plain(one)) for one in unexpected))[:3]
    broken = int(found.get("unexpected_count") or 0)
    observed = (
        None
        if "column_set" in expectation.configuration.kwargs and result.success
        else found.get("observed_value")
    )
    if observed is None and broken:
        observed = f"{broken / rows:.2%} of rows"
    return Check(
        says=_says(expectation),
        scope=scope,
        passed=bool(result.success),
        broken=broken,
        examples=examples,
        observed="" if observed is None else _short(observed),
    )


def _plain(example: object) -> object:
    if isinstance(example, dict):
        return ", ".join(f"{key} {value}" for key, value in example.items())
    return example


def _why(raised: dict[str, Any]) -> str:
    messages = [raised, *(one for one in raised.values() if isinstance(one, dict))]
    return next(
        (str(one["exception_message"]) for one in messages if one.get("exception_message")),
        "no reason given",
    )


def _reasons(broken: dict[str, list[int]], rows: int) -> list[list[str]]:
    reasons: list[list[str]] = [[] for _ in range(rows)]
    for says, positions in broken.items():
        for position in positions:
            reasons[position].append(says)
    return reasons


def _fault(check: Check, rows: int) -> str:
    return f"{check.says}: found {check.observed or check.broken} in {rows:,} rows"


def _too_many(checks: list[Check], bad: int, rows: int, allowed: float) -> list[str]:
    share = min(bad / rows, 0.999) if bad < rows else 1.0  # not "100.0%" of a batch with good rows
    worst = sorted(
        (check for check in checks if check.scope == "rows" and check.broken),
        key=lambda one: -one.broken,
    )
    unfit = any(
        one.says.endswith(tuple(f": is {kind}" for kind in TYPE_NAMES.values()))
        for one in worst[:3]
    )
    return [
        f"{bad:,} of {rows:,} rows ({share:.1%}) are bad, more than validate.max_bad_rows ({allowed:.1%})",
        *(
            f"{one.says}: broken by {one.broken:,} rows"
            + (f", such as {one.examples[0]!r}" if one.examples else "")
            for one in worst[:3]
        ),
        *(
            ["a text that says that there is no value is named in params.yaml (source.nulls)"]
            if unfit
            else []
        ),
    ]


def _bad(batch: str, frame: pl.DataFrame, checks: list[Check], faults: list[str]) -> Outcome:
    report = BatchReport(batch, frame.height, 0, 0, tuple(checks), tuple(faults))
    return Outcome(report, frame.clear(), frame.clear())


def _keep(
    project: Project,
    dataset: Dataset,
    outcome: Outcome,
    done: Manifest,
    stamp: str,
    raw: Mapping[str, Any],
) -> None:
    name = outcome.report.batch
    times = (
        moments(dataset, outcome.valid, _now())
        if dataset.has_time_column
        else pl.Series([raw["start"]])
    )
    valid, report, bad_rows = (
        done.file(name),
        project.validation / f"{name}.json",
        project.quarantine / f"{name}.parquet",
    )
    for folder in (project.quarantine, project.validation):
        folder.mkdir(parents=True, exist_ok=True)
        sweep_parts(folder)
    files = [valid, report]
    write_whole(valid, lambda part: outcome.valid.write_parquet(part))
    write_json(report, asdict(outcome.report))
    if outcome.quarantined.is_empty():
        bad_rows.unlink(missing_ok=True)
    else:
        write_whole(bad_rows, lambda part: outcome.quarantined.write_parquet(part))
        files.append(bad_rows)
    done.record(name, *files, stamp=stamp, rows=outcome.valid.height, **when(times))
