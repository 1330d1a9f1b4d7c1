"""Find a model in the store and choose which form of it is served."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imaging
from bento.telemetry import classes
from model_format import card, golden, limits
from model_format.errors import FormatError
from model_format.layout import FILES, Form, forms
from model_format.limits import Limits
from model_format.metadata import Baseline, Metadata


class ModelError(Exception):
    """The model can't be served; the message is one line that says what to do."""


@dataclass(frozen=True)
class ServedModel:
    """A store entry, and the form of it that is served."""

    tag: str
    runtime: Form
    path: Path
    """The file of that form."""
    class_names: list[str]
    """In label order."""
    image_size: int
    """Pixels a side."""
    resize: imaging.Resize = imaging.STRETCH
    """What happens to an image that is no square."""
    baseline: Baseline | None = None
    """The reference for drift; None if the model was stored without one."""
    limits: Limits | None = None
    """Of that form; None if the model was stored without them."""

    @property
    def golden_images(self) -> list[bytes]:
        """The encoded golden images, for the warm-up.

        Raises:
            ModelError: the entry holds none.
        """
        try:
            images = golden.read(golden.folder_of(self.path.parent))
        except FormatError as error:
            raise ModelError(f"{self.tag} can't be measured: {error}; train the model again") from error
        if not images:
            raise ModelError(f"{self.tag} can't be measured: its golden set is empty; train the model again")
        return [image.image for image in images]

    def class_labels(self, most: int) -> list[str]:
        """Return the label of each class in the metrics, of which `most` have one of their own."""
        shares = self.baseline.shares.get("class") if self.baseline else None
        return classes.labels(self.class_names, shares, most)

    def card(self) -> str | None:
        """Return the model's card, for people; None if the model was stored without one.

        Raises:
            FormatError: it can't be read.
        """
        return card.read(self.path.parent)

    def digest(self) -> str:
        """Return the SHA-256 of the served file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def find(name: str, tag: str | None, runtime: Form | None) -> ServedModel:
    """Look up a model in the store.

    Args:
        name: of the model, if no tag is given.
        tag: NAME:VERSION, or NAME for its newest version.
        runtime: the form to serve; None takes the int8 form if the entry has one, otherwise fp32.

    Raises:
        ModelError: there is no such model, it can't be read, it lacks that form, its schema is newer than this code,
            or training decoded its images by other rules than this code does.
    """
    from bentoml.exceptions import BentoMLException

    try:
        stored = _stored(tag or name)
        entry, model_tag = Path(stored.path), str(stored.tag)
        about = Metadata.from_metadata(stored.info.metadata or {}, model_tag)
    except FormatError as error:
        raise ModelError(str(error)) from error
    except (BentoMLException, ValueError) as error:
        if tag is not None:
            advice = f"no model {tag} in the store; `bentoml models list` shows what there is"
        else:
            advice = f"the model store has no {name}; train one: python -m training --data DIR (or make run)"
        raise ModelError(advice) from error
    except Exception as error:  # a damaged model.yaml fails in any way
        raise ModelError(f"the stored model {tag or name} can't be read ({type(error).__name__})") from error
    if about.image_policy != imaging.POLICY_VERSION:
        raise ModelError(
            f"{model_tag} was trained on images decoded by policy {about.image_policy}, this code decodes by "
            f"{imaging.POLICY_VERSION}; serve it from a Bento that was built at that time, or train the model again"
        )
    there = forms(entry)
    if runtime is None:
        runtime = "onnx-int8" if "onnx-int8" in there else "onnx"
    if runtime not in there:
        raise ModelError(f"RUNTIME={runtime}: {model_tag} has no {FILES[runtime]}; it has {', '.join(there)}")
    try:
        known = limits.read(entry, runtime)
    except FormatError as error:
        raise ModelError(str(error)) from error
    path = entry / FILES[runtime]
    return ServedModel(
        model_tag, runtime, path, about.class_names, about.image_size, about.resize, about.baseline, known
    )


def newest(name: str) -> tuple[ServedModel | None, list[str]]:
    """Return the newest model called `name` that can be served, and one line about each newer one that can't."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    store = Path(BentoMLContainer.model_store_dir.get(), name)
    refused: list[str] = []
    for entry in sorted(store.glob("*/"), key=lambda entry: entry.stat().st_mtime, reverse=True):
        tag = f"{name}:{entry.name}"
        try:
            return find(name, tag, None), refused
        except ModelError as error:
            refused.append(str(error))
    return None, refused


def _stored(tag: str) -> Any:
    import bentoml
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore
    from bentoml.exceptions import NotFound

    try:
        return bentoml.models.get(tag)
    except NotFound:
        # A containerized Bento carries a store of its own, which BentoML doesn't search.
        return bentoml.models.get(tag, _model_store=ModelStore(BentoMLContainer.model_store_dir.get()))
