"""The BentoML service `image_classifier`: what `bentoml serve` and `bentoml build` load."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import Any

import bentoml
from _bentoml_sdk.service import Service

from bento import model
from bento.app import Application
from bento.classifier import Classifier
from bento.settings import SettingsError, read_settings

NAME = "image_classifier"

logger = logging.getLogger(NAME)

# Found wanting here, a mistake ends `bentoml serve` and `bentoml build` before they start anything.
try:
    settings = read_settings()
    model.find(NAME, settings.model_tag, settings.runtime)
except (SettingsError, model.ModelError) as error:
    sys.exit(f"error: {error}")


class ImageClassifierService(Service[Any]):  # type: ignore[misc]
    """Puts our own ASGI application in front of BentoML's."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """Return the application that a worker serves."""
        configure_logging()
        logger.info("settings: %s", settings.model_dump(exclude_none=True))
        return Application(settings, self._load, super().to_asgi(is_main), _give_up)

    def _load(self) -> Classifier:
        served = model.find(NAME, settings.model_tag or self._pinned_tag(), settings.runtime)
        return Classifier(served, settings.max_pixels)

    def _pinned_tag(self) -> str | None:
        """The model that was the newest when the Bento was built; None when served from a checkout."""
        if self.bento is None:
            return None
        return next((str(info.tag) for info in self.bento.info.all_models if info.tag.name == NAME), None)


def _give_up(reason: str) -> None:
    logger.error("%s", reason)
    # The supervisor would start worker after worker, each to fail alike; it and we end instead.
    os.kill(os.getppid(), signal.SIGTERM)


def configure_logging() -> None:
    """Log to stderr at the level of the settings, under a handler of our own."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(settings.log_level.upper())


@bentoml.service(
    name=NAME,
    service_class=ImageClassifierService,
    workers=1,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class ImageClassifier:
    """Carries the reference by which `bentoml build` pins the model; the work is done by `bento.app`."""

    model = bentoml.models.BentoModel(settings.model_tag or f"{NAME}:latest")
