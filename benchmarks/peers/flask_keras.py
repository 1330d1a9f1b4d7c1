"""Flask's own server around `model.predict`, the start of most projects."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
from flask import Flask, request
from PIL import Image

SIZE = int(os.environ["SIZE"])


def network() -> Any:
    """Return a CNN of about 290,000 random weights, as the other servers have."""
    layers = keras.layers
    stack: list[Any] = [keras.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255)]
    for width in (32, 64, 128):
        stack += [layers.Conv2D(width, 3, padding="same", activation="relu") for _ in range(2)]
        stack.append(layers.MaxPooling2D())
    return keras.Sequential([*stack, layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")])


app = Flask(__name__)
model = network()


@app.post("/predict")
def predict() -> dict[str, Any]:
    """Classify one image."""
    image = Image.open(request.files["file"].stream).convert("RGB").resize((SIZE, SIZE))
    probabilities = model.predict(np.asarray(image)[np.newaxis].astype("float32"), verbose=0)[0]
    best = int(probabilities.argmax())
    return {"predicted_class": f"c{best}", "confidence_score": float(probabilities[best])}


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), threaded=True)
