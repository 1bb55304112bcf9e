"""Serve: a project's champion behind a port, guarded as its other servers are."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import click

from evergreen.errors import InputError
from evergreen.files import sha256_of_file
from evergreen.ingest.personal_key import check_learnt, key_of
from evergreen.orchestration.edits import Edits, restart
from evergreen.orchestration.guard import Guard
from evergreen.orchestration.login import login_of
from evergreen.params import Params
from evergreen.project import Project
from evergreen.serving.answers import Desk
from evergreen.serving.app import Service, make_app
from evergreen.serving.counts import Counts
from evergreen.serving.facts import Facts
from evergreen.serving.live import Live, Watch
from evergreen.serving.record import Recorder, sweep
from evergreen.serving.schema import example_of
from evergreen.stores.journal import Journal
from evergreen.stores.outside import find_live
from evergreen.stores.registry import Registry
from evergreen.stores.runs import Runs
from evergreen.stores.tracking import Tracker
from evergreen.validation.contract import Contract

if TYPE_CHECKING:
    import uvicorn

NOTED = ("evergreen.holdout", "evergreen.train", "mlflow.source.git.commit")  # tags that are told
DRIFT = ("drifted", "together", "label_drifted", "prediction_drifted", "says")  # of a batch
GRACE = 15  # seconds for requests under way when it is stopped
LOOK = 3.0  # seconds between two looks for edits
SOCKET = "EVERGREEN_SERVE_SOCKET"  # what listens already, where a process starts again
LAST = 5.0  # seconds for the answer of a request that was ended by its time


def serve(project: Project, params: Params, host: str, port: int, *, wait: bool = False) -> None:
    """Answer requests until Ctrl-C or SIGTERM; those under way are finished.

    What is edited meanwhile is taken up by a process that gets the same socket: who connects waits.
    `wait`: start without a champion as well. Raises InputError where nothing can be served, or the
    port is taken.
    """
    import uvicorn

    from evergreen.serving.connections import bounded

    edits = _edits(project, wait=wait)
    service = build(project, params, wait=wait)
    sweep(project)
    taken = _handed_over() or _take(host, port)
    guarded = Guard(make_app(service, _example(project)), login_of(project))
    config = uvicorn.Config(
        guarded,
        http=bounded(params.serve.connections, params.serve.timeout + LAST),
        ws="none",
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=GRACE,
        server_header=False,
        h11_max_incomplete_event_size=64 * 1024,
    )
    taken.listen(config.backlog)  # who connects from now on waits, and is not refused
    shown = taken.getsockname()[1]
    click.echo(f"serving  http://{host}:{shown}  (POST /predict; the API: /openapi.json)")
    click.echo(f"login    {project.stores / 'login'} holds it (user:password)")
    stopped, again, server = Event(), Event(), uvicorn.Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Which uvicorn raises again when all is done
        signal.signal(number, lambda *_: stopped.set())
    following = Thread(target=_follow, args=(edits, service.watch, server, again), daemon=True)
    following.start()
    server.run(sockets=[taken.dup()])
    if again.is_set() and not stopped.is_set():
        taken.set_inheritable(True)
        os.environ[SOCKET] = str(taken.fileno())
        restart()
    click.echo("stopped")


def check(project: Project, params: Params, *, wait: bool = False) -> str:
    """Return the version that would be served; '' where there is none and it is to `wait` for one.

    Raises InputError where nothing could be served.
    """
    watch = build(project, params, wait=wait).watch
    event = watch.champion()
    return watch.load(event.version, event.package).scorer.version if event else ""


def build(project: Project, params: Params, *, wait: bool = False) -> Service:
    """Return what answers for a project.

    Raises InputError where there is no champion yet, unless it is to `wait` for one.
    """
    tracker = Tracker(project, params)
    registry, counts, runs = Registry(tracker), Counts(), Runs(tracker)
    if not wait:
        find_live(tracker, registry)
    dataset, task = project.dataset, params.task
    key = key_of(project, dataset) if dataset.personal else None
    event = registry.decision() if key and tracker.is_there else None
    if key and event:
        tags = runs.describe(registry.versions.run_of(event.version))[1]
        check_learnt(key, tags, event.version)
    desk = Desk(Contract.of(project, params), params.serve, key)
    watch = Watch(
        registry, dataset, stamp_of(project, tracker), counts.failed, lambda: tracker.is_there
    )
    recorder = Recorder(project, dataset, task, params.serve, watch.load, counts.recorded)
    journal = Journal(tracker)
    facts = Facts(project, registry, runs, journal, lambda: watch.live)
    return Service(desk, watch, recorder, counts, params.serve, _About(runs, journal), facts)


def _edits(project: Project, *, wait: bool) -> Edits:
    """Return what is looked at for edits: code, parameters, and whether the store is another."""
    store = project.stores / "mlflow.db"

    def others() -> dict[str, object]:
        params = sha256_of_file(project.params) if project.params.is_file() else None
        return {"params.yaml": params, "stores/mlflow.db": _when(store)[2] or None}

    trial = ["-m", "evergreen.cli", "serve", "--check", *(["--wait"] if wait else [])]
    return Edits(project.root, trial, others)


def _follow(edits: Edits, watch: Watch, server: uvicorn.Server, again: Event) -> None:
    """Stop the server where it is to start again with what was edited, which was tried."""
    seen: dict[str, object] = {}
    while not again.wait(LOOK):
        edited = edits.find()
        watch.stale = edits.why
        if edited != seen or not edited:  # somebody is at it
            seen = edited
            continue
        if why := edits.refuses(edited):
            click.echo(why, err=True)
            continue
        click.echo(f"restarted with what was edited: {', '.join(edited)}")
        again.set()
        server.should_exit = True


def _handed_over() -> socket.socket | None:
    """Return the socket that the process had before it started again, if it did."""
    try:
        taken = socket.socket(fileno=int(os.environ.pop(SOCKET, "")))
    except (ValueError, OSError):  # no number, or of none that is open
        return None
    taken.set_inheritable(False)
    return taken


def stamp_of(project: Project, tracker: Tracker) -> Callable[[], object]:
    """Return what changes when the registry may have: the times of its files.

    None where it is behind a server, which is asked each time.
    """
    files = [project.stores / name for name in ("mlflow.db", "mlflow.db-wal")]
    if str(files[0]) not in tracker.uri:
        return lambda: None
    return lambda: tuple(_when(path) for path in files)


def _when(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino


class _About:
    """What else is known of a version: its run, and what monitoring found of it last."""

    def __init__(self, runs: Runs, journal: Journal) -> None:
        self._runs, self._journal = runs, journal

    def __call__(self, live: Live) -> dict[str, Any]:
        metrics, tags = self._runs.describe(live.scorer.run_id)
        learnt = live.model.learnt
        return {
            "newest_row": learnt.newest,
            "learnt_from": learnt.batches,
            "metrics": {name: value for name, value in sorted(metrics.items()) if value == value},
            "made_by": {name: value for name, value in tags.items() if name in NOTED},
            "monitoring": self._seen(live.scorer.version),
        }

    def _seen(self, version: str) -> dict[str, Any] | None:
        """Return what monitoring found of a version last, drift with it; None where it has not."""
        entries = self._journal.entries(version)
        if not entries:
            return None
        last = entries[-1]
        drift = self._journal.facts(last).get("drift") or {}
        found = {"batch": last.batch, "decision": last.action, "reason": last.reason}
        return found | {"drift": {name: drift[name] for name in DRIFT if name in drift}}


def _example(project: Project) -> dict[str, Any] | None:
    """Return a row of the newest batch; None where there is none."""
    import polars as pl

    from evergreen.ingest.manifest import Manifest

    validated = Manifest(project.validated)
    names = list(validated.in_order())
    if not names or not validated.file(names[-1]).is_file():
        return None
    rows = pl.read_parquet(validated.file(names[-1]), n_rows=1)
    return example_of(rows.row(0, named=True)) if rows.height else None


def _take(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; port 0: any that is free."""
    taken = None
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Named TCP, so that asyncio lets no answer wait for more to send (Nagle)
        taken = socket.socket(info[0], info[1], socket.IPPROTO_TCP)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(info[4])
    except OSError as error:
        if taken:
            taken.close()
        raise InputError(
            f"{host}:{port} cannot be listened at ({error.strerror or error}): stop what listens "
            "there, or name another --port (serve.port in params.yaml)"
        ) from None
    return taken
