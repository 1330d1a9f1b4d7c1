"""The ASGI application: request ids, errors as problem details, metrics, and loading the model at start.

It answers every request itself. BentoML's own application gets the lifespan events only, because its middleware
(OpenTelemetry, access log, context) costs more per request than decoding a small image.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
from collections.abc import Awaitable, Callable
from time import perf_counter

import imaging
from bento import startup
from bento.errors import PROBLEM_JSON, STATUS, RequestError, problem_body
from bento.http.gate import AdmissionGate
from bento.http.handlers.predictor import Predictor
from bento.http.handlers.probes import Probes
from bento.http.keys import KeyRing
from bento.http.pages import static
from bento.http.request import Answer, Headers, Message, Receive, Request, Scope, Send
from bento.http.routes.router import Router, Target
from bento.http.routes.table import MANAGEMENT, TAGS, main_routes
from bento.inference.admission import Admission
from bento.inference.pipeline import Pipeline
from bento.inference.warmup import WarmModel
from bento.inference.work import ClientDisconnected
from bento.lifecycle import Lifecycle
from bento.models.model import ServedModel
from bento.settings import Settings
from bento.telemetry import metrics, tracing
from bento.telemetry.logs import request_id

logger = logging.getLogger("image_classifier")

App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Application:
    """Serves one model.

    Args:
        settings: the service's.
        served: the model, not yet loaded.
        warm_up: loads the model and warms it up; called once, in a thread, after the server has started.
        lifespan: the application that gets the lifespan events.
        fail: called with one line when `warm_up` fails, or the management port can't be bound.

    Attributes:
        management_port: the port of the routes for orchestrators and monitoring; None if the main port has them.
    """

    def __init__(
        self,
        settings: Settings,
        served: ServedModel,
        warm_up: Callable[[], WarmModel],
        lifespan: App,
        fail: Callable[[str], None],
    ) -> None:
        self.admission = Admission(settings)
        self.lifecycle = Lifecycle(settings.drain_delay)
        self._settings = settings
        self._served = served
        self._warm_up = warm_up
        self._lifespan = lifespan
        self.fail = fail
        self.management_port = settings.management_port
        self._keys = KeyRing(settings.api_keys)
        version_header = (b"x-model-version", served.tag.encode())
        self._routes = main_routes(settings)
        self.gate = AdmissionGate(settings, self.admission, self.lifecycle, self._routes, version_header)
        self._predictor: Predictor | None = None
        self._loading: asyncio.Task[None] | None = None
        self._tracer: tracing.Tracer | None = None
        files = static.load({route.path for route in self._routes})
        self._probes = Probes(settings, self.admission, self.lifecycle, files, self._document)
        self._router = Router(self._routes, self._probes, files)
        self._management_router = Router(MANAGEMENT, self._probes)

    def _document(self) -> bytes:
        # Imported when it is first needed, so that it doesn't delay the start.
        from bento.http.routes.openapi import document

        return json.dumps(document(self._routes, TAGS, self._served, self._settings.api_keys is not None)).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(Request(scope, receive), send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, self._following(send))
        elif scope["type"] == "websocket":
            # Without an answer, uvicorn would send a 500.
            await send({"type": "websocket.close"})

    def _following(self, send: Send) -> Send:
        """Return a `send` that starts loading the model after start-up, and frees everything after shutdown."""

        async def wrapped(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._tracer = tracing.start()
                self._loading = asyncio.create_task(self._make_ready())
            elif message["type"] == "lifespan.shutdown.complete":
                if self._predictor is not None:
                    self._predictor.close()
                if self._tracer is not None:
                    await asyncio.to_thread(self._tracer.stop)
            await send(message)

        return wrapped

    async def _make_ready(self) -> None:
        startup.ended("server")
        loop = asyncio.get_running_loop()
        self.lifecycle.drain_on_sigterm(loop)
        try:
            digest = await asyncio.to_thread(self._served.digest)
            model = await asyncio.to_thread(self._warm_up)
        except Exception as error:
            # A damaged model file can make the runtime raise anything, and there is nothing to serve without a model.
            self.fail(f"the model can't be loaded: {' '.join(str(error).split())}")
            return
        served, settings = model.served, self._settings
        self.admission.expect(model.decode_seconds + model.cost.seconds(1))
        pipeline = Pipeline(model, settings, self.admission, loop)
        self._predictor = Predictor(pipeline, settings, self.admission)
        self._probes.open(self._predictor, digest)
        metrics.model_info.labels(served.tag, digest, served.runtime, str(served.image_size)).set(1)
        # A full collection would walk everything imported so far, for 100 ms and more, in the middle of a request.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        self.lifecycle.ready()
        startup.ended("warm_up")
        phases = startup.phases()
        for phase, seconds in phases.items():
            metrics.start.labels(phase).set(seconds)
        a, b = model.cost.line
        logger.info(
            "ready after %.2f s (%s): %s by %s, %s, %d threads; decoding %.2f ms, a call of n images %.2f n + %.2f ms",
            sum(phases.values()),
            ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in phases.items()),
            served.tag,
            served.runtime,
            "inline" if model.inline else "beside the event loop",
            settings.threads,
            *(1e3 * seconds for seconds in (model.decode_seconds, a, b)),
        )

    async def _serve(self, request: Request, send: Send) -> None:
        scope = request.scope
        method = scope["method"]
        router = self._management_router if self.gate.is_management(scope.get("server")) else self._router
        target = router.find(request)
        route = "other" if target is None else target.path
        request_id.set(request.id.decode())
        if self._tracer is not None:
            self._tracer.begin(scope["headers"])
        code = detail = ""
        headers: Headers = []
        # A method that a client makes up must not become a label.
        label = "other"
        try:
            if target is None:
                raise RequestError("not_found", f"there is no {scope['path'][:200]}")
            if method in target.methods:
                label = method
            status, content_type, body, headers = await self._answer(target, request)
        except ClientDisconnected:
            request.abandon()
            return
        except RequestError as error:
            code, detail, headers = error.code, error.detail, error.headers
        except imaging.ImageError as error:
            metrics.rejected_images.labels(error.code).inc()
            code, detail = error.code, str(error)
        except Exception:
            logger.exception("%s %s failed", method, route)
            code, detail = "internal_error", "the server failed; its log says why"
        if code:
            status, content_type = STATUS[code], PROBLEM_JSON
            # Clients of the Open Inference Protocol read the reason from "error".
            body = problem_body(code, detail, **({"error": detail} if route.startswith("/v2") else {}))
        answered = perf_counter()
        head = [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            *self.gate.common_headers(scope["headers"]),
            (b"x-request-id", request.id),
            *headers,
        ]
        if self.lifecycle.state in {"draining", "closed"}:
            head.append((b"connection", b"close"))
        if method == "HEAD":
            body = b""
        if request.exchange is None or not request.exchange.answer(status, head, body):
            await send({"type": "http.response.start", "status": status, "headers": head})
            await send({"type": "http.response.body", "body": body})
        self._account(request, route, label, status, answered)

    async def _answer(self, target: Target, request: Request) -> Answer:
        """Answer a request of this route, or a browser's question whether a page may send one."""
        method = request.scope["method"]
        preflight = self.gate.origins.preflight(method, request.scope["headers"], target.allow)
        if preflight is not None:
            # A browser sends no key with it.
            return 200, b"text/plain; charset=utf-8", b"", preflight
        if method not in target.methods:
            allow = target.allow
            raise RequestError("method_not_allowed", f"{target.path} takes {allow.decode()}", [(b"allow", allow)])
        if target.key:
            self._keys.check(request.headers)
        return await target.handler(request)

    def _account(self, request: Request, route: str, method: str, status: int, answered: float) -> None:
        ended = perf_counter()
        if "receive" in request.stages:
            metrics.stage["respond"].observe(ended - answered)
        metrics.answered(route, method, status).inc()
        metrics.duration(route).observe(ended - request.started)
        if self._tracer is not None:
            epoch = time.time_ns() - int(ended * 1e9)
            stages = {name: (epoch + int(a * 1e9), epoch + int(b * 1e9)) for name, (a, b) in request.stages.items()}
            began, end = epoch + int(request.started * 1e9), epoch + int(ended * 1e9)
            attributes = {
                "image_classifier.request_id": request.id.decode(),
                "image_classifier.model": self._served.tag,
            }
            self._tracer.record(route, method, status, request.scope["headers"], began, end, stages, attributes)
