"""What a user changes in the first weeks, with a champion live: it works, or a sentence says why.

Every change is made in a copy of one small project with a champion, and then all commands are run.
`make test` has other features and another metric; what is said of the other changes is tested in
features/test_definition.py, promotion/test_comparability.py and validation/test_contract.py.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from cars import drive, table
from conftest import ROOT, copy_that_ran
from forking import Forks

pytestmark = pytest.mark.slow
ASKED = "score ../asked.csv"
COMMANDS = ("monitor", ASKED, "run", "history", "status")


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


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long)
        if name != "features, a slice and the metric"
        else name
        for name in CHANGES
    ],
)
def test_a_change_goes_through_or_says_how(
    name: str, cars_that_ran: Path, tmp_path: Path, prefect_server: str, forks: Forks
) -> None:
    change = CHANGES[name]
    project = copy_that_ran(cars_that_ran, tmp_path)
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
