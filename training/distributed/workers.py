"""The workers of a distributed training: processes that connect, check that they agree, train, and disconnect.

They use Keras' DataParallel on JAX: each worker gets an equal part of every batch. Keras names the environment
variables.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from training import backend
from training.config import Config
from training.errors import ModelError, UsageError, WorkersApart, WorkersLost
from training.folders import waiting
from training.progress import console

COUNT, INDEX, COORDINATOR = (f"KERAS_DISTRIBUTION_{name}" for name in ("NUM_PROCESSES", "PROCESS_ID", "JOB_ADDRESSES"))
PATIENCE = "KERAS_DISTRIBUTION_TIMEOUT"
"""Seconds to wait for the other workers at the start. Keras doesn't have this variable."""

_HEARTBEAT = 30
"""Seconds without a message after which a worker counts as lost. The connections of a killed worker close at once."""

_OF_CONNECTIONS = ("Gloo", "NCCL", "coordination", "UNAVAILABLE")


@dataclass(frozen=True)
class Workers:
    """The number of workers, and which of them this process is. A training by one process has a `count` of 1."""

    count: int = 1
    index: int = 0
    coordinator: str = ""
    patience: int = 600

    @property
    def leads(self) -> bool:
        """Whether this worker writes files and publishes."""
        return self.index == 0

    def settle(self, config: Config, given: int | None) -> Config:
        """Return `config` with a batch size that is a multiple of `count`, if the user has `given` none.

        Raises:
            UsageError: the given batch size is no multiple.
        """
        batch_size = config.batch_size or 1
        if given is None:
            return replace(config, batch_size=-(-batch_size // self.count) * self.count)
        if batch_size % self.count:
            raise UsageError(
                f"--batch-size {given} can't be shared by {self.count} workers; use a multiple of {self.count}"
            )
        return config

    def disbanded(self) -> Workers:
        """Return a group of worker 0 alone, for the work after the training. The other workers exit."""
        if not self.leads:
            raise SystemExit(0)
        return Workers()

    def wait(self, what: str) -> None:
        """Wait until all workers call this, for example until worker 0 has written `what`."""
        if self.count > 1:
            from jax.experimental import multihost_utils

            with guarded(self):
                multihost_utils.sync_global_devices(what)

    def from_first(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Return the `arrays` of worker 0, so that all workers have the same ones to the last bit."""
        if self.count == 1:
            return arrays
        from jax.experimental import multihost_utils

        with guarded(self):
            return [np.asarray(array) for array in multihost_utils.broadcast_one_to_all(arrays)]

    def agree(self, config: Config, fingerprint: str, epochs: int) -> None:
        """Check that all workers have the same options, images and checkpoint.

        Raises:
            ModelError: they differ; the message says in what.
        """
        if self.count == 1:
            return
        from jax.experimental import multihost_utils

        groups = ("augmentation", "network", "backbone", "training")
        options = {f.name: getattr(config, f.name) for f in fields(config) if f.metadata["group"] in groups}
        what = {"options": options | config.augmentation, "images": fingerprint, "epochs in its checkpoint": epochs}
        digests = [hashlib.sha256(repr(value).encode()).digest()[:4] for value in what.values()]
        with guarded(self):
            gathered = multihost_utils.process_allgather(np.frombuffer(b"".join(digests), np.uint32))
        for number, theirs in enumerate(np.asarray(gathered)):
            for name, expected, found in zip(what, gathered[0], theirs, strict=True):
                if found != expected:
                    raise ModelError(f"worker {number} has other {name} than worker 0; all workers need the same")


def from_environment(environment: Mapping[str, str] = os.environ) -> Workers:
    """Return the workers that the environment variables describe, by default this process alone.

    Raises:
        UsageError: a variable is missing or invalid, or the backend can't train in several processes.
    """
    count = _number(environment, COUNT, 1, 1, 10_000)
    if count == 1:
        return Workers()
    if INDEX not in environment:
        raise UsageError(f"{COUNT}={count} needs {INDEX}, this worker's number from 0 to {count - 1}")
    index = _number(environment, INDEX, 0, 0, count - 1)
    coordinator = environment.get(COORDINATOR, "").partition(",")[0]
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"{COORDINATOR} is {coordinator!r}; write HOST:PORT of worker 0, the same for all workers")
    chosen = environment.get("KERAS_BACKEND") or "jax"
    if chosen != "jax":
        raise UsageError(f"{COUNT}={count} needs KERAS_BACKEND=jax; {chosen} trains in one process only")
    return Workers(count, index, coordinator, _number(environment, PATIENCE, 600, 1, 86_400))


def _number(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        raise UsageError(f"{name} is {text!r}; it takes a number from {low} to {high}")
    return int(text)


def here() -> Workers:
    """Return the workers of this training, and choose the backend. Call it before importing Keras.

    Raises:
        UsageError: an environment variable for the workers or the backend is invalid.
    """
    workers = from_environment()
    if workers.count > 1:
        os.environ["KERAS_BACKEND"] = "jax"
        console.quiet = not workers.leads  # otherwise every worker prints the same lines
    backend.check()
    return workers


def join(workers: Workers) -> None:
    """Connect to the other workers, which then share each model's variables. One process alone uses all its devices.

    Raises:
        WorkersApart: another worker didn't connect within `patience` seconds.
    """
    import keras

    if keras.backend.backend() != "jax":
        return
    import jax

    if workers.count > 1:
        # Otherwise gRPC connects to worker 0 through a proxy.
        os.environ.setdefault("no_grpc_proxy", workers.coordinator.rpartition(":")[0])
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.config.update("jax_enable_preemption_service", True)  # it lets `Interruption` stop all workers at one step
        others = f"worker {workers.index} of {workers.count} connects to the others at {workers.coordinator}"
        try:
            with waiting(others):
                jax.distributed.initialize(
                    workers.coordinator,
                    workers.count,
                    workers.index,
                    initialization_timeout=workers.patience,
                    heartbeat_timeout_seconds=_HEARTBEAT,
                    shutdown_timeout_seconds=_HEARTBEAT,
                )
        except RuntimeError as error:
            raise WorkersApart(f"{apart(workers)}: {_first_line(error)}") from error
    if jax.device_count() > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))


def shares() -> int:
    """Return how many devices, of all workers together, share each batch."""
    import keras

    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.device_mesh.devices.size)


def part_from(workers: Workers) -> bool:
    """Disconnect from the other workers, which exit. Worker 0 continues alone.

    Returns:
        Whether there were other devices. If so, existing models are spread over them and can't be used any more.
    """
    if shares() == 1:
        return False
    import jax
    import keras

    keras.distribution.set_distribution(None)
    if workers.count > 1:
        with guarded(workers):
            jax.distributed.shutdown()
        workers.disbanded()
    return True


@contextlib.contextmanager
def undivided() -> Iterator[None]:
    """Let one worker act without the others: Keras would otherwise wait for them when it creates variables."""
    import keras

    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


@contextlib.contextmanager
def guarded(workers: Workers) -> Iterator[None]:
    """Turn the errors of collective operations after the loss of a worker into `WorkersLost`."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        # XLA's errors have no type of their own.
        if workers.count == 1 or not any(word in str(error) for word in _OF_CONNECTIONS):
            raise
        raise WorkersLost(lost(workers.index, _first_line(error))) from error


def apart(workers: Workers) -> str:
    """Return the message that this worker couldn't connect to the others."""
    who = f"worker {workers.index} of {workers.count}"
    return f"{who} couldn't connect to the others at {workers.coordinator} within {workers.patience} s ({PATIENCE})"


def lost(index: int, reason: str) -> str:
    """Return the message that another worker has stopped."""
    return f"worker {index} lost another worker: {reason[:200]}; restart all workers with --resume"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
