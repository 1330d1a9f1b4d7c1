"""Pack a folder of class folders as people do: ZIP, tar, WebDataset's shards and lists."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from pathlib import Path


def images_in(tree: Path) -> list[tuple[Path, str]]:
    """Return the files below `tree` in a fixed order, with their classes."""
    return [(file, file.relative_to(tree).parts[0]) for file in sorted(tree.rglob("*")) if file.is_file()]


def add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def write_zip(path: Path, tree: Path, inside: str = "photos/") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, _ in images_in(tree):
            archive.write(file, inside + file.relative_to(tree).as_posix())
    return path


def write_tar(path: Path, tree: Path) -> Path:
    """Write a tar of `tree`, packed by gzip if `path` ends in gz."""
    with tarfile.open(path, "w:gz" if path.suffix.endswith("gz") else "w") as tar:
        tar.add(tree, "photos")
    return path


def write_shards(folder: Path, tree: Path, count: int, ending: str = "cls") -> Path:
    """Write the images in turn into `count` shards, in another order than that of their names."""
    folder.mkdir(parents=True)
    for shard in range(count):
        with tarfile.open(folder / f"photos-{shard:03}.tar", "w") as tar:
            for i, (file, label) in list(enumerate(reversed(images_in(tree))))[shard::count]:
                content = json.dumps({"label": label, "width": 20}) if ending == "json" else label
                add_bytes(tar, f"{i:05}.{ending}", content.encode())
                add_bytes(tar, f"{i:05}{file.suffix}", file.read_bytes())
    return folder


def write_list(path: Path, tree: Path, encoding: str = "utf-8", separator: str = ",") -> Path:
    """Write a list of paths relative to the folder of `path`, in CSV or JSON Lines by its suffix."""
    rows = [(file.relative_to(path.parent).as_posix(), label) for file, label in reversed(images_in(tree))]
    with path.open("w", encoding=encoding, newline="") as out:
        if path.suffix == ".jsonl":
            out.writelines(json.dumps({"file_name": file, "label": label}) + "\n" for file, label in rows)
        else:
            csv.writer(out, delimiter=separator).writerows([("path", "label"), *rows])
    return path
