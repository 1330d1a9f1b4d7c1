"""Weights in PyTorch's file, read without PyTorch. The files are written by stand-ins for its classes."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.errors import ModelError
from training.network import torch_file

Strided = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Offset, shape and strides of a tensor in its storage."""
Write = Callable[[np.ndarray, dict[str, Strided]], bytes]


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch) -> Write:
    """A function that writes tensors of one storage as PyTorch 1.5 does."""
    torch, within = types.ModuleType("torch"), types.ModuleType("torch._utils")
    storages = {kind: type(kind, (), {"__module__": "torch"}) for kind in ("FloatStorage", "LongStorage")}
    for kind, stand_in in storages.items():
        setattr(torch, kind, stand_in)

    def _rebuild_tensor_v2(*_: Any) -> None:
        raise AssertionError("only its name is written")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    within._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", within)

    class Storage:
        def __init__(self, numbers: np.ndarray) -> None:
            kind = storages["FloatStorage" if numbers.dtype == np.float32 else "LongStorage"]
            self.id = ("storage", kind, "7", "cpu", len(numbers), None)

    class Tensor:
        def __init__(self, storage: Storage, where: Strided) -> None:
            self.arguments: tuple[Any, ...] = (storage, *where, False, OrderedDict())

        def __reduce__(self) -> Any:
            return _rebuild_tensor_v2, self.arguments

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return obj.id if isinstance(obj, Storage) else None

    def written(numbers: np.ndarray, tensors: dict[str, Strided]) -> bytes:
        storage = Storage(numbers)
        stream = io.BytesIO()
        for part in (
            *(0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}),
            *(OrderedDict((name, Tensor(storage, where)) for name, where in tensors.items()), ["7"]),
        ):
            Pickler(stream, 2).dump(part)
        return stream.getvalue() + struct.pack("<q", len(numbers)) + numbers.tobytes()

    return written


NUMBERS = np.arange(12, dtype=np.float32)


def test_tensors_are_read_with_their_offset_and_strides(write: Write) -> None:
    found = torch_file.read(
        write(NUMBERS, {"rows": (0, (3, 4), (4, 1)), "columns": (0, (4, 3), (1, 4)), "part": (5, (2,), (3,))}), "a.pth"
    )
    np.testing.assert_array_equal(found["rows"], NUMBERS.reshape(3, 4))
    np.testing.assert_array_equal(found["columns"], NUMBERS.reshape(3, 4).T)
    np.testing.assert_array_equal(found["part"], [5, 8])
    assert list(found) == ["rows", "columns", "part"]
    assert all(tensor.flags["C_CONTIGUOUS"] and tensor.dtype == np.float32 for tensor in found.values())


def test_a_scalar_of_integers_and_an_empty_tensor_are_read(write: Write) -> None:
    found = torch_file.read(write(np.array([41, 42]), {"steps": (1, (), ()), "none": (0, (0, 3), (3, 1))}), "a.pth")
    assert found["steps"] == 42
    assert found["none"].shape == (0, 3)


@pytest.mark.parametrize(
    "where",
    [
        (0, (13,), (1,)),
        (12, (1,), (1,)),
        (0, (3, 4), (5, 1)),
        (-1, (1,), (1,)),
        (3, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (3, 4), (4,)),
        (0, (1 << 40,), (0,)),
    ],
)
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(write: Write, where: Strided) -> None:
    with pytest.raises(
        ModelError, match=r"a\.pth holds no weights of PyTorch: a tensor (reaches beyond|has a negative)"
    ):
        torch_file.read(write(NUMBERS, {"a": where}), "a.pth")


class Hostile:
    """Writes a file when it is unpickled by `pickle.load`."""

    def __reduce__(self) -> Any:
        return os.system, ("touch hostile",)


@pytest.mark.parametrize("place", ["magic number", "tensors"])
def test_a_file_that_would_run_a_command_is_refused_and_runs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    first, rest = pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2) + pickle.dumps({"little_endian": 1}, 2)
    content = (b"" if place == "magic number" else first + rest) + pickle.dumps(OrderedDict(a=Hostile()), 2)
    with pytest.raises(
        ModelError, match=rf"a\.pth holds no weights of PyTorch: it refers to {os.system.__module__}.system"
    ):
        torch_file.read(content, "a.pth")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["builtins eval", "builtins getattr", "torch.storage _load_from_bytes", "torch load"])
def test_no_other_name_is_looked_up(name: str) -> None:
    module, attribute = name.split()
    with pytest.raises(ModelError, match=f"it refers to {module}.{attribute}, which no weights need"):
        torch_file.read(f"c{module}\n{attribute}\n.".encode(), "a.pth")


def test_a_truncated_file_is_refused_wherever_it_ends(write: Write) -> None:
    content = write(NUMBERS, {"a": (0, (12,), (1,))})
    for length in range(len(content)):
        with pytest.raises(ModelError, match=r"a\.pth holds no weights of PyTorch: ") as caught:
            torch_file.read(content[:length], "a.pth")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"PK\x03\x04 the newer format", b"garbage", pickle.dumps(1) * 5, pickle.dumps({})])
def test_another_file_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"a\.pth holds no weights of PyTorch: ") as caught:
        torch_file.read(content, "a.pth")
    assert "\n" not in str(caught.value)
