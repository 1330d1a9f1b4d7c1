"""Every setting of the service, read once from the environment. docs/settings.md is held against this."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings

import imaging
from bento.cpus import available_cpus

_PILLOW_LIMIT = 89_478_485
"""Beyond it Pillow itself takes an image for a decompression bomb."""


def _drain_delay() -> float:
    # Only there does somebody still send requests for a while: proxies learn late that the pod is leaving.
    return 5 if "KUBERNETES_SERVICE_HOST" in os.environ else 0


class Settings(BaseSettings):
    """Environment variables by the fields' names in capitals; the descriptions are the documentation's."""

    model_tag: str | None = Field(
        None, min_length=1, description="model-store tag to serve; else the one pinned in the Bento, else the newest"
    )
    runtime: Literal["onnx-int8", "onnx", "keras"] | None = Field(
        None, description="form of the model to run; else `onnx-int8` where the model has it, else `onnx`"
    )
    threads: int = Field(
        default_factory=available_cpus,
        ge=1,
        le=256,
        description="threads of the model and of decoding; else the CPU limit",
    )
    execution: Literal["auto", "inline", "threads"] = Field(
        "auto",
        description="where images are classified: `inline` on the event loop, `threads` beside it; "
        "`auto` takes `inline` where an image was measured to cost under 1 ms",
    )
    max_batch_size: int = Field(32, ge=1, le=1024, description="most images in one call of the model")
    max_wait_ms: float = Field(
        5,
        ge=0,
        le=1000,
        description="longest wait of an idle model for company that is expected; never for a lone client",
    )
    deadline_ms: float = Field(
        2000,
        ge=1,
        le=600_000,
        description="an image that can't be answered this long after its body arrived is dropped",
    )
    queue_limit: int = Field(256, ge=1, description="most images that wait; lower where the deadline would be missed")
    max_body_bytes: int = Field(20 * 2**20, ge=1, description="largest request body, in bytes")
    max_buffered_bytes: int = Field(256 * 2**20, ge=1, description="largest sum of all bodies held at a time, in bytes")
    max_pixels: int = Field(
        imaging.DEFAULT_MAX_PIXELS, ge=1, le=_PILLOW_LIMIT, description="most pixels an image's header may declare"
    )
    cache_size: int = Field(0, ge=0, le=10_000_000, description="answers kept for images seen before; 0 is off")
    api_keys: SecretStr | None = Field(
        None, description="comma-separated; if set, every POST wants one as `X-API-Key` or as bearer token"
    )
    receive_timeout: float = Field(
        20,
        gt=0,
        le=3600,
        description="seconds a request has to arrive whole, and for which a client may take nothing of its answer",
    )
    keep_alive: float = Field(75, gt=0, le=3600, description="seconds that an idle connection stays open")
    drain_delay: float = Field(
        default_factory=_drain_delay,
        ge=0,
        le=600,
        description="seconds that requests are still taken after SIGTERM; else 5 in a Kubernetes pod, else 0",
    )
    hang_timeout: float = Field(
        30,
        gt=0,
        le=3600,
        description="seconds after which a call of the model that hasn't returned fails `/livez` and `/readyz`",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = Field(
        "info", description="least level that is logged"
    )
    log_format: Literal["json", "text"] = Field("json", description="a JSON object or a line of text an entry")

    @model_validator(mode="after")
    def _one_body_fits(self) -> Settings:
        if self.max_buffered_bytes < self.max_body_bytes:
            raise ValueError("MAX_BUFFERED_BYTES must be at least MAX_BODY_BYTES")
        return self


class SettingsError(Exception):
    """An environment variable has a value that makes no sense; the message is one line."""


def read_settings() -> Settings:
    """Read the environment; an empty variable counts as unset.

    Raises:
        SettingsError: names the variable, its value and what is wrong with it.
    """
    try:
        return Settings(_env_ignore_empty=True)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise SettingsError(reason) from error
        name = str(first["loc"][0]).upper()
        raise SettingsError(f"{name}={os.environ.get(name, '')!r}: {reason}") from error
