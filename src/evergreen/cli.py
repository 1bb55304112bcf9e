"""`evergreen …`: a thin face on the flows and the steps. Heavy imports happen inside the commands."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from evergreen import __version__, code

if TYPE_CHECKING:
    from datetime import datetime

    from evergreen.dataset import Dataset
    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.stores.registry import Registry


class Commands(click.Group):
    """A group whose commands end a person's mistake in one message, without a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command; exit code 1 for a mistake, 130 for Ctrl-C."""
        from evergreen.errors import explain

        try:
            return super().invoke(context)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("stopped; run again to go on where it was", err=True)
            sys.exit(130)
        except Exception as error:
            said = explain(error)
            if said is None:
                raise
            click.secho("error: ", fg="red", bold=True, nl=False, err=True)
            click.echo(str(said) + _logged(error), err=True)
            sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="evergreen")
def main() -> None:
    """A machine-learning pipeline whose model stays fresh."""
    sys.excepthook = _say_without_secrets
    # Else Python ends by looking through all libraries for garbage, which takes a second
    atexit.register(gc.freeze)


@main.command()
@click.argument("batches", nargs=-1)
@click.option(
    "--next", "following", is_flag=True, help="Take the batch after the newest one there is."
)
@click.option(
    "--replace", is_flag=True, help="Take the named batches in place of the ones ingested before."
)
@click.option(
    "--drop", is_flag=True, help="Take the named batches out again; DVC's cache keeps their bytes."
)
def ingest(batches: tuple[str, ...], following: bool, replace: bool, drop: bool) -> None:
    """Take new batches from the source.

    Without BATCHES: all that are new, up to source.until in params.yaml.
    """
    from evergreen.finding import count
    from evergreen.ingest import batches as step
    from evergreen.ingest.listing import few
    from evergreen.stores.dvc import run_stage

    if (replace or drop) and not batches:
        raise click.UsageError("--replace and --drop need the names of the batches")
    with _project() as (project, params):
        if drop:
            run_stage(
                project,
                "ingest",
                lambda _: step.drop(project, batches),
                force=True,
                params=params.text,
            )
            click.echo(
                f"dropped {', '.join(batches)}; `evergreen run` takes them again if they are offered"
            )
            return
        dataset = project.dataset
        done = run_stage(
            project,
            "ingest",
            lambda check: step.ingest(
                project, dataset, params, batches, following=following, replace=replace, check=check
            ),
            force=True,
            params=params.text,
        )
        assert done is not None
        there = count(len(done.batches), "batch", "batches")
        click.echo(f"{len(done.new)} new: {', '.join(done.new) or 'none'}; {there} in data/raw")
        if done.passed_over:
            click.echo(f"passed over in the source: {few(done.passed_over)}")


@main.command()
def validate() -> None:
    """Check the batches that are new, or whose expectations have changed."""
    from evergreen.ingest.batches import check_unchanged
    from evergreen.report.validation_page import write_validation_page
    from evergreen.stores.dvc import is_altered, run_step
    from evergreen.validation.contract import Contract
    from evergreen.validation.report import BadBatchError
    from evergreen.validation.validate import read_reports, stale
    from evergreen.validation.validate import validate as step

    with _project() as (project, params):
        if is_altered(project, "ingest"):
            check_unchanged(project)
        try:
            work = partial(step, project, Contract.of(project, params))
            done = run_step(project, params, "validate", work, stale)
        except BadBatchError as error:
            write_validation_page(
                project, [*read_reports(project), error.report], params.tracking.model
            )
            raise
        if done is None:
            click.echo("nothing new: every batch is validated as it is expected now")
            return
        write_validation_page(project, done.reports, params.tracking.model)
        rows = [
            [
                one.batch,
                f"{one.rows:,}",
                f"{one.quarantined:,}",
                "checked now" if one.batch in done.new else "",
            ]
            for one in done.reports
        ]
        _table(["batch", "rows", "quarantined", ""], rows)


@main.command()
@click.option("--seeds", type=int, help="How many seeds, in place of sweep.seeds.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where to train, in place of train.device.",
)
@click.option(
    "--model",
    type=click.Choice(["median", "mean"]),
    help="Which model comes out, in place of sweep.model.",
)
@click.option("--reason", default="asked for", help="Why; kept with the run.")
def run(seeds: int | None, device: str | None, model: str | None, reason: str) -> None:
    """Bring data and model up to date: ingest, validate, prepare, train, evaluate, register, compare, decide."""
    import time

    from evergreen.orchestration.server import connect
    from evergreen.params import load
    from evergreen.project import Project
    from evergreen.redact import redact
    from evergreen.stores.git import first_commit

    began = time.monotonic()
    project = Project.find()
    first_commit(project.root)
    params = load(project.params)
    # Wrong values end here, before a server is started.
    params.override(sweep={"seeds": seeds, "model": model}, train={"device": device})
    _ = project.dataset
    connect(project, params, lambda: _load_libraries(project, params))
    from evergreen.orchestration import console

    console.install()
    outcome = project.flow("training")(
        seeds=seeds, device=device, model=model, reason=redact(reason)
    )
    _summary(project, params, outcome, time.monotonic() - began)
    if outcome.failed_seeds:
        sys.exit(3)


@main.command()
@click.argument("files", nargs=-1)
@click.option("--batch", help="A batch of data/raw, in place of files.")
@click.option("--name", help="What the batch is called, in place of its file's name.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    help="Write a copy of the predictions: .csv, .tsv or .parquet.",
)
@click.option(
    "--escape",
    is_flag=True,
    help="With --out: a quote before text that a spreadsheet takes for a formula.",
)
def score(
    files: tuple[str, ...], batch: str | None, name: str | None, out: str | None, escape: bool
) -> None:
    """Predict with the champion for rows whose labels are not known yet.

    FILES are read as source in params.yaml says (CSV, TSV, Parquet); each is one batch, kept in
    data/predictions.
    """
    from pathlib import Path

    from evergreen.finding import count
    from evergreen.orchestration.server import connect
    from evergreen.params import load
    from evergreen.project import Project
    from evergreen.scoring.export import check_export, export
    from evergreen.scoring.predictions import read
    from evergreen.scoring.unlabelled import find_given, read_given

    if bool(files) == bool(batch):
        raise click.UsageError("name files to score, or a batch of data/raw with --batch")
    if (name or out) and len(files) > 1:
        raise click.UsageError("--name and --out are for one file at a time")
    project = Project.find()
    params = load(project.params)
    paths = (
        [str(project.raw / f"{batch}.parquet")] if batch else [_absolute(file) for file in files]
    )
    for path in paths:  # wrong names end here, before a server is started
        find_given(project, path)
    if out:
        check_export(project, params.source, Path(out), paths)
    connect(project, params, lambda: project.flow("scoring"))
    from evergreen.orchestration import console

    console.install()
    scoring, rows = project.flow("scoring"), []
    for path in paths:
        done = scoring(path, name)
        how = "scored now" if done.fresh else "scored before, nothing to do"
        counts = [f"{done.rows:,}", f"{done.quarantined:,}"]
        rows.append(
            [
                done.batch,
                *counts,
                f"version {done.version}",
                how,
                str(done.path.relative_to(project.root)),
            ]
        )
    formulas = 0
    if out:
        dataset = project.dataset
        given = (
            None
            if dataset.key
            else read_given(project, dataset, params.source, paths[0], name).rows
        )
        formulas = export(read(project, done.batch, done.version), Path(out), given, escape=escape)
        rows[-1][-1] += f", {out}"
    _table(["batch", "rows", "quarantined", "by", "", "predictions"], rows)
    if formulas and not escape:
        click.echo(
            f"{out}: a spreadsheet would take {count(formulas, 'value')} for formulas: --escape makes text of them"
        )


@main.command()
def monitor() -> None:
    """Look at every new batch beside what the champion has learnt from, and ask for a retraining where it is time.

    While `evergreen up` runs, that starts it; else `evergreen run` does.
    """
    from evergreen.orchestration.server import connect
    from evergreen.params import load
    from evergreen.project import Project

    project = Project.find()
    params = load(project.params)
    connect(project, params, lambda: _load_monitoring(project))
    from evergreen.orchestration import console

    console.install()
    seen = project.flow("monitoring")()
    champion = f"version {seen.version}" if seen.version else seen.missing
    rows = [["champion", champion]]
    rows.append(["looked at", ", ".join(seen.batches) or "nothing new"])
    for what, decision in (("retrain?", seen.decision), ("go back?", seen.rollback)):
        if decision:
            rows += [
                [what if at == 0 else "", text]
                for at, text in enumerate((decision.action, *decision.reasons))
            ]
    if seen.asked:
        how = "`evergreen run`, or `evergreen up` starts it"
        rows.append(["asked for", f"a retraining, after {seen.asked[-1]}: {how}"])
    rows += _held_back(project)
    if seen.version:
        rows.append(["page", "reports/monitoring.html"])
    _table(["what", "found"], rows)


@main.command()
@click.option(
    "--until", metavar="BATCH", help="The last batch; default: the newest that the source has."
)
@click.option("--seeds", type=int, help="How many seeds, in place of sweep.seeds.")
@click.option(
    "--every",
    type=click.IntRange(1, 1000),
    default=3,
    show_default=True,
    help="Train after so many batches.",
)
def replay(until: str | None, seeds: int | None, every: int) -> None:
    """Replay history under several retraining policies: what each would have gained and cost.

    In a workspace of its own: the project's data and models stay as they are.
    """
    from evergreen.orchestration.server import connect
    from evergreen.params import load
    from evergreen.project import Project
    from evergreen.replay.outcome import Options
    from evergreen.replay.replay import find_batches

    project = Project.find()
    params = load(project.params)
    params.override(sweep={"seeds": seeds})  # wrong values end here, before a server is started
    find_batches(project.dataset, params, Options(until=until))
    connect(project, params, lambda: project.flow("replay"))
    from evergreen.orchestration import console

    console.install()
    found = project.flow("replay")(until=until, seeds=seeds, every=every)
    rows = found.as_table()
    _table(list(rows[0]), [list(row.values()) for row in rows])
    click.echo(f"\n{found.finding}\npicture and numbers: reports/replay.png, reports/replay.json")


@main.command()
def status() -> None:
    """Say which data and which model are there, and what a run would do."""
    from evergreen.features import prepare
    from evergreen.finding import count, span
    from evergreen.ingest.batches import look
    from evergreen.ingest.listing import few
    from evergreen.ingest.manifest import Manifest
    from evergreen.stores.dvc import STAGES, changed_stages
    from evergreen.stores.outside import warnings
    from evergreen.stores.registry import CHAMPION, FIRST, Registry
    from evergreen.stores.tracking import Tracker
    from evergreen.validation import validate

    with _project(lock=False) as (project, params):
        rows = []
        for name, folder in (
            ("raw", project.raw),
            ("validated", project.validated),
            ("features", project.features),
        ):
            batches = list(Manifest(folder).in_order())
            rows.append([f"data/{name}", count(len(batches), "batch", "batches"), span(batches)])
        rows += [[what, "", told] for what, told in _held_back(project)]
        seen = look(project, project.dataset, params)
        rows.append(["new in the source", count(len(seen.offers), "batch", "batches"), ""])
        if seen.passed_over:
            rows.append(
                ["passed over there", count(len(seen.passed_over), "file"), few(seen.passed_over)]
            )
        changed = changed_stages(project)
        stale = {
            "validate": validate.stale(project, params),
            "prepare": prepare.stale(project, params),
        }
        due = [name for name in STAGES if name in changed or stale.get(name)]
        rows.append(["stages to run", ", ".join(due) or "none", ""])
        tracker = Tracker(project, params)
        registry = Registry(tracker) if tracker.is_there else None
        held = registry.aliases() if registry else {}
        for alias, number in sorted(held.items()):
            rows.append([alias, f"version {number}", params.tracking.model])
            if registry and alias == CHAMPION:
                rows += [
                    ["", "", said]
                    for said in _doubts(registry, number, project.dataset, params.task)
                ]
        if CHAMPION not in held:
            rows.append(["champion", "none yet", registry.why_no_champion() if registry else FIRST])
        _table(["what", "how many", "which"], rows)
        for said in warnings(registry) if registry else ():
            _warn(said)


@main.command()
@click.argument("version", required=False)
@click.option("--approve", is_flag=True, help="Say yes to a challenger that waits for approval.")
@click.option(
    "--override",
    is_flag=True,
    help="Promote against the gate; needs --reason, and is recorded as such.",
)
@click.option("--reason", default="", help="Why; kept in the history.")
def promote(version: str | None, approve: bool, override: bool, reason: str) -> None:
    """Make the challenger (or VERSION) the champion, where the gate left it to a person."""
    from evergreen.promotion.gate import approved
    from evergreen.stores.registry import promotable

    if override and not reason:
        raise click.UsageError("--override needs --reason: it is kept in the history")
    with _registry(reading=not (approve or override)) as registry:
        number = registry.pick(version)
        decision = promotable(registry, number, override=override)
        click.echo(decision.as_markdown())
        if not (approve or override):
            click.echo(
                f"\nversion {number} waits for approval: `evergreen promote {number} --approve`"
            )
            return
        held = registry.aliases().get("champion")
        event = registry.promote(number, held, approved(decision, reason, override=override))
        click.echo(
            f"\nversion {event.version} is champion"
            + (f" in place of version {held}" if held else "")
        )


@main.command()
@click.option(
    "--to", metavar="VERSION", help="Which version; default: the champion before this one."
)
@click.option("--reason", required=True, help="Why; kept in the history.")
def rollback(to: str | None, reason: str) -> None:
    """Bring an earlier champion back; or undo what was done to the present one in MLflow."""
    from evergreen.stores.registry import PUT_BACK

    with _registry() as registry:
        event = registry.rollback(reason, to)
        if event.what == PUT_BACK:
            click.echo(
                f"version {event.version}, which was decided upon, has the alias champion again"
            )
        else:
            click.echo(
                f"version {event.version} is champion again, in place of version {event.before}"
            )


@main.command()
@click.option(
    "--at",
    metavar="DATE",
    help="Only who was champion then, such as 2026-05-03 or 2026-05-03T08:30 (UTC).",
)
def history(at: str | None) -> None:
    """Say which model was live when, and why; and which challengers were refused."""
    with _registry(reading=True) as registry:
        if at:
            event = registry.live_at(_moment(at))
            events = [event] if event else []
        else:
            events = registry.history()
        if not events:
            click.echo(
                "there was no champion then" if at else "nothing is decided: `evergreen run` does"
            )
            return
        for one in events:
            changed = one.what in ("promoted", "rolled back", "put back")
            before = f" in place of {one.before}" if one.before and changed else ""
            judged = f", judged on {one.batch}" if one.batch else ""
            click.secho(
                f"{one.when:%Y-%m-%d %H:%M:%S}  version {one.version} {one.what}{before}{judged}",
                bold=True,
            )
            click.echo(f"    {one.reason}")


@main.command()
def doctor() -> None:
    """Check versions, device, stores and ports, and say what to do about what is wrong."""
    from evergreen.doctor import examine
    from evergreen.project import Project

    found = examine(Project.find())
    marks = {True: "ok", False: "WRONG"}
    _table(
        ["", "what", "found", "what to do"],
        [[marks[one.fine], one.what, one.found, one.advice] for one in found],
    )
    if not all(one.fine for one in found):
        sys.exit(1)


@main.command()
@click.argument("page", required=False)
def docs(page: str | None) -> None:
    """Show a page of the documentation, or which there are."""
    from evergreen.doctor import find_docs
    from evergreen.errors import InputError

    pages = find_docs()
    if page is None:
        _table(
            ["page", "about"],
            [[name, path.read_text().splitlines()[0].strip('# "')] for name, path in pages.items()],
        )
    elif page not in pages:
        raise InputError(f"there is no page {page!r}: there are {', '.join(pages)}")
    else:
        click.echo_via_pager(pages[page].read_text().rstrip("\n"))


@main.command()
def up() -> None:
    """Let the project run by itself: Prefect and MLflow pages, schedules, triggers and a worker, until Ctrl-C."""
    from evergreen.orchestration.services import run_house

    with _project(lock=False) as (project, params):
        run_house(project, params)


@main.command()
@click.argument("source")
@click.option("--target", required=True, help="The column to predict.")
@click.option(
    "--time",
    help="The column that says when a row happened; `order`: the order of rows, and of later files.",
)
@click.option(
    "--dates",
    multiple=True,
    metavar="FORMAT",
    help="How dates are written, such as %d.%m.%Y, or epoch_ms.",
)
@click.option(
    "--no-time", "timeless", is_flag=True, help="No column says when, whatever dates there are."
)
@click.option(
    "--key", multiple=True, help="A column that names a row, or one of several that do so together."
)
@click.option(
    "--known-later",
    multiple=True,
    help="A column that is known only after the event: no feature. May be repeated.",
)
@click.option(
    "--task",
    type=click.Choice(["binary", "multiclass", "regression"]),
    help="What kind of label it is.",
)
@click.option("--table", help="The table, where SOURCE is a database.")
@click.option(
    "--period", type=click.Choice(["day", "week", "month", "year"]), help="What one batch spans."
)
@click.option(
    "--null",
    "nulls",
    multiple=True,
    metavar="TEXT",
    help="A text that says that there is no value.",
)
@click.option(
    "--max-bad-rows",
    type=click.FloatRange(0, 1),
    help="Share of rows that may be put aside as unreadable.",
)
def adopt(source: str, table: str | None, **wishes: Any) -> None:
    """Make this project about your own table: declare its columns, say what to expect of it, take it as batches.

    SOURCE is a CSV, TSV or Parquet file, or a SQLAlchemy URL such as '${DATABASE_URL}'.
    """
    from evergreen.adopt.adopt import adopt as step
    from evergreen.adopt.plan import Wishes
    from evergreen.adopt.write import check_fresh, take_first_batches, write

    with _project() as (project, params):
        check_fresh(project)
        found = step(project, params, source, Wishes(**wishes), table)
        write(project, found)
    click.echo(found.report)
    click.echo(take_first_batches(project))
    click.echo(
        f"\nwritten: src/{project.package}/dataset.py, expectations.py, params.yaml, reports/adopt.md\n"
        "next: read them, edit what you know better, then `evergreen run`"
    )


@main.command()
@click.argument("words", nargs=-1, metavar="[REF] [QUESTION=ANSWER]...")
def update(words: tuple[str, ...]) -> None:
    """Merge what is new in the template this project was made from, at REF (a commit, tag or branch).

    QUESTION=ANSWER gives another answer than the project was made with, such as ci=gitlab.
    """
    from evergreen.project import Project
    from evergreen.update import update as step

    refs = [word for word in words if "=" not in word]
    if len(refs) > 1:
        raise click.UsageError(
            f"one commit, tag or branch of the template, not {len(refs)}: {', '.join(refs)}"
        )
    answers = dict(word.split("=", 1) for word in words if "=" in word)
    click.echo(step(Project.find().root, next(iter(refs), None), answers))


@main.command(hidden=True)
@click.argument("name", type=click.Choice(["ingest", "validate", "prepare"]))
def stage(name: str) -> None:
    """Do what `dvc repro` asks for: one stage, without DVC's own bookkeeping."""
    from evergreen.errors import InputError
    from evergreen.features import prepare
    from evergreen.finding import count
    from evergreen.ingest import batches
    from evergreen.quality.held_batches import find_held
    from evergreen.stores.dvc import link_recipes
    from evergreen.validation import validate as validation
    from evergreen.validation.contract import Contract

    with _project() as (project, params):
        steps: dict[str, Callable[[], Any]] = {
            "ingest": lambda: batches.ingest(project, project.dataset, params, check=True),
            "validate": lambda: validation.validate(
                project, Contract.of(project, params), check=True
            ),
            "prepare": lambda: prepare.prepare(
                project, project.dataset, params, find_held, check=True
            ),
        }
        link_recipes(project)  # DVC records after this what ran
        done = steps[name]()
        if code.changed() or project.params.read_bytes() != params.text:
            # DVC would record what did not run
            raise InputError(f"code or params.yaml was edited while {name} ran: run it again")
        click.echo(f"{name}: {count(len(done.new), 'new batch', 'new batches')}")


def _say_without_secrets(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    import traceback

    from evergreen.redact import redact

    click.echo(redact("".join(traceback.format_exception(kind, error, trace))), err=True, nl=False)


@contextmanager
def _project(*, lock: bool = True) -> Iterator[tuple[Project, Params]]:
    from evergreen.orchestration.server import set_environment
    from evergreen.params import load
    from evergreen.project import Project

    project = Project.find()
    params = load(project.params)
    set_environment(project)
    if not lock:
        yield project, params
        return
    with project.lock():
        yield project, params


@contextmanager
def _registry(*, reading: bool = False) -> Iterator[Registry]:
    """Hold the project and finish what was cut; only `reading`, a run under way is no obstacle."""
    from evergreen.errors import InputError
    from evergreen.stores.outside import warnings, write_down
    from evergreen.stores.registry import Registry
    from evergreen.stores.tracking import Tracker

    with _project(lock=False) as (project, params), ExitStack() as held:
        registry, noted = Registry(Tracker(project, params)), list[str]()
        try:
            held.enter_context(project.lock())
        except InputError:
            if not reading:
                raise
        else:
            for told in registry.recover():
                click.echo(told, err=True)
            noted = write_down(registry)
        for said in dict.fromkeys([*noted, *warnings(registry)]):
            _warn(said)
        yield registry


def _logged(error: BaseException) -> str:
    """Keep where an explained error came from; return where that is to be read, for the end of the message."""
    from evergreen.errors import LOG, InputError, log_traceback
    from evergreen.project import Project

    try:
        stores = Project.find().stores
    except (InputError, OSError):  # a folder that is gone
        return ""
    return f" (where it happened: {stores.name}/{LOG})" if log_traceback(error, stores) else ""


def _warn(said: str) -> None:
    click.secho("warning: ", fg="yellow", bold=True, nl=False, err=True)
    click.echo(said, err=True)


def _absolute(file: str) -> str:
    from pathlib import Path

    return file if "://" in file else str(Path(file).resolve())


def _moment(text: str) -> datetime:
    """Return a moment in UTC; a date alone means its end."""
    from datetime import UTC, datetime, timedelta

    from evergreen.errors import InputError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"--at: {text!r} is no date; write it as 2026-05-03 or 2026-05-03T08:30"
        ) from None
    if len(text) == len("2026-05-03"):
        moment += timedelta(days=1)
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _load_monitoring(project: Project) -> None:
    """Import, while the server starts, what every monitoring needs."""
    from evergreen.stores import dvc

    project.flow("monitoring")
    dvc.load_library()


def _load_libraries(project: Project, params: Params) -> None:
    """Import, while the server starts, what every run needs."""
    from evergreen.stores import dvc
    from evergreen.stores.tracking import Tracker
    from evergreen.validation import validate

    project.flow("training")
    dvc.load_library()
    _ = Tracker(project, params).experiment
    if not project.validated.exists():
        # A first run: its server takes longer, and there is something to validate
        validate.load_library()


def _summary(project: Project, params: Params, outcome: Any, seconds: float) -> None:
    from evergreen.features.split import Split
    from evergreen.stores.tracking import Tracker

    tracker, split = Tracker(project, params), Split.read(project.features / "split.json")
    rows = [[step, how] for step, how in outcome.steps.items()]
    by_chance = ', chosen by chance; if batches come in the order of time, time="<order>" in dataset.py lets the newest judge'
    hint = by_chance if split.holdout.shares and len(split.holdout.batches) > 1 else ""
    rows.append(["judged on", split.judging_rows() + hint])
    metrics = tracker.client.get_run(outcome.run_id).data.metrics
    name = next(iter(_metrics(params)))
    if name in metrics:
        found = (
            f"{metrics[name]:.4f} ({metrics[f'{name}.low']:.4f} to {metrics[f'{name}.high']:.4f})"
        )
        others = ", ".join(
            f"{other} {metrics[f'{other}.{name}']:.4f}" for other in ("linear", "constant")
        )
        rows.append([name, f"{params.train.learner} {found}, {others}"])
        rows.append(
            [
                "over seeds",
                f"{metrics[f'seeds.{name}.mean']:.4f} ± {metrics.get(f'seeds.{name}.deviation', 0):.4f}",
            ]
        )
    if outcome.decision:
        rows += [
            ["why" if number == 0 else "", reason]
            for number, reason in enumerate(outcome.decision.reasons)
        ]
    if outcome.registered:
        one = outcome.registered
        rows.append(
            [
                "model",
                f"{one.name} version {one.version}" + (f" is {one.alias}" if one.alias else ""),
            ]
        )
    rows += _held_back(project)
    if outcome.failed_seeds:
        rows.append(
            [
                "failed seeds",
                ", ".join(map(str, outcome.failed_seeds)) + "; run again to try them again",
            ]
        )
    rows.append(
        ["pictures", "reports/: result.png, curves.png, comparison.png, validation.html, bias.html"]
    )
    where = "" if "://" in tracker.uri[:8] else "  (with `evergreen up`)"
    rows.append(["MLflow", tracker.link(outcome.run_id) + where])
    rows.append(["took", f"{seconds:.0f} s"])
    _table(["step", "what happened"], rows)


def _doubts(registry: Registry, number: str, dataset: Dataset, task: str) -> list[str]:
    """Return why a version cannot be used, or what it was made for that is otherwise by now."""
    from evergreen.errors import InputError
    from evergreen.features.definition import Definition, check_columns

    try:
        made = registry.open(number).definition
        check_columns(made.expressions(dataset), list(dataset.columns))
        return list(made.changes(Definition.of(dataset, task)))
    except (InputError, ValueError) as error:
        return [str(error)]


def _held_back(project: Project) -> list[list[str]]:
    from evergreen.ingest.manifest import Manifest
    from evergreen.quality.held_batches import tell_held

    return [
        ["held back" if at == 0 else "", told]
        for at, told in enumerate(tell_held(Manifest(project.features)))
    ]


def _metrics(params: Params) -> tuple[str, ...]:
    from evergreen.evaluation.metrics import METRICS

    return METRICS[params.task]


def _table(head: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    for number, row in enumerate([head, *rows]):
        line = "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        click.secho(line, bold=number == 0)


if __name__ == "__main__":
    main()
