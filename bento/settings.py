"""Every setting of the service, read once from the environment. A test compares docs/settings.md with it."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings

import imaging
from bento.cpus import available_cpus

_PILLOW_LIMIT = 89_478_485
"""Above this number of pixels, Pillow treats an image as a decompression bomb."""

_GROUPS = ("docs", "page", "v2")
"""The groups of routes that can be switched off."""
_NEVER_EMPTY = {"api_keys", "cors_origins", "disabled_routes"}


def _entries(text: str | None) -> list[str]:
    """Return the entries of a comma-separated list."""
    return [entry.strip() for entry in (text or "").split(",") if entry.strip()]


def _drain_delay() -> float:
    # In Kubernetes, proxies still send requests for a while, because they learn late that the pod is ending.
    return 5 if "KUBERNETES_SERVICE_HOST" in os.environ else 0


class Settings(BaseSettings):
    """Settings, whose environment variables are the field names in capitals. The docs repeat the descriptions."""

    model_tag: str | None = Field(
        None,
        min_length=1,
        description="Model-store tag to serve. Unset: the model pinned in the Bento, otherwise the newest in "
        "the store.",
    )
    runtime: Literal["onnx-int8", "onnx", "keras"] | None = Field(
        None,
        description="Form of the model to run: `onnx-int8`, `onnx` or `keras`. Unset: `onnx-int8` if the model "
        "has it, otherwise `onnx`.",
    )
    threads: int = Field(
        default_factory=available_cpus,
        ge=1,
        le=256,
        description="Threads for decoding and for the model. Unset: the CPU limit.",
    )
    execution: Literal["auto", "inline", "threads"] = Field(
        "auto",
        description="Where images are classified: `inline`, on the event loop, or `threads`. `auto` chooses "
        "`inline` if an image was measured to cost under 1 ms.",
    )
    max_batch_size: int = Field(32, ge=1, le=1024, description="Most images in one model call.")
    max_wait_ms: float = Field(
        5,
        ge=0,
        le=1000,
        description="Longest time, in milliseconds, that an idle model waits for a batch to fill. A lone "
        "client never waits.",
    )
    deadline_ms: float = Field(
        2000,
        ge=1,
        le=600_000,
        description="Drop an image that can't be answered within this many milliseconds of the arrival of its body.",
    )
    queue_limit: int = Field(
        256, ge=1, description="Most images that wait at a time. Fewer are admitted if more would miss the deadline."
    )
    max_body_bytes: int = Field(20 * 2**20, ge=1, description="Largest request body, in bytes.")
    max_buffered_bytes: int = Field(
        256 * 2**20, ge=1, description="Largest sum of all request bodies held at a time, in bytes."
    )
    max_pixels: int = Field(
        imaging.DEFAULT_MAX_PIXELS,
        ge=1,
        le=_PILLOW_LIMIT,
        description="Most pixels that an image's header may declare. A baseline JPEG that is decoded at a reduced "
        "scale may declare four times as many.",
    )
    cache_size: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="Number of answers to keep for images that come again. 0 turns the cache off.",
    )
    api_keys: SecretStr | None = Field(
        None,
        description="Comma-separated keys. If set, every POST needs one, as `X-API-Key` or as a bearer token. "
        "Unset: no key is needed. A value that holds no key is refused at start.",
    )
    cors_origins: str | None = Field(
        None,
        description="Comma-separated origins, such as `https://app.example.com`, whose pages may call the service; `*` "
        "allows all. Unset: none. A value that holds no origin is refused at start.",
    )
    management_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Second port, for `/livez`, `/readyz`, `/healthz`, `/metrics` and `/version`, which the main port "
        "then doesn't serve. Unset: the main port serves them.",
    )
    disabled_routes: str | None = Field(
        None,
        description="Comma-separated groups of routes to switch off: `docs` (`/docs`, `/openapi.json`), `page` (`/`) "
        "and `v2` (all below `/v2`). Unset: none. A value that names no group is refused at start.",
    )
    receive_timeout: float = Field(
        20,
        gt=0,
        le=3600,
        description="Longest pause, in seconds, while a request arrives. A client that reads nothing of its answer for "
        "as long is disconnected.",
    )
    receive_rate: int = Field(
        16 * 2**10,
        ge=1,
        description="Lowest average rate of an upload, in bytes per second, not counting `RECEIVE_TIMEOUT` seconds. A "
        "slower one is refused.",
    )
    keep_alive: float = Field(
        620,
        gt=0,
        le=86400,
        description="Seconds that an idle connection stays open. Keep it longer than the gateway's idle timeout.",
    )
    drain_delay: float = Field(
        default_factory=_drain_delay,
        ge=0,
        le=600,
        description="Seconds to keep accepting requests after SIGTERM. Unset: 5 in a Kubernetes pod, otherwise 0.",
    )
    hang_timeout: float = Field(
        30,
        gt=0,
        le=3600,
        description="Seconds after which a model call that hasn't returned fails `/livez` and `/readyz`.",
    )
    metric_classes: int = Field(
        100,
        ge=1,
        le=100_000,
        description="Most classes with metrics of their own: those predicted most often for the model's test images. "
        "The rest are counted as `other`.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = Field(
        "info", description="Lowest level to log: `debug`, `info`, `warning` or `error`."
    )
    log_format: Literal["json", "text"] = Field(
        "json", description="Format of each log entry: `json`, one object per line, or `text`."
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_counts_as_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        # A Secret that was made from an unset variable is empty. It must not open the service to everybody.
        return {name: value for name, value in values.items() if value != "" or name in _NEVER_EMPTY}

    @field_validator("api_keys")
    @classmethod
    def _some_key(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None and not _entries(keys.get_secret_value()):
            raise ValueError("there is no key in it; set at least one, or unset it to accept every request")
        return keys

    @field_validator("cors_origins")
    @classmethod
    def _only_origins(cls, text: str | None) -> str | None:
        if text is None:
            return None
        origins = _entries(text)
        if not origins:
            raise ValueError("there is no origin in it; set at least one, or unset it to allow none")
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#@\s]+", origin):
                raise ValueError(f"{origin!r} is no origin; write it as https://app.example.com, without a path")
        return text

    @field_validator("disabled_routes")
    @classmethod
    def _only_groups(cls, text: str | None) -> str | None:
        if text is not None and not _entries(text):
            raise ValueError(f"there is no group in it; name at least one of {', '.join(_GROUPS)}, or unset it")
        for name in _entries(text):
            if name not in _GROUPS:
                raise ValueError(f"{name!r} can't be switched off; the groups are {', '.join(_GROUPS)}")
        return text

    @property
    def disabled_groups(self) -> list[str]:
        """The groups of routes that are switched off."""
        return _entries(self.disabled_routes)

    @model_validator(mode="after")
    def _one_body_fits(self) -> Settings:
        if self.max_buffered_bytes < self.max_body_bytes:
            raise ValueError("MAX_BUFFERED_BYTES must be at least MAX_BODY_BYTES")
        return self


class SettingsError(Exception):
    """An environment variable has an invalid value. The message is one line."""


def read_settings() -> Settings:
    """Read the environment. An empty variable counts as unset, except those that open or close the service.

    Raises:
        SettingsError: a value is invalid; the message names the variable, its value and the reason.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise SettingsError(reason) from error
        name = str(first["loc"][0]).upper()
        raise SettingsError(f"{name}={os.environ.get(name, '')!r}: {reason}") from error
