"""Users' mistakes: one clear error, exit code not 0, no traceback, nothing half-written."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from conftest import environment, month
from forking import alone

from evergreen.project import Project

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]
NEW = "2013-08"  # the batch that arrives broken


def parquet(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    return lambda inbox: change(month(NEW)).write_parquet(inbox / f"{NEW}.parquet")


def truncated(inbox: Path) -> None:
    path = inbox / f"{NEW}.parquet"
    month(NEW).write_parquet(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_encoding(inbox: Path) -> None:
    frame = month(NEW).with_columns(tailnum=pl.lit("N1é"))
    (inbox / f"{NEW}.csv").write_bytes(frame.write_csv().encode("cp1252"))


def cut_csv(inbox: Path) -> None:
    (inbox / f"{NEW}.csv").write_text("\n".join(month(NEW).write_csv().split("\n")[:3])[:-40])


def equal_labels(inbox: Path) -> None:
    for path in inbox.glob("*.parquet"):
        pl.read_parquet(path).with_columns(arr_delay=pl.lit(0, pl.Int32)).write_parquet(path)


def changed_batch(inbox: Path) -> None:
    path = inbox / "2013-05.parquet"
    pl.read_parquet(path).with_columns(distance=pl.lit(1000, pl.Int32)).write_parquet(path)


# name -> (what happens to the inbox, what the error must say)
BROKEN: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "missing column": (
        parquet(lambda f: f.drop("dest")),
        (NEW, "missing column(s) 'dest'", "--replace"),
    ),
    "wrong type": (
        parquet(lambda f: f.with_columns(distance=pl.lit("far"))),
        (NEW, "distance: is a whole number", "'far'"),
    ),
    "empty batch": (parquet(lambda f: f.clear()), (NEW, "has no rows")),
    "duplicated keys": (
        parquet(lambda f: pl.concat([f, f])),
        (NEW, "unique together", "max_bad_rows"),
    ),
    "stale batch": (parquet(lambda f: f.head(1100)), (NEW, "scheduled_departure: largest is")),
    "too many bad rows": (
        parquet(lambda f: f.with_columns(origin=pl.lit("ORD"))),
        (NEW, "origin: one of EWR, JFK, LGA", "'ORD'"),
    ),
    "truncated Parquet": (
        truncated,
        (f"{NEW}.parquet", "cannot be read as Parquet", "deliver it again"),
    ),
    "another encoding": (
        other_encoding,
        (f"{NEW}.csv, line 2", "0xe9 is not utf-8", "source.encoding"),
    ),
    "cut CSV": (cut_csv, (f"{NEW}.csv", "cannot be read as CSV", "deliver it again")),
    "same name, other content": (changed_batch, ("'2013-05'", "other content", "--replace")),
}


def tree(project: Project, *folders: str) -> dict[str, str]:
    """Path -> SHA-256 of every file below `folders`."""
    files = [
        path for folder in folders for path in (project.root / folder).rglob("*") if path.is_file()
    ]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def assert_one_error(done: subprocess.CompletedProcess[str], *said: str) -> None:
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    assert done.stderr.count("error: ") == 1, done.stderr
    message = done.stderr[done.stderr.index("error: ") :]
    for part in said:
        assert part in message, message


# More of a kind: what is wrong with them is found by the same step, and tested there
ALIKE = ("wrong type", "stale batch", "too many bad rows", "another encoding", "cut CSV")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long) if name in ALIKE else name for name in BROKEN],
)
def test_a_broken_batch_stops_before_anything_downstream_changes(
    name: str, validated_project: Project, cli: Run
) -> None:
    spoil, said = BROKEN[name]
    project = validated_project
    kept = ("data/validated", "data/quarantine", "data/validation")
    before = tree(project, *kept)
    spoil(project.root.parent / "inbox")
    done = cli(project, "ingest")
    if done.returncode == 0:
        done = cli(project, "validate")
    assert_one_error(done, *said)
    assert tree(project, *kept) == before
    assert not list(project.root.rglob(".part-*"))
    if name not in (
        "missing column",
        "wrong type",
        "duplicated keys",
        "stale batch",
        "too many bad rows",
    ):
        assert sorted(path.stem for path in project.raw.glob("*.parquet")) == [
            "2013-05",
            "2013-06",
            "2013-07",
        ]
        return
    parquet(lambda frame: frame)(project.root.parent / "inbox")  # delivered again, mended
    assert cli(project, "ingest", NEW, "--replace").returncode == 0
    mended = cli(project, "validate")
    assert mended.returncode == 0, mended.stderr
    assert NEW in mended.stdout


def test_the_flow_stops_at_a_bad_batch_too(make_project: Callable[..., Project], cli: Run) -> None:
    project = make_project()
    parquet(lambda frame: frame.drop("dest"))(project.root.parent / "inbox")
    done = cli(project, "run")
    assert_one_error(done, NEW, "missing column(s) 'dest'", "reports/validation.html")
    assert not project.validated.exists() or not tree(project, "data/validated")
    assert "missing column(s)" in (project.reports / "validation.html").read_text()


def test_a_bad_batch_can_be_left_out(validated_project: Project, cli: Run) -> None:
    project = validated_project
    parquet(lambda frame: frame.drop("dest"))(project.root.parent / "inbox")
    assert cli(project, "ingest").returncode == 0
    assert_one_error(cli(project, "validate"), NEW, f"evergreen ingest {NEW} --drop")
    assert "missing column(s)" in (project.reports / "validation.html").read_text()
    (project.root.parent / "inbox" / f"{NEW}.parquet").unlink()
    assert cli(project, "ingest", NEW, "--drop").returncode == 0
    assert cli(project, "validate").returncode == 0
    assert_one_error(cli(project, "ingest", "2012-01", "--drop"), "no batch '2012-01'")


def test_a_tampered_raw_batch_is_refused(validated_project: Project, cli: Run) -> None:
    project = validated_project
    path = project.raw / "2013-05.parquet"
    pl.read_parquet(path).with_columns(arr_delay=pl.lit(200, pl.Int32)).write_parquet(path)
    said = ("2013-05.parquet was changed after it was ingested", "dvc checkout")
    assert_one_error(cli(project, "validate"), *said)
    assert_one_error(cli(project, "ingest", "2013-07", "--replace"), *said)
    assert_one_error(cli(project, "run"), *said)


@pytest.mark.long
def test_a_damaged_champion_is_made_again(champion_project: Project, cli: Run) -> None:
    project = champion_project
    model = next(project.stores.glob("mlflow/**/package/seed-*"))
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    done = cli(project, "run")
    assert done.returncode == 0, done.stderr
    assert "gone or damaged" in done.stdout + done.stderr
    assert "version 2 is champion" in done.stdout
    assert "3 seeds, 3 of them reused" in done.stdout


def test_all_labels_equal(make_project: Callable[..., Project], cli: Run) -> None:
    project = make_project()
    equal_labels(project.root.parent / "inbox")
    assert_one_error(cli(project, "run"), "training labels are false", "label in dataset.py")


PARAMS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "unknown key": (
        "learning_rate:",
        "learning_rat:",
        ("train.learning_rat: unknown key", "learning_rate"),
    ),
    "impossible value": (
        "seeds: 3",
        "seeds: 0",
        ("sweep.seeds", "greater than or equal to 1", "0"),
    ),
    "wrong type": ("max_depth: 3", "max_depth: deep", ("train.max_depth", "'deep'")),
    "no YAML": ("task: binary", "task: [binary", ("params.yaml is not valid YAML",)),
    "unknown task": ("task: binary", "task: ranking", ("task", "'ranking'", "multiclass")),
}


@pytest.mark.parametrize(
    ("command", "name"), [("ingest", "unknown key"), *(("run", name) for name in PARAMS)]
)
def test_faults_in_params(
    command: str, name: str, make_project: Callable[..., Project], cli: Run
) -> None:
    project = make_project()
    right, wrong, said = PARAMS[name]
    text = project.params.read_text()
    assert right in text
    project.params.write_text(text.replace(right, wrong))
    assert_one_error(cli(project, command), *said)
    assert not (project.root / "data").exists()


def in_namespace(project: Project, setup: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a mount namespace of its own, after `setup` changed the mounts there."""
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("this machine allows no mount namespaces")
    command = f"set -e; {setup}; exec {sys.executable} -m evergreen.cli {' '.join(args)}"
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", command],
        cwd=project.root,
        env=environment(project.root),
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize("size", [pytest.param("100k", marks=pytest.mark.long), "260k"])
def test_a_full_disk(size: str, make_project: Callable[..., Project], cli: Run) -> None:
    project = make_project(rows=4000)
    data = project.root / "data"
    data.mkdir()
    # A disk with room for none, or for some of the batches.
    setup = f"mount -t tmpfs -o size={size} disk {data}"
    full = in_namespace(project, setup, "ingest")
    assert_one_error(full, "no space left", "free some disk space")
    for step in ("ingest", "validate"):
        done = cli(project, step)
        assert done.returncode == 0, done.stderr
    assert len(list(project.validated.glob("*.parquet"))) == 3


@pytest.mark.long
def test_a_full_disk_for_the_stores(make_project: Callable[..., Project], cli: Run) -> None:
    project = make_project()
    project.stores.mkdir()
    with alone():
        full = in_namespace(project, f"mount -t tmpfs -o size=400k disk {project.stores}", "run")
    assert_one_error(full)
    done = cli(project, "run")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "folder",
    ["data", *(pytest.param(name, marks=pytest.mark.long) for name in ("stores", ".dvc"))],
)
def test_a_read_only_store(folder: str, validated_project: Project, cli: Run) -> None:
    project = validated_project
    before = tree(project, "data")
    place = project.root / folder
    command = "ingest --next" if folder == "data" else "run"
    month(NEW).write_parquet(project.root.parent / "inbox" / f"{NEW}.parquet")
    read_only = f"mount --bind {place} {place}; mount -o remount,ro,bind {place}"
    with alone():
        done = in_namespace(project, read_only, *command.split())
    assert_one_error(done, "writable")
    assert tree(project, "data") == before or folder != "data"
    for step in ("run",) if folder == "stores" else ("ingest", "validate"):
        again = cli(project, step)
        assert again.returncode == 0, again.stderr
    assert (project.validated / f"{NEW}.parquet").is_file()


def test_a_port_in_use(make_project: Callable[..., Project], cli: Run) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        project = make_project(ports={"mlflow": port})
        done = cli(project, "up")
        assert_one_error(done, f"port {port} is in use", "ports.mlflow in params.yaml")


def test_a_prefect_server_that_does_not_answer(
    make_project: Callable[..., Project], cli: Run
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{other.getsockname()[1]}/api"
    done = cli(make_project(), "run", PREFECT_API_URL=url)
    assert_one_error(done, url, "unset the variable")


def test_outside_a_project(tmp_path: Path) -> None:
    env = environment(tmp_path)
    env["PYTHONPATH"] = ""
    done = subprocess.run(
        [sys.executable, "-m", "evergreen.cli", "run"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert_one_error(done, "no project here", str(tmp_path))
