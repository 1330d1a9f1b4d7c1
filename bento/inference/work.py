"""One image on its way through the service, with the begin and end of each stage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import numpy as np

import imaging
from bento.errors import RequestError
from bento.telemetry import metrics


class ClientDisconnected(Exception):
    """The client has left, so there is nobody to answer."""


class Classified(NamedTuple):
    """The answer to one image."""

    probabilities: np.ndarray
    """(C,) float32."""
    novelty: float | None
    """0 to 1; None if nobody asked for it."""
    work: Work | None
    """None for an answer from the cache."""


class Work:
    """An image that waits for its probabilities.

    Attributes:
        image: the encoded bytes; None if the image arrived as pixels.
        pixels: (S, S, 3) uint8, once decoded.
        result: future of the probabilities, (C,) float32, or of the error.
        deadline: time by which the image must be answered, by `time.perf_counter`.
        gone: returns whether the client has left.
        scored: the scores are wanted too.
        scores: (C,) float32 before the softmax, once the image is classified, if it is `scored`.
        decode, inference: begin and end of the stage, by `time.perf_counter`.
    """

    __slots__ = (
        *("deadline", "decode", "gone", "image", "inference"),
        *("pixels", "result", "scored", "scores", "submitted"),
    )

    def __init__(
        self,
        image: bytes | None,
        pixels: np.ndarray | None,
        result: asyncio.Future[np.ndarray],
        seconds: float,
        gone: Callable[[], bool],
        scored: bool = False,
    ) -> None:
        self.image = image
        self.pixels = pixels
        self.result = result
        self.submitted = perf_counter()
        self.deadline = self.submitted + seconds
        self.gone = gone
        self.scored = scored
        self.scores: np.ndarray | None = None
        self.decode = self.inference = (self.submitted, self.submitted)

    def drop_if_late(self, seconds: float) -> bool:
        """Drop the image if its client has left or it would miss its deadline. Return whether it has ended.

        Args:
            seconds: expected time that the remaining work takes.
        """
        if self.result.done():
            return True
        if self.gone():
            metrics.shed.labels("disconnected").inc()
            self.fail(ClientDisconnected())
            return True
        if perf_counter() + seconds > self.deadline:
            metrics.shed.labels("deadline_exceeded").inc()
            self.fail(RequestError("deadline_exceeded", "the answer would come after the deadline"))
            return True
        return False

    def is_late(self) -> bool:
        """Return whether the client has left or the deadline has passed, from any thread."""
        return self.gone() or perf_counter() > self.deadline

    def succeed(self, probabilities: np.ndarray) -> None:
        """Set the answer."""
        if not self.result.done():
            self.result.set_result(probabilities)

    def fail(self, error: Exception) -> None:
        """End the work with an error."""
        if not self.result.done():
            self.result.set_exception(error)

    @property
    def waited(self) -> float:
        """Seconds that the image was neither being decoded nor in the model."""
        return max(0.0, self.inference[0] - self.submitted - (self.decode[1] - self.decode[0]))


def poisoned() -> RequestError:
    """Return the error for an image on which the model failed."""
    return RequestError("internal_error", "the model failed on this image; see the server's log")


def without_frames(error: imaging.ImageError) -> imaging.ImageError:
    """Return the error without its traceback and cause.

    Their frames refer to the image and to the error: a cycle that would keep all bytes of the request in memory until
    the next garbage collection.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
