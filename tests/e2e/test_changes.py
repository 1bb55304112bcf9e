"""What a user changes in the first weeks, with a champion live: it works, or a sentence says why.

One small project with a champion is made; every change is made in a copy of it, and then all
commands are run.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
import yaml
from cars import DATASET, EXPECTATIONS, drive, table
from conftest import ROOT, SMALL, copy_project
from forking import Forks

from evergreen.params import Params
from evergreen.project import Project

pytestmark = pytest.mark.slow
ASKED = "score ../asked.csv"
COMMANDS = ("monitor", ASKED, "run", "history", "status")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, prefect_server: str, forks: Forks) -> Path:
    """The folder of a project with a champion and a batch that is new; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    root, inbox = folder / "project", folder / "inbox"
    copy_project(root)
    inbox.mkdir()
    (root / "src" / "late_flights" / "dataset.py").write_text(DATASET)
    (root / "src" / "late_flights" / "expectations.py").write_text(EXPECTATIONS)
    content = Params().model_dump(mode="json", by_alias=True)
    content |= {"task": "regression", "source": {"kind": "files", "path": "../inbox"}}
    for section, values in (SMALL | {"sweep": {"seeds": 2, "model": "mean"}}).items():
        content[section] |= values
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    for batch in range(4):
        table(batch).write_csv(inbox / f"cars_{batch}.csv")
    ((_, code, said),) = drive(root, prefect_server, forks, "run")
    assert code == 0, said
    assert "version 1 is champion" in said, said
    return folder


@dataclass(frozen=True)
class Change:
    """What is edited (file -> old text -> new text), the next batches, and each command's output.

    `says`: command -> exit code and pattern; a command that is not named ends with 0.
    """

    edits: dict[str, dict[str, str]]
    says: dict[str, tuple[int, str]] = field(default_factory=dict)
    batch: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows


FILE = "src/late_flights/dataset.py"
OTHER = r'version 1.*: it predicts col\("use"\) \(regression\), and label is'
ASKS = {"run": (0, "decide +ask\n(.|\n)*a person has to decide"), "status": (0, "it predicts col")}
JUDGED = {"run": (0, "decide +(refuse|promote)\n(.|\n)*(better|worse).* against ")}
LABEL = 'label=pl.col("use")'
CHANGES = {
    "features, a slice and the metric": Change(
        {
            FILE: {
                '"weight": pl.col("weight")': '"mass": -pl.col("weight")',
                '"power": pl.col("power")': '"power": (pl.col("power") // 10).cast(pl.String)',
                '"place": pl.col("place"),': '"heavy": pl.col("weight") > 1500,',
                'slices={"place": pl.col("place")}': "slices={}",
            },
            "params.yaml": {"metric: null": "metric: mae"},
        },
        JUDGED,
    ),
    "a column and its feature lost": Change(
        {FILE: {'        "power": pl.col("power"),\n': "", '        "power": pl.Float64(),\n': ""}},
        dict.fromkeys(
            ("monitor", ASKED, "run"),
            (1, "needs the column 'power' .for power., which no longer exists"),
        )
        | {"run": (0, "needs the column 'power'"), "status": (0, "needs the column 'power'")},
        batch=lambda rows: rows.drop("power"),
    ),
    "a column gained": Change(
        {FILE: {'"use": pl.Float64(),': '"use": pl.Float64(),\n    "doors": pl.Int64(),'}},
        dict.fromkeys(
            ("monitor", "run"),
            (1, r"'cars_0' is bad.*\n.*missing column.*'doors'(.|\n)*dataset.py \(columns\)"),
        ),
        batch=lambda rows: rows.with_columns(doors=pl.lit(4)),
    ),
    "another key, and a column that nobody declares": Change(
        {FILE: {'key=("id",)': 'key=("plate",)'}},
        JUDGED,
        batch=lambda rows: rows.with_columns(doors=pl.lit(4)),
    ),
    "another label": Change(
        {FILE: {LABEL: 'label=100 - pl.col("use")'}},
        dict.fromkeys(("monitor", ASKED), (0, OTHER)) | ASKS,
    ),
    "another task": Change(
        {
            FILE: {LABEL: 'label=pl.col("use") > 10'},
            "params.yaml": {"task: regression": "task: binary"},
        },
        dict.fromkeys(("monitor", ASKED), (0, OTHER)) | ASKS,
    ),
    "no time any more": Change(
        {FILE: {'time="day"': 'time=""'}},
        {
            "monitor": (1, "cannot be watched: time was 'day'"),
            "run": (0, "compared with the champion.*time was 'day'"),
        },
    ),
    "another loss and a schedule": Change(
        {
            "params.yaml": {
                "loss: auto": "loss: quantile",
                "quantile: 0.5": "quantile: 0.9",
                "schedule: constant": "schedule: step",
                "schedule_rounds: 200": "schedule_rounds: 20",
            }
        },
        {"run": (0, "decide +(refuse|promote)\n(.|\n)*pinball_0_9 .* against ")},
    ),
    "another learner": Change(
        {"params.yaml": {"learner: xgboost": "learner: late_flights.another_model"}}, JUDGED
    ),
}


# More of a kind: the sentences are those of another label, and of features that are others
ALIKE = (
    "another task",
    "another learner",
    "another key, and a column that nobody declares",
    "another loss and a schedule",
    "no time any more",
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long) if name in ALIKE else name for name in CHANGES],
)
def test_a_change_goes_through_or_says_how(
    name: str, made: Path, tmp_path: Path, prefect_server: str, forks: Forks
) -> None:
    change = CHANGES[name]
    shutil.copytree(made, tmp_path, dirs_exist_ok=True, symlinks=True)
    project = Project(tmp_path / "project")
    shutil.copy(ROOT / "docs" / "another_model.py", project.root / "src" / "late_flights")
    for file, edits in change.edits.items():
        text = (project.root / file).read_text()
        for old, new in edits.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (project.root / file).write_text(text)
    change.batch(table(4)).write_csv(tmp_path / "inbox" / "cars_4.csv")
    change.batch(table(5)).write_csv(tmp_path / "asked.csv")
    told = drive(project.root, prefect_server, forks, *COMMANDS)
    if name == "another label":  # what the sentence says, and what follows
        taken = drive(project.root, prefect_server, forks, "promote --approve", "monitor", ASKED)
        assert [code for _, code, _ in taken] == [0, 0, 0], taken
        assert "version 2 is champion in place of version 1" in taken[0][2]
        assert "version 2" in taken[2][2]
        assert "it predicts" not in taken[1][2] + taken[2][2]
    for command, code, said in told:
        print(f"----- {name}: {command}: {code}\n{said}")
        assert "Traceback" not in said, f"{command}: {said}"
        expected, pattern = change.says.get(command, (0, ""))
        assert code == expected, f"{command}: {said}"
        assert re.search(pattern, said), f"{command}: {said}"
