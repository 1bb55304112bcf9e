"""XGBoost's own files: with their description they are enough to predict the same bits."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost as xgb
from conftest import refusal
from export.models import model_of
from scoring.packages import rows_of

from evergreen.export.own_files import DESCRIPTION, write_own
from evergreen.training.linear import load


def encode(rows, said):
    """Encode rows by the description alone."""
    columns = []
    for feature in said["features"]:
        values = rows[feature["name"]].to_list()
        if feature["kind"] == "category":
            codes, other = feature["codes"], said["other_category"]
            columns.append(
                [said["missing_category"] if v is None else codes.get(v, other) for v in values]
            )
        else:
            columns.append([np.nan if v is None or np.isinf(v) else v for v in values])
    return np.array(columns, np.float32).T


@pytest.mark.parametrize("form", ["json", "ubj"])
@pytest.mark.parametrize(("task", "loss"), [("multiclass", "log_loss"), ("regression", "gamma")])
def test_the_files_alone_predict_the_same_bits(task, loss, form, tmp_path):
    model, rows = model_of(task, loss), rows_of()
    files = write_own(model, tmp_path / "out", form, {"version": "3"})
    said = json.loads((tmp_path / "out" / DESCRIPTION).read_text())
    assert [path.name for path in files] == [*said["files"], DESCRIPTION]
    assert (said["version"], said["task"]) == ("3", task)
    x = encode(rows, said)
    boosters = [xgb.Booster(model_file=tmp_path / "out" / name) for name in said["files"]]
    found = np.mean([booster.inplace_predict(x) for booster in boosters], axis=0)
    assert found.tobytes() == model.predict_rows(rows).tobytes()


def test_a_linear_model_is_json_only(tmp_path):
    model, rows = model_of("binary", "linear"), rows_of()
    write_own(model, tmp_path / "out", "json", {})
    x = encode(rows, json.loads((tmp_path / "out" / DESCRIPTION).read_text()))
    parts = [load((tmp_path / "out" / f"seed-{seed}.json").read_bytes()) for seed in model.seeds]
    found = np.mean([part.predict(x) for part in parts], axis=0)
    assert found.tobytes() == model.predict_rows(rows).tobytes()
    refusal(lambda: write_own(model, tmp_path / "no", "ubj", {}), "learner linear is json")
    assert not (tmp_path / "no").exists()
