"""Several processes that train one model together: who they are, how they meet, what they agree on, how they part.

Keras' DataParallel on JAX; each has a share of every batch. The names in the environment are Keras' own.
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
from training.progress import console

COUNT, INDEX, COORDINATOR = (f"KERAS_DISTRIBUTION_{name}" for name in ("NUM_PROCESSES", "PROCESS_ID", "JOB_ADDRESSES"))
PATIENCE = "KERAS_DISTRIBUTION_TIMEOUT"
"""Ours: seconds to wait for the others at the start."""

_HEARTBEAT = 30
"""Seconds of silence after which a worker counts as dead. A killed one is noticed at once, by its connections."""

_OF_CONNECTIONS = ("Gloo", "NCCL", "coordination", "UNAVAILABLE")


@dataclass(frozen=True)
class Workers:
    """This process among those that train one model; alone, where `count` is 1."""

    count: int = 1
    index: int = 0
    coordinator: str = ""
    patience: int = 600

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and publishes."""
        return self.index == 0

    def settle(self, config: Config, given: int | None) -> Config:
        """Return `config` with a batch size that can be shared, where the user has `given` none.

        Raises:
            UsageError: the one given can't.
        """
        batch_size = config.batch_size or 1
        if given is None:
            return replace(config, batch_size=-(-batch_size // self.count) * self.count)
        if batch_size % self.count:
            raise UsageError(f"--batch-size {given} can't be shared by {self.count} workers; take a multiple")
        return config

    def disbanded(self) -> Workers:
        """Return who does what is left to do after the training: worker 0, alone. The others' work ends here."""
        if not self.leads:
            raise SystemExit(0)
        return Workers()

    def wait(self, what: str) -> None:
        """Wait for the others, until worker 0 has written `what`, say."""
        if self.count > 1:
            from jax.experimental import multihost_utils

            with guarded(self):
                multihost_utils.sync_global_devices(what)

    def agree(self, config: Config, fingerprint: str, epochs: int) -> None:
        """Make sure that all workers are about to do the same.

        Raises:
            ModelError: options, images or the checkpoint differ; the message says which.
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
                    raise ModelError(f"worker {number} has other {name} than worker 0; all must see the same")


def from_environment(environment: Mapping[str, str] = os.environ) -> Workers:
    """Read who this process is; without the variables, it is alone.

    Raises:
        UsageError: a variable is missing or makes no sense, or the backend can't do it.
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
    """Return who this process is, after settling what has to be before Keras is imported.

    Raises:
        UsageError: what the environment says of workers or backend makes no sense.
    """
    workers = from_environment()
    if workers.count > 1:
        os.environ["KERAS_BACKEND"] = "jax"
        console.quiet = not workers.leads  # else every line is told `count` times
    backend.check()
    return workers


def join(workers: Workers) -> None:
    """Meet the others; from here on the model's variables are one on all of them. Alone, take all local devices.

    Raises:
        WorkersApart: somebody didn't come within `patience`.
    """
    import keras

    if keras.backend.backend() != "jax":
        return
    import jax

    if workers.count > 1:
        # gRPC would ask a proxy for the way to worker 0.
        os.environ.setdefault("no_grpc_proxy", workers.coordinator.rpartition(":")[0])
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.config.update("jax_enable_preemption_service", True)  # what `stops` is made of
        try:
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
    """Return how many devices share each batch, of all workers."""
    import keras

    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.device_mesh.devices.size)


def part_from(workers: Workers) -> bool:
    """Leave the other workers; worker 0 computes alone from here on.

    Returns:
        Whether there were other devices: models made until now are spread over them, and of no use any more.
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
    """Do what one worker does without the others: whatever Keras makes inside would wait for them."""
    import keras

    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


@contextlib.contextmanager
def guarded(workers: Workers) -> Iterator[None]:
    """Turn what a collective operation says when a worker is gone into `WorkersLost`."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        # XLA's errors have no types of their own.
        if workers.count == 1 or not any(word in str(error) for word in _OF_CONNECTIONS):
            raise
        raise WorkersLost(lost(workers.index, _first_line(error))) from error


def apart(workers: Workers) -> str:
    """Say that this one is alone."""
    who = f"worker {workers.index} of {workers.count}"
    return f"{who} didn't meet the others at {workers.coordinator} within {workers.patience} s ({PATIENCE})"


def lost(index: int, reason: str) -> str:
    """Say that another worker is gone."""
    return f"worker {index} lost another one: {reason[:200]}; start all again, with --resume"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
