"""Write probabilities as the JSON of an answer."""

from __future__ import annotations

import json
import math

import numpy as np

from bento.errors import RequestError
from bento.http.request import Request, Wanted
from bento.inference.work import Classified, poisoned
from bento.telemetry import metrics
from model_format.limits import KNOWN, Limits


class Answers:
    """Writes the answers of one model, whose class names are encoded once.

    Args:
        class_names: in label order.
        class_labels: their labels in the metrics.
        limits: of the model, which novelty and sets of classes need.
    """

    def __init__(self, class_names: list[str], class_labels: list[str], limits: Limits | None = None) -> None:
        self._names = [json.dumps(name) for name in class_names]
        self._limits = limits
        self._predictions = [metrics.predictions.labels(name) for name in class_labels]

    def wanted(self, request: Request) -> Wanted:
        """Return what the query of a request wants.

        Raises:
            RequestError: malformed_request, or limits_off if it wants what needs limits.
        """
        wanted = request.wanted()
        if self._limits is None and (wanted.unknown or wanted.coverage):
            raise RequestError(
                "limits_off",
                "this model has no novelty score and no sets of classes; train it again, or measure them: "
                "python -m training evaluate TAG --data DIR --recalibrate",
            )
        return wanted

    def body(self, classified: Classified, wanted: Wanted) -> str:
        """Return the JSON object for one image, and count its class.

        Args:
            classified: the answer to the image.
            wanted: of `wanted`.

        Raises:
            RequestError: internal_error; the model answered NaN.
        """
        probabilities = classified.probabilities
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        if math.isnan(confidence):
            raise poisoned()
        self._predictions[best].inc()
        metrics.confidence.observe(confidence)
        answer = f'{{"predicted_class": {self._names[best]}, "confidence_score": {confidence!r}'
        if wanted.top_k:
            order = np.argsort(-probabilities, kind="stable")[: wanted.top_k].tolist()
            top = ", ".join(f'{{"class": {self._names[i]}, "score": {float(probabilities[i])!r}}}' for i in order)
            answer += f', "top_k": [{top}]'
        if classified.novelty is not None:
            answer += f', "novelty": {classified.novelty!r}, "known": {json.dumps(classified.novelty < KNOWN)}'
        if wanted.coverage and self._limits is not None:
            members = self._limits.members(probabilities.tolist(), wanted.coverage)
            answer += f', "prediction_set": [{", ".join(self._names[i] for i in members)}]'
        return answer + "}"
