"""Cache answers to images; the least recently used one is evicted first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import numpy as np

from bento.telemetry import metrics

Key = tuple[str, bytes]


Cached = tuple[np.ndarray, float | None]
"""Probabilities, and the novelty if it was asked for."""


class AnswerCache:
    """Answers by the model's tag and the image's hash, so that a model never gets another model's answer.

    Args:
        tag: tag of the served model.
        size: number of answers to keep; 0 turns the cache off.
    """

    def __init__(self, tag: str, size: int) -> None:
        self._tag = tag
        self._size = size
        self._answers: OrderedDict[Key, Cached] = OrderedDict()

    @property
    def on(self) -> bool:
        """Whether the cache keeps answers."""
        return self._size > 0

    def key(self, image: bytes) -> Key:
        """Return the key of the image's answer. Takes about 1 ms per megabyte."""
        return self._tag, hashlib.blake2b(image, digest_size=32).digest()

    def get(self, key: Key, unknown: bool = False) -> Cached | None:
        """Return an answer or None, and count the hit or miss; if `unknown`, an answer without novelty is a miss."""
        answer = self._answers.get(key)
        if answer is not None and unknown and answer[1] is None:
            answer = None
        metrics.cache_lookups.labels("miss" if answer is None else "hit").inc()
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: Key, probabilities: np.ndarray, novelty: float | None = None) -> None:
        """Keep an answer."""
        # A copy, because the array is a view that would keep its whole batch in memory.
        self._answers[key] = probabilities.copy(), novelty
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)
