"""Read a file of weights that PyTorch wrote before version 1.6, without PyTorch. Never runs code from the file.

Such a file is five pickles (a magic number, the format's version, the machine's byte order, the tensors without their
numbers, and the keys of the storages) and then each storage: its length as an int64, and its numbers. Source:
`torch.serialization._legacy_save`.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


@dataclass(frozen=True)
class _Tensor:
    """A tensor before its storage is read: `shape` and `strides` in elements, as PyTorch counts them."""

    key: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of_pickle(cls, storage: Any, offset: int, shape: Any, strides: Any, *_gradients: Any) -> _Tensor:
        """Stand in for `torch._utils._rebuild_tensor_v2`."""
        _, dtype, key, _device, _length, _view = storage
        return cls(key, dtype, offset, tuple(shape), tuple(strides))

    def array(self, numbers: np.ndarray) -> np.ndarray:
        """Return a contiguous copy of the tensor. `numbers` is the whole storage.

        Raises:
            ValueError: the tensor reaches beyond its storage.
        """
        if len(self.shape) != len(self.strides) or min(self.offset, *self.shape, *self.strides, 0) < 0:
            raise ValueError("a tensor has a negative or missing size")
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        count = math.prod(self.shape)
        if count > len(numbers) or (count and last >= len(numbers)):
            raise ValueError("a tensor reaches beyond its storage")
        steps = [stride * numbers.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps, writeable=False).copy()


_NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor.of_pickle,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}
"""All that a file may refer to. Weights need no more."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no weights need") from None

    def persistent_load(self, pid: Any) -> Any:
        return pid  # a storage: ("storage", type, key, device, length, view)


def read(content: bytes, name: str) -> dict[str, np.ndarray]:
    """Return the tensors in `content` by their names, in the file's order.

    Args:
        content: the file.
        name: what the message calls it.

    Raises:
        ModelError: it isn't such a file, is truncated, or refers to anything but tensors.
    """
    stream = io.BytesIO(content)
    try:
        if _Unpickler(stream).load() != _MAGIC or _Unpickler(stream).load() != _VERSION:
            raise ValueError("it has another format")
        if not _Unpickler(stream).load()["little_endian"]:
            raise ValueError("its numbers are big-endian")
        tensors, keys = _Unpickler(stream).load(), _Unpickler(stream).load()
        dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
        storages = {key: _storage(stream, dtypes[key]) for key in keys}
        return {str(key): tensor.array(storages[tensor.key]) for key, tensor in tensors.items()}
    except Exception as error:  # a pickle can make its reader raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{name} holds no weights of PyTorch: {reason}") from error


def _storage(stream: io.BytesIO, dtype: np.dtype[Any]) -> np.ndarray:
    length = int.from_bytes(stream.read(8), "little", signed=True)
    content = stream.read(max(length, 0) * dtype.itemsize)
    if length < 0 or len(content) != length * dtype.itemsize:
        raise ValueError("it is truncated")
    return np.frombuffer(content, dtype)
