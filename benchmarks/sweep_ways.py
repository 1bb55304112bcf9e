"""One way to train ten seeds on a project's features.

Run `python -m benchmarks.sweep_ways sweep|loop|joblib PROJECT`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def main(way: str, root: str) -> None:
    if way == "sweep":
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as a run sets it
    import xgboost  # noqa: F401  (its import is not what is measured)

    from evergreen import params
    from evergreen.project import Project
    from evergreen.training.device import count_cores
    from evergreen.training.seeds import share_cores
    from evergreen.training.tables import Tables, load_tables
    from evergreen.training.xgboost import build_matrix, train

    project = Project(Path(root))
    chosen = params.load(project.params)
    tables: Tables = load_tables(project)
    seeds = chosen.sweep.seed_list()

    def fit(seed: int, threads: int) -> float:
        from xgboost import XGBClassifier

        options = chosen.train.model_dump(
            exclude={"device", "learner", "refit", "rounds", "max_bin"}
        )
        model = XGBClassifier(
            n_estimators=chosen.train.rounds,
            tree_method="hist",
            random_state=seed,
            n_jobs=threads,
            **options,
        )
        pairs = [(tables.train.x, tables.train.y), (tables.validation.x, tables.validation.y)]
        model.fit(*pairs[0], eval_set=pairs, verbose=False)
        return float(model.best_score)

    began = time.perf_counter()
    if way == "sweep":
        matrix = build_matrix(tables, chosen.train)
        slots = share_cores(chosen.sweep, count_cores(), "cpu")
        with ThreadPoolExecutor(slots.jobs) as pool:
            trained = pool.map(
                lambda seed: train(matrix, chosen.train, seed, threads=slots.threads), seeds
            )
            losses = [seed.validation_loss or 0.0 for seed in trained]
    elif way == "loop":
        losses = [fit(seed, count_cores()) for seed in seeds]
    else:
        from joblib import Parallel, delayed

        losses = Parallel(n_jobs=count_cores())(delayed(fit)(seed, 1) for seed in seeds)
    print(
        json.dumps({"seconds": time.perf_counter() - began, "mean loss": sum(losses) / len(losses)})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
