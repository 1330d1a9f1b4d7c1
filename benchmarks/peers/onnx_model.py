"""The parts that the peers share: the model on one thread, and the form of the answer."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

SIZE = int(os.environ["SIZE"])


def session() -> onnxruntime.InferenceSession:
    """Load the model that MODEL names."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])


def pixels(image: Image.Image) -> np.ndarray:
    """Return (1, SIZE, SIZE, 3) uint8."""
    return np.asarray(image.convert("RGB").resize((SIZE, SIZE)))[np.newaxis]


def answer(probabilities: np.ndarray) -> dict[str, Any]:
    """Name the best class of (C,) float32."""
    best = int(probabilities.argmax())
    return {"predicted_class": f"c{best}", "confidence_score": float(probabilities[best])}
