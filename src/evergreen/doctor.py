"""Doctor: the state of this machine and this project, and what to do about what is wrong."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from evergreen import clock
from evergreen.errors import InputError, explain
from evergreen.finding import count, span
from evergreen.http import ask
from evergreen.params import Params, load
from evergreen.project import Project
from evergreen.redact import redact
from evergreen.stores.git import read_commit
from evergreen.training.device import count_cores, count_gpus, pick_device

PIPELINE = "pipeline"  # the extra of this library that a project needs
ENOUGH_DISK = 1.0  # GB
NAMED = {"prefect": "PREFECT_API_URL", "mlflow": "MLFLOW_TRACKING_URI"}  # servers elsewhere
LOGIN = "PREFECT_API_AUTH_STRING"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    what: str
    fine: bool
    found: str
    advice: str = ""


def examine(project: Project) -> list[Finding]:
    """Check versions, parameters, device, stores and ports."""
    findings = [_python(), _libraries(project), _disk(project), _git(project)]
    try:
        params = load(project.params)
    except InputError as error:
        return [
            *findings,
            Finding(
                "params.yaml", fine=False, found="has faults", advice=" ".join(str(error).split())
            ),
        ]
    findings.append(
        Finding("params.yaml", fine=True, found=f"task {params.task}, source {params.source.kind}")
    )
    checks: list[Callable[[Project, Params], Finding]] = [_device, _source, _stores, _dvc, _mlflow]
    checks += [_prefect, _clock, _personal]
    found = [_guarded(check, project, params) for check in checks]
    return [*findings, *(finding for finding in found if finding.found), *_ports(params)]


def check_parity(project: Project) -> Finding:
    """Return how far models of a GPU are from those of the CPU, beside how far seeds are.

    Raises InputError where no features are prepared, or XGBoost was built without CUDA.
    """
    from evergreen.evaluation.parity import find_parity
    from evergreen.training.tables import load_tables

    params = load(project.params).choosing_from(project.extensions)
    if not count_gpus():
        there = "no NVIDIA GPU was found on this machine: nothing to compare, the CPU trains"
        return Finding("parity", fine=True, found=there)
    pick_device("cuda")
    if not (project.features / "split.json").exists():
        raise InputError("no features are prepared yet: `evergreen ingest`, `validate`, `prepare`")
    fine, said = find_parity(load_tables(project), params)
    advice = "" if fine else "train on the CPU (train.device: cpu), and check the driver"
    return Finding("parity", fine, said, advice)


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on `port` of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _guarded(
    check: Callable[[Project, Params], Finding], project: Project, params: Params
) -> Finding:
    try:
        return check(project, params)
    except Exception as error:
        message = str(explain(error) or redact(str(error)))
        advice = " ".join(message.split())
        return Finding(check.__name__.strip("_"), fine=False, found="fails", advice=advice)


def _python() -> Finding:
    fine = sys.version_info >= (3, 11)
    return Finding(
        "Python",
        fine,
        platform.python_version(),
        "" if fine else "use Python 3.11 or newer: PYTHON=... make run",
    )


def _libraries(project: Project) -> Finding:
    try:
        wrong = list(_mismatched(project.distribution))
    except InputError as error:
        return Finding(
            "libraries", fine=False, found="not known", advice=" ".join(str(error).split())
        )
    except PackageNotFoundError as error:
        return Finding(
            "libraries",
            fine=False,
            found=f"{error.name} is not installed",
            advice="install it: `make setup`",
        )
    advice = (
        "remove .venv and run `make run`, which installs what requirements/ pins" if wrong else ""
    )
    found = "; ".join(wrong) or ", ".join(
        f"{name} {version(name)}" for name in ("prefect", "dvc", "mlflow", "xgboost")
    )
    return Finding("libraries", not wrong, found, advice)


def _mismatched(distribution: str, extras: Iterable[str] = (PIPELINE,)) -> Iterator[str]:
    """Yield what is missing or of a version that the distribution, or an extra, does not allow."""
    from packaging.requirements import Requirement

    for line in requires(distribution) or []:
        wanted = Requirement(line)
        if wanted.marker and not any(
            wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        ):
            continue
        try:
            have = version(wanted.name)
        except PackageNotFoundError:
            yield f"{wanted.name} is missing"
        else:
            if have not in wanted.specifier:
                yield f"{wanted.name} {have} is not {wanted.specifier}"
            if wanted.extras:
                yield from _mismatched(wanted.name, wanted.extras)


def _disk(project: Project) -> Finding:
    free = shutil.disk_usage(project.root).free / 1e9
    fine = free > ENOUGH_DISK
    return Finding(
        "disk", fine, f"{free:.1f} GB free", "" if fine else "free some space, or move the project"
    )


def _git(project: Project) -> Finding:
    commit = read_commit(project.root)
    if commit.why:
        return Finding(
            "git",
            fine=False,
            found="no commit",
            advice=f"{commit.why}: runs record which code made them",
        )
    return Finding("git", fine=True, found=f"at {commit.name[:8]}")


def _device(_: Project, params: Params) -> Finding:
    device = pick_device(params.train.device)
    return Finding(
        "device",
        fine=True,
        found=f"{device}: {count(count_cores(), 'core')}, {count(count_gpus(), 'GPU')}",
    )


def _source(project: Project, params: Params) -> Finding:
    from evergreen.ingest.sources import open_source

    offers = open_source(params.source, project.dataset).offers()
    names = span([offer.name for offer in offers])
    if not offers:
        advice = (
            "wait until a period is over, or choose a shorter source.period: "
            "a run needs at least one batch"
        )
        return Finding("source", fine=False, found="no finished batch", advice=advice)
    return Finding("source", fine=True, found=f"{count(len(offers), 'batch', 'batches')}, {names}")


def _personal(project: Project, _: Params) -> Finding:
    """Return which columns are personal, and whether their key is that of what is kept."""
    from evergreen.ingest.personal_key import find_key

    columns, key = project.dataset.personal, find_key(project, project.dataset)
    there = "" if key else ", no key yet: the first ingest makes it"
    said = ", ".join(f"{name} ({what})" for name, what in columns.items())
    return Finding("personal", fine=True, found=said and said + there)


def _stores(project: Project, _: Params) -> Finding:
    project.stores.mkdir(parents=True, exist_ok=True)
    probe = project.stores / ".probe"
    probe.write_text("", encoding="utf-8")
    probe.unlink()
    return Finding("stores", fine=True, found=str(project.stores))


def _dvc(project: Project, _: Params) -> Finding:
    from evergreen.stores.dvc import changed_stages

    changed = changed_stages(project)
    return Finding("DVC", fine=True, found=f"stages to run: {', '.join(changed) or 'none'}")


def _mlflow(project: Project, params: Params) -> Finding:
    from evergreen.stores.outside import warnings
    from evergreen.stores.registry import Registry
    from evergreen.stores.tracking import Tracker

    tracker = Tracker(project, params)
    if not tracker.is_there:
        return Finding("MLflow", fine=True, found="no run yet")
    registry = Registry(tracker)
    with registry.versions.held():
        held, messages = registry.aliases(), warnings(registry)
    shown = [f"{alias}: version {number}" for alias, number in sorted(held.items())]
    advice = " ".join("; ".join(messages).split())
    return Finding("MLflow", not messages, ", ".join(shown) or "no model yet", advice)


def _prefect(_: Project, __: Params) -> Finding:
    """Return whether the server that the environment names takes the login, if it names one."""
    url = os.environ.get(NAMED["prefect"], "").rstrip("/")
    if not url:
        return Finding("Prefect", fine=True, found="")
    status, answer = ask(f"{url}/admin/version", os.environ.get(LOGIN, ""))
    if status not in (None, 200):
        why = f"refuses the login: set {LOGIN}" if status == 401 else f"answers {status}"
        raise InputError(f"the Prefect server of PREFECT_API_URL {why}")
    try:
        version = json.loads(answer)
    except ValueError:  # nothing, or a page of something else
        raise InputError(
            f"the Prefect server of {NAMED['prefect']} does not answer: start it, or correct the "
            "address"
        ) from None
    return Finding("Prefect", fine=True, found=f"{version} answers, and takes the login")


def _clock(_: Project, __: Params) -> Finding:
    """Return whether the clock is that of the servers named; nothing where none is."""
    named = {"Prefect": os.environ.get(NAMED["prefect"]), "MLflow": os.environ.get(NAMED["mlflow"])}
    urls = {name: url for name, url in named.items() if url and url.startswith("http")}
    said = [clock.warning(clock.behind(url), name) for name, url in urls.items()]
    wrong = "; ".join(filter(None, said))
    right = f"as {' and '.join(urls)} have it" if urls else ""
    return Finding("clock", not wrong, "is off" if wrong else right, wrong)


def _ports(params: Params) -> Iterator[Finding]:
    for name, port in params.ports.model_dump().items():
        if os.environ.get(NAMED[name]):  # it is served elsewhere
            continue
        free = port_is_free(port)
        advice = (
            ""
            if free
            else f"if that is not this project's own server, change ports.{name} in params.yaml"
        )
        yield Finding(
            f"port {port} ({name})", fine=True, found="free" if free else "in use", advice=advice
        )
