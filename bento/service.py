"""The BentoML service `image_classifier`: what `bentoml serve` and `bentoml build` load."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import bentoml
from _bentoml_sdk.service import Service

from bento import model
from bento.app import Application
from bento.classifier import Classifier
from bento.settings import SettingsError, read_settings

NAME = "image_classifier"

logger = logging.getLogger(NAME)


def _pinned_tag() -> str | None:
    """The model that was the newest when this Bento was built; None in a checkout."""
    root = Path(__file__).parents[2]
    # Not `Service.bento`, which BentoML sets only after this module has been imported.
    if not (root / "bento.yaml").exists():
        return None
    models = bentoml.Bento.from_path(str(root)).info.all_models
    return next((str(info.tag) for info in models if info.tag.name == NAME), None)


# Found wanting here, a mistake ends `bentoml serve` and `bentoml build` before they start anything.
try:
    settings = read_settings()
    served = model.find(NAME, settings.model_tag or _pinned_tag(), settings.runtime)
except (SettingsError, model.ModelError) as error:
    sys.exit(f"error: {error}")


class ImageClassifierService(Service[Any]):  # type: ignore[misc]
    """Puts our own ASGI application in front of BentoML's."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """Return the application that a worker serves."""
        configure_logging()
        logger.info("settings: %s", settings.model_dump(exclude_none=True))
        return Application(settings, _load, super().to_asgi(is_main), _give_up)


def _load() -> Classifier:
    return Classifier(served, settings.max_pixels)


def _give_up(reason: str) -> None:
    logger.error("%s", reason)
    # The supervisor would start worker after worker, each to fail alike; it and we end instead.
    os.kill(os.getppid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)


def configure_logging() -> None:
    """Log to stderr at the level of the settings, under a handler of our own; decoders keep quiet."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(settings.log_level.upper())
    # These would write a line for each bad body, which is answered with its code and counted.
    for parser in ("python_multipart", "PIL"):
        logging.getLogger(parser).setLevel(logging.CRITICAL)
    # Python also remembers every text it has warned of, and a hostile file chooses the text.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")


@bentoml.service(
    name=NAME,
    service_class=ImageClassifierService,
    workers=1,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class ImageClassifier:
    """Carries the reference by which `bentoml build` pins the model; the work is done by `bento.app`."""

    model = bentoml.models.BentoModel(served.tag)
