"""What each route answers: the table of routes, probes, documents, and the way to the handlers that classify."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from bento.errors import RequestError
from bento.http import open_inference, openapi, static, version
from bento.http.handlers import Predictor
from bento.http.request import Answer, Request
from bento.inference.admission import Admission
from bento.lifecycle import Lifecycle
from bento.models.model import ServedModel
from bento.settings import Settings
from bento.telemetry import metrics
from bento.version import VERSION

Handler = Callable[[Request], Awaitable[Answer]]

_TEXT, _JSON = b"text/plain; charset=utf-8", b"application/json"
_MODEL_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(/ready|/infer)?")
_V2 = "/v2/models/{name}"
_V2_VERSION = _V2 + "/versions/{version}"

ROUTES = {
    "/predict": "POST",
    "/predict/batch": "POST",
    "/explain": "POST",
    "/v2": "GET",
    "/v2/health/live": "GET",
    "/v2/health/ready": "GET",
    _V2: "GET",
    _V2 + "/ready": "GET",
    _V2 + "/infer": "POST",
    _V2_VERSION: "GET",
    _V2_VERSION + "/ready": "GET",
    _V2_VERSION + "/infer": "POST",
    "/livez": "GET",
    "/healthz": "GET",
    "/readyz": "GET",
    "/metrics": "GET",
    "/version": "GET",
    "/openapi.json": "GET",
    "/docs": "GET",
    "/": "GET",
}
"""Every route's template and method; HEAD goes wherever GET does."""


class Endpoints:
    """The handlers of one service.

    Args:
        settings: the service's.
        served: the model, loaded or not.
        admission: asked before a body is read.
        lifecycle: asked whether requests are taken.
    """

    def __init__(self, settings: Settings, served: ServedModel, admission: Admission, lifecycle: Lifecycle) -> None:
        self._settings = settings
        self._admission = admission
        self._lifecycle = lifecycle
        self._predictor: Predictor | None = None
        self._about = b""
        self._files = static.load()
        name = served.tag.partition(":")[0]
        document = openapi.document(served.class_names, served.image_size, name, VERSION, settings.api_keys is not None)
        self._openapi = json.dumps(document).encode()
        self._handlers: dict[str, Handler] = {
            "/predict": self._predict,
            "/predict/batch": self._predict_batch,
            "/explain": self._explain,
            "/v2": self._v2,
            "/v2/health/live": self._v2_live,
            "/v2/health/ready": self._v2_ready,
            _V2: self._v2_model,
            _V2 + "/ready": self._v2_model_ready,
            _V2 + "/infer": self._v2_infer,
            "/livez": self._livez,
            "/healthz": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/version": self._version,
            "/openapi.json": self._document,
        }
        self._handlers |= {_V2_VERSION + end: self._handlers[_V2 + end] for end in ("", "/ready", "/infer")}

    def open(self, predictor: Predictor, digest: str) -> None:
        """Answer with this model from now on; `digest` is that of its file."""
        self._predictor = predictor
        self._about = json.dumps(version.describe(predictor.pipeline.model.served, digest)).encode()

    def find(self, request: Request) -> tuple[str, Handler | None, str]:
        """Return the route's template, its handler and method; template `other` where there is none."""
        path = request.scope["path"]
        handler = self._handlers.get(path)
        if handler is not None and "{" not in path:
            return path, handler, ROUTES[path]
        file = self._files.get(path)
        if file is not None:
            return path, self._file(file), "GET"
        found = _MODEL_PATH.fullmatch(path)
        if found is None:
            return "other", None, ""
        name, model_version, end = found.groups()
        template = (_V2 if model_version is None else _V2_VERSION) + (end or "")
        request.parameters = {"name": name} | ({} if model_version is None else {"version": model_version})
        return template, self._handlers[template], ROUTES[template]

    def _ready_predictor(self) -> Predictor:
        refusal = self._lifecycle.refusal()
        if refusal is not None:
            raise refusal
        assert self._predictor is not None
        return self._predictor

    def _admitting(self) -> Predictor:
        predictor = self._ready_predictor()
        if self._admission.full:
            # Before the body is read.
            raise self._admission.refusal()
        return predictor

    async def _predict(self, request: Request) -> Answer:
        predictor = self._admitting()
        with metrics.in_flight.track_inprogress():
            return await predictor.one(request)

    async def _predict_batch(self, request: Request) -> Answer:
        predictor = self._admitting()
        with metrics.in_flight.track_inprogress():
            return await predictor.several(request)

    async def _explain(self, request: Request) -> Answer:
        predictor = self._admitting()
        with metrics.in_flight.track_inprogress():
            return await predictor.explain(request)

    async def _v2_infer(self, request: Request) -> Answer:
        predictor = self._admitting()
        with metrics.in_flight.track_inprogress():
            return await predictor.infer(request)

    async def _v2(self, request: Request) -> Answer:
        return _json(open_inference.server_metadata(VERSION))

    async def _v2_live(self, request: Request) -> Answer:
        await self._livez(request)
        return _json({"live": True})

    async def _v2_ready(self, request: Request) -> Answer:
        await self._readyz(request)
        # The protocol's text has `live` here, its clients look for `ready`.
        return _json({"live": True, "ready": True})

    async def _v2_model(self, request: Request) -> Answer:
        predictor = self._ready_predictor()
        predictor.check_model(request)
        return _json(predictor.describe())

    async def _v2_model_ready(self, request: Request) -> Answer:
        self._ready_predictor().check_model(request)
        await self._readyz(request)
        return _json({"name": request.parameters["name"], "ready": True})

    async def _livez(self, request: Request) -> Answer:
        # Load never fails it: restarting an overloaded server makes the overload worse.
        self._check_model_returns()
        return 200, _TEXT, b"ok\n", []

    def _check_model_returns(self) -> None:
        stuck = self._predictor.busy_seconds if self._predictor else 0.0
        if stuck > self._settings.hang_timeout:
            raise RequestError("not_live", f"the model hasn't returned for {stuck:.0f} s")

    async def _readyz(self, request: Request) -> Answer:
        # Until it is restarted, requests would go on to it.
        self._check_model_returns()
        refusal = self._lifecycle.unready()
        if refusal is not None:
            raise refusal
        return 200, _TEXT, b"ready\n", []

    async def _metrics(self, request: Request) -> Answer:
        return 200, metrics.CONTENT_TYPE, metrics.exposition(), []

    async def _version(self, request: Request) -> Answer:
        self._ready_predictor()
        return 200, _JSON, self._about, []

    async def _document(self, request: Request) -> Answer:
        return 200, _JSON, self._openapi, []

    def _file(self, file: tuple[bytes, bytes]) -> Handler:
        async def handler(request: Request) -> Answer:
            content_type, body = file
            return 200, content_type, body, static.HEADERS

        return handler


def _json(content: dict[str, Any]) -> Answer:
    return 200, _JSON, json.dumps(content).encode(), []
