"""App: the endpoints, as FastAPI; who may call them is `orchestration/guard.py`'s."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evergreen.errors import InputError
from evergreen.params import Serve
from evergreen.serving.answers import Desk, FaultsError, as_plain
from evergreen.serving.body import JSON, BodyError
from evergreen.serving.counts import Counts
from evergreen.serving.facts import Facts
from evergreen.serving.live import Live, Watch
from evergreen.serving.record import Recorder
from evergreen.serving.schema import answers, describe_labels, describe_rows

PREDICT, LABELS = "/predict", "/feedback"
MIB = 2**20
FAULTS = {
    400: "the body cannot be read",
    409: "the data has no key, or no label",
    413: "too many bytes or rows",
    415: "an unknown content type",
    422: "rows that break a rule, with the rule and the value",
    503: "no model is loaded, or it takes too long",
}


class Service:
    """What answers at each path. `about`: more of a version. `facts`: more of the project."""

    def __init__(
        self,
        desk: Desk,
        watch: Watch,
        recorder: Recorder,
        counts: Counts,
        params: Serve,
        about: Callable[[Live], dict[str, Any]] = lambda live: {},
        facts: Facts | None = None,
    ) -> None:
        self.desk, self.watch, self.recorder = desk, watch, recorder
        self.counts, self.params, self._about, self.facts = counts, params, about, facts
        if facts:
            counts.add(facts)

    def live(self) -> Live:
        """Return the model that answers. Raises BodyError where there is none."""
        if self.watch.live is None:
            why = self.watch.trouble or "there is no champion"
            raise BodyError(503, f"no model is loaded: {why}")
        return self.watch.live

    async def predict(self, request: Request) -> Response:
        """Predict for a row, or for many."""
        began = time.perf_counter()
        body = await _body(request, self.params)
        found = await self.desk.predict(_kind(request), body, self.live)
        if self.params.keep == "all" and found.rows.height:
            self.recorder.predicted(found.live, found.rows)
        self.counts.predicted(found, time.perf_counter() - began)
        return _json(found.content)

    async def feedback(self, request: Request) -> Response:
        """Take labels of rows that were predicted, by key; they are on disk when it says so."""
        rows = await self.desk.read_labels(_kind(request), await _body(request, self.params))
        if not await self.recorder.labelled(rows):
            raise BodyError(503, "these labels could not be written: send them again later")
        return _json({"taken": rows.height}, 202)

    async def health(self) -> Response:
        """Return 200 while the process answers."""
        return _json({"status": "ok"})

    async def ready(self) -> Response:
        """Return which version answers."""
        return _json({"version": self.live().scorer.version})

    async def metrics(self) -> Response:
        """Return what Prometheus reads."""
        content, kind = self.counts.page(self.watch)
        return Response(content, media_type=kind)

    async def model(self) -> Response:
        """Describe the version that answers: what it learnt from, metrics, monitoring."""
        live = self.live()
        try:
            facts = await asyncio.to_thread(self._about, live)
        except Exception as error:  # whatever a store raises
            raise BodyError(503, f"MLflow's store cannot be read: {type(error).__name__}") from None
        encoder, scorer = live.model.encoder, live.scorer
        known = {"version": scorer.version, "model": scorer.model, "run": scorer.run_id}
        more = {"task": encoder.task, "classes": encoder.classes, "features": encoder.features}
        extra = {"rules_by_engine": self.desk.engine, "trouble": self.watch.told}
        return _json({**known, **more, "seeds": live.model.seeds, **facts, **extra})

    @asynccontextmanager
    async def life(self, _: FastAPI) -> AsyncIterator[None]:
        """Load the champion and record what is predicted, as long as the server runs."""
        self.recorder.start()
        await asyncio.to_thread(self.watch.start, self.params.poll)
        if self.facts:
            self.facts.start()
        yield
        if self.facts:
            await asyncio.to_thread(self.facts.stop)
        await asyncio.to_thread(self.watch.stop)
        await asyncio.to_thread(self.recorder.stop)
        await asyncio.to_thread(self.desk.close)


def make_app(service: Service, example: dict[str, Any] | None = None) -> FastAPI:
    """Return the application; `example`: a row of the project's data."""
    app = FastAPI(
        title="Evergreen",
        description="The champion, over HTTP.",
        lifespan=service.life,
        docs_url=None,  # pages that other sites fill
        redoc_url=None,
    )
    said = answers()
    faults: Any = {
        status: {"description": what, **said["fault"]} for status, what in FAULTS.items()
    }
    predicted: Any = {200: {"description": "predictions", **said["predictions"]}}
    taken: Any = {202: {"description": "labels that are on disk", **said["taken"]}}
    ready: Any = {200: {"description": "which version answers", **said["version"]}}
    app.post(PREDICT, responses=predicted | faults)(service.predict)
    app.post(LABELS, status_code=202, responses=taken | faults)(service.feedback)
    app.get("/health")(service.health)
    app.get("/metrics", response_class=PlainTextResponse)(service.metrics)
    app.get("/ready", responses=ready | {503: faults[503]})(service.ready)
    app.get("/model", responses=ready | {503: faults[503]})(service.model)
    app.exception_handler(BodyError)(_refuse)
    app.exception_handler(InputError)(_fail)
    app.add_middleware(Bounds, counts=service.counts, seconds=service.params.timeout)
    dataset, paths = service.desk.dataset, app.openapi()["paths"]  # FastAPI would leave out nulls
    paths[PREDICT]["post"]["requestBody"] = describe_rows(dataset, example)
    paths[LABELS]["post"]["requestBody"] = describe_labels(dataset, example)
    return app


async def _refuse(_: Request, error: BodyError) -> Response:
    content: dict[str, Any] = {"error": error.says}
    if isinstance(error, FaultsError) and error.faults:
        content["faults"] = as_plain(error.faults)
        content["faults_in_all"] = len(error.faults)
    return _json(content, error.status)


async def _fail(_: Request, error: InputError) -> Response:
    return _json({"error": str(error)}, 500)


class Bounds:
    """Ends a request that takes too long, and counts each answer. Plain ASGI: it costs nothing."""

    def __init__(self, app: ASGIApp, counts: Counts, seconds: float) -> None:
        self.app, self.counts, self.seconds = app, counts, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            async with asyncio.timeout(self.seconds):
                await self.app(scope, receive, note)
        except TimeoutError:
            if not status:
                late = {
                    "error": f"it took over {self.seconds:g} s (serve.timeout): send fewer rows"
                }
                await _json(late, 503)(scope, receive, note)
        finally:
            route = scope.get("route")
            self.counts.answered(getattr(route, "path", "other"), status or 500)


def _kind(request: Request) -> str:
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()


async def _body(request: Request, params: Serve) -> bytes:
    """Return the body. Raises BodyError where it is too large, before all of it is read."""
    most = int(params.max_body_mb * MIB)
    said = request.headers.get("content-length", "0")
    parts: list[bytes] = []
    size = int(said) if said.isdigit() else 0
    if size <= most:
        size = 0
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > most:
                break
    if size > most:
        raise BodyError(413, f"over {params.max_body_mb:g} MiB (serve.max_body_mb): send less")
    return b"".join(parts)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, media_type=JSON)
