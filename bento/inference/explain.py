"""Explain answers: which regions of an image support a class. One image at a time, in a separate thread."""

from __future__ import annotations

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

from bento.errors import RequestError
from bento.inference.work import ClientDisconnected, Work, poisoned
from bento.models.runtime import KerasModel, Runtime
from bento.telemetry import metrics
from imaging import heatmap
from imaging.gradcam import GradCam, NotExplainable

_MOST = 16
"""Images that may wait. Each takes milliseconds to a second, so the deadline usually limits them first."""

_SIDE = 256
"""Shortest side of the picture, in pixels."""


def prepare(run: Runtime, pixels: np.ndarray) -> GradCam | str:
    """Return the Grad-CAM of the model, tried on `pixels`, (S, S, 3) uint8; or the reason why there is none."""
    if not isinstance(run, KerasModel):
        return "explanations need the model's Keras form; start the service with RUNTIME=keras"
    try:
        cam = GradCam(run.keras, run.model)
    except NotExplainable as error:
        return f"this model can't be explained: {error}"
    cam(pixels, 0)
    return cam


class Explainer:
    """Explain classified images.

    Args:
        cam: Grad-CAM of the model, or the reason why there is none.
        class_names: in label order.
    """

    def __init__(self, cam: GradCam | str, class_names: list[str]) -> None:
        self._cam = cam
        self._class_names = class_names
        self._waiting = 0
        self._began: float | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explain")

    @property
    def busy_seconds(self) -> float:
        """Seconds that the present explanation has taken; 0 if there is none."""
        began = self._began
        return 0.0 if began is None else perf_counter() - began

    def check(self) -> None:
        """Refuse a request before its body is read, if it would be refused later.

        Raises:
            RequestError: explanations_off or queue_full.
        """
        if isinstance(self._cam, str):
            raise RequestError("explanations_off", self._cam)
        if self._waiting >= _MOST:
            metrics.shed.labels("queue_full").inc()
            raise RequestError("queue_full", "too many images are waiting to be explained")

    def label(self, name: str | None) -> int | None:
        """Return the label of the class that a client named; None if it named none.

        Raises:
            RequestError: malformed_request.
        """
        if name is None:
            return None
        try:
            return self._class_names.index(name)
        except ValueError as error:
            raise RequestError("malformed_request", f"the model has no class {name[:100]!r}") from error

    async def answer(self, probabilities: np.ndarray, work: Work, label: int | None, picture: bool) -> bytes:
        """Explain one classified image.

        Args:
            probabilities: (C,) float32.
            work: the decoded image.
            label: the class to explain; None for the predicted one.
            picture: return only a PNG, not JSON.

        Raises:
            RequestError: queue_full, deadline_exceeded, or internal_error for a model that answers NaN.
            ClientDisconnected: the client has left.
        """
        self.check()
        best = int(probabilities.argmax())
        if np.isnan(probabilities[best]):
            raise poisoned()
        self._waiting += 1
        try:
            explained = best if label is None else label
            loop = asyncio.get_running_loop()
            body = await loop.run_in_executor(self._thread, self._body, probabilities, work, best, explained, picture)
        finally:
            self._waiting -= 1
        if body is not None:
            return body
        if work.gone():
            metrics.shed.labels("disconnected").inc()
            raise ClientDisconnected
        metrics.shed.labels("deadline_exceeded").inc()
        raise RequestError("deadline_exceeded", "the answer would come after the deadline")

    def _body(self, probabilities: np.ndarray, work: Work, best: int, label: int, picture: bool) -> bytes | None:
        """Return the answer, or None if the client has left or the deadline has passed. Runs in the thread."""
        if work.is_late():
            return None
        assert work.pixels is not None
        assert isinstance(self._cam, GradCam)
        self._began = perf_counter()
        try:
            weights = self._cam(work.pixels, label)
        finally:
            self._began = None
        png = heatmap.png(heatmap.overlay(work.pixels, weights, _SIDE))
        if picture:
            return png
        return json.dumps(
            {
                "predicted_class": self._class_names[best],
                "confidence_score": float(probabilities[best]),
                "class": self._class_names[label],
                "score": float(probabilities[label]),
                "grid": weights.astype(float).round(4).tolist(),
                "overlay": base64.b64encode(png).decode(),
            }
        ).encode()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False)
