"""BentoML as in its tutorial: an API that takes a PIL image."""

from __future__ import annotations

from typing import Any

import bentoml
import onnx_model
from PIL import Image


@bentoml.service(workers=1)
class Classifier:
    """One worker."""

    def __init__(self) -> None:
        self.session = onnx_model.session()

    @bentoml.api(route="/predict")
    def predict(self, file: Image.Image) -> dict[str, Any]:
        """Classify one image."""
        return onnx_model.answer(self.session.run(None, {"image": onnx_model.pixels(file)})[0][0])
