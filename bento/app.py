"""The ASGI application: routes, request ids, errors as problems, and the model's life from start to ready.

It answers every request itself. BentoML's own application is kept for its lifespan only, because its
middleware (OpenTelemetry, access log, context) costs more a request than decoding a small image.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import imaging
from bento import metrics
from bento.classifier import Classifier, Prediction
from bento.errors import PROBLEM_JSON, STATUS, RequestError, problem
from bento.receive import ClientDisconnected, Receive, image_of, read_body
from bento.settings import Settings

logger = logging.getLogger("image_classifier")

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Answer = tuple[int, bytes, bytes, list[tuple[bytes, bytes]]]
"""Status, content type, body and further headers."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_TOP_K = re.compile(r"[1-9][0-9]{0,3}")
_PLAIN, _JSON = b"text/plain; charset=utf-8", b"application/json"


class Application:
    """Serves one model.

    Args:
        settings: the service's.
        load: makes the warmed-up classifier; called once, in a thread, after the server has started.
        lifespan: the application that gets the lifespan events.
        fail: called with one line when `load` fails.
    """

    def __init__(
        self, settings: Settings, load: Callable[[], Classifier], lifespan: App, fail: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._load = load
        self._lifespan = lifespan
        self._fail = fail
        self._classifier: Classifier | None = None
        self._version: list[tuple[bytes, bytes]] = []
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="classify")
        self._loading: asyncio.Task[None] | None = None
        self._routes: dict[str, tuple[bytes, Callable[[Scope, Receive], Awaitable[Answer]]]] = {
            "/predict": (b"POST", self._predict),
            "/livez": (b"GET", self._livez),
            "/healthz": (b"GET", self._livez),
            "/readyz": (b"GET", self._readyz),
            "/metrics": (b"GET", self._metrics),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, self._started(send))
        elif scope["type"] == "websocket":
            # Left unanswered, it would be a 500 of the server's own.
            await send({"type": "websocket.close"})

    def _started(self, send: Send) -> Send:
        """Begin to load the model when the start-up of `lifespan` is complete."""

        async def wrapped(message: dict[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._loading = asyncio.create_task(self._make_ready())
            await send(message)

        return wrapped

    async def _make_ready(self) -> None:
        started = time.perf_counter()
        try:
            classifier = await asyncio.get_running_loop().run_in_executor(self._pool, self._load)
        except Exception as error:
            # Whatever a damaged model file makes the runtime raise, there is nothing to serve.
            self._fail(f"the model can't be loaded: {' '.join(str(error).split())}")
            return
        model = classifier.model
        self._version = [(b"x-model-version", model.tag.encode())]
        metrics.model_info.labels(model.tag, model.digest(), model.runtime, str(model.image_size)).set(1)
        # A full collection would walk everything imported so far, 100 ms and more, in the middle of a request.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        self._classifier = classifier
        metrics.ready.set(1)
        seconds = time.perf_counter() - started
        logger.info(
            "ready after %.2f s: %s by %s, %d threads", seconds, model.tag, model.runtime, self._settings.threads
        )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        path, method = scope["path"], scope["method"]
        wanted, handler = self._routes.get(path, (b"", None))
        route = path if handler is not None else "other"
        allowed = method == wanted.decode() or (method, wanted) == ("HEAD", b"GET")
        try:
            if handler is None:
                raise RequestError("not_found", f"there is no {path[:200]}")
            if not allowed:
                raise RequestError("method_not_allowed", f"{path} takes {wanted.decode()}", [(b"allow", wanted)])
            status, content_type, body, headers = await handler(scope, receive)
        except ClientDisconnected:
            return
        except RequestError as error:
            status, content_type, headers = STATUS[error.code], PROBLEM_JSON, error.headers
            body = problem(error.code, error.detail)
        except imaging.ImageError as error:
            metrics.rejected_images.labels(error.code).inc()
            status, content_type, headers = STATUS[error.code], PROBLEM_JSON, []
            body = problem(error.code, str(error))
        except Exception:
            logger.exception("%s %s failed", method, route)
            status, content_type, headers = 500, PROBLEM_JSON, []
            body = problem("internal_error", "the server failed; its log says why")
        head = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), _request_id(scope)]
        await send({"type": "http.response.start", "status": status, "headers": head + self._version + headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
        metrics.requests.labels(route, method if allowed else "other", str(status)).inc()
        metrics.request_duration.labels(route).observe(time.perf_counter() - started)

    async def _predict(self, scope: Scope, receive: Receive) -> Answer:
        classifier = self._classifier
        if classifier is None:
            raise RequestError("not_ready", "the model is being loaded", [(b"retry-after", b"1")])
        headers = dict(scope["headers"])
        top_k = _top_k(scope["query_string"])
        with metrics.in_flight.track_inprogress():
            with metrics.stage("receive"):
                body = await read_body(receive, headers.get(b"content-length"), self._settings.max_body_bytes)
            loop = asyncio.get_running_loop()
            content_type = headers.get(b"content-type", b"")
            prediction = await loop.run_in_executor(self._pool, _classify, classifier, body, content_type, top_k)
        metrics.predictions.labels(prediction.predicted_class).inc()
        metrics.confidence.observe(prediction.confidence)
        answer: dict[str, Any] = {
            "predicted_class": prediction.predicted_class,
            "confidence_score": prediction.confidence,
        }
        if top_k:
            answer["top_k"] = [{"class": name, "score": score} for name, score in prediction.top]
        return 200, _JSON, json.dumps(answer).encode(), []

    async def _livez(self, scope: Scope, receive: Receive) -> Answer:
        return 200, _PLAIN, b"ok\n", []

    async def _readyz(self, scope: Scope, receive: Receive) -> Answer:
        if self._classifier is None:
            raise RequestError("not_ready", "the model is being loaded", [(b"retry-after", b"1")])
        return 200, _PLAIN, b"ready\n", []

    async def _metrics(self, scope: Scope, receive: Receive) -> Answer:
        return 200, metrics.CONTENT_TYPE, metrics.exposition(), []


def _classify(classifier: Classifier, body: bytes, content_type: bytes, top_k: int) -> Prediction:
    # Off the event loop from here on: a hostile multipart body takes a second to take apart.
    return classifier.classify(image_of(body, content_type), top_k)


def _request_id(scope: Scope) -> tuple[bytes, bytes]:
    """The client's request id where it is fit for a header and a log line, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return b"x-request-id", value
    return b"x-request-id", uuid.uuid4().hex.encode()


def _top_k(query: bytes) -> int:
    if not query:
        return 0
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("top_k")
    if values is None:
        return 0
    if not _TOP_K.fullmatch(values[-1]):
        raise RequestError("malformed_request", "top_k must be a whole number from 1 to 9999")
    return int(values[-1])
