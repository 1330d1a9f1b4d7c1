"""Every setting of the service, read once from the environment. docs/settings.md is held against this."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings

import imaging
from bento.cpus import available_cpus

_PILLOW_LIMIT = 89_478_485
"""Beyond it Pillow itself takes an image for a decompression bomb."""


class Settings(BaseSettings):
    """Environment variables by the fields' names in capitals; the descriptions are the documentation's."""

    model_tag: str | None = Field(
        None, min_length=1, description="model-store tag to serve; else the one pinned in the Bento, else the newest"
    )
    runtime: Literal["onnx-int8", "onnx", "keras"] | None = Field(
        None, description="form of the model to run; else `onnx-int8` where the model has it, else `onnx`"
    )
    threads: int = Field(
        default_factory=available_cpus, ge=1, le=256, description="images in work at a time; else the CPU limit"
    )
    max_body_bytes: int = Field(20 * 2**20, ge=1, description="largest request body, in bytes")
    max_pixels: int = Field(
        imaging.DEFAULT_MAX_PIXELS, ge=1, le=_PILLOW_LIMIT, description="most pixels an image's header may declare"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = Field(
        "info", description="least level that is logged"
    )


class SettingsError(Exception):
    """An environment variable has a value that makes no sense; the message is one line."""


def read_settings() -> Settings:
    """Read the environment; an empty variable counts as unset.

    Raises:
        SettingsError: names the variable, its value and what is wrong with it.
    """
    try:
        return Settings(_env_ignore_empty=True)  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        raise SettingsError(f"{name}={os.environ.get(name, '')!r}: {first['msg']}") from error
