"""The handlers that classify: one image, several, or tensors by the Open Inference Protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

import numpy as np

import imaging
from bento.errors import RequestError, problem
from bento.http.bodies import open_inference
from bento.http.bodies.body import HeldBody, image_of, images_of, plain_image
from bento.http.bodies.parsing import ParsingThreads
from bento.http.handlers import about
from bento.http.handlers.answers import Answers
from bento.http.handlers.timing import add_stage, server_timing
from bento.http.request import Answer, Request
from bento.inference.admission import Admission
from bento.inference.explain import Explainer
from bento.inference.pipeline import Pipeline
from bento.inference.work import Classified, Work
from bento.settings import Settings
from bento.telemetry import metrics
from model_format.layout import OUTPUT

_JSON, _PNG = b"application/json", b"image/png"

_MANY = 2000
"""Numbers that take about a millisecond to write as JSON; more are never written on the event loop."""


class Predictor:
    """Answers requests with one ready model.

    Args:
        pipeline: the model at work.
        settings: the service's.
        admission: bounds the queued images and the bytes of bodies.
    """

    def __init__(self, pipeline: Pipeline, settings: Settings, admission: Admission) -> None:
        self.pipeline = pipeline
        self._settings = settings
        self._admission = admission
        served = pipeline.model.served
        self._answers = Answers(served.class_names, served.class_labels(settings.metric_classes), served.limits)
        self._explainer = Explainer(pipeline.model.cam, served.class_names)
        self._size = served.image_size
        self._outputs = tuple(output["name"] for output in about.outputs(served))
        self._name, _, self._version = served.tag.partition(":")
        self._parsers = ParsingThreads()

    async def predict(self, request: Request) -> Answer:
        """POST /predict."""
        wanted = self._answers.wanted(request)
        async with self._body(request) as body:
            image = await self._image(request, body)
            classified = await self.pipeline.classify(image, request.gone, wanted.unknown)
        answer = self._answers.body(classified, wanted)
        return 200, _JSON, answer.encode(), [server_timing(request, classified.work)]

    async def _image(self, request: Request, body: bytes) -> bytes:
        content_type = request.headers.get(b"content-type", b"")
        image = plain_image(body, content_type)
        return await self._parsers.run(image_of, body, content_type) if image is None else image

    async def explain(self, request: Request) -> Answer:
        """POST /explain."""
        self._explainer.check()
        label, picture = self._explainer.label(request.parameter("class")), request.accepts(_PNG)
        probabilities, work = await self._examine(request)
        timing = server_timing(request, work)
        began = perf_counter()
        answer = await self._explainer.answer(probabilities, work, label, picture)
        timing = add_stage(timing, request, "explain", began, perf_counter())
        return 200, _PNG if picture else _JSON, answer, [timing]

    async def _examine(self, request: Request) -> tuple[np.ndarray, Work]:
        """Classify the image to explain; afterwards nothing holds its encoded bytes."""
        async with self._body(request) as body:
            image = await self._image(request, body)
            probabilities, work = await self.pipeline.examine(image, request.gone)
        work.image = None
        return probabilities, work

    @property
    def busy_seconds(self) -> float:
        """Seconds that a thread has been in its present call of the model."""
        return max(self.pipeline.busy_seconds, self._explainer.busy_seconds)

    async def predict_batch(self, request: Request) -> Answer:
        """POST /predict/batch."""
        wanted = self._answers.wanted(request)
        async with self._body(request) as body:
            images = await self._parsers.run(images_of, body, request.headers.get(b"content-type", b""))
            # A few at a time, so that one client's images neither fill the queue nor delay those of others.
            turns = asyncio.Semaphore(self._admission.turn)

            async def entry(image: bytes) -> str:
                async with turns:
                    try:
                        return self._answers.body(
                            await self.pipeline.classify(image, request.gone, wanted.unknown), wanted
                        )
                    except imaging.ImageError as error:
                        metrics.rejected_images.labels(error.code).inc()
                        return json.dumps(problem(error.code, str(error)))
                    except RequestError as error:
                        return json.dumps(problem(error.code, error.detail))

            entries = await asyncio.gather(*(entry(image) for image in images))
        return 200, _JSON, f"[{', '.join(entries)}]".encode(), []

    async def infer(self, request: Request) -> Answer:
        """POST /v2/models/{name}/infer."""
        self.check_model(request)
        async with self._body(request) as body:
            header_length = request.headers.get(b"inference-header-content-length")
            asked = await self._parsers.run(
                open_inference.parse_infer,
                body,
                header_length,
                self._size,
                self._settings.queue_limit,
                self._outputs,
            )
            images, unknown = asked.images, open_inference.NOVELTY in asked.outputs
            classify: Callable[[Any, Callable[[], bool], bool], Coroutine[Any, Any, Classified]]
            classify = self.pipeline.classify if isinstance(images, list) else self.pipeline.classify_pixels
            rows = await self._classify_all(images, lambda image: classify(image, request.gone, unknown))
        tensors = {OUTPUT: np.stack([row.probabilities for row in rows])}
        if unknown:
            tensors[open_inference.NOVELTY] = np.array([row.novelty for row in rows], np.float32)
        answer = asked, tensors, self._name, self._version
        if tensors[OUTPUT].size > _MANY:
            reply, headers = await self._parsers.run(open_inference.infer_response, *answer)
        else:
            reply, headers = open_inference.infer_response(*answer)
        kinds = [value for name, value in headers if name == b"content-type"]
        return 200, kinds[0] if kinds else _JSON, reply, [pair for pair in headers if pair[0] != b"content-type"]

    async def _classify_all(
        self, images: np.ndarray | list[bytes], classify: Callable[[Any], Coroutine[Any, Any, Classified]]
    ) -> list[Classified]:
        """Return all rows, or raise the first error; the protocol has no answer for a part of a tensor."""
        rows: list[Classified] = []
        step = self._admission.turn
        for start in range(0, len(images), step):
            chunk = images[start : start + step]
            tasks = [asyncio.ensure_future(classify(image)) for image in chunk]
            try:
                rows += await asyncio.gather(*tasks)
            finally:
                # After one has failed, nobody waits for the others.
                for task in tasks:
                    task.cancel()
                # The failed task holds the error, which holds this frame; see `without_frames`.
                del task, tasks
        return rows

    def check_model(self, request: Request) -> None:
        """Check that the path names the model that is served.

        Raises:
            RequestError: not_found.
        """
        name, version = request.parameters["name"], request.parameters.get("version", self._version)
        if (name, version) != (self._name, self._version):
            raise RequestError("not_found", f"there is no model {name[:100]} of version {version[:100]}")

    def close(self) -> None:
        """Let the threads end once they are idle."""
        self._parsers.close()
        self._explainer.close()
        self.pipeline.close()

    def _body(self, request: Request) -> HeldBody:
        return HeldBody(request, self._settings, self._admission)
