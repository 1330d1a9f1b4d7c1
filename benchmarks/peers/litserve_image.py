"""LitServe with one worker."""

from __future__ import annotations

import os
from typing import Any

import litserve
import numpy as np
import onnx_model
from PIL import Image


class Classifier(litserve.LitAPI):
    """Decode, predict, encode: LitServe's three steps."""

    def setup(self, device: str) -> None:
        """Load the model in the worker."""
        self.session = onnx_model.session()

    # LitServe reads the annotation: without one it hands over the parsed form.
    def decode_request(self, request):
        return onnx_model.pixels(Image.open(request["file"].file))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return (1, C) probabilities."""
        result: np.ndarray = self.session.run(None, {"image": x})[0]
        return result

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        """Return the answer."""
        return onnx_model.answer(output[0])


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(api_path="/predict"), accelerator="cpu", workers_per_device=1)
    server.run(port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")
