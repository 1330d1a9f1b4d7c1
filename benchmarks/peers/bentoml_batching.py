"""BentoML's adaptive batching: one service decodes, and another takes batches."""

from __future__ import annotations

from typing import Any

import bentoml
import numpy as np
import onnx_model
from PIL import Image


@bentoml.service(workers=1)
class Model:
    """Classifies the batches that the dispatcher makes."""

    def __init__(self) -> None:
        self.session = onnx_model.session()

    @bentoml.api(batchable=True, max_batch_size=32)
    def infer(self, images: np.ndarray) -> np.ndarray:
        """Classify (N, SIZE, SIZE, 3) uint8."""
        result: np.ndarray = self.session.run(None, {"image": images})[0]
        return result


@bentoml.service(workers=1)
class Classifier:
    """Decodes, and asks the model."""

    model = bentoml.depends(Model)

    @bentoml.api(route="/predict")
    async def predict(self, file: Image.Image) -> dict[str, Any]:
        """Classify one image."""
        probabilities = await self.model.to_async.infer(onnx_model.pixels(file))
        return onnx_model.answer(probabilities[0])
