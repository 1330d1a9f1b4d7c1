"""What is running: `GET /version`."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import imaging
from bento.models.model import ServedModel
from bento.version import VERSION


def describe(served: ServedModel, digest: str) -> dict[str, Any]:
    """Return the model and the versions of what its answers depend on."""
    libraries = {name: version(name) for name in ("bentoml", "numpy", "onnxruntime", "pillow")}
    return {
        "model": served.tag,
        "digest": digest,
        "runtime": served.runtime,
        "image_size": served.image_size,
        "class_names": served.class_names,
        "image_policy": imaging.POLICY_VERSION,
        "versions": {"image-classifier": VERSION, "python": platform.python_version()} | libraries,
    }
