"""Open a model-store entry as training left it: which forms there are, and what its outputs mean."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imaging

FILES = {"onnx-int8": "model-int8.onnx", "onnx": "model.onnx", "keras": "model.keras"}


class ModelError(Exception):
    """The model can't be served; the message is one line that says what to do."""


@dataclass(frozen=True)
class ServedModel:
    """A store entry and the form of it that is served."""

    tag: str
    runtime: str
    path: Path
    """The file of that form."""
    class_names: list[str]
    image_size: int
    baseline: dict[str, Any] | None = None
    """What training found of images and answers; None where it was stored without."""

    @property
    def golden_images(self) -> list[bytes]:
        """The encoded golden images, to warm up on."""
        folder = self.path.parent / "golden"
        entries = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
        return [(folder / entry["file"]).read_bytes() for entry in entries]

    def digest(self) -> str:
        """Return the SHA-256 of the served file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def find(name: str, tag: str | None, runtime: str | None) -> ServedModel:
    """Look a model up in the store.

    Args:
        name: of the model, when no tag is given.
        tag: NAME:VERSION, or NAME for its newest.
        runtime: a key of `FILES`; None takes int8 where there is one, else fp32.

    Raises:
        ModelError: no such model, it lacks that form, or its images were decoded otherwise than ours.
    """
    from bentoml.exceptions import BentoMLException

    try:
        stored = _stored(tag or name)
    except (BentoMLException, ValueError) as error:
        if tag is not None:
            advice = f"no model {tag} in the store; `bentoml models list` shows what there is"
        else:
            advice = f"the model store has no {name}; train one: python -m training --data DIR (or make run)"
        raise ModelError(advice) from error
    folder, about = Path(stored.path), stored.info.metadata
    if "class_names" not in about or "image_size" not in about:
        raise ModelError(f"{stored.tag} was not made by this project's training: its metadata names no classes")
    policy = about.get("image_policy")
    if policy != imaging.POLICY_VERSION:
        raise ModelError(
            f"{stored.tag} was trained on images decoded by policy {policy}, this code decodes by "
            f"{imaging.POLICY_VERSION}; serve it from a Bento built at its time, or train anew"
        )
    if runtime is None:
        runtime = "onnx-int8" if (folder / FILES["onnx-int8"]).exists() else "onnx"
    path = folder / FILES[runtime]
    if not path.exists():
        there = ", ".join(form for form, file in FILES.items() if (folder / file).exists())
        raise ModelError(f"RUNTIME={runtime}: {stored.tag} has no {path.name}; it has {there}")
    names, size = list(about["class_names"]), int(about["image_size"])
    return ServedModel(str(stored.tag), runtime, path, names, size, about.get("baseline"))


def _stored(tag: str) -> Any:
    import bentoml
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore
    from bentoml.exceptions import NotFound

    try:
        return bentoml.models.get(tag)
    except NotFound:
        # A containerized Bento carries a store of its own, and BentoML then looks nowhere else.
        return bentoml.models.get(tag, _model_store=ModelStore(BentoMLContainer.model_store_dir.get()))
