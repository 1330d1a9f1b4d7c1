"""Describe where a run happens (git revision, versions, machine), and start Keras."""

from __future__ import annotations

import datetime
import gc
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from training import backend, memory
from training.errors import UsageError

_ACCELERATOR = 100.0
"""How many times as fast as one core an accelerator counts, in plans."""
_PACKAGES = ("tensorflow", "jax", "torch", "keras", "numpy", "pillow", "scikit-learn", "onnx", "onnxruntime", "bentoml")


def describe() -> dict[str, Any]:
    """Return the section `environment` of the report and of the stored model."""
    return {
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "versions": versions(),
        "machine": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Return the installed version of each library that affects a model."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str:
    """Return this checkout's commit, with "-dirty" appended if files differ; "unknown" without git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def start_keras(seed: int) -> None:
    """Import Keras quietly, seed its random numbers, and keep freed memory for its next steps."""
    memory.keep_freed_blocks()
    keras = import_keras()
    if keras.backend.backend() == "tensorflow":
        keras.utils.set_random_seed(seed)
        return
    # Keras would import TensorFlow only to seed it, which takes 3 s and 300 MB.
    loaded = sys.modules.get("tensorflow")
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        keras.utils.set_random_seed(seed)
    finally:
        del sys.modules["tensorflow"]
        if loaded is not None:
            sys.modules["tensorflow"] = loaded


def import_keras() -> Any:
    """Return the module `keras`, imported without TensorFlow's messages, with this project's settings.

    `KERAS_BACKEND` alone chooses the backend; what ~/.keras/keras.json says has no effect.

    Raises:
        UsageError: KERAS_BACKEND names a backend that isn't installed, or Keras refuses its file.
    """
    backend.check()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    first = "keras" not in sys.modules
    try:
        with _native_stderr_closed(), backend.chosen():
            import keras
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"Keras can't use its keras.json ({error}); correct or remove the file") from error
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    if first:
        gc.freeze()  # or each search for garbage would go through the half million objects of Keras and TensorFlow
    return keras


def import_tensorflow() -> Any:
    """Return the module `tensorflow`, imported without its messages. Another backend may train."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _native_stderr_closed():
        import tensorflow
    return tensorflow


@contextmanager
def _native_stderr_closed() -> Iterator[None]:
    """Drop what TensorFlow's C++ code prints on import, before log levels apply: that there is no GPU."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def clock() -> float:
    """Return a time in seconds, for differences, that other programs on this machine don't lengthen.

    It is the processor time of this process over the number of its CPUs; where an accelerator trains, the time of day.
    Keras must have been started.
    """
    if backend.describe()["device"] == "cpu":
        return time.process_time() / len(os.sched_getaffinity(0))
    return time.perf_counter()


def speed() -> float:
    """Return how many times as fast as one core this machine trains: its CPUs, or a plain guess for an accelerator."""
    return float(len(os.sched_getaffinity(0))) if backend.describe()["device"] == "cpu" else _ACCELERATOR
