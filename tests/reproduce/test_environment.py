"""Environment: each thing that is not as it was is told, and nothing else."""

from __future__ import annotations

import platform
from importlib.metadata import version

import pytest

from evergreen.reproduce import environment
from evergreen.reproduce.environment import differences, pick
from evergreen.training.device import describe_machine

SAME = {
    "library.numpy": version("numpy"),
    "library.python": platform.python_version(),
    "evergreen.device": "cpu",
    "evergreen.machine": describe_machine("cpu"),
    "mlflow.user": "somebody",
}


def test_what_is_as_it_was_is_not_told() -> None:
    assert differences(SAME, "cpu") == []
    assert differences({}, "cpu") == []


@pytest.mark.parametrize(
    ("was", "says"),
    [
        ({"library.numpy": "1.0"}, f"numpy: 1.0 then, {version('numpy')} now"),
        ({"library.nothing-like-it": "2"}, "nothing-like-it: 2 then, not installed now"),
        ({"library.python": "3.8.1"}, "Python: 3.8.1 then, "),
        ({"evergreen.device": "cuda"}, "device: cuda then, cpu now"),
        ({"evergreen.machine": "Z80"}, "hardware: Z80 then, "),
    ],
)
def test_each_difference_is_told(was: dict[str, str], says: str) -> None:
    (told,) = differences(SAME | was, "cpu")
    assert told.startswith(says)


@pytest.mark.parametrize(("minor", "others"), [("3.8", True), ("", False)])
def test_only_another_minor_version_of_python_has_other_pins(minor: str, others: bool) -> None:
    now = platform.python_version().rpartition(".")[0]
    (told,) = differences({"library.python": f"{minor or now}.99"}, "cpu")
    assert ("pinned" in told) == others


@pytest.mark.parametrize(
    ("recorded", "there", "picked"),
    [("cpu", True, "cpu"), ("cuda", True, "cuda"), ("cuda", False, "cpu")],
)
def test_the_device_of_then_trains_where_it_is_there(
    recorded: str, there: bool, picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(wanted: str) -> str:
        if wanted == "cuda" and not there:
            raise environment.InputError("no GPU")
        return wanted

    monkeypatch.setattr(environment, "pick_device", choose)
    assert pick(recorded) == picked
