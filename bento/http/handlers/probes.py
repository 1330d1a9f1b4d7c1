"""Handlers that take no image: health, metrics, what is running, documentation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

from bento.errors import RequestError
from bento.http.handlers import about
from bento.http.handlers.predictor import Predictor
from bento.http.pages import static
from bento.http.request import Answer, Request
from bento.http.schemas import Live, ModelReady, Ready
from bento.inference.admission import Admission
from bento.lifecycle import Lifecycle
from bento.settings import Settings
from bento.telemetry import metrics

_TEXT, _JSON, _MARKDOWN = b"text/plain; charset=utf-8", b"application/json", b"text/markdown; charset=utf-8"
_VARY = (b"vary", b"Accept")


class Probes:
    """The handlers of one service that answer from its start, before the model is ready.

    Args:
        settings: the service's.
        admission: knows whether there is room for an image.
        lifecycle: knows whether the service takes requests.
        files: for browsers: path to (content type, body).
        document: makes the OpenAPI document, in a thread.
    """

    def __init__(
        self,
        settings: Settings,
        admission: Admission,
        lifecycle: Lifecycle,
        files: Mapping[str, tuple[bytes, bytes]],
        document: Callable[[], bytes],
    ) -> None:
        self.files = files
        self._settings = settings
        self._admission = admission
        self._lifecycle = lifecycle
        self._make_document = document
        self._document = b""
        self._predictor: Predictor | None = None
        self._version = b""
        self._scraping = asyncio.Lock()

    def open(self, predictor: Predictor, digest: str) -> None:
        """Use this model from now on; `digest` is that of its file."""
        self._predictor = predictor
        self._version = json.dumps(about.describe(predictor.pipeline.model.served, digest)).encode()

    def ready_predictor(self) -> Predictor:
        """Return the handlers that classify.

        Raises:
            RequestError: not_ready or draining.
        """
        refusal = self._lifecycle.refusal()
        if refusal is not None:
            raise refusal
        assert self._predictor is not None
        return self._predictor

    def admit(self) -> Predictor:
        """Return the handlers that classify, if there is room for an image.

        Raises:
            RequestError: not_ready, draining or queue_full.
        """
        predictor = self.ready_predictor()
        if self._admission.full:
            raise self._admission.refusal()
        return predictor

    async def livez(self, request: Request) -> Answer:
        """GET /livez and /healthz."""
        # Load alone never fails it: restarting an overloaded server makes the overload worse.
        self._check_model_returns()
        return 200, _TEXT, b"ok\n", []

    async def readyz(self, request: Request) -> Answer:
        """GET /readyz."""
        # Otherwise a server whose model hangs would get requests until it is restarted.
        self._check_model_returns()
        refusal = self._lifecycle.unready()
        if refusal is not None:
            raise refusal
        return 200, _TEXT, b"ready\n", []

    def _check_model_returns(self) -> None:
        stuck = self._predictor.busy_seconds if self._predictor else 0.0
        if stuck > self._settings.hang_timeout:
            raise RequestError("not_live", f"the model hasn't returned for {stuck:.0f} s")

    async def metrics(self, request: Request) -> Answer:
        """GET /metrics."""
        # Beside the event loop, as thousands of series take longer than a request, and one at a time.
        async with self._scraping:
            return 200, metrics.CONTENT_TYPE, await asyncio.to_thread(metrics.exposition), []

    async def version(self, request: Request) -> Answer:
        """GET /version."""
        served = self.ready_predictor().pipeline.model.served
        if not request.accepts(b"text/markdown"):
            return 200, _JSON, self._version, [_VARY]
        card = await asyncio.to_thread(served.card)
        if card is None:
            command = f"python -m training card {served.tag}"
            raise RequestError("no_card", f"{served.tag} was stored without a card; `{command}` prints what is known")
        return 200, _MARKDOWN, card.encode(), [_VARY]

    async def document(self, request: Request) -> Answer:
        """GET /openapi.json."""
        if not self._document:
            # Made on the first request, because describing all types takes 60 ms that a start needn't take.
            self._document = await asyncio.to_thread(self._make_document)
        return 200, _JSON, self._document, []

    async def file(self, request: Request) -> Answer:
        """GET one of `files`."""
        content_type, body = self.files[request.scope["path"]]
        return 200, content_type, body, static.HEADERS

    async def v2(self, request: Request) -> Answer:
        """GET /v2."""
        return _json(about.server_metadata())

    async def v2_live(self, request: Request) -> Answer:
        """GET /v2/health/live."""
        await self.livez(request)
        return _json(Live(live=True))

    async def v2_ready(self, request: Request) -> Answer:
        """GET /v2/health/ready."""
        await self.readyz(request)
        # The protocol's text has `live` here; its clients read `ready`.
        return _json(Ready(live=True, ready=True))

    async def v2_model(self, request: Request) -> Answer:
        """GET /v2/models/{name}."""
        predictor = self.ready_predictor()
        predictor.check_model(request)
        return _json(about.model_metadata(predictor.pipeline.model.served))

    async def v2_model_ready(self, request: Request) -> Answer:
        """GET /v2/models/{name}/ready."""
        self.ready_predictor().check_model(request)
        await self.readyz(request)
        return _json(ModelReady(name=request.parameters["name"], ready=True))


def _json(content: Mapping[str, object]) -> Answer:
    return 200, _JSON, json.dumps(content).encode(), []
