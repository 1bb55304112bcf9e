"""A service of the example's definition over two small models, called in this process."""

from __future__ import annotations

import asyncio
import io
import json
from functools import cache
from types import SimpleNamespace

import httpx
import numpy as np
from conftest import QUICK, month

from evergreen.features.definition import Definition
from evergreen.features.encoder import Encoder
from evergreen.features.featurize import featurize_unlabelled
from evergreen.params import Serve, Validate
from evergreen.project import Project
from evergreen.scoring.package import Learnt, Model
from evergreen.serving.answers import Desk
from evergreen.serving.app import Service, make_app
from evergreen.serving.counts import Counts
from evergreen.serving.live import Watch
from evergreen.serving.record import Recorder
from evergreen.serving.unpack import ARROW
from evergreen.training.tables import Table, Tables
from evergreen.training.xgboost import build_matrix, train
from evergreen.validation.contract import Contract
from late_flights.dataset import dataset

ROWS = month("2013-04", 400)
IN_TIME = ROWS.select(dataset.known_in_time)
CLASSES = {"binary": ("false", "true"), "multiclass": ("a", "b", "c"), "regression": ()}


@cache
def model_of(number, task="binary"):
    """A model of the example's features, another one for each number."""
    features, _ = featurize_unlabelled(dataset, ROWS)
    levels = {
        name: tuple(sorted(features[name].unique()))[:-1] for name in ("carrier", "origin", "dest")
    }
    encoder = Encoder(task, tuple(dataset.features), levels, CLASSES[task], ("2013-04",))
    x = encoder.transform(features)
    y = np.random.default_rng(int(number)).integers(0, max(2, len(CLASSES[task])), len(x))
    parts = [Table(part, y[: len(part)].astype(np.float32)) for part in (x, x[:50], x[:50])]
    tables = Tables(task, encoder.features, tuple(levels), CLASSES[task], *parts)
    boosters = {0: train(build_matrix(tables, QUICK, threads=1), QUICK, int(number)).booster}
    learnt = Learnt(np.array([1], np.uint64), "2013-04-30T00:00:00", ("2013-04",))
    return Model(encoder, boosters, learnt, definition=Definition.of(dataset, task))


class Registry:
    """A registry whose champion a test moves."""

    name = "late_flights"

    def __init__(self, champion="1", task="binary"):
        self.champion, self.task, self.broken = champion, task, set()
        self.versions = self

    def decision(self):
        return SimpleNamespace(version=self.champion, package="sum") if self.champion else None

    def why_no_champion(self):
        return "the gate refused version 1"

    def checksum_of(self, number):
        return "sum"

    def run_of(self, number):
        return f"run of {number}"

    def open(self, number):
        if number in self.broken:
            raise OSError("seed-0.ubj was cut off")
        return model_of(number, self.task)


def service_of(folder, registry=None, bad=0.02, rules=None, on=dataset, **params):
    """A service over a project in `folder`."""
    if rules is None:  # loads Great Expectations, for seconds
        from late_flights.expectations import expectations as rules
    wanted, counts, registry = Serve(**params), Counts(), registry or Registry()
    contract = Contract(on, rules, Validate(max_bad_rows=bad))
    watch = Watch(registry, on, on_failure=counts.failed)
    recorder = Recorder(Project(folder), on, registry.task, wanted, watch.load, counts.recorded)
    desk = Desk(contract, wanted)
    return Service(desk, watch, recorder, counts, wanted, lambda live: {"metrics": {"auc": 0.7}})


def called(service, work, example=None, wrap=lambda app: app):
    """What `work(client)` returns, while the application lives."""

    async def run():
        app = make_app(service, example)
        transport = httpx.ASGITransport(wrap(app), raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            return await work(client)

    return asyncio.run(run())


def asked(service, path="/predict", **how):
    """The answer to one request."""

    async def work(client):
        return await client.request("POST" if how else "GET", path, **how)

    return called(service, work)


def packed(rows, kind):
    """Rows as an Arrow stream or a Parquet file."""
    content = io.BytesIO()
    (rows.write_ipc_stream if kind == ARROW else rows.write_parquet)(content)
    return content.getvalue()


def plain(rows):
    """Rows as JSON has them."""
    return json.loads(json.dumps(rows.to_dicts(), default=lambda value: value.isoformat()))
