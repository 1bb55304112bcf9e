"""Scoring as a user does it: rows of a month not over yet, by the champion of earlier months."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from conftest import MONTHS, ROOT, copy_that_ran, environment, month
from forking import FORKS

from evergreen import params
from evergreen.features.featurize import featurize
from evergreen.features.keys import KEY
from evergreen.features.split import LABEL
from evergreen.project import Project
from evergreen.scoring.predictions import join_labels, known, read
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker
from evergreen.validation.report import REASONS
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]
NEW = "2013-08"
KEYS = [KEY + name for name in dataset.key]


@pytest.fixture(scope="module")
def project(settled: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a champion; tests give their batches names of their own."""
    return copy_that_ran(settled("run"), tmp_path_factory.mktemp("scoring"))


def in_time(frame: pl.DataFrame) -> pl.DataFrame:
    """What is known of rows when they are scored."""
    return frame.drop(dataset.known_later)


def few() -> pl.DataFrame:
    return in_time(month(NEW)).head(60)


def files(project: Project) -> dict[str, bytes]:
    found = (path for path in project.predictions.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in sorted(found)}


def assert_one_error(done: subprocess.CompletedProcess[str], *said: str) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    assert done.stderr.count("error: ") - done.stderr.count(" error: ") == 1, done.stderr
    message = done.stderr[done.stderr.index("error: ") :]
    assert [part for part in said if part not in message] == [], message


def assert_free(project: Project) -> None:
    from filelock import FileLock

    for name in ("predictions.lock", "run.lock"):
        with FileLock(project.stores / name, timeout=0):
            pass
    assert not list(project.root.rglob(".part-*"))


def test_the_champion_predicts_in_code_of_others_as_the_docs_say(
    project: Project, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "make-it-yours.md").read_text()
    found = re.search(
        r"^\*\*The champion in code of yours.*?`MLFLOW_TRACKING_URI=(\S+)`.*?```python\n(.*?)```",
        page,
        re.MULTILINE | re.DOTALL,
    )
    assert found
    own, reference = (params.load(root / "params.yaml") for root in (project.root, ROOT))
    assert f"models:/{reference.tracking.model}@" in found[2]
    line = found[2].strip().replace(reference.tracking.model, own.tracking.model)
    rows, _ = featurize(dataset, month(NEW), own.task)
    rows.head(60).select(*dataset.features).to_pandas().to_parquet(tmp_path / "frame.parquet")
    code = (
        "import mlflow, pandas\nframe = "
        f"pandas.read_parquet({str(tmp_path / 'frame.parquet')!r})\nprint(len({line}))"
    )
    env = environment(project.root, MLFLOW_TRACKING_URI=found[1])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.root, env=env, capture_output=True, text=True
    )
    assert done.stdout.strip().endswith("60"), done.stderr


def test_a_month_without_labels_then_again_then_with_labels(
    project: Project, cli: Run, tmp_path: Path
) -> None:
    rows = month(NEW).with_columns(
        origin=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("ORD")).otherwise("origin")
    )
    in_time(rows).write_csv(tmp_path / f"{NEW}.csv")
    out = tmp_path / "out" / "said.csv"
    first = cli(project, "score", str(tmp_path / f"{NEW}.csv"), "--out", str(out))
    assert first.returncode == 0, first.stderr
    shown = first.stdout.splitlines()[-1].split()
    assert shown[:5] == [NEW, f"{rows.height - 1:,}", "1", "version", "1"]
    said = read(project, NEW, "1")
    assert pl.read_csv(out).columns == said.columns
    assert pl.read_csv(out).height == said.height
    kept = pl.read_parquet(project.predictions / NEW / "1.quarantine.parquet")
    assert kept[REASONS].to_list() == [["origin: one of EWR, JFK, LGA"]]

    tracker = Tracker(project, params.load(project.params))
    champion = Registry(tracker).versions.open("1")
    labelled, _ = featurize(dataset, month(NEW), "binary")  # those that flew, once that is known
    whole = labelled.with_columns(pl.Series("expected", champion.predict_rows(labelled)))
    joined = join_labels(said, whole.select(*KEYS, LABEL, "expected"))
    # The row that was set aside may not have flown
    assert joined.height in (labelled.height - 1, labelled.height)
    assert joined["prediction"].to_numpy().tobytes() == joined["expected"].to_numpy().tobytes()
    assert said.height > labelled.height  # flights that will be cancelled are scored too
    assert "up to date" in dvc_status(project)

    before = files(project)
    rows.write_parquet(tmp_path / f"{NEW}.parquet")  # the same rows, their labels have come
    again = cli(project, "score", str(tmp_path / f"{NEW}.parquet"))
    assert again.returncode == 0, again.stderr
    assert "scored before, nothing to do" in again.stdout
    assert files(project) == before

    few().write_csv(tmp_path / f"{NEW}.csv")
    said_now = (repr(NEW), f"{rows.height:,} rows by version 1", "now 60", "--name")
    assert_one_error(cli(project, "score", str(tmp_path / f"{NEW}.csv")), *said_now)
    assert files(project) == before
    assert_free(project)


def dvc_status(project: Project) -> str:
    command = [sys.executable, "-m", "dvc", "status"]
    return subprocess.run(
        command, cwd=project.root, env=environment(project.root), capture_output=True, text=True
    ).stdout


def test_a_batch_of_raw_and_files_while_a_training_holds_the_project(
    project: Project, cli: Run, tmp_path: Path
) -> None:
    few().write_csv(tmp_path / "one.csv")
    few().tail(20).write_csv(tmp_path / "two.tsv", separator="\t")
    with project.lock():
        done = cli(project, "score", "--batch", MONTHS[-1])
        assert done.returncode == 0, done.stderr
        more = cli(project, "score", str(tmp_path / "one.csv"), str(tmp_path / "two.tsv"))
        assert more.returncode == 0, more.stderr
    assert [line.split()[:2] for line in more.stdout.splitlines()[-2:]] == [
        ["one", "60"],
        ["two", "20"],
    ]
    assert {(MONTHS[-1], "1"), ("one", "1"), ("two", "1")} <= set(known(project))
    features = pl.read_parquet(project.features / f"{MONTHS[-1]}.parquet")
    joined = join_labels(read(project, MONTHS[-1], "1"), features.select(*KEYS, LABEL))
    assert joined.height == features.height


def column_gone(path: Path) -> None:
    few().drop("temp").write_csv(path)


def cut_short(path: Path) -> None:
    few().write_csv(path)
    path.write_bytes(path.read_bytes()[:-30])


SPOILT: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "column": (column_gone, ("'column' is bad", "missing column(s) 'temp'")),
    "cut": (cut_short, ("cut.csv cannot be read as CSV", "deliver it again")),
    "empty": (Path.touch, ("empty.csv is empty (0 bytes)", "deliver it again")),
    "none": (lambda _: None, ("none.csv: there is no such file",)),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_cannot_be_scored_is_one_error(
    name: str, project: Project, cli: Run, tmp_path: Path
) -> None:
    path, before = tmp_path / f"{name}.csv", files(project)
    spoil, said = SPOILT[name]
    spoil(path)
    assert_one_error(cli(project, "score", str(path)), *said)
    assert files(project) == before
    assert_free(project)


def test_without_a_champion(make_project: Callable[..., Project], cli: Run, tmp_path: Path) -> None:
    project = make_project()
    few().write_csv(tmp_path / "rows.csv")
    done = cli(project, "score", str(tmp_path / "rows.csv"))
    told = "there is no champion: `evergreen run` trains one, or says why it cannot"
    assert_one_error(done, told)
    assert_one_error(
        cli(project, "score", "--batch", "2013-05"), "data/raw holds no batch '2013-05'"
    )
    assert not (project.root / "data").exists()
    assert not (project.stores / "mlflow.db").exists()
    assert not (project.stores / "predictions.lock").exists()


KILLER = """
import os, signal, sys
from evergreen.scoring import predictions
def deadly(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
predictions.write_json = deadly
from evergreen.cli import main
main()
"""


@pytest.mark.long
def test_a_killed_scoring_is_finished_by_the_next(
    project: Project, cli: Run, tmp_path: Path
) -> None:
    few().write_csv(tmp_path / "killed.csv")
    words = ["score", str(tmp_path / "killed.csv")]
    killed = FORKS[0].run(words, project.root, environment(project.root), 240, KILLER)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    assert (project.predictions / "killed" / "1.parquet").exists()
    assert ("killed", "1") not in known(project)
    assert_free(project)
    done = cli(project, "score", str(tmp_path / "killed.csv"))
    assert done.returncode == 0, done.stderr
    assert "scored now" in done.stdout
    assert read(project, "killed", "1").height == 60


def test_an_altered_champion_scores_nothing(project: Project, cli: Run, tmp_path: Path) -> None:
    few().write_csv(tmp_path / "altered.csv")
    encoders = list(project.stores.glob("mlflow/**/package/encoder.json"))
    assert encoders
    before = files(project)
    for path in encoders:
        path.write_bytes(path.read_bytes() + b" ")
    try:
        assert_one_error(
            cli(project, "score", str(tmp_path / "altered.csv")),
            "was changed after",
            "do not use",
        )
    finally:
        for path in encoders:
            path.write_bytes(path.read_bytes()[:-1])
    assert files(project) == before


@pytest.mark.long
def test_scoring_beside_a_run(project: Project, cli: Run, tmp_path: Path) -> None:
    few().write_csv(tmp_path / "beside.csv")
    command = [sys.executable, "-m", "evergreen.cli", "run", "--seeds", "4"]
    with subprocess.Popen(
        command,
        cwd=project.root,
        env=environment(project.root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as running:
        done = cli(project, "score", str(tmp_path / "beside.csv"))
        output, _ = running.communicate(timeout=240)
    assert done.returncode == 0, done.stderr
    assert running.returncode == 0, output.decode()
    assert "scored now" in done.stdout
