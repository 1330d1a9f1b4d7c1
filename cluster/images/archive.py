"""Write a container image of one layer from files, without a builder. The same files give the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath


def write(path: Path, name: str, files: Mapping[str, Path], *, entrypoint: Sequence[str], user: str) -> None:
    """Write an archive as `docker save` does to `path`; `files` maps paths in the image to files of this machine."""
    part = path.with_suffix(".part")
    layer = path.with_suffix(".layer")
    try:
        _layer(layer, files)
        with layer.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        configuration = {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/bin"], "User": user},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
        encoded = json.dumps(configuration).encode()
        image = hashlib.sha256(encoded).hexdigest() + ".json"
        manifest = [{"Config": image, "RepoTags": [name], "Layers": ["layer.tar"]}]
        with tarfile.open(part, "w") as archive:
            _add(archive, image, encoded)
            archive.add(layer, "layer.tar", filter=_plain)
            _add(archive, "manifest.json", json.dumps(manifest).encode())
        part.rename(path)
    finally:
        layer.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def _layer(path: Path, files: Mapping[str, Path]) -> None:
    parents = {str(parent) for place in files for parent in PurePosixPath(place.lstrip("/")).parents} - {"."}
    with tarfile.open(path, "w") as layer:
        for parent in sorted({*parents, "tmp"}):
            folder = tarfile.TarInfo(parent)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if parent == "tmp" else 0o755
            layer.addfile(folder)
        for place, file in sorted(files.items()):
            layer.add(file.resolve(), place.lstrip("/"), filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755
    return entry


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
