"""Write probabilities as the JSON of an answer."""

from __future__ import annotations

import json
import math

import numpy as np

from bento.inference.work import poisoned
from bento.telemetry import metrics


class Answers:
    """Writes the answers of one model, whose class names are encoded once.

    Args:
        class_names: in label order.
        class_labels: their labels in the metrics.
    """

    def __init__(self, class_names: list[str], class_labels: list[str]) -> None:
        self._names = [json.dumps(name) for name in class_names]
        self._predictions = [metrics.predictions.labels(name) for name in class_labels]

    def body(self, probabilities: np.ndarray, top_k: int) -> str:
        """Return the JSON object for one image, and count its class.

        Args:
            probabilities: (C,) float32.
            top_k: how many classes to list; 0 omits the list.

        Raises:
            RequestError: internal_error; the model answered NaN.
        """
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        if math.isnan(confidence):
            raise poisoned()
        self._predictions[best].inc()
        metrics.confidence.observe(confidence)
        answer = f'{{"predicted_class": {self._names[best]}, "confidence_score": {confidence!r}'
        if not top_k:
            return answer + "}"
        order = np.argsort(-probabilities, kind="stable")[:top_k].tolist()
        top = ", ".join(f'{{"class": {self._names[i]}, "score": {float(probabilities[i])!r}}}' for i in order)
        return f'{answer}, "top_k": [{top}]}}'
