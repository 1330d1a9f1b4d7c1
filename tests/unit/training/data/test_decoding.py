from __future__ import annotations

import errno
import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import pytest
from PIL import Image

import imaging
from tests.folders import write_tree
from training import folders
from training.data import decoders, decoding
from training.data.decoded import DecodedImages
from training.data.decoding import decode_folder
from training.data.disk import DiskSource
from training.data.folder import scan
from training.data.source import Rejected, Stat
from training.errors import DataError


@pytest.mark.parametrize("workers", [1, 2])
def test_each_row_is_what_imaging_decodes(tmp_path: Path, workers: int) -> None:
    root = write_tree(tmp_path / "data", {"red": 80, "blue": 60})
    folder = scan(DiskSource(root))
    decoded, cached = decode_folder(folder, 12, tmp_path / "cache", workers)
    assert not cached
    images = decoded[np.arange(140)]
    assert all(
        (image == imaging.decode(root / file, 12)).all() for image, file in zip(images, folder.files, strict=True)
    )


class Archive:
    """A source that is neither a folder nor a bucket: its files' contents by their names."""

    files_per_task: ClassVar[int] = 2
    waits: ClassVar[bool] = False
    name = identity = "archive"

    def __init__(self, contents: dict[str, bytes]) -> None:
        self._contents = contents

    def top_level(self) -> tuple[list[str], list[str]]:
        return sorted({file.partition("/")[0] for file in self._contents}), []

    def below(self, folder: str) -> Archive:
        raise NotImplementedError

    def is_image(self, name: str) -> bool:
        return False

    def files(self, folders: list[str]) -> Iterator[tuple[str, Stat]]:
        for file, content in sorted(self._contents.items()):
            yield file, (len(content), 0)

    def read(self, files: list[str], stats: list[Stat]) -> Iterator[bytes | Rejected]:
        for file in files:
            yield self._contents[file] or Rejected(file, "changed", "gone")

    def stats(self, files: list[str]) -> list[Stat | None]:
        return [(len(self._contents[file]), 0) for file in files]

    def path(self, file: str) -> None:
        return None


def test_any_source_is_listed_and_read_like_a_folder(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", {"red": 3, "blue": 2})
    folder = scan(DiskSource(root))
    contents = {file: (root / file).read_bytes() for file in folder.files}
    archive = scan(Archive(contents | {"red/empty.png": b""}))
    assert (archive.files[:5], archive.labels[:5]) == (folder.files, folder.labels)
    decoded, _ = decode_folder(archive, 8, tmp_path / "cache", 1)
    expected, _ = decode_folder(folder, 8, tmp_path / "cache", 1)
    assert (decoded[np.arange(5)] == expected[np.arange(5)]).all()
    assert [(r.file, r.code) for r in decoded.rejected] == [("red/empty.png", "changed")]


def test_a_second_run_decodes_nothing_and_a_changed_file_everything(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", {"red": 2, "blue": 2})
    cache = tmp_path / "cache"
    assert not decode_folder(scan(DiskSource(root)), 8, cache, 1)[1]
    assert decode_folder(scan(DiskSource(root)), 8, cache, 1)[1]
    assert not decode_folder(scan(DiskSource(root)), 9, cache, 1)[1]
    os.utime(root / "red" / "000.png", ns=(1, 1))
    assert not decode_folder(scan(DiskSource(root)), 8, cache, 1)[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_sizes_that_are_wanted_next_are_decoded_ahead(tmp_path: Path, workers: int) -> None:
    root = write_tree(tmp_path / "data", {"red": 80, "blue": 60})
    (root / "red" / "notes.txt").write_text("hello")
    folder, ahead, alone = scan(DiskSource(root)), tmp_path / "ahead", tmp_path / "alone"
    assert not decode_folder(folder, 8, ahead, workers, ahead=[8, 12, 20])[1]
    for size in (8, 12, 20):
        decoded, cached = decode_folder(folder, size, ahead, workers)
        expected, _ = decode_folder(folder, size, alone, workers)
        assert cached
        assert decoded.rejected == expected.rejected != []
        assert (decoded[np.arange(141)] == expected[np.arange(141)]).all()
        assert (decoded.digests == expected.digests).all()
        assert (decoded.contents == expected.contents).all()


def test_a_jpeg_that_is_too_large_at_one_size_is_refused_at_that_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_tree(tmp_path / "data", {"red": 1, "blue": 1})
    Image.new("RGB", (400, 400), "red").save(root / "red" / "large.jpg")
    at_most = partial(imaging.decode_sizes, max_pixels=100_000)
    monkeypatch.setattr(imaging, "decode_sizes", at_most)
    folder = scan(DiskSource(root))
    reduced, _ = decode_folder(folder, 32, tmp_path / "cache", 1, ahead=[128])
    whole, cached = decode_folder(folder, 128, tmp_path / "cache", 1)
    assert cached
    assert (len(reduced.rejected), [r.code for r in whole.rejected]) == (0, ["image_too_large"])


def test_files_that_cannot_be_used_are_listed_with_their_reason(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", {"red": 3, "blue": 2})
    (root / "red" / "notes.txt").write_text("hello")
    png = (root / "red" / "000.png").read_bytes()
    (root / "blue" / "cut.png").write_bytes(png[: len(png) // 2])
    (root / "blue" / "gone.png").symlink_to(tmp_path / "gone")
    decoded, _ = decode_folder(scan(DiskSource(root)), 8, tmp_path / "cache", 1)
    assert {(r.file, r.code) for r in decoded.rejected} == {
        ("red/notes.txt", "unsupported_media_type"),
        ("blue/cut.png", "corrupt_image"),
        ("blue/gone.png", "unreadable"),
    }
    assert len(decoded.rejected_rows) == 3


def test_duplicates_have_equal_pixels_not_equal_bytes(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", {"red": 1, "blue": 1})
    Image.open(root / "red" / "000.png").save(root / "red" / "again.bmp")
    decoded, _ = decode_folder(scan(DiskSource(root)), 8, tmp_path / "cache", 1)
    assert (decoded.digests[1] == decoded.digests[2]).all()
    assert (decoded.digests[0] != decoded.digests[1]).any()


def test_an_incomplete_cache_entry_is_replaced_and_an_abandoned_one_removed(tmp_path: Path) -> None:
    root, cache = write_tree(tmp_path / "data", {"red": 2, "blue": 2}), tmp_path / "cache"
    decode_folder(scan(DiskSource(root)), 8, cache, 1)
    (entry,) = cache.iterdir()
    (entry / "pixels.u8").write_bytes(b"cut")
    abandoned = cache / f"{'0' * 32}.{2**22 + 1}"
    abandoned.mkdir()
    (cache / "mine").mkdir()
    assert not decode_folder(scan(DiskSource(root)), 8, cache, 1)[1]
    assert not abandoned.exists()
    assert (cache / "mine").exists()
    assert (DecodedImages.open(entry, 8)[np.arange(4)] > 0).any()


def test_reading_leaves_no_pages_of_the_map_resident(tmp_path: Path) -> None:
    size, count = 32, 20_000
    for name in ("digests.npy", "contents.npy"):
        np.save(tmp_path / name, np.zeros((count, 16), np.uint8))
    (tmp_path / "rejected.json").write_text("[]")
    with (tmp_path / "pixels.u8").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, count * size * size * 3)
    decoded = DecodedImages.open(tmp_path, size)
    before = resident_bytes()
    for start in range(0, count, 100):
        decoded[np.arange(start, start + 100)]
    assert resident_bytes() - before < 20e6  # the whole map has 61 MB


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_reported_in_one_line_and_leaves_no_files(tmp_path: Path) -> None:
    folder = scan(DiskSource(write_tree(tmp_path / "data", {"red": 20, "blue": 20})))
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(
            DataError, match=r"disk full: the decoded images need 0.1 MB in .*; pass another --cache-dir"
        ):
            decode_folder(folder, 32, disk / "cache", 1)
        assert not any((disk / "cache").iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)


def test_decoders_exit_when_their_parent_is_killed(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "data", {"red": 100, "blue": 100})
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from training.data import decoders, decoding\n"
        "from training.data.disk import DiskSource\n"
        "from training.data.folder import scan\n"
        "if __name__ == '__main__':\n"
        "    run = decoders.run\n"
        "    def kill_after_one(*arguments, **options):\n"
        "        for result in run(*arguments, **options):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "            yield result\n"
        "    decoders.run = kill_after_one\n"
        f"    decoding.decode_folder(scan(DiskSource(Path({str(root)!r}))), 8, Path({str(tmp_path / 'cache')!r}), 2)\n"
    )
    (tmp_path / "script.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    with subprocess.Popen(
        [sys.executable, tmp_path / "script.py"], env=environment, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        # The children inherit the other end of the pipe, which closes when the last of them exits.
        process.communicate(timeout=60)
    assert process.returncode == -9


def test_a_machine_without_shared_memory_is_named_and_not_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind: an error is blamed on the first folder that comes to mind."""

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(decoders, "ProcessPoolExecutor", refuse)
    with pytest.raises(DataError, match="decoder processes need /dev/shm: Read-only file system; make it writable"):
        list(decoders.run(print, [()], 2, waits=True))


def test_a_run_that_waits_for_another_one_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)

    def wait() -> None:
        with decoding._alone(tmp_path):
            pass

    with ThreadPoolExecutor(1) as pool, decoding._alone(tmp_path):
        monkeypatch.setattr(folders, "_PATIENCE", 0)
        other = pool.submit(wait)
        said = f"waiting: another process decodes images into {tmp_path}"
        while said not in caplog.messages:
            time.sleep(0.01)
        assert not other.done()
