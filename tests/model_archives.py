"""Archives of models, as `bentoml models export` writes them, and damaged ones."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile

from model_format.layout import FILES, GOLDEN_FOLDER, GOLDEN_INDEX

MODEL_YAML = b"name: image_classifier\nversion: abc123\nmodule: ''\n"


def packed(files: dict[str, bytes], *more: tarfile.TarInfo, mode: str = "w:xz") -> bytes:
    """Return an archive in the format of `bentoml models export`, with `more` members that it would never write."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in more:
            tar.addfile(member)
    return out.getvalue()


MODEL = packed({"model.yaml": MODEL_YAML, FILES["onnx"]: b"weights", f"{GOLDEN_FOLDER}/{GOLDEN_INDEX}": b"[]"})

BZIPPED = packed({"model.yaml": MODEL_YAML, FILES["onnx"]: random.Random(0).randbytes(1_000_000)}, mode="w:bz2")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
