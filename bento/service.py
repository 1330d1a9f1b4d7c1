"""The BentoML service `image_classifier`, which `bentoml serve` and `bentoml build` load."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import bentoml
import uvicorn.config
from _bentoml_sdk.service import Service
from bentoml._internal.configuration.containers import BentoMLConfiguration, BentoMLContainer
from bentoml._internal.context import server_context

from bento import configuration, memory, startup
from bento.http.app import Application
from bento.http.connection.server import Server
from bento.inference.warmup import WarmModel, warm_up
from bento.models import model
from bento.settings import SettingsError, read_settings
from bento.telemetry import logs

NAME = "image_classifier"

_BASE_IMAGE = f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
"""Base image for `bentoml containerize`. BASE_IMAGE overrides it when the Bento is built."""

logger = logging.getLogger(NAME)


def _pinned_tag() -> str | None:
    """Return the tag of the model pinned in this Bento, or None in a checkout."""
    root = Path(__file__).parents[2]
    # `Service.bento` is set only after this module has been imported.
    if not (root / "bento.yaml").exists():
        return None
    models = bentoml.Bento.from_path(str(root)).info.all_models
    return next((str(info.tag) for info in models if info.tag.name == NAME), None)


def _one_line_for_the_address(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
        sys.stderr.write(f"error: can't listen: {error.strerror}; choose another --host or --port\n")
    else:
        sys.__excepthook__(kind, error, trace)


# BentoML's supervisor imports this module before it binds the port, and doesn't handle a failed bind.
sys.excepthook = _one_line_for_the_address
logging.getLogger("circus").addFilter(lambda record: not record.getMessage().startswith("Could not bind"))

# Checked here, a mistake ends `bentoml serve` and `bentoml build` before they start anything.
try:
    settings = read_settings()
    served = model.find(NAME, settings.model_tag or _pinned_tag(), settings.runtime)
except (SettingsError, model.ModelError) as error:
    sys.exit(f"error: {error}")


def _log_as_set() -> None:
    logs.configure(settings.log_level, settings.log_format)


# If this process serves, BentoML has given the root logger a handler. `bentoml build` keeps its own output.
if logging.getLogger().handlers:
    _log_as_set()


class ImageClassifierService(Service[Any]):  # type: ignore[misc]
    """A BentoML service with our ASGI application in front of BentoML's."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """Return the application that the server process serves."""
        startup.ended("imports")
        _log_as_set()
        memory.return_large_blocks()
        logger.info("settings: %s", settings.model_dump(exclude_none=True))
        # BentoML leaves the choice of the protocol to uvicorn, which looks it up in this table.
        uvicorn.config.HTTP_PROTOCOLS["auto"] = "bento.http.connection.protocol:Protocol"
        # BentoML's worker looks this name up after it has called us.
        uvicorn.Server = Server  # type: ignore[misc]
        return Application(settings, served, _warm_up, super().to_asgi(is_main), _give_up)


def _warm_up() -> WarmModel:
    model = warm_up(served, settings)
    # Keras' libraries, imported with the model, bring handlers of their own.
    _log_as_set()
    return model


def _give_up(reason: str) -> None:
    logger.error("%s", reason)
    if server_context.worker_index is None:
        # There is no supervisor, and no request to answer. The exit code reports the failure.
        os._exit(1)
    # The supervisor would restart this process for ever, and each start would fail alike. So both end.
    os.kill(os.getppid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)


@bentoml.service(
    name=NAME,
    service_class=ImageClassifierService,
    workers=1,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    # For a known distribution BentoML installs compilers and git, which the lock, with wheels only, doesn't need.
    image=bentoml.images.Image(base_image=os.environ.get("BASE_IMAGE") or _BASE_IMAGE, distro="none"),
)
class ImageClassifier:
    """Holds the reference by which `bentoml build` pins the model. `bento.http.app` does the work."""

    model = bentoml.models.BentoModel(served.tag)


def _refuse_other_configuration(service: Any) -> None:
    """End the start in one line if BentoML's configuration asks for what this service doesn't do."""
    service.inject_config()
    own = BentoMLConfiguration(override_defaults={"services": {NAME: service.config}}, use_version=2).to_dict()
    entry = configuration.refused(BentoMLContainer.config.get()["services"][NAME], own["services"][NAME])
    if entry is not None:
        sys.exit(f"error: BentoML's configuration has {entry}")


_refuse_other_configuration(ImageClassifier)
