"""Keras' backend: check KERAS_BACKEND before Keras is imported, and describe the devices in use."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from typing import Any

from training.errors import UsageError

BACKENDS = ("tensorflow", "jax", "torch")
_VARIABLE = "KERAS_BACKEND"
_DEFAULT = "tensorflow"


def check() -> None:
    """Check that KERAS_BACKEND names a backend that can run.

    Raises:
        UsageError: the backend is unknown or not installed.
    """
    name = os.environ.get(_VARIABLE)
    if not name:
        return
    if name not in BACKENDS:
        raise UsageError(f"{_VARIABLE} is {name!r}; choose one of {', '.join(BACKENDS)}")
    if importlib.util.find_spec(name) is None:
        raise UsageError(f"{_VARIABLE}={name} needs the package {name}, which isn't installed: pip install {name}")


@contextlib.contextmanager
def chosen() -> Iterator[None]:
    """Import Keras within this context: what its keras.json says of backend and NNX is overridden.

    The variables are restored, because several workers have another default.
    """
    ours = {_VARIABLE: os.environ.get(_VARIABLE) or _DEFAULT, "KERAS_NNX_ENABLED": "false"}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def resume_with(name: str) -> None:
    """Choose the backend that a run began with; another one would round differently.

    Raises:
        UsageError: KERAS_BACKEND names another backend.
    """
    given = os.environ.get(_VARIABLE) or name
    if name and given != name:
        raise UsageError(f"the run began with {_VARIABLE}={name}, not {given}; set {_VARIABLE}={name} to resume it")
    if name:
        os.environ[_VARIABLE] = name


def describe() -> dict[str, Any]:
    """Return the backend in use and the kind and number of its devices. Keras must have been started."""
    import keras

    name = keras.backend.backend()
    return {"backend": name, "device": _DEVICES[name]()}


def _tensorflow() -> str:
    import tensorflow as tf

    return _count([device.device_type.lower() for device in tf.config.list_logical_devices()])


def _jax() -> str:
    import jax

    return _count([device.platform for device in jax.devices()])


def _torch() -> str:
    import torch

    return _count(["cpu"] + ["gpu"] * torch.cuda.device_count())


_DEVICES = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def _count(kinds: list[str]) -> str:
    """Return the accelerators as text, or "cpu" without any."""
    others = [kind for kind in kinds if kind != "cpu"]
    if not others:
        return "cpu"
    return others[0] if len(others) == 1 else f"{len(others)} x {others[0]}"
