"""Turn: a command is refused at once, or waits for the run under way, and says so."""

from __future__ import annotations

import threading

import pytest
from conftest import refusal

from evergreen.orchestration.turn import PATIENCE, turn
from evergreen.project import Project


def hold(project):
    with turn(project):
        return "held"


def test_without_patience_a_command_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.delenv(PATIENCE, raising=False)
    with Project(tmp_path).lock():
        refusal(lambda: hold(Project(tmp_path)), "another run of this project is under way")
    assert hold(Project(tmp_path)) == "held"


def test_with_patience_it_waits_and_says_for_what(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(PATIENCE, "60")
    held, free = threading.Event(), threading.Event()

    def run():
        with Project(tmp_path).lock():
            held.set()
            free.wait(30)

    other = threading.Thread(target=run)
    other.start()
    assert held.wait(30)
    threading.Timer(0.05, free.set).start()
    assert hold(Project(tmp_path)) == "held"
    other.join()
    said = capsys.readouterr().err
    assert said.startswith("another run of this project is under way (process ")
    assert said.endswith("): waiting for it, 60 s at most\n")


def test_patience_that_was_not_enough_is_the_same_refusal(tmp_path, monkeypatch):
    monkeypatch.setenv(PATIENCE, "0.01")
    with Project(tmp_path).lock():
        refusal(lambda: hold(Project(tmp_path)), "wait for it, or stop it, then run again")


@pytest.mark.parametrize("given", ["soon", "-1", "nan", "inf"])
def test_patience_that_is_no_number_is_one_sentence(tmp_path, monkeypatch, given):
    monkeypatch.setenv(PATIENCE, given)
    refusal(lambda: hold(Project(tmp_path)), f"EVERGREEN_PATIENCE is {given!r}: set it to a number")
