"""The models that the compared servers serve, and the images that are posted to them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.models import CNN_SIZE, describe, publish, write_cnn
from benchmarks.servers.networks import write_resnet50
from model_format.layout import FILES
from tests.integration.conftest import Store
from tests.slow_model import write_slow_entry
from tests.stored import CLASSES, SIZE, write_entry
from training.forms.onnx_model import to_int8

RESNET_SIZE = 224
RESNET_CLASSES = 1000


@dataclass(frozen=True)
class Entry:
    """A stored model."""

    store: Store
    onnx: Path
    size: int


@dataclass(frozen=True)
class Models:
    """Stored models, images and the multipart forms that carry them, by name."""

    entries: dict[str, Entry]
    images: dict[str, Path]
    bodies: dict[str, Path]


def publish_models(folder: Path) -> Models:
    """Create all models and images below `folder`; this takes a minute."""
    entries = {
        "cnn": _entry(folder / "cnn", CNN_SIZE, [f"c{i}" for i in range(10)]),
        "resnet50": _entry(folder / "resnet50", RESNET_SIZE, [f"c{i}" for i in range(RESNET_CLASSES)]),
        "10ms/call": _entry(folder / "fixed", SIZE, CLASSES),
    }
    images, bodies = {}, {}
    for name, data in (("small", small_jpeg()), ("photo", photo_jpeg())):
        images[name], bodies[name] = folder / f"{name}.jpg", folder / f"{name}.form"
        images[name].write_bytes(data)
        bodies[name].write_bytes(form(data))
    return Models(entries, images, bodies)


def _entry(folder: Path, size: int, classes: list[str]) -> Entry:
    store = Store(folder / "home")
    files = folder / "entry"
    if size == SIZE:
        write_slow_entry(files, 10, cost="call")
    else:
        write_entry(files, int8=False)
        if size == CNN_SIZE:
            write_cnn(files / FILES["onnx"])
            to_int8(files / FILES["onnx"], files / FILES["onnx-int8"], _calibration())
        else:
            write_resnet50(files / FILES["onnx"], size, len(classes))
    publish(store, files, describe(classes, size))
    # Publishing may have moved the files.
    (onnx,) = (store.home / "models").glob(f"image_classifier/*/{FILES['onnx']}")
    return Entry(store, onnx, size)


def _calibration() -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for _ in range(4):
        yield rng.integers(0, 256, (16, CNN_SIZE, CNN_SIZE, 3), dtype=np.uint8)


def small_jpeg() -> bytes:
    """Return a JPEG of 32 x 32 pixels, about as large in bytes as a CIFAR-10 image."""
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
    return _jpeg(image)


def photo_jpeg() -> bytes:
    """Return a JPEG of 12 megapixels of gradients and fine noise, about 4 MB like a camera's."""
    rng = np.random.default_rng(2)
    coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize(
        (4000, 3000), Image.Resampling.BICUBIC
    )
    noise = rng.normal(0, 6, (3000, 4000, 1)).astype(np.float32)
    return _jpeg(Image.fromarray((np.asarray(coarse, np.float32) + noise).clip(0, 255).astype(np.uint8)))


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def form(image: bytes) -> bytes:
    """Return the body that curl -F file=@image.jpg sends, with another boundary."""
    disposition = b'Content-Disposition: form-data; name="file"; filename="image.jpg"'
    head = b"\r\n".join([b"--boundary", disposition, b"Content-Type: image/jpeg", b"", b""])
    return head + image + b"\r\n--boundary--\r\n"
