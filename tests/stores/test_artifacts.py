"""Artifacts: files of a run come back, and altered predictions for the holdout are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import refusal
from tracked import begin

from evergreen.files import write_json
from evergreen.stores.artifacts import HELD_OUT, Artifacts

pytestmark = pytest.mark.slow  # real stores


def test_files_of_a_run_come_back(tracker, tmp_path):
    artifacts, run_id = Artifacts(tracker), begin(tracker)
    write_json(tmp_path / "facts.json", {"a": [1, 2]})
    (tmp_path / "result.png").write_bytes(b"a picture")
    artifacts.attach(run_id, [tmp_path / "facts.json", tmp_path / "result.png"])
    tracker.client.log_text(run_id, "code", "code/module.py")
    assert artifacts.read_json(run_id, "facts.json") == {"a": [1, 2]}
    assert artifacts.read_texts(run_id, "code") == {"module.py": "code"}
    assert artifacts.read_texts(run_id, "nothing") == {}
    artifacts.fetch_files(run_id, tmp_path / "reports")
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == [
        "facts.json",
        "result.png",
    ]


class HeldOut:
    """Predictions that are JSON."""

    def __init__(self, values):
        self.values = values

    def write(self, path):
        path.write_text(json.dumps(self.values))

    @classmethod
    def read(cls, path):
        return json.loads(path.read_text())


@pytest.mark.parametrize("how", ["intact", "gone", "altered"])
def test_predictions_for_the_holdout(how, tracker, monkeypatch):
    monkeypatch.setattr("evergreen.stores.artifacts.HeldOut", HeldOut)
    artifacts, run_id = Artifacts(tracker), begin(tracker)
    artifacts.record_held_out(run_id, HeldOut([0.5, 0.25]))
    path = Path(tracker.client.get_run(run_id).info.artifact_uri, HELD_OUT)
    if how == "gone":
        path.unlink()
    elif how == "altered":
        path.write_text("[0.5, 0.75]")
    if how == "intact":
        assert artifacts.read_held_out(run_id) == [0.5, 0.25]
    else:
        refusal(lambda: artifacts.read_held_out(run_id), HELD_OUT, "gone or was changed")
