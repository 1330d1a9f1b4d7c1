"""The BentoML service `image_classifier`: what `bentoml serve` and `bentoml build` load."""

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
from bentoml._internal.context import server_context

from bento import memory, startup
from bento.http.app import Application
from bento.inference.warmup import WarmModel, warm_up
from bento.models import model
from bento.settings import SettingsError, read_settings
from bento.telemetry import logs

NAME = "image_classifier"

_BASE_IMAGE = f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
"""What `bentoml containerize` builds on; BASE_IMAGE, when the Bento is built, names another."""

logger = logging.getLogger(NAME)


def _pinned_tag() -> str | None:
    """The model that was the newest when this Bento was built; None in a checkout."""
    root = Path(__file__).parents[2]
    # Not `Service.bento`, which BentoML sets only after this module has been imported.
    if not (root / "bento.yaml").exists():
        return None
    models = bentoml.Bento.from_path(str(root)).info.all_models
    return next((str(info.tag) for info in models if info.tag.name == NAME), None)


def _one_line_for_the_address(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
        sys.stderr.write(f"error: can't listen: {error.strerror}; choose another --host or --port\n")
    else:
        sys.__excepthook__(kind, error, trace)


# BentoML's supervisor imports this module before it binds, and lets a failed bind through.
sys.excepthook = _one_line_for_the_address

# Found wanting here, a mistake ends `bentoml serve` and `bentoml build` before they start anything.
try:
    settings = read_settings()
    served = model.find(NAME, settings.model_tag or _pinned_tag(), settings.runtime)
except (SettingsError, model.ModelError) as error:
    sys.exit(f"error: {error}")


class ImageClassifierService(Service[Any]):  # type: ignore[misc]
    """Puts our own ASGI application in front of BentoML's."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """Return the application that the server process serves."""
        startup.ended("imports")
        logs.configure(settings.log_level, settings.log_format)
        memory.return_large_blocks()
        logger.info("settings: %s", settings.model_dump(exclude_none=True))
        # BentoML leaves the choice to uvicorn, and this is the table that uvicorn looks it up in.
        uvicorn.config.HTTP_PROTOCOLS["auto"] = "bento.http.protocol:Protocol"
        return Application(settings, served, _warm_up, super().to_asgi(is_main), _give_up)


def _warm_up() -> WarmModel:
    return warm_up(served, settings)


def _give_up(reason: str) -> None:
    logger.error("%s", reason)
    if server_context.worker_index is None:
        # Without a supervisor, and without a request taken in: whoever started us learns that it failed.
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
    # An unknown distribution, because for those it knows BentoML installs compilers and git; the lock has wheels only.
    image=bentoml.images.Image(base_image=os.environ.get("BASE_IMAGE") or _BASE_IMAGE, distro="none"),
)
class ImageClassifier:
    """Carries the reference by which `bentoml build` pins the model; the work is done by `bento.http.app`."""

    model = bentoml.models.BentoModel(served.tag)
