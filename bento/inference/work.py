"""One image on its way through the service: what is known of it, and when each stage began and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

import numpy as np

import imaging
from bento.errors import RequestError, retry_after
from bento.telemetry import metrics


class ClientDisconnected(Exception):
    """The client left; nobody is there to answer."""


class Work:
    """An image that waits for its probabilities.

    Attributes:
        image: its encoded bytes; None when it came as pixels.
        pixels: (S, S, 3) uint8, once decoded.
        result: (C,) float32, or the error that ended it.
        deadline: by `time.perf_counter`; it must be answered by then.
        gone: tells whether the client has left.
        decode, inference: begin and end of the stage, by `time.perf_counter`.
    """

    __slots__ = ("deadline", "decode", "gone", "image", "inference", "pixels", "result", "submitted")

    def __init__(
        self,
        image: bytes | None,
        pixels: np.ndarray | None,
        result: asyncio.Future[np.ndarray],
        seconds: float,
        gone: Callable[[], bool],
    ) -> None:
        self.image = image
        self.pixels = pixels
        self.result = result
        self.submitted = perf_counter()
        self.deadline = self.submitted + seconds
        self.gone = gone
        self.decode = self.inference = (self.submitted, self.submitted)

    def dropped(self, seconds: float) -> bool:
        """Tell whether it isn't worth the work any more, having ended it then; `seconds` is what it would take."""
        if self.result.done():
            return True
        if self.gone():
            metrics.shed.labels("disconnected").inc()
            self.fail(ClientDisconnected())
            return True
        if perf_counter() + seconds > self.deadline:
            metrics.shed.labels("deadline_exceeded").inc()
            self.fail(retry_after("deadline_exceeded", "the answer would have come too late", 1))
            return True
        return False

    def worthless(self) -> bool:
        """Tell the same, from any thread, and end nothing."""
        return self.gone() or perf_counter() > self.deadline

    def succeed(self, probabilities: np.ndarray) -> None:
        """Hand over the answer."""
        if not self.result.done():
            self.result.set_result(probabilities)

    def fail(self, error: Exception) -> None:
        """End it with an error."""
        if not self.result.done():
            self.result.set_exception(error)

    @property
    def waited(self) -> float:
        """Seconds it was neither decoded nor in the model."""
        return max(0.0, self.inference[0] - self.submitted - (self.decode[1] - self.decode[0]))


def poisoned() -> RequestError:
    """Return the error of an image on which the model itself failed."""
    return RequestError("internal_error", "the model failed on this image; the server's log says why")


def without_frames(error: imaging.ImageError) -> imaging.ImageError:
    """Return the error without its traceback and cause.

    The frames of both hold the image, and lead to one that holds the error: a cycle, which would keep all bytes
    of the request in memory until the next garbage collection.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
