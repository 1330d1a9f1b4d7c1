"""Take images through admission, cache, decoding and the model, which runs inline or behind the batcher."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

import imaging
from bento.errors import RequestError
from bento.inference.admission import Admission
from bento.inference.batcher import Batcher, InferenceThread
from bento.inference.cache import AnswerCache
from bento.inference.deadlines import Deadlines
from bento.inference.inline import InlineModel
from bento.inference.warmup import WarmModel
from bento.inference.work import Classified, Work, without_frames
from bento.settings import Settings
from bento.telemetry import metrics
from bento.telemetry.drift import Drift
from imaging.cost import is_cheap
from model_format import limits

logger = logging.getLogger("image_classifier")

_LARGE = 256 * 1024
"""Bytes above which an encoded image counts as large: a photo of some megapixels, 50 ms or more to decode."""


class Pipeline:
    """Classify images with one warm model, from the event loop.

    Args:
        model: the model to run.
        settings: settings of the service.
        admission: admits every image.
        loop: the running event loop.
    """

    def __init__(
        self, model: WarmModel, settings: Settings, admission: Admission, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.model = model
        self._settings = settings
        self._admission = admission
        self._loop = loop
        self._drift = Drift(model.served.tag, model.served.class_labels(settings.metric_classes), model.served.baseline)
        self._cache = AnswerCache(model.served.tag, settings.cache_size)
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="decode")
        # Large images have threads of their own, so that no small image waits for them and few are in memory at a time.
        self._large = ThreadPoolExecutor(max(1, settings.threads // 2), thread_name_prefix="decode-large")
        self._inference: InferenceThread | None = None
        most = settings.max_batch_size
        self._inline: InlineModel | None = None
        if model.inline:
            self._inline = InlineModel(
                model.run,
                model.cost,
                self._decode,
                model.decode_seconds,
                most,
                settings.threads - 1,
                admission,
                loop,
            )
            self._put: Callable[[Work], None] = self._inline.put
        else:
            self._inference = InferenceThread(model.run, model.cost, loop)
            batcher = Batcher(self._inference.start, model.cost, most, settings.max_wait_ms / 1000, loop)
            self._inference.finished = batcher.finished
            self._put = batcher.put
        self._deadlines = Deadlines(settings.deadline_ms / 1000, lambda: self.busy_seconds, loop)

    @property
    def busy_seconds(self) -> float:
        """Seconds that the present call of the model has been running in a thread."""
        at_work = self._inference or self._inline
        return at_work.busy_seconds if at_work else 0.0

    async def classify(self, image: bytes, gone: Callable[[], bool], unknown: bool = False) -> Classified:
        """Classify one encoded image; if `unknown`, with its novelty, which needs a model with limits.

        Raises:
            imaging.ImageError: the image can't be decoded or is too large.
            RequestError: queue_full, deadline_exceeded or internal_error.
            ClientDisconnected: the client has left.
        """
        if not self._cache.on:
            return self._classified(*await self._work(image, None, gone, unknown))
        small = len(image) < _LARGE
        key = self._cache.key(image) if small else await self._loop.run_in_executor(self._large, self._cache.key, image)
        known = self._cache.get(key, unknown)
        if known is not None:
            return Classified(known[0], known[1] if unknown else None, None)
        answer = self._classified(*await self._work(image, None, gone, unknown))
        self._cache.put(key, answer.probabilities, answer.novelty)
        return answer

    async def examine(self, image: bytes, gone: Callable[[], bool]) -> tuple[np.ndarray, Work]:
        """Classify one encoded image to explain it, without the cache and without counting it for drift.

        Explained requests are unusual images, often sent twice, so they are excluded from drift.
        """
        return await self._work(image, None, gone, watched=False)

    async def classify_pixels(self, pixels: np.ndarray, gone: Callable[[], bool], unknown: bool = False) -> Classified:
        """Classify one decoded image, (S, S, 3) uint8. Raises the same errors as `classify`."""
        return self._classified(*await self._work(None, pixels, gone, unknown))

    def _classified(self, probabilities: np.ndarray, work: Work) -> Classified:
        """Return the answer, and count whether the image is known if somebody asked."""
        known = self.model.served.limits
        if known is None or work.scores is None:
            return Classified(probabilities, None, work)
        novelty = known.novelty(limits.energy(work.scores.tolist()))
        metrics.novelty_checks[novelty < limits.KNOWN].inc()
        return Classified(probabilities, novelty, work)

    async def _work(
        self,
        image: bytes | None,
        pixels: np.ndarray | None,
        gone: Callable[[], bool],
        scored: bool = False,
        watched: bool = True,
    ) -> tuple[np.ndarray, Work]:
        self._admission.enter()
        answered = False
        try:
            work = Work(image, pixels, self._loop.create_future(), self._settings.deadline_ms / 1000, gone, scored)
            self._deadlines.watch(work)
            if image is None or (self._inline is not None and is_cheap(image)):
                self._put(work)
            else:
                pool = self._large if len(image) >= _LARGE else self._pool
                pool.submit(self._decode_beside, work)
            try:
                probabilities = await work.result
            finally:
                self._deadlines.forget(work)
            answered = True
        except BaseException as error:
            answered = isinstance(error, imaging.ImageError)
            # The error refers to this frame, see `without_frames`.
            del work
            raise
        finally:
            self._admission.leave(answered)
        began, ended = work.decode
        metrics.stage["decode"].observe(ended - began)
        began, ended = work.inference
        metrics.stage["inference"].observe(ended - began)
        metrics.stage["queue"].observe(work.waited)
        metrics.queue_wait.observe(work.waited)
        assert work.pixels is not None
        if watched:
            self._drift.observe(probabilities, work.pixels, None if image is None else len(image))
        return probabilities, work

    def _decode(self, work: Work) -> Exception | None:
        """Decode an image, in any thread. Return the error, or None."""
        assert work.image is not None
        began = perf_counter()
        try:
            served = self.model.served
            work.pixels = imaging.decode(
                work.image, served.image_size, resize=served.resize, max_pixels=self._settings.max_pixels
            )
        except imaging.ImageError as error:
            return without_frames(error)
        except Exception:
            # Every error must reach the waiting request.
            logger.exception("decoding an image failed")
            return RequestError("internal_error", "decoding failed; see the server's log")
        work.decode = (began, perf_counter())
        return None

    def _decode_beside(self, work: Work) -> None:
        """Decode in a thread, and continue on the event loop."""
        if work.is_late():
            self._loop.call_soon_threadsafe(work.drop_if_late, 0)
            return
        error = self._decode(work)
        if error is None:
            self._loop.call_soon_threadsafe(self._put, work)
        else:
            self._loop.call_soon_threadsafe(work.fail, error)

    def close(self) -> None:
        """End the threads."""
        for pool in (self._pool, self._large):
            pool.shutdown(wait=False)
        for model in (self._inference, self._inline):
            if model is not None:
                model.close()
