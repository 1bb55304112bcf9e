"""Killed at random moments of refit, registration and promotion: the champion is the same.

The same as of a run that nobody disturbs. `KILLS=30 .venv/bin/pytest -q tests/e2e/test_kills.py`
does so 30 times, in twenty minutes on a busy machine; else 3 times.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import environment
from forking import FORKS

from evergreen.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.long]
KILLS = int(os.environ.get("KILLS", "3"))
LATE = """
import os, signal, sys, threading, time
from dataclasses import replace
from pathlib import Path
from evergreen.evaluation import baselines
from evergreen.orchestration.tasks import models, promotion
delay, report = float(sys.argv.pop(1)), Path(sys.argv.pop(1))
fit, refit = baselines.fit_linear, models.refit
def weak(tables, seed):  # so that the trees go live
    few = tables.train
    return fit(replace(tables, train=replace(few, x=few.x[:60], y=few.y[:60])), seed)
def begin(*args):
    report.write_text(str(time.time()))
    if delay:
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return refit(*args)
baselines.fit_linear, models.refit = weak, begin
from evergreen.cli import main
main()
os._exit(0)
"""


READ = """
import shutil, sys
from evergreen import params
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker
project = Project.find()
registry = Registry(Tracker(project, params.load(project.params)))
with registry.versions.fetch(str(registry.champion())) as folder:
    shutil.copytree(folder, sys.argv[1])
print(*(event.what for event in registry.events.history()), len(registry.versions.all()))
"""


def champion_of(project: Project, folder: Path) -> tuple[dict[str, bytes], str]:
    """The files of the champion's package, the events and number of versions, in a new process."""
    shutil.rmtree(folder, ignore_errors=True)
    done = FORKS[0].run([str(folder)], project.root, environment(project.root), 240, READ)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}, done.stdout.strip()


def run(project: Project, delay: float, report: Path) -> subprocess.CompletedProcess[str]:
    """Run until `delay` seconds after the refit began (0: to the end); `report` holds that time."""
    return FORKS[0].run(
        [str(delay), str(report), "run"], project.root, environment(project.root), 240, LATE
    )


def test_killed_at_random_moments_the_champion_is_the_same(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    project, report = make_project(), tmp_path / "begun"
    stopped = run(project, 1e-6, report)
    assert stopped.returncode == -signal.SIGKILL, stopped.stdout + stopped.stderr
    shutil.copytree(project.root, tmp_path / "judged", symlinks=True)
    whole = run(project, 0, report)
    assert "version 1 is champion" in whole.stdout, whole.stdout + whole.stderr
    seconds, expected = (
        time.time() - float(report.read_text()),
        champion_of(project, tmp_path / "package"),
    )
    assert {"seed-0.ubj", "seed-1.ubj", "seed-2.ubj"} <= set(expected[0])
    assert expected[1] == "promoted 1"

    draw, kills, ends = np.random.default_rng(KILLS), 0, 0
    while kills < KILLS or not ends:
        shutil.rmtree(project.root)
        shutil.copytree(tmp_path / "judged", project.root, symlinks=True)
        done = run(project, draw.uniform(0, seconds), report)
        while done.returncode == -signal.SIGKILL:
            kills += 1
            done = run(project, draw.uniform(0, seconds) if kills < KILLS else 0, report)
        assert done.returncode == 0, done.stdout + done.stderr
        ends += 1
        assert champion_of(project, tmp_path / "package") == expected, done.stdout + done.stderr
    print(f"{kills} kills within {seconds:.1f} s, {ends} times to the end")
