"""Answers to images seen before, the least recently used given up first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import numpy as np

from bento.telemetry import metrics

Key = tuple[str, bytes]


class AnswerCache:
    """Probabilities by the model's tag and the image's hash, so that no model can be given another's answer.

    Args:
        tag: of the model that is served.
        size: how many answers are kept; 0 keeps none.
    """

    def __init__(self, tag: str, size: int) -> None:
        self._tag = tag
        self._size = size
        self._answers: OrderedDict[Key, np.ndarray] = OrderedDict()

    @property
    def on(self) -> bool:
        """Whether any answer is kept."""
        return self._size > 0

    def key(self, image: bytes) -> Key:
        """Return what the image's answer is kept under. Takes about a millisecond a megabyte."""
        return self._tag, hashlib.blake2b(image, digest_size=32).digest()

    def get(self, key: Key) -> np.ndarray | None:
        """Look an answer up, and count whether it was there."""
        answer = self._answers.get(key)
        metrics.cache_lookups.labels("miss" if answer is None else "hit").inc()
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: Key, probabilities: np.ndarray) -> None:
        """Keep an answer."""
        # A copy: the array is a view that would keep its whole batch in memory.
        self._answers[key] = probabilities.copy()
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)
