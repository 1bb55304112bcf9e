"""Model versions in a registry of MLflow: made, altered, decided about, and killed half-way."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
from conftest import CLASSES, FEATURES, fit

from evergreen.decision import Decision
from evergreen.features.encoder import Encoder
from evergreen.files import sha256_of_file, write_json
from evergreen.scoring.package import Learnt, Model, read_package, write_package
from evergreen.stores import reload
from evergreen.stores.runs import Runs

TASKS = ("binary", "multiclass", "regression")


ROWS = pl.DataFrame(
    {
        "first": [0.5, -1.0, 1.5, None, 2.0],
        "second": [None, 0.1, -0.1, 3.0, 1e-9],
        "place": ["here", "there", "nowhere", None, "here"],
        "noise": [0.0, 1.0, 2.0, 3.0, None],
    },
    schema={"first": pl.Float32, "second": pl.Float32, "place": pl.String, "noise": pl.Float32},
)


LEARNT = Learnt(np.array([7, 3], np.uint64), "2013-01-31T00:00:00")


def decision(action, *reasons):
    rules = [{"name": "better", "met": action != "refuse", "says": reason} for reason in reasons]
    return Decision(
        action, reasons, {"rules": rules, "champion": None, "groups": {"carrier": 0.25}}
    )


YES, NO, WELL = (
    decision("promote", "better by 0.01", "seeds agree"),
    decision("refuse", "not better enough"),
    decision("ask", "better by 0.002."),
)


LIVED = {"champion": "3", "previous-champion": "2", "challenger": "4"}


PAST = [("promoted", "1", None), ("promoted", "2", "1"), ("promoted", "3", "2")]


def encoder_of(task="binary"):
    return Encoder(task, FEATURES, {"place": ("here", "there")}, CLASSES[task], ("2013-01",))


def package(folder, task="binary", seeds=(0,), learnt=LEARNT):
    return write_package(
        folder, Model(encoder_of(task), {seed: fit(task, seed).booster for seed in seeds}, learnt)
    )


def train(registry, fingerprint):
    """A training run that has ended well."""
    with Runs(registry.tracker).open(fingerprint, "a run", {}) as run_id:
        pass
    return run_id


def add(registry, fingerprint, folder, task="binary"):
    return registry.register(train(registry, fingerprint), fingerprint, folder, encoder_of(task))


def told(event):
    return event.what, event.version, event.before


def past(registry):
    return [told(event) for event in registry.events.history()]


def stored(registry, number):
    """The folder in the store that holds a version's package."""
    source = registry.tracker.client.get_model_version(registry.name, number).source
    place = Path(
        registry.tracker.client.get_logged_model(source.removeprefix("models:/")).artifact_location
    )
    (sums,) = place.rglob("checksums.json")
    return sums.parent


def alter(folder, how):
    booster = folder / "seed-0.ubj"
    content = booster.read_bytes()
    if how == "everything gone":
        shutil.rmtree(folder)
    elif how == "a file gone":
        booster.unlink()
    elif how == "a byte of a booster":
        booster.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    elif how == "another model, and checksums to match":
        booster.write_bytes(fit("binary", 1).booster)
        sums = {
            path.name: sha256_of_file(path)
            for path in folder.iterdir()
            if path.name != "checksums.json"
        }
        write_json(folder / "checksums.json", sums)
    elif how == "MLflow's own file":
        told = folder.parents[1] / "MLmodel"
        told.write_text(told.read_text().replace("evergreen.scoring.package", "mlflow.sklearn"))
    elif how == "what MLflow would install":
        (folder.parents[1] / "requirements.txt").write_text("another-package\n")
    elif how == "a link in a circle":
        booster.unlink()
        booster.symlink_to(booster)
    else:
        package(folder, learnt=Learnt(LEARNT.keys[:1], LEARNT.newest))
    if "to match" in how:
        read_package(folder)  # by its checksums nothing is wrong


def in_this_process(command, **_):
    """Do what `python -m evergreen.stores.reload` does, without the seconds of a new process."""
    assert command[:3] == [sys.executable, "-m", "evergreen.stores.reload"]
    try:
        reload.main(*command[3:])
    except Exception as error:
        return subprocess.CompletedProcess(command, 1, "", f"Traceback\n{error}\n")
    return subprocess.CompletedProcess(command, 0, "", "")


class Killed(BaseException):
    """The process is gone: nothing after this is done."""


class Mortal:
    """MLflow's client in a process that is killed before its `at`-th change."""

    def __init__(self, client, at):
        self._client, self._at, self.done = client, at, []

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if not name.startswith(("create_", "log_", "set_", "delete_", "update_")):
            return found

        def call(*args, **kwargs):
            if len(self.done) == self._at:
                raise Killed(name)
            result = found(*args, **kwargs)
            self.done.append(name)
            return result

        return call


def kill(registry, at, act):
    """Do something in a process that is killed; return what was changed, and what was not."""
    tracker = registry.tracker
    mortal = Mortal(tracker.client, at)
    tracker.client = mortal
    try:
        act(registry)
    except Killed as killed:
        return mortal.done, str(killed)
    finally:
        tracker.client = mortal._client
    return mortal.done, None
