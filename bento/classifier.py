"""From one image's bytes to an answer: decode, infer, name the classes. Synchronous; knows no HTTP."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import imaging
from bento import metrics, runtime
from bento.model import ServedModel


@dataclass(frozen=True)
class Prediction:
    """The class, its probability, and the best classes with theirs, best first."""

    predicted_class: str
    confidence: float
    top: list[tuple[str, float]]


class Classifier:
    """A loaded, warmed-up model. Loading takes as long as it takes; `classify` is safe from any thread."""

    def __init__(self, model: ServedModel, max_pixels: int) -> None:
        self.model = model
        self._max_pixels = max_pixels
        self._run = runtime.load(model.runtime, model.path)
        for image in model.golden_images:
            self._run(imaging.decode(image, model.image_size)[np.newaxis])

    def classify(self, image: bytes, top_k: int = 0) -> Prediction:
        """Classify one encoded image; `top_k` asks for that many classes in `top`.

        Raises:
            imaging.ImageError: the image can't be used.
        """
        with metrics.stage("decode"):
            pixels = imaging.decode(image, self.model.image_size, max_pixels=self._max_pixels)
        with metrics.stage("inference"):
            probabilities = self._run(pixels[np.newaxis])[0]
        names = self.model.class_names
        best = int(probabilities.argmax())
        order = np.argsort(-probabilities, kind="stable")[:top_k].tolist()
        top = [(names[i], float(probabilities[i])) for i in order]
        return Prediction(names[best], float(probabilities[best]), top)
